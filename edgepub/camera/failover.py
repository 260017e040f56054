"""Where a camera loads its models, and when it tries again after a failure."""

import random
from collections.abc import Sequence
from itertools import islice, product

from edgepub.core.backoff import Backoff

_MIN_PAUSE_S = 1.0
_MAX_PAUSE_S = 30.0
_MAX_CHOICES = 100


class Failover:
    """The AI servers to use next, and the pause before: the first are random, and each failure leads to the next ones.

    Args:
        addresses: for each model, where it can be loaded.
        min_pause_s: the first pause; it doubles up to `max_pause_s`.
        max_pause_s: the longest pause.

    """

    def __init__(
        self,
        addresses: Sequence[Sequence[str]],
        *,
        min_pause_s: float = _MIN_PAUSE_S,
        max_pause_s: float = _MAX_PAUSE_S,
    ) -> None:
        # Models that have the same AI servers change together first; then all combinations follow.
        together = (tuple(hosts[turn % len(hosts)] for hosts in addresses) for turn in range(max(map(len, addresses))))
        self._choices = list(dict.fromkeys([*together, *islice(product(*addresses), _MAX_CHOICES)]))
        self._turn = random.randrange(max(map(len, addresses)))  # noqa: S311  (to spread the cameras)
        self._failures = 0
        self._backoff = Backoff(min_pause_s, max_pause_s)

    @property
    def addresses(self) -> Sequence[str]:
        """Where to load each model now."""
        return self._choices[self._turn]

    @property
    def servers(self) -> Sequence[str]:
        """The AI servers among these addresses."""
        return [host for host in dict.fromkeys(self.addresses) if not host.startswith("@")]

    def on_failure(self, *, is_of_model: bool) -> float:
        """Return the pause before the next try, in seconds.

        After a failure of a model go on to the next addresses, without a pause unless all have failed since a success.
        """
        if is_of_model:
            self._turn = (self._turn + 1) % len(self._choices)
            self._failures += 1
            if self._failures % len(self._choices):
                return 0.0
        return self._backoff.next_s()

    def on_success(self) -> None:
        """Reset the failures and the pause: the addresses work."""
        self._failures = 0
        self._backoff.reset()
