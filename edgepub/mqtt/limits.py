"""What a broker does not take: retained messages, or QoS 1."""

from typing import Literal, NamedTuple

RETAIN_NOT_SUPPORTED = 0x9A
QOS_NOT_SUPPORTED = 0x9B
_NO_RETAIN = "it keeps no retained messages: a new subscriber gets a value only when it changes"
_NO_QOS_1 = "it takes QoS 0 alone: a message that is lost on the way is not sent again"


class Limits(NamedTuple):
    """What may be used in a session."""

    retain: bool = True
    qos: Literal[0, 1] = 1
    is_retain_wanted: bool = True

    def without(self, reason_code: int) -> "Limits | None":
        """Return what is left after the broker has refused a connection with this reason; None if that is not why.

        MQTT 5.0, 3.2.2.2: a server refuses a last will with a QoS or a retain flag that it does not support.
        """
        if reason_code == RETAIN_NOT_SUPPORTED and self.retain:
            return self._replace(retain=False)
        if reason_code == QOS_NOT_SUPPORTED and self.qos:
            return self._replace(qos=0)
        return None

    def lesser(self) -> "list[Limits]":
        """Return what may be left if a broker ends the connection without a reason, the most first."""
        retain, qos = self._replace(retain=False), self._replace(qos=0)
        return [retain, qos, qos._replace(retain=False)] if self.retain else [qos]

    def within(self, retain_available: int, maximum_qos: int) -> "Limits":
        """Return what is left of it by the properties of CONNACK (MQTT 5.0, 3.2.2.3)."""
        return self._replace(retain=self.retain and bool(retain_available), qos=1 if self.qos and maximum_qos else 0)

    def describe(self) -> dict[str, str | None]:
        """Return what is missing because of the broker, a line for each limit; None if nothing is."""
        return {
            "retain": _NO_RETAIN if self.is_retain_wanted and not self.retain else None,
            "qos": None if self.qos else _NO_QOS_1,
        }
