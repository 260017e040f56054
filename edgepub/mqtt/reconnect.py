"""The pause between two connections to a broker."""

from edgepub.core.backoff import Backoff
from edgepub.core.errors import BrokerError, BrokerRefusedError

_MIN_PAUSE_S = 1.0
_MAX_PAUSE_S = 30.0
_MIN_REFUSED_PAUSE_S = 30.0
_MAX_REFUSED_PAUSE_S = 300.0
_STABLE_S = 10.0
"""A shorter session does not reset the pauses: two clients with one id would end each other's sessions without end."""
_MANY_SHORT_SESSIONS = 3


class ReconnectPauses:
    """How long to wait before the next connect, by how the last one ended.

    Args:
        min_s: the first pause, in seconds.
        max_s: the longest pause.
        min_refused_s: the first pause after the broker refused this client.
        max_refused_s: the longest pause then.

    """

    def __init__(
        self,
        min_s: float = _MIN_PAUSE_S,
        max_s: float = _MAX_PAUSE_S,
        min_refused_s: float = _MIN_REFUSED_PAUSE_S,
        max_refused_s: float = _MAX_REFUSED_PAUSE_S,
    ) -> None:
        self._backoff = Backoff(min_s, max_s)
        self._refused_backoff = Backoff(min_refused_s, max_refused_s)
        self._short_sessions = 0

    def next_s(self, error: BrokerError, session_s: float | None) -> float:
        """Return the pause before the next connect, in seconds.

        Args:
            error: why the session ended, or why there was none.
            session_s: how long the session lasted, in seconds; None if there was none.

        """
        if session_s is not None and session_s > _STABLE_S:
            self._backoff.reset()
            self._refused_backoff.reset()
            self._short_sessions = 0
        elif session_s is not None:
            self._short_sessions += 1
        return (self._refused_backoff if isinstance(error, BrokerRefusedError) else self._backoff).next_s()

    def hint(self, error: BrokerError, client_id: str) -> str:
        """Return what to add to a log line about an error; a broker need not say that it was another client."""
        if self._short_sessions < _MANY_SHORT_SESSIONS or isinstance(error, BrokerRefusedError):
            return ""
        return f" ({self._short_sessions} short sessions: does another client use the id {client_id}?)"
