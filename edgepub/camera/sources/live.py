"""Frames from a camera at a URL."""

import threading
import time
from functools import partial
from math import inf
from typing import cast

import av

from edgepub.camera.frames import NO_PIXELS, Frame, Shot, Shots
from edgepub.camera.sources.decoder import Decoder
from edgepub.camera.sources.frozen import FrozenPicture
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.lateness import Lateness
from edgepub.camera.sources.limits import read_ffmpeg_options
from edgepub.camera.sources.picture import Converter
from edgepub.camera.sources.stream import Stream, VideoPacket, open_stream
from edgepub.camera.sources.stream_clock import Arrival, StreamClock
from edgepub.core.errors import SourceError
from edgepub.core.redaction import url_origin
from edgepub.telemetry.logs import CameraLogger
from edgepub.telemetry.metrics import CameraMetrics

_READ_FRACTION = 0.8  # of the stall timeout: the read ends before it is abandoned
_MIN_READ_TIMEOUT_S = 5.0  # it holds while the source is opened, too: some begin to work only then
_DAMAGED_FRACTION = 0.5  # how long pictures are left out after a damage
_FIRST_PICTURE_S = 25.0
_TRANSPORTS = {
    "auto": {"rtsp_flags": "prefer_tcp"},  # UDP only if the camera does not offer TCP: over UDP packets are lost
    "tcp": {"rtsp_transport": "tcp"},
    "udp": {"rtsp_transport": "udp"},
    "multicast": {"rtsp_transport": "udp_multicast"},
}
_MAX_ONE_THREAD_PIXELS = 1920 * 1088


class LiveSource:
    """A camera at a URL.

    Args:
        url: the URL.
        gate: limits the frame rate.
        transport: RTSP only: `auto`, `tcp`, `udp` or `multicast`.
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
        stall_timeout_s: float,
        metrics: CameraMetrics,
        notes: dict[str, str],
        log: CameraLogger,
    ) -> None:
        self._url = url
        self.gate = gate
        self._transport = transport
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
                yield from _Decoding(stream, self).shots(stopping)
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


class _Decoding:
    """Decodes an open stream as it comes."""

    def __init__(self, stream: Stream, source: LiveSource) -> None:
        self._stream = stream
        self._title = str(source)
        self._gate = source.gate
        self._metrics = source.metrics
        # With several threads each picture comes later by as many frames: 500 ms at 2 frames a second with two
        # processors. One thread keeps up with a camera, unless its pictures are very large.
        is_large = stream.video.width * stream.video.height > _MAX_ONE_THREAD_PIXELS
        self._decoder = Decoder(
            stream.video,
            self._gate,
            self._title,
            threads=0 if is_large else 1,
            max_damaged_s=_DAMAGED_FRACTION * source.stall_timeout_s,
        )
        self._converter = Converter(self._gate, self._title)
        self._lateness = Lateness(source.log)
        self._frozen = FrozenPicture(source.stall_timeout_s, source.notes, source.log)
        self._max_undecodable_s = _READ_FRACTION * source.stall_timeout_s
        self._give_up_s = time.monotonic() + max(_FIRST_PICTURE_S, self._max_undecodable_s)
        self._number = 0
        self._source_s = -inf

    def shots(self, stopping: threading.Event) -> Shots:
        decoder, lateness = self._decoder, self._lateness
        for packet, arrival in self._stream.arriving(StreamClock(self._metrics.set_clock_offset), stopping):
            if stopping.is_set():
                return  # the read hung and was abandoned
            now_s = time.monotonic()
            was_skipping = lateness.is_skipping
            if lateness.skips(now_s - arrival.came_s, now_s, is_key=packet.is_keyframe):
                self._number += 1
                self._gate.count_late()
                yield None
                continue
            if was_skipping and packet.is_keyframe:
                decoder.restart()
            if decoder.is_intra_only and not self._gate.admit(arrival.taken_s):
                self._number += 1
                yield None
                continue
            packet.opaque = arrival
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: VideoPacket | None) -> Shots:
        for picture in self._decoder.decode(packet):
            self._number += 1
            if picture is None:
                self._check_undecodable()
                yield None
                continue
            now_s = time.monotonic()
            self._give_up_s = now_s + self._max_undecodable_s
            if picture.key_frame:
                self._frozen.update(picture, now_s)
            arrival = cast("Arrival", picture.opaque)
            self._source_s = max(self._source_s, arrival.taken_s)
            if not self._decoder.is_intra_only and not self._gate.admit(self._source_s):
                yield None
                continue
            yield self._shot(picture, arrival)

    def _check_undecodable(self) -> None:
        if time.monotonic() > self._give_up_s:
            raise SourceError(
                f"{self._title}: no more frames, or none that can be decoded, for {self._max_undecodable_s:.0f} s"
            )

    def _shot(self, picture: av.VideoFrame, arrival: Arrival) -> Shot:
        now_s, wall_s = time.monotonic(), time.time()
        self._metrics.set_behind(now_s - arrival.came_s, now_s)
        timestamp = wall_s - (now_s - arrival.taken_s)
        frame = Frame(NO_PIXELS, self._number, timestamp, arrival.taken_s, self._source_s, arrival.clock)
        return Shot(partial(self._converter.convert, picture), frame)
