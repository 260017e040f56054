"""Frames from a camera at a URL."""

import threading

import av

from edgepub.camera.frames import Shots
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.limits import read_ffmpeg_options
from edgepub.camera.sources.live_decoding import LiveDecoding
from edgepub.camera.sources.selection import Selection
from edgepub.camera.sources.stream import open_stream
from edgepub.core.errors import SourceError
from edgepub.core.redaction import url_origin
from edgepub.telemetry.logs import CameraLogger
from edgepub.telemetry.metrics import CameraMetrics

_READ_FRACTION = 0.8  # of the stall timeout: the read ends before it is abandoned
_MIN_READ_TIMEOUT_S = 5.0  # it holds while the source is opened, too: some begin to work only then
_TRANSPORTS = {
    "auto": {"rtsp_flags": "prefer_tcp"},  # UDP only if the camera does not offer TCP: over UDP packets are lost
    "tcp": {"rtsp_transport": "tcp"},
    "udp": {"rtsp_transport": "udp"},
    "multicast": {"rtsp_transport": "udp_multicast"},
}


class LiveSource:
    """A camera at a URL.

    Args:
        url: the URL.
        gate: limits the frame rate.
        transport: RTSP only: `auto`, `tcp`, `udp` or `multicast`.
        selection: chooses what is decoded.
        stall_timeout_s: how long it may give no frame.
        metrics: the camera's metrics.
        notes: what does not work although the camera does.
        log: the camera's log.

    """

    def __init__(
        self,
        url: str,
        gate: Gate,
        transport: str,
        selection: Selection,
        stall_timeout_s: float,
        metrics: CameraMetrics,
        notes: dict[str, str],
        log: CameraLogger,
    ) -> None:
        self._url = url
        self.gate = gate
        self._transport = transport
        self.selection = selection
        self.stall_timeout_s = stall_timeout_s
        self.metrics = metrics
        self.notes = notes
        self.log = log

    def __str__(self) -> str:
        return url_origin(self._url)

    def shots(self, stopping: threading.Event) -> Shots:
        """Yield the camera's frames as they come; None for a frame that is not used.

        Raises:
            SourceError: it cannot be opened, its pictures are too large, or it gives no more frames.

        """
        self.gate.reset()
        with open_stream(self._url, str(self), self._options()) as stream:
            try:
                yield from LiveDecoding(stream, self).shots(stopping)
            except av.FFmpegError as error:
                reason = "silent" if isinstance(error, TimeoutError) else (error.strerror or "lost").lower()
                raise SourceError(f"{self}: the stream was lost: {reason}") from None
            if not stopping.is_set():
                raise SourceError(f"{self}: the stream has ended")

    def _options(self) -> dict[str, str]:
        timeout = f"{max(_READ_FRACTION * self.stall_timeout_s, _MIN_READ_TIMEOUT_S) * 1e6:.0f}"
        if self._url.startswith(("rtsp://", "rtsps://")):
            defaults = {**_TRANSPORTS[self._transport], "allowed_media_types": "video", "timeout": timeout}
        elif self._url.startswith("udp://"):
            defaults = {"timeout": timeout}
        else:
            defaults = {"rw_timeout": timeout, "live_start_index": "-1"}  # of HLS: the newest part
        return read_ffmpeg_options(defaults)
