"""Where a camera loads its models, and when it tries again after a failure."""

import random
from collections.abc import Iterable, Sequence

from edgepub.core.backoff import Backoff

_MIN_PAUSE_S = 1.0
_MAX_PAUSE_S = 30.0


class Failover:
    """The AI server to use next, and the pause before: the first is random, and each failure leads to the next one.

    Args:
        addresses: the AI servers of each model; a model with fewer than others takes turns within its own.
        min_pause_s: the first pause; it doubles up to `max_pause_s`.
        max_pause_s: the longest pause.

    """

    def __init__(
        self,
        addresses: Iterable[Sequence[str]],
        *,
        min_pause_s: float = _MIN_PAUSE_S,
        max_pause_s: float = _MAX_PAUSE_S,
    ) -> None:
        self._addresses = list(addresses)
        self._count = max(map(len, self._addresses))
        self.turn = random.randrange(self._count)  # noqa: S311  (to spread the cameras)
        """The number of the address to use, from 0; modulo the number that a model has."""
        self._failures = 0
        self._backoff = Backoff(min_pause_s, max_pause_s)

    @property
    def servers(self) -> Sequence[str]:
        """The AI servers whose turn it is, one of each model that runs on one."""
        current = (hosts[self.turn % len(hosts)] for hosts in self._addresses)
        return [host for host in dict.fromkeys(current) if not host.startswith("@")]

    def on_failure(self, *, is_of_model: bool) -> float:
        """Return the pause before the next try, in seconds.

        After a failure of the model go on to the next address; without a pause, if it has not failed since a success.
        """
        if is_of_model:
            self.turn = (self.turn + 1) % self._count
            self._failures += 1
            if self._failures % self._count:
                return 0.0
        return self._backoff.next_s()

    def on_success(self) -> None:
        """Reset the failures and the pause: the address works."""
        self._failures = 0
        self._backoff.reset()
