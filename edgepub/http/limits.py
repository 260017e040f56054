"""Limits and delays of the HTTP server."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HttpLimits:
    """Limits and delays of the HTTP server. Tests pass shorter ones."""

    max_connections: int = 32
    """Open connections. One more aborts the oldest, so that idle connections cannot lock out other clients."""
    max_connection_s: float = 10.0
    """Time for a request and its response, from connecting on. A live page has its own timeouts."""
    max_request_bytes: int = 65_536
    """Bytes that a client may send for one request. aiohttp also limits the size of each header."""
    first_retry_s: float = 1.0
    """Pause before the second attempt to listen."""
    max_retry_s: float = 30.0
    """Longest pause between attempts to listen."""
    wrong_token_delay_s: float = 1.0
    """Delay before a wrong token is refused, against guessing. A client gets one such answer at a time."""
    still_timeout_s: float = 2.0
    """Time to wait for a frame for a still picture."""
    live_max_width: int = 1280
    """Width of the pictures of a live page, in pixels. Wider frames are scaled down."""
    live_request_timeout_s: float = 15.0
    """Time between two requests of a live page. A visible page requests all the time, a hidden one every second."""
    live_send_timeout_s: float = 10.0
    """Time for a live page to read an update."""


DEFAULT_LIMITS = HttpLimits()
