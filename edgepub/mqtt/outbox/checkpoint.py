"""Which retained values the broker surely has, so that a reconnect sends only the others again."""

from edgepub.mqtt.messages import Message, state_message


class Checkpoint:
    """A retained message with a number that grows.

    It is sent after values have been acknowledged. If a later session finds it on the broker, the broker has all values
    that were acknowledged before it: a broker that has lost some of them has lost it too, or has one with a lower
    number.

    Args:
        topic: its topic; None: there is none, and the broker may have lost everything.
        run_id: identifies this run of the daemon; another run's checkpoint says nothing about this one's values.

    Attributes:
        topic: its topic.
        number: the number of the next one.
        is_due: whether anything was acknowledged since the last one.

    """

    def __init__(self, topic: str | None = None, run_id: str = "") -> None:
        self.topic = topic
        self.number = 0
        self.is_due = False
        self._run_id = run_id

    def start_session(self) -> int:
        """Return the number from which on values are acknowledged in this session."""
        self.number += 1
        self.is_due = True
        return self.number

    def acknowledge(self, topic: str) -> int:
        """Return the number of the next checkpoint, which includes a value that was acknowledged now."""
        self.is_due |= topic != self.topic
        return self.number

    def next_message(self) -> Message | None:
        """Return the message for the values that are acknowledged by now, if it has a topic."""
        if self.topic is None:
            return None
        number, self.number, self.is_due = self.number, self.number + 1, False
        return state_message(self.topic, f"{self._run_id} {number}")

    def parse(self, payload: bytes) -> int:
        """Return the number of a checkpoint of this run; -1 for anything else."""
        run_id, _, number = payload.decode(errors="replace").partition(" ")
        return int(number) if run_id == self._run_id and number.isascii() and number.isdigit() else -1
