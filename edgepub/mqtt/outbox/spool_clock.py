"""The clock of the events file: how long an event has waited, also across restarts, whatever the wall clock shows.

The wall clock cannot tell that. On a computer without a battery it starts days in the past, and it is set while events
wait, or between two runs. This clock is the computer's uptime plus what the file knows of earlier boots: in the same
boot it is exact, also while edgepub does not run. While the computer is off it stands still, because nothing that can
be trusted says for how long. So an event may be older than its age by this clock, but it is never younger: a wrong
clock expires none, and time that edgepub spends waiting expires each of them in the end.
"""

import sqlite3
import time
from collections.abc import Callable
from math import inf
from pathlib import Path

_MAX_S = 2.0**33  # the year 2242, later than Linux can set its clock; a larger value is damage
_FIRST_STARTS_S = (1e9, 2.0**32)  # 2001 to 2106, whatever the wall clock shows when a file begins
_SAVE_INTERVAL_S = 30.0
_SAVE = "INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?)"
_ADJUST = (
    "UPDATE events SET created_s = :now WHERE (created_s < :first OR created_s > :now) AND created_s BETWEEN 0 AND :max"
)


def read_boot_id() -> str:
    """Return what identifies this boot of the computer; an empty text if that is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class SpoolClock:
    """Converts between the uptime and the clock of a file.

    Args:
        uptime_s: seconds since the boot.
        boot_id: identifies this boot.

    """

    def __init__(self, uptime_s: Callable[[], float] = time.monotonic, boot_id: str | None = None) -> None:
        self._uptime_s = uptime_s
        self._boot_id = read_boot_id() if boot_id is None else boot_id
        self._ahead_s = 0.0
        self._first_s = -inf
        self._saved_at_s: float | None = None

    def start(self, database: sqlite3.Connection) -> None:
        """Continue the clock of a file that was opened.

        Raises:
            sqlite3.DatabaseError: the file cannot be read.

        """
        now_s = self._uptime_s()
        self._saved_at_s = None
        found = database.execute("SELECT boot_id, ahead_s, newest_s FROM clock WHERE id = 1").fetchone()
        if found is None or not all(isinstance(value, float) and abs(value) < _MAX_S for value in found[1:]):
            # A new file, or one of 0.1.0, whose rows have the time of the wall clock. It may have been wrong, so those
            # rows count as created now. Only where this clock starts is taken from the wall clock, for 0.1.0 if it has
            # to go on with the file.
            earliest_s, latest_s = _FIRST_STARTS_S
            self._first_s = min(max(time.time(), earliest_s), latest_s)
            self._ahead_s = self._first_s - now_s
            return
        boot_id, ahead_s, newest_s = found
        self._first_s = -inf
        # In the same boot, the file was last saved since the boot, and not later than now.
        is_same_boot = bool(self._boot_id) and boot_id == self._boot_id and 0 <= ahead_s + now_s - newest_s <= now_s
        self._ahead_s = ahead_s if is_same_boot else newest_s - now_s

    def from_file(self, time_s: float) -> float:
        """Return the uptime of a time in the file. One that is not plausible is taken as now."""
        now_s = self._uptime_s()
        return min(time_s - self._ahead_s, now_s) if time_s >= self._first_s else now_s

    def to_file(self, uptime_s: float) -> float:
        """Return the time in the file of an uptime."""
        return uptime_s + self._ahead_s

    @property
    def is_save_due(self) -> bool:
        """Whether to save the clock, so that the time until now is not forgotten if the computer loses its power."""
        return self._saved_at_s is None or self._uptime_s() - self._saved_at_s >= _SAVE_INTERVAL_S

    def save(self, database: sqlite3.Connection) -> float:
        """Save the clock, in the transaction that is open. The first time, also correct rows by what was found.

        Returns:
            The uptime that was saved, for `set_saved` when the transaction is on disk.

        Raises:
            sqlite3.DatabaseError: the file cannot be written.

        """
        now_s = self._uptime_s()
        if self._saved_at_s is None:
            database.execute(_ADJUST, {"now": self.to_file(now_s), "first": self._first_s, "max": _MAX_S})
        database.execute(_SAVE, (self._boot_id, self._ahead_s, self.to_file(now_s)))
        return now_s

    def set_saved(self, uptime_s: float) -> None:
        """Note that the clock is on disk as of this uptime, however long the disk took."""
        self._saved_at_s = uptime_s
