"""A camera's source: what it may be, and what is wrong with it, said without the password in it."""

import re
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import quote

from pydantic import Field, ValidationInfo

from edgepub.config.fields import absolute_path

_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp", "tls")
_CAMERA_URL = re.compile(rf"({'|'.join(_SCHEMES)})://(.*)", re.IGNORECASE | re.DOTALL)
# What FFmpeg would take for a protocol: all before `://`, and those of its own that read files or other sources.
_OTHER_PROTOCOL = re.compile(
    r"(async|cache|concatf?|crypto|data|fd|file|md5|pipe|tee|unix)(?=[:+])|subfile(?=,)|[a-z0-9.+-]{1,20}(?=.*://)",
    re.IGNORECASE | re.DOTALL,
)
_SOURCE = "must be a URL (rtsp://...), a file, or a webcam: its number (0 or more) or its device (/dev/...)"
_RPICAM = re.compile(r"rpicam:(\d{1,2})")
_NO_SCHEME = "looks like a URL without its protocol: begin with rtsp:// or another (a file: with ./)"
_NO_STREAM = "is no stream: write the camera's RTSP URL; its web page or an ONVIF program shows it"
# Taken for a file, a password in these would be in the log: `no such file: ...`.
_LIKE_URL = re.compile(
    rf"(?:{'|'.join(_SCHEMES)})[:;/\\]"  # a slip of the hand in `://`
    r"|//"
    r"|(?!\.{0,2}/|~[\w.-]*/).*@"  # a login; but a file with a path may have an @
    r"|[^/]*:[^/]*@"
    r"|\d+\.\d+\.\d+\.\d+(?:[:/]|$)"
    r"|\[[0-9a-f:]+\]"
    r"|[\w.-]+:\d+(?:/|$)"
    r"|[^/]*(?:user|pass|pwd|token)[a-z]*=",
    re.IGNORECASE | re.DOTALL,
)
_WEBCAM = re.compile(r"[0-9]{1,3}")
_MAX_WEBCAM = 999
_MEMORY = Path("/dev/shm")  # noqa: S108  (it has files, not devices)
_VIDEO = "/dev/video"
_NO_WEBCAM = re.compile(r"-?\d+")
_HOST = re.compile(r"(\[[0-9a-f:.]+(?:%\w+)?\]|[^\s@:/?#\[\]]+|(?=:))(:\d{1,5})?(?=[/?#]|$)", re.IGNORECASE)
_ADDRESS = re.compile(r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.%]+\])(:\d+)?(?=[/?#]|$)", re.IGNORECASE)
_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[\w.-]*")  # of a host, without a port
# Not `@1` or `@2x`, as in the name of a stream.
_PLAIN_HOST = re.compile(rf"{_ADDRESS.pattern}|[\w-]+(\.[\w-]+)*(:\d{{1,5}}|\.[a-z]{{2,}})(?=[/?#]|$)", re.IGNORECASE)
_MAX_PORT = 65_535
_ENCODINGS = "@ as %40, # as %23, / as %2F, ? as %3F, : as %3A, % as %25"
_AUTHORITY_END = re.compile(r"[/?#]")
_UNENCODED = re.compile(r"%(?![0-9a-f]{2})", re.IGNORECASE)
_ALLOWED = "!$&'()*+,;=~:%"  # in a login, beside letters and digits (RFC 3986, 3.2.1)


class RpiCamera(NamedTuple):
    """A camera of a Raspberry Pi."""

    number: int

    def __str__(self) -> str:
        return f"rpicam {self.number}"


class Webcam(NamedTuple):
    """A webcam, or another device of Video4Linux."""

    device: Path

    def __str__(self) -> str:
        number = str(self.device).removeprefix(_VIDEO)
        return f"webcam {number}" if _WEBCAM.fullmatch(number) else str(self.device)


WebcamNumber = Annotated[int, Field(ge=0, le=_MAX_WEBCAM)]
Source = str | Path | Webcam | RpiCamera | list[str]
"""A URL, the absolute path of a file, a webcam, a Raspberry Pi's camera, or a command."""


def resolve_source(source: object, info: ValidationInfo) -> Source:
    """Return a camera's source.

    What must not stand unencoded in the login of a URL is encoded, if there is no doubt what is meant.

    Raises:
        ValueError: it is none of these; the text does not contain it.

    """
    if isinstance(source, list):
        return _check_command(source)
    if isinstance(source, int) and not isinstance(source, bool) and 0 <= source <= _MAX_WEBCAM:
        source = str(source)
    if isinstance(source, str) and _WEBCAM.fullmatch(source):
        return Webcam(Path(f"{_VIDEO}{int(source)}"))
    if not isinstance(source, str) or not source or _NO_WEBCAM.fullmatch(source):
        raise ValueError(_SOURCE)
    return _resolve_text(source, info)


def _check_command(command: list[object]) -> list[str]:
    if not command or not all(isinstance(part, str) and part and "\0" not in part for part in command):
        raise ValueError("a command must be a list of a program and its arguments, all texts: [ffmpeg, -i, ...]")
    return [str(part) for part in command]


def _resolve_text(source: str, info: ValidationInfo) -> Source:
    if found := _RPICAM.fullmatch(source):
        return RpiCamera(int(found[1]))
    if source.startswith("rpicam:"):
        raise ValueError("must be rpicam:0, or another number")
    if found := _CAMERA_URL.fullmatch(source):
        return f"{found[1].lower()}://{_encode_login(found[2])}"
    if other := _OTHER_PROTOCOL.match(source):
        if other[0].lower() == "onvif":
            raise ValueError(f"onvif:// {_NO_STREAM}")
        urls = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise ValueError(
            f"{other[0]!r} is no protocol of a camera: begin with one of {urls}, or write only a file's path"
        )
    if "://" in source or (_LIKE_URL.match(source) and not _exists(source, info)):
        raise ValueError(_NO_SCHEME)
    path = absolute_path(source, info)
    return Webcam(path) if _is_device(path) else path


def find_encoded(written: str, resolved: str) -> str:
    """Return which characters `resolve_source` has encoded in the login of a URL, for a person; empty if none."""
    codes = {mark: quote(mark, safe="") for mark in "@#/?% "}
    found = [mark for mark, code in codes.items() if resolved.count(code) > written.count(code)]
    return " ".join("space" if mark == " " else mark for mark in found)


def _encode_login(rest: str) -> str:
    """Return what follows `://`, with its login encoded.

    Raises:
        ValueError: no valid host follows, or it is not clear where the login ends.

    """
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    unclear = ValueError(f"it is not clear where its password ends: in the password, write {_ENCODINGS}")
    if "@" in authority:
        host = authority.rpartition("@")[2]
        if _NAME.fullmatch(host) and _has_later_host(rest[len(authority) :]):
            raise unclear
        ends = [authority.rindex("@")]
    elif _HOST.fullmatch(authority):
        if "@" in rest and _ADDRESS.match(rest.rpartition("@")[2]):
            raise unclear
        ends = []
    else:  # a password with a character that ends the host
        ends = [found.start() for found in re.finditer("@", rest) if _HOST.match(rest[found.end() :])][:1]
    login, place = (rest[: ends[0]], rest[ends[0] + 1 :]) if ends else ("", rest)
    if not _HOST.match(place):
        raise ValueError(
            f"has no valid host: write it like rtsp://10.0.0.5:554/stream; in a password, write {_ENCODINGS}"
        )
    _check_port(place)
    return f"{quote(_UNENCODED.sub('%25', login), safe=_ALLOWED)}@{place}" if ends else rest


def _has_later_host(path: str) -> bool:
    """Return whether what looks like a path has an @ and a host: it may be the end of a password."""
    return any(_PLAIN_HOST.match(path[found.end() :]) for found in re.finditer("@", path))


def _check_port(place: str) -> None:
    found = _HOST.match(place)
    if found and found[2] and not 1 <= int(found[2][1:]) <= _MAX_PORT:
        raise ValueError(f"has no valid port: it must be 1 to {_MAX_PORT}")


def _exists(source: str, info: ValidationInfo) -> bool:
    try:
        return absolute_path(source, info).exists()
    except (OSError, ValueError):
        return False


def _is_device(path: Path) -> bool:
    """Return whether a path is that of a device, or may be when it is plugged in: below /dev, where its links lead."""
    try:
        place = path.resolve()
        return Path("/dev") in place.parents and not (
            _MEMORY in (place, *place.parents) or place.is_file() or place.is_dir()
        )
    except (OSError, RuntimeError, ValueError):  # no permission, a circle of links, or a null character
        return False
