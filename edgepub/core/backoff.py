"""Pauses between tries that grow and never march in step."""

import random


class Backoff:
    """Pauses with full jitter: each is drawn between nothing and a ceiling that doubles from `first_s` to `longest_s`.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. A tenth of the ceiling is always
    waited, so that no draw makes a storm.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """Return the pause before the next try, in seconds, and let the one after it be longer."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(2 * ceiling_s, self._longest_s)
        return random.uniform(0.1, 1) * ceiling_s  # noqa: S311  (not for secrets)

    def reset(self) -> None:
        """Begin again with short pauses, after something worked."""
        self._ceiling_s = self._first_s
