"""The pause between two connections to a broker."""

from edgepub.core.backoff import Backoff
from edgepub.core.errors import BrokerError, BrokerRefusedError, ConnectionLostError

_MIN_PAUSE_S = 1.0
_MAX_PAUSE_S = 30.0
_MIN_REFUSED_PAUSE_S = 30.0
_MAX_REFUSED_PAUSE_S = 300.0
_STABLE_S = 10.0
"""A shorter session does not reset the pauses: two clients with one id would end each other's sessions without end."""
_MANY_LOST_SESSIONS = 3


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
        self._lost_sessions = 0  # in a row, each short and ended without a reason

    def next_s(self, error: BrokerError, session_s: float | None) -> float:
        """Return the pause before the next connect, in seconds.

        Args:
            error: why the session ended, or why there was none.
            session_s: how long the session lasted, in seconds; None if there was none.

        """
        is_short = session_s is not None and session_s <= _STABLE_S
        self._lost_sessions = self._lost_sessions + 1 if is_short and isinstance(error, ConnectionLostError) else 0
        if session_s is not None and not is_short:
            self._backoff.reset()
            self._refused_backoff.reset()
        return (self._refused_backoff if isinstance(error, BrokerRefusedError) else self._backoff).next_s()

    def reset(self) -> None:
        """Start again with short pauses: the cause is known."""
        self._backoff.reset()
        self._lost_sessions = 0

    def hint(self, error: BrokerError, client_id: str) -> str:
        """Return what to add to a log line about an error; a broker need not say that it was another client.

        It is plausible only if several sessions in a row ended soon, and for no known reason.
        """
        if self._lost_sessions < _MANY_LOST_SESSIONS or not isinstance(error, ConnectionLostError):
            return ""
        return f" ({self._lost_sessions} short sessions: over a message, or another client uses the id {client_id})"
