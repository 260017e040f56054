"""The aiohttp application: the routes, and what all responses have in common."""

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from edgepub.config.settings import HttpSettings
from edgepub.http.context import HttpContext
from edgepub.http.guard import Guard
from edgepub.http.history import Histories
from edgepub.http.limits import HttpLimits
from edgepub.http.live import LivePages
from edgepub.http.pages import Pages
from edgepub.http.responses import text_response
from edgepub.http.sessions import Sessions
from edgepub.http.token_attempts import TokenAttempts
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
_READ_ONLY_REASON = "Saving is off: to turn it on, set http.allow_edit in the configuration."
_CAMERA = "/cameras/{camera}"


def make_application(
    settings: HttpSettings,
    token: SecretStr | None,
    sessions: Sessions,
    context: HttpContext,
    histories: Histories,
    limits: HttpLimits,
) -> web.Application:
    """Return the application.

    Args:
        settings: the settings under `http`.
        token: the token that clients must send; None if none is needed.
        sessions: the browsers that are logged in.
        context: the objects that the responses are made from.
        histories: the recent rates and latencies of each camera.
        limits: limits and delays.

    """
    read_only_reason = None if settings.allow_edit else _READ_ONLY_REASON
    pages = Pages(context, histories, limits)
    attempts = TokenAttempts(limits.wrong_token_delay_s)
    guard = Guard(token, settings.hosts, pages.file("login.html"), sessions, attempts)
    live = LivePages(context, histories, settings.max_viewers, read_only_reason, guard.is_allowed, limits)
    writes = Writes(context, read_only_reason)
    app = web.Application(middlewares=[_finish, guard.check], client_max_size=limits.max_request_bytes)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(live.close)
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
    app.router.add_put(f"{_CAMERA}/settings/{{setting}}", writes.set_setting)
    app.router.add_put(f"{_CAMERA}/areas", writes.save_areas)
    app.router.add_delete(f"{_CAMERA}/areas", writes.revert_areas)
    return app


@web.middleware
async def _finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn an error into one line of text, and close the connection after the response."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = _error_response(error)
    if not response.prepared:
        response.force_close()
    return response


def _error_response(error: web.HTTPException) -> web.Response:
    headers = {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
    if isinstance(error, web.HTTPMethodNotAllowed):
        return text_response(error.status, f"method not allowed; allowed: {headers['Allow']}", **headers)
    if isinstance(error, web.HTTPNotFound) and error.text == web.HTTPNotFound().text:
        return text_response(error.status, "no such page; start at /", **headers)
    return text_response(error.status, (error.text or error.reason).splitlines()[0], **headers)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
