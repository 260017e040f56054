"""What a page may change: the settings that MQTT may change too, and, where that is allowed, zones and lines."""

from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from edgepub.config.areas import Areas
from edgepub.config.explain import explain
from edgepub.core.errors import EdgepubError
from edgepub.http.context import HttpContext
from edgepub.http.conversation import areas_json
from edgepub.http.responses import as_json, view_of


class Writes:
    """Takes the changes.

    Args:
        context: what there is.
        why_not: why zones cannot be saved; None: they can.

    """

    def __init__(self, context: HttpContext, why_not: str | None) -> None:
        self._context = context
        self._why_not = why_not

    async def set(self, request: web.Request) -> web.Response:
        """Set a setting, as a command by MQTT would."""
        payload = await request.read()  # before the look at what there is: a reload may come meanwhile
        name, controls = request.match_info["setting"], view_of(request, self._context)[1].controls
        if name not in controls.values:
            raise web.HTTPNotFound(text=f"there is no such setting; there are {', '.join(controls.values)}")
        try:
            controls.set(name, payload)
        except ValueError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from None
        return as_json(controls.values)

    async def save(self, request: web.Request) -> web.Response:
        """Let other zones and lines be in force, and keep them."""
        self._allow()
        try:
            areas = Areas.model_validate(_parsed(await request.read()))
            view_of(request, self._context)[1].settings.with_areas(areas)
        except ValidationError as error:
            return _wrong([_mistake(*explain(detail, Areas)) for detail in error.errors(include_url=False)])
        except ValueError as error:
            return _wrong([_mistake((), str(error))])
        return await self._keep(request, areas)

    async def revert(self, request: web.Request) -> web.Response:
        """Let the configuration's zones and lines be in force again."""
        self._allow()
        return await self._keep(request, None)

    def _allow(self) -> None:
        if self._why_not is not None:
            raise web.HTTPForbidden(text=self._why_not)

    async def _keep(self, request: web.Request, areas: Areas | None) -> web.Response:
        camera, _ = view_of(request, self._context)
        try:
            await self._context.area_store.save(camera, areas)
        except EdgepubError as error:
            return _wrong([_mistake((), str(error))])
        _, view = view_of(request, self._context)
        return as_json(areas_json(view.settings.areas, self._context.area_store.has_saved(camera)))


def _parsed(body: bytes) -> Any:  # noqa: ANN401  (JSON)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None


def _mistake(place: tuple[str | int, ...], why: str) -> dict[str, Any]:
    return {"place": list(place), "why": why}


def _wrong(mistakes: list[dict[str, Any]]) -> web.Response:
    return as_json({"mistakes": mistakes}, 422)
