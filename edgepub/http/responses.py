"""What several of the pages answer with."""

import orjson
from aiohttp import web

from edgepub.http.context import CameraView, HttpContext


def said(status: int, line: str, **headers: str) -> web.Response:
    """Return an answer of one line."""
    return web.Response(status=status, text=f"{line}\n", headers=headers)


def as_json(value: object, status: int = 200) -> web.Response:
    """Return an answer of JSON."""
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def view_of(request: web.Request, context: HttpContext) -> tuple[str, CameraView]:
    """Return the name of the camera that a request is about, and its view.

    Raises:
        web.HTTPNotFound: there is no such camera.

    """
    name = request.match_info["camera"]
    view = context.cameras.get(name)
    if view is None:
        raise web.HTTPNotFound(text=f"there is no camera {name!r}")
    return name, view
