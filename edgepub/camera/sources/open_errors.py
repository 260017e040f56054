"""Says in one line why a source cannot be opened."""

import re
from urllib.parse import urlsplit

import av
from av.error import (
    ExitError,
    HTTPError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
    ProtocolNotFoundError,
)

_LOGGED = (
    (re.compile(r"Failed to resolve hostname (\S+?):"), "no such host: %s"),
    (
        re.compile(r"Protocol '([^']*)' not on whitelist"),
        "it leads to another address, whose protocol is not allowed: %s",
    ),
    (
        re.compile(r"(461) \([^\n]*\n\Z"),  # in the last line
        "the camera does not send in this way (%s): set capture.transport to auto, tcp or udp",
    ),
    (
        re.compile(r"(?i)(certificate failed verification|certificate's owner does not match)"),
        "TLS: this computer does not trust its certificate (%s): if it is the camera's own, set capture.tls_insecure: "
        "true",
    ),
)
"""What FFmpeg only writes to its log."""
_ANSWERS: tuple[tuple[type[av.FFmpegError] | tuple[type[av.FFmpegError], ...], str], ...] = (
    (HTTPForbiddenError, "this user may not see it (403)"),
    (HTTPNotFoundError, "no such path (404): the host answers, but has nothing at the path in the URL"),
    ((InvalidDataError, av.error.EOFError), "it answers, but not with a video"),
    (ProtocolNotFoundError, "FFmpeg does not know this protocol"),
)
_MIN_SILENT_S = 0.7  # after less, an RTSP server has answered something that is not RTSP; after more, nothing
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}


def describe_open_error(url: str, error: av.FFmpegError, log: str, elapsed_s: float) -> str:
    """Return why FFmpeg cannot open a URL, and what to do.

    Args:
        url: the URL.
        error: the error.
        log: what FFmpeg wrote to its log meanwhile.
        elapsed_s: how long it took.

    """
    if isinstance(error, HTTPUnauthorizedError):
        has_user = "@" in url.partition("://")[2]
        return "wrong user or password (401)" if has_user else "the camera asks for a user and a password (401)"
    for pattern, text in _LOGGED:
        if found := pattern.search(log):
            return text % found[1].strip()
    is_silent = isinstance(error, InvalidDataError) and url.startswith("rtsp") and elapsed_s > _MIN_SILENT_S
    if is_silent or isinstance(error, ExitError | TimeoutError):
        return f"no answer within {elapsed_s:.0f} s: is the camera on, and is the address right?"
    for kind, text in _ANSWERS:
        if isinstance(error, kind):
            return text
    if isinstance(error, ConnectionRefusedError):
        return f"refused: nothing listens on port {_port(url)} there"
    reason = (error.strerror or type(error).__name__).removeprefix("Server returned ")
    return f"the server answers with an error: {reason}" if isinstance(error, HTTPError) else reason.lower()


def describe_lost(error: av.FFmpegError) -> str:
    """Return how an open stream was lost."""
    reason = "silent" if isinstance(error, TimeoutError | ExitError) else (error.strerror or "lost").lower()
    return f"the stream was lost: {reason}"


def _port(url: str) -> int:
    try:
        parts = urlsplit(url)
        return parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return 0
