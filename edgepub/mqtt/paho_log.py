"""The log of paho, which is not shown: it tells an operator nothing useful."""

import logging
from typing import Any

from paho.mqtt.exception import MalformedPacket


class PahoLog(logging.Logger):
    """Keeps the last error alone: nothing else has the reason why a connection was lost.

    Attributes:
        last_error: the reason; None if there was no error.
        unreadable: why a packet from the broker cannot be read; None if all can.

    """

    def __init__(self) -> None:
        super().__init__("edgepub.paho", logging.ERROR)
        self.disabled = True  # aiomqtt would log an exception for an answer that comes when nothing waits for it
        self.last_error: object = None
        self.unreadable: Exception | None = None

    def log(self, level: int, msg: object, *args: object, **_: Any) -> None:  # noqa: ANN401
        """Keep the reason of an error."""
        reason = args[-1] if args else msg
        if isinstance(reason, MalformedPacket):  # logged at level debug
            self.unreadable = reason
        elif level >= logging.ERROR:
            self.last_error = reason
