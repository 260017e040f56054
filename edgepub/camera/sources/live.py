"""Frames from a camera at a URL."""

import threading
import time
from functools import partial

import av

from edgepub.camera.frames import Shots
from edgepub.camera.sources.limits import read_ffmpeg_options
from edgepub.camera.sources.live_decoding import LiveDecoding, LiveParts
from edgepub.camera.sources.open_errors import describe_lost, describe_open_error
from edgepub.camera.sources.opening import open_stream
from edgepub.config.capture import CaptureSettings
from edgepub.core.errors import SourceError
from edgepub.core.redaction import url_origin

_READ_FRACTION = 0.8  # of the stall timeout: the read ends before it is abandoned
_MIN_READ_TIMEOUT_S = 5.0  # it holds while the source is opened, too: some begin to work only then
_TRANSPORTS = {
    "auto": {"rtsp_flags": "prefer_tcp"},  # UDP only if the camera does not offer TCP: over UDP packets are lost
    "tcp": {"rtsp_transport": "tcp"},
    "udp": {"rtsp_transport": "udp"},
    "multicast": {"rtsp_transport": "udp_multicast"},
}
_SIGN_OF_LIFE_S = 0.5
_MIN_BAD_POLLS = 3


def read_timeout_s(stall_timeout_s: float) -> float:
    """Return how long a server may be silent while it is read."""
    return max(_READ_FRACTION * stall_timeout_s, _MIN_READ_TIMEOUT_S)


class LiveSource:
    """A camera at a URL: a stream, or a single picture that is asked for again and again.

    Args:
        url: the URL.
        capture: how its pictures are received.
        parts: the camera's parts.

    """

    def __init__(self, url: str, capture: CaptureSettings, parts: LiveParts) -> None:
        self._url = url
        self._capture = capture
        self._parts = parts

    def __str__(self) -> str:
        return url_origin(self._url)

    def shots(self, stopping: threading.Event) -> Shots:
        """Yield the camera's frames as they come; None for a frame that is not used.

        Raises:
            SourceError: it cannot be opened, its pictures are too large, or it gives no more frames.

        """
        self._parts.gate.reset()
        number = 0
        good_s = time.monotonic()
        while not stopping.is_set():
            began_s = time.monotonic()
            explain = partial(describe_open_error, self._url)
            with open_stream(self._url, str(self), self._options(), explain=explain) as stream:
                decoding = LiveDecoding(stream, str(self), self._parts, number + 1)
                try:
                    yield from decoding.shots(stopping)
                except av.FFmpegError as error:
                    raise SourceError(f"{self}: {describe_lost(error)}") from None
                number = decoding.number
            if stopping.is_set():
                return
            if not stream.is_single_picture:
                raise SourceError(f"{self}: the stream has ended")
            if decoding.has_given_picture:
                good_s = time.monotonic()
            elif time.monotonic() - good_s > max(self._parts.stall_timeout_s, _MIN_BAD_POLLS * self._capture.poll_s):
                raise SourceError(f"{self}: it answers, but not with a picture that can be decoded")
            while (left_s := began_s + self._capture.poll_s - time.monotonic()) > 0:
                if stopping.wait(min(left_s, _SIGN_OF_LIFE_S)):
                    return
                yield None

    def _options(self) -> dict[str, str]:
        timeout = f"{read_timeout_s(self._parts.stall_timeout_s) * 1e6:.0f}"
        if self._url.startswith(("rtsp://", "rtsps://")):
            defaults = {**_TRANSPORTS[self._capture.transport], "allowed_media_types": "video", "timeout": timeout}
        elif self._url.startswith("udp://"):
            defaults = {"timeout": timeout}
        else:
            defaults = {"rw_timeout": timeout, "live_start_index": "-1"}  # of HLS: the newest part
        return read_ffmpeg_options(defaults, is_trusted=self._capture.tls_insecure)
