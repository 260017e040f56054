"""Access control: by the name that a client uses for this node, by the site that a request comes from, by the token.

Sec-Fetch-Site and the like: W3C Fetch Metadata Request Headers. Origin: RFC 6454, December 2011.
"""

import hmac
import ipaddress
import socket
from collections.abc import Collection
from hashlib import sha256
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from edgepub.core.errors import StateError
from edgepub.http.responses import text_response
from edgepub.http.sessions import MAX_AGE_S, Sessions
from edgepub.http.token_attempts import TokenAttempts

_ASSETS = "/assets/"  # open to all: the login page needs them
_LOGIN = "/login"
_COPIES = "a copy of the cookie may work again after a restart; a new token prevents that"


class Guard:
    """Checks each request before it is handled.

    Args:
        token: the token that clients must send; None if none is needed.
        hosts: further names of this node. Addresses, names without a dot and the host name are always accepted.
        login_page: the page that asks for the token.
        sessions: the browsers that are logged in.
        attempts: limits how often clients may try tokens.

    """

    def __init__(
        self,
        token: SecretStr | None,
        hosts: Collection[str],
        login_page: bytes,
        sessions: Sessions,
        attempts: TokenAttempts,
    ) -> None:
        self._token = token.get_secret_value().encode() if token else None
        self._hosts = frozenset(hosts)
        self._names = self._hosts | _own_names()
        self._login_page = login_page
        self._sessions = sessions
        self._attempts = attempts
        # One cookie name per token: browsers send cookies to all ports, and two nodes may run on one computer.
        self._cookie = f"edgepub-{hmac.new(self._token or b'', b'cookie', sha256).hexdigest()[:8]}"

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request if it is allowed, else refuse it with the reason."""
        host = request.headers.get("Host")  # not `request.host`: without the header, that would query the DNS
        if host is not None and not self._is_own_name(host):
            text = f"{host[:200]!r} is not a name of this node: use its address, or add the name to http.hosts"
            raise web.HTTPMisdirectedRequest(text=text)  # 421: RFC 9110, 15.5.20
        if self._is_cross_site(request, host):
            raise web.HTTPForbidden(text="requests from other sites' pages are not allowed")
        is_open = request.path == _LOGIN or request.path.startswith(_ASSETS)
        if not is_open and not self._has_session(request) and not await self._try_token(request, _bearer(request)):
            if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
                return web.Response(status=401, body=self._login_page, content_type="text/html", charset="utf-8")
            raise web.HTTPUnauthorized(
                text="token required: Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"}
            )
        return await handler(request)

    def is_allowed(self, request: web.Request) -> bool:
        """Return whether a request that was allowed before is still: its browser may have logged out."""
        return self._has_session(request) or self._is_token(_bearer(request))

    async def log_in(self, request: web.Request) -> web.Response:
        """Set the cookie if the request has the token."""
        if self._token and not await self._try_token(request, _parse_token(await request.read()) or b""):
            raise web.HTTPForbidden(text="wrong token")
        response = web.Response(status=204)
        if self._token:
            response.set_cookie(
                self._cookie, self._sessions.open(), max_age=MAX_AGE_S, httponly=True, samesite="Strict"
            )
        return response

    async def log_out(self, request: web.Request) -> web.Response:
        """End the session, and delete the cookie. Say so if the end may not survive a restart."""
        response = web.Response(status=204)
        try:
            await self._sessions.close(request.cookies.get(self._cookie, ""))
        except StateError as error:
            response = text_response(503, f"logged out, but this cannot be saved ({error}): {_COPIES}")
        response.del_cookie(self._cookie, httponly=True, samesite="Strict")
        return response

    def _is_own_name(self, host: str) -> bool:
        """Return whether a name is surely this node's.

        Other names could belong to an attacker who points their DNS entry at this node (DNS rebinding).
        """
        name = _host_name(host)
        if name is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return "." not in name or name.endswith(".localhost") or name in self._names
        return True

    def _is_cross_site(self, request: web.Request, host: str | None) -> bool:
        """Return whether another site's page sent this request. Following a link to this node is no such request."""
        site = request.headers.get("Sec-Fetch-Site", "none")
        is_link = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
        if site not in {"same-origin", "none"} and not is_link:
            return True
        origin = request.headers.get("Origin")
        if origin is None:
            return False
        netloc = origin.rpartition("://")[2].lower()
        # A proxy may use another name for this node than the browser does.
        return netloc != (host or "").lower() and _host_name(netloc) not in self._hosts

    def _has_session(self, request: web.Request) -> bool:
        """Return whether a request has the cookie of a session, or none is needed."""
        return not self._token or self._sessions.is_open(request.cookies.get(self._cookie, ""))

    def _is_token(self, token: bytes | None) -> bool:
        """Return whether this is the token, in a time that does not depend on how much of it is right."""
        return token is not None and hmac.compare_digest(token, self._token or b"")

    async def _try_token(self, request: web.Request, token: bytes | None) -> bool:
        """Return whether a token is right, after a pause if it is wrong, and False for none.

        Raises:
            web.HTTPTooManyRequests: the client has tried too many.

        """
        if token is None:
            return False
        is_right = self._attempts.may_try(request.remote) and self._is_token(token)
        if is_right:
            self._attempts.succeed(request.remote)
        elif not await self._attempts.fail(request.remote):
            raise web.HTTPTooManyRequests(text="too many wrong tokens; try again in a few seconds")
        return is_right


def _bearer(request: web.Request) -> bytes | None:
    """Return the token in a request's header; None if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode(errors="replace") if scheme.lower() == "bearer" else None


def _host_name(host: str) -> str | None:
    """Return the name in a Host header, without its port; None if it is invalid."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name.split('.')[0]}.local"}


def _parse_token(body: bytes) -> bytes | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    token = value.get("token") if isinstance(value, dict) else None
    return token.strip().encode(errors="replace") if isinstance(token, str) else None
