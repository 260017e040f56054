"""The pages: handlers for requests that only read."""

import asyncio
from contextlib import ExitStack
from importlib import resources

from aiohttp import web

from edgepub.core.threads import run_in_thread
from edgepub.core.versions import installed_versions
from edgepub.http.context import HttpContext
from edgepub.http.history import Figures, Histories
from edgepub.http.limits import HttpLimits
from edgepub.http.monitoring import MetricsPage, health_response, state_json
from edgepub.http.pictures import PictureEncoders
from edgepub.http.responses import find_camera, json_response, text_response

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_STILL_WIDTH, _STILL_QUALITY, _STILL_MIN_INTERVAL_S = 640, 75, 1.0
_POLL_S = 0.05
_KEEP_FRAMES_S = 15.0
"""Frames are kept this long after a request for a still: so the next still needs no waiting, even for a slow camera."""
_NO_FIGURES = Figures(0.0, 0.0, 0.0, {}, {})


class Pages:
    """Handles the requests. Each response is made from the current values.

    Args:
        context: the objects that the responses are made from.
        histories: the recent rates and latencies of each camera.
        limits: the timeout of a still picture.

    """

    def __init__(self, context: HttpContext, histories: Histories, limits: HttpLimits) -> None:
        self._context = context
        self._histories = histories
        self._still_timeout_s = limits.still_timeout_s
        self._metrics = MetricsPage(context.node, context.status, context.metrics, context.outbox_figures)
        self._stills = PictureEncoders(_STILL_WIDTH, _STILL_QUALITY, boxes=True)
        # Kept in memory by name, so that no request can reach a file.
        site = resources.files(__package__).joinpath("site")
        self._files = {file.name: file.read_bytes() for file in site.iterdir() if _extension(file.name) in _TYPES}

    def file(self, name: str) -> bytes:
        """Return a file of the site."""
        return self._files[name]

    async def index(self, _: web.Request) -> web.Response:
        """Return the page of all cameras."""
        return self._file_response("index.html")

    async def camera(self, request: web.Request) -> web.Response:
        """Return the page of a camera."""
        find_camera(request, self._context)
        return self._file_response("camera.html")

    async def asset(self, request: web.Request) -> web.Response:
        """Return a script, a style sheet or an icon."""
        name = request.match_info["file"]
        if name not in self._files or _extension(name) == "html":
            raise web.HTTPNotFound(text="no such file")
        return self._file_response(name)

    async def cameras(self, _: web.Request) -> web.Response:
        """Return the status of the broker and all cameras, what is the limit, and the number of entities, as JSON."""
        status = self._context.status
        cameras = [
            {"name": name, **state_json(camera), "has_pictures": self._has_pictures(name), **self._rates(name)}
            for name, camera in status.cameras.items()
        ]
        version, broker = installed_versions()["edgepub"], state_json(status.broker)
        limits = [limit.text for limit in status.load.limits]
        count = self._context.entity_count()
        entities = None if count is None else {"total": count.total, "enabled": count.enabled}
        header = {"node": self._context.node, "version": version, "broker": broker, "limits": limits}
        return json_response({**header, "entities": entities, "cameras": cameras})

    async def still(self, request: web.Request) -> web.Response:
        """Return a still picture of a camera, with the boxes of its detections."""
        name, view = find_camera(request, self._context)
        watching = ExitStack()
        encoder = watching.enter_context(self._stills.watch(view.viewfinder))
        asyncio.get_running_loop().call_later(_KEEP_FRAMES_S, watching.close)
        for _ in range(round(self._still_timeout_s / _POLL_S)):
            if picture := await encoder.picture(_STILL_MIN_INTERVAL_S):
                if picture.jpeg is None:
                    return text_response(403, f"pictures of {name} are off: its snapshot_enabled is OFF")
                return web.Response(body=picture.jpeg, content_type="image/jpeg")
            await asyncio.sleep(_POLL_S)
        return text_response(503, f"no frame from {name} within {self._still_timeout_s:g} s")

    async def healthz(self, _: web.Request) -> web.Response:
        """Return whether the node is ready, and if not, why."""
        status, body = health_response(self._context.node, self._context.status)
        return web.Response(status=status, body=body, content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        """Return the metrics for Prometheus."""
        make = self._metrics.prepare(request.headers.get("Accept", ""))
        body, content_type = await run_in_thread("metrics", make)
        return web.Response(body=body, headers={"Content-Type": content_type})

    def _file_response(self, name: str) -> web.Response:
        return web.Response(body=self._files[name], content_type=_TYPES[_extension(name)], charset="utf-8")

    def _has_pictures(self, camera: str) -> bool:
        view = self._context.cameras.get(camera)
        return view is not None and view.viewfinder.shows_pixels

    def _rates(self, camera: str) -> dict[str, float]:
        figures = self._histories.get(camera).figures or _NO_FIGURES
        return {name: value for name, value in figures._asdict().items() if name.startswith("fps_")}


def _extension(name: str) -> str:
    return name.rpartition(".")[2]
