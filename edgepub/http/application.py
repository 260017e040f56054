"""All that is context, by path, and what every answer has in common."""

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from edgepub.config.settings import HttpSettings
from edgepub.http.context import HttpContext
from edgepub.http.guard import Guard
from edgepub.http.history import Histories
from edgepub.http.live import Live
from edgepub.http.pages import Pages
from edgepub.http.responses import said
from edgepub.http.writes import Writes

_HEADERS = {
    "Server": "edgepub",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LARGEST_BYTES = 65_536
_CAMERA = "/cameras/{camera}"


def application(
    settings: HttpSettings, token: SecretStr | None, context: HttpContext, histories: Histories
) -> web.Application:
    """Return what answers.

    Args:
        settings: what may be done.
        token: what everybody has to know; None: nothing.
        context: what there is.
        histories: how the cameras did.

    """
    why_not = (
        None if settings.allow_edit else "Saving from here is off: http.allow_edit in the configuration turns it on."
    )
    pages = Pages(context, histories)
    guard = Guard(token, settings.hosts, pages.file("login.html"))
    live = Live(context, histories, settings.max_viewers, why_not)
    writes = Writes(context, why_not)
    app = web.Application(middlewares=[_finish, guard.check], client_max_size=_LARGEST_BYTES)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(live.end)
    app.router.add_get("/", pages.index)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/assets/{file}", pages.asset)
    app.router.add_post("/login", guard.log_in)
    app.router.add_post("/logout", guard.log_out)
    app.router.add_get("/cameras", pages.cameras)
    app.router.add_get(_CAMERA, pages.camera)
    app.router.add_get(f"{_CAMERA}/still", pages.still)
    app.router.add_get(f"{_CAMERA}/live", live.handle, allow_head=False)
    app.router.add_put(f"{_CAMERA}/settings/{{setting}}", writes.set)
    app.router.add_put(f"{_CAMERA}/areas", writes.save)
    app.router.add_delete(f"{_CAMERA}/areas", writes.revert)
    return app


@web.middleware
async def _finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say an error in a line, and end the connection after the answer."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = _in_a_line(error)
    if not response.prepared:
        response.force_close()
    return response


def _in_a_line(error: web.HTTPException) -> web.Response:
    kept = {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
    if isinstance(error, web.HTTPMethodNotAllowed):
        return said(error.status, f"not with this method, but with {kept['Allow']}", **kept)
    if isinstance(error, web.HTTPNotFound) and error.text == web.HTTPNotFound().text:
        return said(error.status, "there is no such page; begin at /", **kept)
    return said(error.status, (error.text or error.reason).splitlines()[0], **kept)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
