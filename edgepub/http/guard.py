"""Who may look, and from where: the address by which we are reached, the page that asks, the token.

Sec-Fetch-Site and its like: W3C Fetch Metadata Request Headers. Origin: RFC 6454, December 2011.
"""

import asyncio
import hmac
import ipaddress
import logging
import socket
from collections.abc import Collection
from hashlib import sha256
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

_AFTER_A_WRONG_TOKEN_S = 1.0
_LASTS_S = 30 * 86_400
_OPEN = "/assets/"  # what the page that asks for the token is made with
_LOGIN = "/login"
_log = logging.getLogger(__name__)


class Guard:
    """Lets requests in, or says why not.

    Args:
        token: what everybody has to know; None: nothing.
        hosts: names that are ours, beside addresses, names without a dot, and this box's own.
        login: the page that asks for the token.

    """

    def __init__(self, token: SecretStr | None, hosts: Collection[str], login: bytes) -> None:
        self._token = token.get_secret_value().encode() if token else None
        self._hosts = frozenset(hosts)
        self._names = self._hosts | _own_names()
        self._login = login
        # What the browser keeps is not the token, and no more worth when that is another.
        self._session = self._made_of_token(b"session")
        # Of its own for each token: a browser's cookies do not know ports, and two may be on one box.
        self._cookie = f"edgepub-{self._made_of_token(b'cookie')[:8]}"

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request in, or answer why not."""
        host = request.headers.get("Host")  # not `request.host`, which without one would ask the DNS
        if host is not None and not self._is_ours(host):
            text = f"{host[:200]!r} is no name of this box: use its address, or add the name to http.hosts"
            raise web.HTTPMisdirectedRequest(text=text)  # 421: RFC 9110, 15.5.20
        if self._is_foreign(request, host):
            raise web.HTTPForbidden(text="another site's page may not ask for this")
        is_open = request.path == _LOGIN or request.path.startswith(_OPEN)
        if self._token and not is_open and not self._knows_token(request):
            if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
                return web.Response(status=401, body=self._login, content_type="text/html", charset="utf-8")
            raise web.HTTPUnauthorized(
                text="a token is needed: Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"}
            )
        return await handler(request)

    async def log_in(self, request: web.Request) -> web.Response:
        """Give a browser that knows the token its cookie."""
        given = _token_in(await request.read())
        if self._token and (given is None or not hmac.compare_digest(given, self._token)):
            _log.warning("http: %s gave a wrong token", request.remote)
            await asyncio.sleep(_AFTER_A_WRONG_TOKEN_S)
            raise web.HTTPForbidden(text="that is not the token")
        response = web.Response(status=204)
        if self._token:
            response.set_cookie(self._cookie, self._session, max_age=_LASTS_S, httponly=True, samesite="Strict")
        return response

    async def log_out(self, _: web.Request) -> web.Response:
        """Take the cookie back."""
        response = web.Response(status=204)
        response.del_cookie(self._cookie, httponly=True, samesite="Strict")
        return response

    def _is_ours(self, host: str) -> bool:
        """Return whether a name cannot be that of somebody who has its DNS say that it is this box."""
        name = _name(host)
        if name is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return "." not in name or name.endswith(".localhost") or name in self._names
        return True

    def _is_foreign(self, request: web.Request, host: str | None) -> bool:
        """Return whether a page of another site asks for more than to be followed to here."""
        site = request.headers.get("Sec-Fetch-Site", "none")
        is_link = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
        if site not in {"same-origin", "none"} and not is_link:
            return True
        origin = request.headers.get("Origin")
        if origin is None:
            return False
        netloc = origin.rpartition("://")[2].lower()
        # A proxy may speak to us by another name than browsers to it.
        return netloc != (host or "").lower() and _name(netloc) not in self._hosts

    def _made_of_token(self, what: bytes) -> str:
        return hmac.new(self._token or b"", what, sha256).hexdigest()

    def _knows_token(self, request: web.Request) -> bool:
        assert self._token  # noqa: S101
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(errors="replace"), self._token):
            return True
        cookie = request.cookies.get(self._cookie, "")
        return hmac.compare_digest(cookie.encode(errors="replace"), self._session.encode())


def _name(host: str) -> str | None:
    """Return the name in a Host header, without its port; None: it is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name.split('.')[0]}.local"}


def _token_in(body: bytes) -> bytes | None:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    token = given.get("token") if isinstance(given, dict) else None
    return token.strip().encode(errors="replace") if isinstance(token, str) else None
