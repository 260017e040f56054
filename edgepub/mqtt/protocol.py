"""MQTT in general: reason codes, properties, and errors in one line.

MQTT 5.0: OASIS Standard, March 2019. MQTT 3.1.1: OASIS Standard, October 2014.
"""

import re
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgepub.core.errors import MessageRejectedError
from edgepub.core.redaction import redact_line
from edgepub.mqtt.messages import PayloadFormat

# Reason codes (MQTT 5.0, 2.4). paho translates those of MQTT 3.1.1 to them.
UNSPECIFIED_ERROR = 0x80  # this code and all above are failures
UNSUPPORTED_VERSION = 0x84
KEEP_ALIVE_TIMEOUT = 0x8D
TAKEN_OVER = 0x8E
# The broker cannot take the message now: for no reason or for one of its own, because of its state, or its limits.
_NOT_NOW = {UNSPECIFIED_ERROR, 0x83, 0x91, 0x97}
# The client id, the password, the rights, a ban, the authentication method, another client, another server.
UNWANTED = {0x85, 0x86, 0x87, 0x8A, 0x8C, TAKEN_OVER, 0x98, 0x9D}

# The broker ends the session for its own reasons: it stops, is busy or moved, has another connection of the client, or
# received no keep-alive.
_NOT_OVER_A_MESSAGE = {0x89, 0x8B, KEEP_ALIVE_TIMEOUT, TAKEN_OVER, 0x98, 0x9C, 0x9D, 0x9F, 0xA0}

LOST = "connection lost"


class NoAnswerError(aiomqtt.MqttError):
    """CONNACK did not come in time."""


class EndedError(NoAnswerError):
    """The broker ended the connection before CONNACK."""


def publish_properties(payload_format: PayloadFormat, expiry_s: int | None) -> Properties:
    """Return the properties of a PUBLISH (MQTT 5.0, 3.3.2.3)."""
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = payload_format.content_type
    if payload_format.schema:
        properties.UserProperty = ("schema", payload_format.schema)
    if payload_format.fields:
        properties.UserProperty = ("fields", payload_format.fields)
    for name, value in payload_format.properties:
        properties.UserProperty = (name, value)
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    return properties  # type: ignore[no-any-return]


def connect_properties(max_packet_bytes: int) -> Properties:
    """Return the properties of a CONNECT (MQTT 5.0, 3.1.2.11)."""
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = max_packet_bytes
    return properties  # type: ignore[no-any-return]


def reason_code(error: object) -> int:
    """Return the reason code that an error of aiomqtt carries; 0 if there is none."""
    code = getattr(error, "rc", 0)
    return int(getattr(code, "value", code) or 0)


def is_over_message(code: int) -> bool:
    """Return whether a broker that ends a session with this reason code may do so over a message."""
    return code not in _NOT_OVER_A_MESSAGE


def check_acknowledgement(reason: Any, topic: str) -> None:  # noqa: ANN401  (a reason code of paho)
    """Raise an error if the reason code of a PUBACK for a message to this topic is not a success.

    Raises:
        MqttError: the broker cannot take the message now; it may do so in another session.
        MessageRejectedError: the broker refuses the message.

    """
    if reason.value in _NOT_NOW:
        raise aiomqtt.MqttError(f"the broker cannot take the message to {topic} now: {reason}")
    if reason.value >= UNSPECIFIED_ERROR:
        raise MessageRejectedError(f"refused by the broker: {reason}", "refused")


def describe_error(error: object) -> str:
    """Return an error's text in one line, without codes and file names that say nothing to a person."""
    cause = getattr(error, "__cause__", None)
    if isinstance(cause, aiomqtt.MqttError):
        error = cause
    if reason_code(error) == UNSPECIFIED_ERROR:
        return LOST
    return redact_line(re.sub(r"^\[(code|SSL|X509|Errno)\b[^]]*\] |\s*\(_ssl\.c:\d+\)", "", str(error))).rstrip(".")
