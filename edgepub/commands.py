"""The one door for what comes from the broker: a topic and bytes become the change of a setting. Pure."""

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from edgepub.camera_settings import MaxFps, MinScore

_LONGEST_BYTES = 1024
_NO_LIMIT = {"none", "null"}


class Setting(NamedTuple):
    """A setting that can be set while the daemon runs."""

    parse: Callable[[str], Any]
    """Makes a value of a text, or raises ValueError."""
    show: Callable[[Any], str]
    """Makes a text of a value, which `parse` takes."""


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
    "min_score": Setting(_number(MinScore, "a number from 0 to 1"), lambda value: f"{value:g}"),
    # `None` is what Home Assistant takes for no number.
    "max_fps": Setting(
        lambda text: None if text.lower() in _NO_LIMIT else _limit(text),
        lambda value: "None" if value is None else f"{value:g}",
    ),
}


def text_of(payload: bytes) -> str:
    """Return a command's text, without the spaces around it; empty: the configuration's value is to be in force again.

    Raises:
        ValueError: it is too long, or no text.

    """
    if len(payload) > _LONGEST_BYTES:
        raise ValueError(f"{len(payload)} bytes are no value")
    try:
        return payload.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("is not a text in UTF-8") from None
