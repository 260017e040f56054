"""What a source may make FFmpeg do: the largest picture, the most memory at a time, and the protocols."""

import ctypes
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

MAX_PIXELS = 8192 * 4352
"""Pixels of a picture, at most: the largest of HEVC's level 6.2 (ITU-T H.265, A.4), for 8K cameras and panoramas."""
MAX_ALLOCATION_BYTES = 3 * MAX_PIXELS + 2**16
"""Bytes that FFmpeg allocates at a time, at most: a picture of that size in blue, green and red, with its padding.

So this is the limit for an encoded picture, too, and for each plane of a decoded one.
"""
_QUIET = "-8"  # AV_LOG_QUIET
_NAME = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# The protocols of cameras and what they are made of; `crypto` is that of encrypted HLS. Not `file` and what reads local
# files or other protocols: a server could redirect to them, or name them in a playlist.
_PROTOCOLS = (
    "http,https,httpproxy,tls,dtls,tcp,udp,udplite,rtp,srtp,srt,crypto,"
    "rtmp,rtmpe,rtmps,rtmpt,rtmpte,rtmpts,ffrtmphttp,ffrtmpcrypt"
)
# Where Linux distributions keep the certificates of the authorities that they trust, if Python does not know either.
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
# Without this FFmpeg watches a stream for five seconds, to learn its frame rate, before it gives the first frame.
_DEFAULTS = {"fpsprobesize": "0"}


def set_ffmpeg_variables() -> None:
    """Set the environment variables of OpenCV's FFmpeg that are not set yet."""
    # It writes to stderr past our log.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)


def read_ffmpeg_options(
    defaults: Mapping[str, str], protocols: str = _PROTOCOLS, *, is_trusted: bool = False
) -> dict[str, str]:
    """Return the options to open a source with.

    Those in the environment, ``KEY;VALUE|KEY;VALUE``, replace the defaults, but not the protocols and the verification
    of certificates, unless they set `protocol_whitelist` or `tls_verify`.

    Args:
        defaults: more defaults.
        protocols: what FFmpeg may open.
        is_trusted: do not verify the server's certificate.

    """
    given = os.environ.get(_NAME)
    if given is not None:
        given = given.encode(errors="ignore").decode()  # bytes that are not UTF-8
    pairs = [pair.partition(";") for pair in (given or "").split("|")]
    options = {key: value for key, _, value in pairs if key and value}
    always = {"protocol_whitelist": protocols, "tls_verify": "0" if is_trusted else "1"}
    # FFmpeg here does not know where this system keeps the certificates that it trusts.
    for authorities in (ssl.get_default_verify_paths().cafile, *_AUTHORITIES):
        if authorities and Path(authorities).is_file():
            always["ca_file"] = authorities
            break
    return {**always, **({**_DEFAULTS, **defaults} if given is None else options)}


def limit_ffmpeg() -> None:
    """Apply the limits to all captures that are opened from now on."""
    set_ffmpeg_variables()
    for path in _loaded("libavutil"):
        with suppress(OSError):  # an upgrade has removed it since it was loaded: its limit is set already
            # This limit is that of the library, for all streams: what a stream says of itself is decoded, too, when it
            # is opened, where the decoder's own limit (`max_pixels`) cannot be set.
            ctypes.CDLL(path).av_max_alloc(ctypes.c_size_t(MAX_ALLOCATION_BYTES))


def describe_too_large(title: str, what: str) -> str:
    """Return the line about a source with pictures that are too large.

    Args:
        title: the source.
        what: what shows that.

    """
    return (
        f"{title}: {what}; at most {MAX_PIXELS:,} pixels are allowed: set a lower resolution in the camera, "
        "or use another of its streams"
    )


def _loaded(name: str) -> list[str]:
    """Return the paths of the shared libraries in this process whose file name begins with `name`."""
    lines = []
    with suppress(OSError):
        lines = os.fsdecode(Path("/proc/self/maps").read_bytes()).splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if f"/{name}" in line}
    return sorted(path for path in paths if Path(path).name.startswith(name))
