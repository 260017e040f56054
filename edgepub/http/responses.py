"""Responses with text or JSON, and the camera that a request names."""

import json

import orjson
from aiohttp import web

from edgepub.http.context import CameraView, HttpContext


def text_response(status: int, line: str, **headers: str) -> web.Response:
    """Return a response with one line of text."""
    return web.Response(status=status, text=f"{line}\n", headers=headers)


def json_response(value: object, status: int = 200) -> web.Response:
    """Return a response with JSON."""
    return web.Response(status=status, body=to_json(value), content_type="application/json")


def to_json(value: object) -> bytes:
    """Encode a value, whatever types and texts a model, a camera or a file name has put into it."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return json.dumps(value, default=str).encode()


def find_camera(request: web.Request, context: HttpContext) -> tuple[str, CameraView]:
    """Return the camera in a request's path: its name and its view.

    Raises:
        web.HTTPNotFound: there is no such camera.

    """
    name = request.match_info["camera"]
    view = context.cameras.get(name)
    if view is None:
        raise web.HTTPNotFound(text=f"no such camera: {name!r}")
    return name, view
