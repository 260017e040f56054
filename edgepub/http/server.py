"""What is served over HTTP: how it goes, for whoever looks after the daemon, and the page where one sees it.

HTTP/1.1: RFC 9112, June 2022. aiohttp and prometheus-client are imported only when something is served: they cost
memory, and time at the start.
"""

import asyncio
import errno
import logging

from pydantic import SecretStr

from edgepub.config.settings import HttpSettings
from edgepub.core.backoff import Backoff
from edgepub.http.context import HttpContext
from edgepub.http.history import Histories

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_WHY = {
    errno.EADDRINUSE: "another program has this port; end that one, or change http.listen",
    errno.EADDRNOTAVAIL: "this box has no such address; give it one, or change http.listen",
    errno.EACCES: "a port below 1024 needs a privilege; change http.listen",
}
_log = logging.getLogger(__name__)


class HttpServer:
    """Serves `/healthz`, `/metrics` and the pages.

    Args:
        listen: the address, `host:port`.
        settings: what may be done.
        token: what everybody has to know; None: nothing.
        context: what there is.

    """

    def __init__(self, listen: str, settings: HttpSettings, token: SecretStr | None, context: HttpContext) -> None:
        self._listen = listen
        self._settings = settings
        self._token = token
        self._context = context

    async def run(self) -> None:
        """Serve until cancelled, and try again for as long as the address cannot be had: nothing else ends for that."""
        histories = Histories(self._context.metrics)
        async with asyncio.TaskGroup() as group:
            group.create_task(histories.run(), name="history")
            await self._serve(histories)

    async def _serve(self, histories: Histories) -> None:
        from edgepub.http.application import application
        from edgepub.http.connections import serving

        host, _, port = self._listen.rpartition(":")
        pauses, said = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S), None
        while True:
            try:
                app = application(self._settings, self._token, self._context, histories)
                async with serving(host.strip("[]"), int(port), app):
                    _log.info("http: http://%s/ is the page; /healthz and /metrics are beside it", self._listen)
                    await asyncio.Event().wait()
            except OSError as error:
                why = _WHY.get(error.errno or 0, error.strerror or str(error))
            if why != said:
                said = why
                _log.error("http: cannot listen on %s: %s; trying again until then", self._listen, why)
            await asyncio.sleep(pauses.next_s())
