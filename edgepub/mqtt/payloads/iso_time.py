"""The time as text, for readers that take no Unix seconds: `2026-11-30T12:34:56.789Z`."""

import functools
from datetime import UTC, datetime
from math import floor
from typing import Annotated

from pydantic import Field

IsoTime = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

_FIRST_S = int(datetime.min.replace(tzinfo=UTC).timestamp())
_LAST_S = int(datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp())


def iso_time(timestamp: float) -> str:
    """Return a time in Unix seconds as ISO 8601 in UTC, to the nearest millisecond.

    Years have four digits: before the year 1 and after 9999, it is the nearest second that has.
    """
    second, ms = divmod(floor(1000 * timestamp + 0.5), 1000)
    return f"{_second_text(second)}.{ms:03d}Z"


@functools.lru_cache(maxsize=64)  # the frames of all cameras are of a few seconds, and only this takes long
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(min(max(second, _FIRST_S), _LAST_S), UTC).isoformat()[:19]
