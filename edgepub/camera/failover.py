"""Which of several AI servers a camera uses."""

import random
from collections.abc import Iterable, Sequence


class Failover:
    """The AI server to use next: the first is random, and each failure leads to the next one.

    Args:
        addresses: the AI servers of each model; a model with fewer than others takes turns within its own.

    """

    def __init__(self, addresses: Iterable[Sequence[str]]) -> None:
        self._addresses = list(addresses)
        self._count = max(map(len, self._addresses))
        self.turn = random.randrange(self._count)  # noqa: S311  (to spread the cameras)
        """The number of the address to use, from 0; modulo the number that a model has."""
        self._failures = 0

    @property
    def servers(self) -> Sequence[str]:
        """The AI servers whose turn it is, one of each model that runs on one."""
        current = (hosts[self.turn % len(hosts)] for hosts in self._addresses)
        return [host for host in dict.fromkeys(current) if not host.startswith("@")]

    def on_failure(self) -> bool:
        """Go on to the next address. Return False once all have failed since the last success: time for a pause."""
        self.turn = (self.turn + 1) % self._count
        self._failures += 1
        return self._failures % self._count != 0

    def on_success(self) -> None:
        """Reset the failures: the address works."""
        self._failures = 0
