"""The log: lines for a person, on stderr."""

import logging
import time
from collections.abc import Callable

# What these say at info and below is for their own developers.
_CHATTY = ("aiomqtt", "degirum", "degirum_tools", "asyncio")
# What these warn of, our own lines say better: aiomqtt's logger, and the retries inside PySDK.
_NOISY = ("mqtt", "urllib3")


def setup(level: str) -> None:
    """Write log lines of this level and above to stderr."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


class Complaints:
    """Says a thing that repeats itself at once, and then at most once a minute, with how often it was.

    Args:
        log: where.
        clock: monotonic seconds.

    """

    _EVERY_S = 60.0

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._said_s: float | None = None
        self._unsaid = 0

    def warn(self, text: str, *values: object) -> None:
        """Log a warning, or count it for the next one."""
        self._complain(logging.WARNING, text, *values)

    def error(self, text: str, *values: object) -> None:
        """Log an error, or count it for the next one."""
        self._complain(logging.ERROR, text, *values)

    def _complain(self, level: int, text: str, *values: object) -> None:
        now_s = self._clock()
        if self._said_s is not None and now_s - self._said_s < self._EVERY_S:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more like this since)" if self._unsaid else ""
        self._said_s, self._unsaid = now_s, 0
        self._log.log(level, text + "%s", *values, more)
