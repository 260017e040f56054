"""What is served over HTTP: how it goes, for whoever looks after the daemon.

HTTP/1.1: RFC 9112, June 2022. aiohttp and prometheus-client are imported only when something is served: they cost
memory, and time at the start.
"""

import asyncio
import errno
import logging
from collections.abc import Callable, Mapping

from edgepub.backoff import Backoff
from edgepub.condition import Condition
from edgepub.metrics import CameraMetrics

__all__ = ["HttpServer"]

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_WHY = {
    errno.EADDRINUSE: "another program has this port; end that one, or change http.listen",
    errno.EADDRNOTAVAIL: "this box has no such address; give it one, or change http.listen",
    errno.EACCES: "a port below 1024 needs a privilege; change http.listen",
}
_log = logging.getLogger(__name__)


class HttpServer:
    """Serves `/healthz` and `/metrics`. The mappings may change meanwhile: they are read at each request.

    Args:
        listen: the address, `host:port`.
        node: the box.
        condition: how the whole is.
        cameras: the counts of each camera; one that is begun anew keeps its own, so that they never go down.
        outbox_sizes: tells how many messages wait in each lane.

    """

    def __init__(
        self,
        listen: str,
        node: str,
        condition: Condition,
        cameras: Mapping[str, CameraMetrics],
        outbox_sizes: Callable[[], Mapping[str, int]],
    ) -> None:
        self._listen = listen
        self._node = node
        self._condition = condition
        self._cameras = cameras
        self._outbox_sizes = outbox_sizes

    async def run(self) -> None:
        """Serve until cancelled, and try again for as long as the address cannot be had: nothing else ends for that."""
        from edgepub.http import pages
        from edgepub.http.connections import serving

        routes = pages.routes(self._node, self._condition, self._cameras, self._outbox_sizes)
        host, _, port = self._listen.rpartition(":")
        pauses, said = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S), None
        while True:
            try:
                async with serving(host.strip("[]"), int(port), routes):
                    _log.info("http: /healthz and /metrics at http://%s", self._listen)
                    await asyncio.Event().wait()
            except OSError as error:
                why = _WHY.get(error.errno or 0, error.strerror or str(error))
            if why != said:
                said = why
                _log.error("http: cannot listen on %s: %s; trying again until then", self._listen, why)
            await asyncio.sleep(pauses.next_s())
