"""The HTTP server: health, metrics and the web page.

HTTP/1.1: RFC 9112, June 2022. aiohttp and prometheus-client are imported only if `http.listen` is set, because they
cost memory and startup time.
"""

import asyncio
import errno
import logging

from pydantic import SecretStr

from edgepub.config.settings import HttpSettings
from edgepub.core.backoff import Backoff
from edgepub.http.context import HttpContext
from edgepub.http.history import Histories
from edgepub.http.limits import DEFAULT_LIMITS, HttpLimits
from edgepub.http.sessions import Sessions

_PROBLEMS = {
    errno.EADDRINUSE: "another program uses this port; stop it, or change http.listen",
    errno.EADDRNOTAVAIL: "this computer has no such address; add it, or change http.listen",
    errno.EACCES: "a port below 1024 needs a privilege; change http.listen",
}
_log = logging.getLogger(__name__)


class HttpServer:
    """Serves `/healthz`, `/metrics` and the web page.

    Args:
        listen: the address, `host:port`.
        settings: the settings under `http`.
        token: the token that clients must send; None if none is needed.
        context: the objects that the responses are made from.
        limits: limits and delays.

    """

    def __init__(
        self,
        listen: str,
        settings: HttpSettings,
        token: SecretStr | None,
        context: HttpContext,
        limits: HttpLimits = DEFAULT_LIMITS,
    ) -> None:
        self._listen = listen
        self._settings = settings
        self._token = token
        self._context = context
        self._limits = limits

    async def run(self) -> None:
        """Serve until cancelled. If the address is not available, log it and retry; nothing else stops for that."""
        histories = Histories(self._context.metrics)
        token = self._token.get_secret_value().encode() if self._token else None
        sessions = Sessions(self._context.in_force.effective.state_dir, token)
        await sessions.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(histories.run(), name="history")
                await self._serve(sessions, histories)
        finally:
            sessions.stop()

    async def _serve(self, sessions: Sessions, histories: Histories) -> None:
        from edgepub.http.application import make_application
        from edgepub.http.connections import listen_at

        host, _, port = self._listen.rpartition(":")
        backoff, logged = Backoff(self._limits.first_retry_s, self._limits.max_retry_s), None
        while True:
            try:
                app = make_application(self._settings, self._token, sessions, self._context, histories, self._limits)
                async with listen_at(host.strip("[]"), int(port), app, self._limits):
                    _log.info(
                        "http: the page is at http://%s/; /healthz and /metrics are on the same port", self._listen
                    )
                    await asyncio.Event().wait()
            except OSError as error:
                problem = _PROBLEMS.get(error.errno or 0, error.strerror or str(error))
            if problem != logged:
                logged = problem
                _log.error("http: cannot listen on %s: %s; edgepub keeps retrying", self._listen, problem)
            await asyncio.sleep(backoff.next_s())
