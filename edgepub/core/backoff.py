"""Growing, random pauses between attempts, so that many clients do not retry in step."""

import random


class Backoff:
    """Pauses with full jitter: each is random, between zero and a ceiling that doubles from `min_s` up to `max_s`.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Each pause is at least a tenth of
    the ceiling, so that a series of small random numbers causes no storm of attempts.
    """

    def __init__(self, min_s: float, max_s: float) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._ceiling_s = min_s

    def next_s(self) -> float:
        """Return the pause before the next attempt, in seconds, and double the ceiling for the one after it."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(2 * ceiling_s, self._max_s)
        return random.uniform(0.1, 1) * ceiling_s  # noqa: S311  (not for secrets)

    def reset(self) -> None:
        """Start again with short pauses, after a success."""
        self._ceiling_s = self._min_s
