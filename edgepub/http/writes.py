"""Requests that change something: runtime settings, and areas if `http.allow_edit` is set."""

from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from edgepub.config.areas import Areas
from edgepub.config.explain import explain
from edgepub.core.errors import EdgepubError
from edgepub.http.context import HttpContext
from edgepub.http.page_updates import areas_json
from edgepub.http.responses import find_camera, json_response


class Writes:
    """Handles the requests.

    Args:
        context: holds the cameras and the store of areas.
        read_only_reason: why areas cannot be saved; None if they can.

    """

    def __init__(self, context: HttpContext, read_only_reason: str | None) -> None:
        self._context = context
        self._read_only_reason = read_only_reason

    async def set_setting(self, request: web.Request) -> web.Response:
        """Set a runtime setting, as an MQTT command would."""
        payload = await request.read()  # before the camera is looked up: a reload may happen during the read
        name, controls = request.match_info["setting"], find_camera(request, self._context)[1].controls
        if name not in controls.values:
            raise web.HTTPNotFound(text=f"no such setting; available: {', '.join(controls.values)}")
        try:
            controls.set(name, payload)
        except ValueError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from None
        return json_response(controls.values)

    async def save_areas(self, request: web.Request) -> web.Response:
        """Apply and save zones, lines and ignore areas."""
        self._check_allowed()
        try:
            areas = Areas.model_validate(_parse(await request.read()))
        except ValidationError as error:
            return _mistakes([_mistake(*explain(detail, Areas)) for detail in error.errors(include_url=False)])
        except ValueError as error:
            return _mistakes([_mistake((), str(error))])
        return await self._store(request, areas)

    async def revert_areas(self, request: web.Request) -> web.Response:
        """Restore those of the configuration."""
        self._check_allowed()
        return await self._store(request, None)

    def _check_allowed(self) -> None:
        if self._read_only_reason is not None:
            raise web.HTTPForbidden(text=self._read_only_reason)

    async def _store(self, request: web.Request, areas: Areas | None) -> web.Response:
        camera, _ = find_camera(request, self._context)
        try:
            await self._context.area_store.save(camera, areas)
        except (ValueError, EdgepubError) as error:
            return _mistakes([_mistake((), str(error))])
        find_camera(request, self._context)  # again: a reload may have removed it meanwhile
        return json_response(areas_json(*self._context.areas(camera)))


def _parse(body: bytes) -> Any:  # noqa: ANN401  (JSON)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None


def _mistake(place: tuple[str | int, ...], why: str) -> dict[str, Any]:
    return {"place": list(place), "why": why}


def _mistakes(mistakes: list[dict[str, Any]]) -> web.Response:
    return json_response({"mistakes": mistakes}, 422)
