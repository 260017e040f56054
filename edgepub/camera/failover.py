"""Which of several AI servers a camera uses."""

import random
from collections.abc import Sequence


class Failover:
    """The address that a camera's model is loaded at: the first is random, and each failure leads to the next one.

    Args:
        addresses: at least one. With a single one, a failure leads to that again.

    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._current = random.randrange(len(addresses))  # noqa: S311  (to spread the cameras)
        self._failures = 0

    @property
    def address(self) -> str:
        """The address to use."""
        return self._addresses[self._current]

    def on_failure(self) -> bool:
        """Go on to the next address. Return False once all have failed since the last success: time for a pause."""
        self._current = (self._current + 1) % len(self._addresses)
        self._failures += 1
        return self._failures % len(self._addresses) != 0

    def on_success(self) -> None:
        """Begin a new round: the address works."""
        self._failures = 0
