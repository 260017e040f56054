"""Commands from the broker: a topic and bytes become a change of a setting."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from edgepub.config.camera import MaxFps
from edgepub.config.labels import MinScore
from edgepub.mqtt.command_pacer import INTERVAL_S, CallLater, CommandPacer, Target
from edgepub.mqtt.messages import Received
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger

_log = logging.getLogger(__name__)
_MAX_COMMAND_BYTES = 1024
_NO_LIMIT = {"none", "null"}


class Setting(NamedTuple):
    """A setting that can be changed while the daemon runs."""

    parse: Callable[[str], Any]
    """Returns the value of a text, or raises ValueError."""
    format: Callable[[Any], str]
    """Returns the text of a value, which `parse` accepts."""
    limit: Callable[[Any, Any], Any] = lambda value, _configured: value
    """Returns the value in force from the one that was set and the configuration's."""


def _number(kind: Any, valid: str) -> Callable[[str], float]:  # noqa: ANN401  (an annotated type)
    validator: TypeAdapter[float] = TypeAdapter(kind)

    def parse(text: str) -> float:
        try:
            return validator.validate_python(text)
        except ValidationError:
            raise ValueError(f"must be {valid}") from None

    return parse


def _switch(text: str) -> bool:
    if text.upper() not in {"ON", "OFF"}:
        raise ValueError("must be ON or OFF")
    return text.upper() == "ON"


_limit = _number(MaxFps, "a number from 0.001 to 1000, or None for no limit")

SETTINGS = {
    "enabled": Setting(_switch, lambda value: "ON" if value else "OFF"),
    # What the owner of the node has turned off in its configuration, nobody turns on from elsewhere.
    "snapshot_enabled": Setting(
        _switch, lambda value: "ON" if value else "OFF", lambda value, configured: value and configured
    ),
    "min_score": Setting(_number(MinScore, "a number from 0 to 1"), lambda value: f"{value:g}"),
    # Home Assistant takes `None` for no number.
    "max_fps": Setting(
        lambda text: None if text.lower() in _NO_LIMIT else _limit(text),
        lambda value: "None" if value is None else f"{value:g}",
    ),
}


def decode_value(payload: bytes) -> str:
    """Return a command's text without the spaces around it; an empty text restores the configured value.

    Raises:
        ValueError: the payload is too long or not text.

    """
    if len(payload) > _MAX_COMMAND_BYTES:
        raise ValueError(f"must have at most {_MAX_COMMAND_BYTES} bytes, not {len(payload)}")
    try:
        return payload.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("must be UTF-8 text") from None


class Settable(Protocol):
    """The settings of one camera that can be changed while the daemon runs."""

    def set(self, name: str, payload: bytes) -> None:
        """Set one of `SETTINGS`, or raise ValueError; an empty payload restores the configured value."""


class CommandHandler:
    """Applies each command from the broker to its camera.

    Args:
        topics: the topics of the node.
        controls: the settings of each camera, by its name.
        interval_s: when many commands come for one setting, the newest is applied after each interval.
        call_later: calls a function after seconds; None: in the event loop.

    """

    def __init__(
        self,
        topics: Topics,
        controls: Mapping[str, Settable],
        *,
        interval_s: float = INTERVAL_S,
        call_later: CallLater | None = None,
    ) -> None:
        self._topics = topics
        self._controls = controls
        self._pacer = CommandPacer(self._apply, interval_s, call_later)

    def handle(self, message: Received) -> None:
        """Apply a message if it is a command. A retained one is ignored: it may be old."""
        camera, name = self._topics.parse_command(message.topic) or ("", "")
        if camera not in self._controls or name not in SETTINGS:
            _log.warning("no such camera or setting: %r", message.topic[:200])
        elif message.retained:
            text = "a retained command for %s is ignored: publish it without retain"
            camera_logger(_log, camera).warning(text, name)
        else:
            self._pacer.put(Target(camera, name, is_valid=_is_valid(name, message.payload)), message.payload)

    def flush(self) -> None:
        """Apply the commands that wait for the end of their interval."""
        self._pacer.flush()

    def _apply(self, target: Target, payload: bytes) -> None:
        if target.camera not in self._controls:  # a reload has just removed it
            return
        try:
            self._controls[target.camera].set(target.name, payload)
        except ValueError as error:
            camera_logger(_log, target.camera).warning("%s", error)


def _is_valid(name: str, payload: bytes) -> bool:
    try:
        if text := decode_value(payload):
            SETTINGS[name].parse(text)
    except ValueError:
        return False
    return True
