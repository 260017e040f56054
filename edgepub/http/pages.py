"""The pages: what is served at each path."""

import asyncio
from contextlib import ExitStack
from importlib import resources

from aiohttp import web

from edgepub.core.versions import versions
from edgepub.http.context import HttpContext
from edgepub.http.history import Figures, Histories
from edgepub.http.monitoring import MetricsPage, health_answer
from edgepub.http.responses import as_json, said, view_of
from edgepub.http.screens import Screens

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_STILL_WIDTH, _STILL_QUALITY, _STILL_FRESH_S = 640, 75, 1.0
_STILL_WITHIN_S, _LOOK_S = 2.0, 0.05
_STILL_AGAIN_S = 15.0
"""For so long frames are kept after a still was asked for: so the next one is there at once, of a slow camera, too."""
_NOTHING_YET = Figures(0.0, 0.0, 0.0, {}, {})


class Pages:
    """What can be read; each page reads what it tells when it is asked for it.

    Args:
        context: what there is.
        histories: how the cameras did.

    """

    def __init__(self, context: HttpContext, histories: Histories) -> None:
        self._context = context
        self._histories = histories
        self._metrics = MetricsPage(context.node, context.condition, context.metrics, context.outbox_sizes)
        self._stills = Screens(_STILL_WIDTH, _STILL_QUALITY, boxes=True)
        # In memory, by name: no request reaches a file.
        site = resources.files(__package__).joinpath("site")
        self._files = {each.name: each.read_bytes() for each in site.iterdir() if _kind(each.name) in _TYPES}

    def file(self, name: str) -> bytes:
        """Return a file of the site."""
        return self._files[name]

    async def index(self, _: web.Request) -> web.Response:
        """Give the page of all cameras."""
        return self._page("index.html")

    async def camera(self, request: web.Request) -> web.Response:
        """Give the page of a camera."""
        view_of(request, self._context)
        return self._page("camera.html")

    async def asset(self, request: web.Request) -> web.Response:
        """Give what a page is made with."""
        name = request.match_info["file"]
        if name not in self._files or _kind(name) == "html":
            raise web.HTTPNotFound(text="there is no such file")
        return self._page(name)

    async def cameras(self, _: web.Request) -> web.Response:
        """Tell how everything is, for the page of all cameras."""
        condition = self._context.condition
        broker = condition.broker
        cameras = [
            {"name": name, "status": its.status, "fault": its.fault, **self._rates(name)}
            for name, its in condition.cameras.items()
        ]
        how = {"status": "online" if broker.fault is None else "offline", "fault": broker.fault}
        version = versions()["edgepub"]
        return as_json({"node": self._context.node, "version": version, "broker": how, "cameras": cameras})

    async def still(self, request: web.Request) -> web.Response:
        """Give a picture of a camera."""
        name, view = view_of(request, self._context)
        watching = ExitStack()
        screen = watching.enter_context(self._stills.of(view.viewfinder))
        asyncio.get_running_loop().call_later(_STILL_AGAIN_S, watching.close)
        for _ in range(round(_STILL_WITHIN_S / _LOOK_S)):
            if picture := await screen.picture(_STILL_FRESH_S):
                return web.Response(body=picture.jpeg, content_type="image/jpeg")
            await asyncio.sleep(_LOOK_S)
        return said(503, f"{name} has given no frame in {_STILL_WITHIN_S:g} s")

    async def healthz(self, _: web.Request) -> web.Response:
        """Tell whether all is well."""
        status, body = health_answer(self._context.node, self._context.condition)
        return web.Response(status=status, body=body, content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        """Tell what is counted, to Prometheus."""
        body, content_type = self._metrics.encode(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    def _page(self, name: str) -> web.Response:
        return web.Response(body=self._files[name], content_type=_TYPES[_kind(name)], charset="utf-8")

    def _rates(self, camera: str) -> dict[str, float]:
        figures = self._histories.of(camera).figures or _NOTHING_YET
        return {name: value for name, value in figures._asdict().items() if name.startswith("fps_")}


def _kind(name: str) -> str:
    return name.rpartition(".")[2]
