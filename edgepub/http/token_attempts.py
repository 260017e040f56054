"""Limits how often a client may try tokens, without locking out the owner of the right one."""

import asyncio
import ipaddress
import logging
from typing import TypeVar

_MAX_DUE = 5
_MAX_WAITING = 16
_MAX_CLIENTS = 1000
_IPV6_NETWORK_BITS = 64  # what one subscriber usually has
_Value = TypeVar("_Value")
_log = logging.getLogger(__name__)


class TokenAttempts:
    """Answers one wrong token of a client per pause, and with a few unanswered ones, compares no further ones.

    Two kinds of clients may always try, so that no attacker can lock the owner out: one that has had the right token
    before, and loopback, which reverse proxies, tunnels and all programs of the node share.

    Args:
        pause_s: the pause before each answer to a wrong token.

    """

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._waiting = 0
        self._due_s: dict[str, float] = {}  # the answer to the last wrong token, by client; the oldest is first
        self._trusted: dict[str, None] = {}

    def may_try(self, address: str | None) -> bool:
        """Return whether to compare a client's token now."""
        client = _client(address)
        return client in self._trusted or _is_loopback(address) or not self._is_full(client)

    def succeed(self, address: str | None) -> None:
        """Trust a client that has the right token."""
        client = _client(address)
        if client not in self._trusted:
            _add(self._trusted, client, None)

    async def fail(self, address: str | None) -> bool:
        """Wait until a client may get the answer to a wrong token; return False if too many answers are due already."""
        _log.warning("http: wrong token from %s", address)
        client, now_s = _client(address), _now_s()
        if self._is_full(client):
            return False
        due_s = max(now_s, self._due_s.pop(client, 0.0)) + self._pause_s
        _add(self._due_s, client, due_s)
        if self._waiting >= _MAX_WAITING:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(due_s - now_s)
        finally:
            self._waiting -= 1
        return True

    def _is_full(self, client: str) -> bool:
        return self._due_s.get(client, 0.0) > _now_s() + (_MAX_DUE - 1) * self._pause_s


def _add(by_client: dict[str, _Value], client: str, value: _Value) -> None:
    """Add a client, and forget the oldest one if there are too many."""
    if len(by_client) >= _MAX_CLIENTS:
        del by_client[next(iter(by_client))]
    by_client[client] = value


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _is_loopback(address: str | None) -> bool:
    ip = _parse(address)
    return ip is not None and ip.is_loopback


def _client(address: str | None) -> str:
    """Return what the addresses of one client have in common."""
    ip = _parse(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, _IPV6_NETWORK_BITS), strict=False))
    return str(ip)


def _parse(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address; that of a client with IPv4 also if the server listens for IPv6."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return (isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped) or ip
