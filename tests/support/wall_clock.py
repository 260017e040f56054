"""The wall clock of a process, which a test can set at any time: libfaketime. The monotonic clock stays right."""

from pathlib import Path

_LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


def why_not():
    """Return why this machine has no libfaketime, or None."""
    return None if _LIBRARY else "no libfaketime here: apt-get install libfaketime"


class WallClock:
    """A wall clock.

    Attributes:
        environment: of the process that is to have this clock.

    """

    def __init__(self, directory, offset="+0"):
        self._file = directory / "wall-clock"
        self.set(offset)
        self.environment = {
            "LD_PRELOAD": str(_LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else a thread that waits for Python's interpreter lock looks for it without a pause.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": str(Path(__file__).with_name("faketime")),
        }

    def set(self, offset):
        """Set it to an offset from the real time: `-3d`, `+174y`."""
        new = self._file.with_suffix(".new")
        new.write_text(offset)
        new.rename(self._file)
