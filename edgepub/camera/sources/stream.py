"""Reads the packets of an open stream, with the time at which each came."""

import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, cast

import av
from av.video.stream import VideoStream

from edgepub.camera.sources.media_clock import MediaClock
from edgepub.camera.sources.packets import JoinedPictures, VideoPacket, join_packets
from edgepub.camera.sources.stream_clock import Arrival, StreamClock

_MAX_BAD_READS = 200  # in a row
INVALID_DATA = -1094995529, "Invalid data found when processing input"
"""The number of AVERROR_INVALIDDATA, and its text."""
_LOST_PACKETS = "RTP: missed"
_SAY_THEIR_LENGTH = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
_IN_PARTS = frozenset({"hls", "dash"})
_MAX_PART_LATE_S = 0.5
_IN_SLICES = frozenset({"h264", "hevc"})
_NO_TIMESTAMPS = 0x0080  # AVFMT_NOTIMESTAMPS
_MAX_BURST_S = 1.0
_MAX_PERIOD_S = 0.5
_MAX_BURST_OF_STREAM_S = 5.0  # what FFmpeg reads ahead, at most, while it opens a stream
_WALLCLOCK = slice(0, 8)  # of AVProducerReferenceTime


class Stream:
    """An open stream.

    Args:
        container: the container.
        video: its video.
        log: what FFmpeg writes to its log in this thread.

    """

    def __init__(
        self, container: av.container.InputContainer, video: VideoStream, log: list[tuple[int, str, str]]
    ) -> None:
        self.video = video
        # FFmpeg's formats of bare pictures.
        self.is_single_picture = container.format.name == "image2" or container.format.name.endswith("_pipe")
        """Whether the source is one picture, as cameras give at an address for snapshots."""
        name = container.format.name
        says_length = container.size > 0 or (bool(container.duration) and name in _SAY_THEIR_LENGTH)
        self.is_finite = says_length and not self.is_single_picture and name not in _IN_PARTS
        """Whether it is a film with an end. (A live AVI says how long it is meant to be; a playlist has a size.)"""
        self._is_device = "v4l2" in name
        self._container = container
        self._log = log
        self._time_base = float(video.time_base or 0)
        self._has_timestamps = not container.format.flags & _NO_TIMESTAMPS
        self._joins = container.format.name == "rtsp" and video.codec_context.name in _IN_SLICES
        self._comes_in_parts = container.format.name in _IN_PARTS

        self.wait: Callable[[], None] = lambda: None
        """Waits for the next packet, where FFmpeg would wait without an end."""

    def packets(self, stopping: threading.Event) -> Iterator[VideoPacket]:
        """Return the packets of the video until the stream ends; `is_corrupt`: something is missing before it.

        Args:
            stopping: ends it, also while only the sound goes on.

        Raises:
            FFmpegError: the stream is lost.

        """
        packets = self._read(stopping)
        return JoinedPictures().join(packets) if self._joins else packets

    def _read(self, stopping: threading.Event) -> Iterator[VideoPacket]:
        demuxed = self._demux()
        is_corrupt, bad_reads = False, 0
        while not stopping.is_set():
            self.wait()
            try:
                packet = next(demuxed)
            except StopIteration:
                return
            except (
                av.error.InvalidDataError,
                IndexError,
            ) as error:  # IndexError: of a stream that has come up since
                is_corrupt, bad_reads = is_corrupt or not isinstance(error, IndexError), bad_reads + 1
                if bad_reads > _MAX_BAD_READS:
                    raise av.error.InvalidDataError(*INVALID_DATA) from None
                demuxed = self._demux()  # the next packet may be good
                continue
            if packet.stream_index != self.video.index:
                continue
            bad_reads = 0
            if packet.size == 0:  # at the end
                continue
            if self._log:
                is_corrupt = is_corrupt or any(text.startswith(_LOST_PACKETS) for _, _, text in self._log)
                self._log.clear()
            if self._comes_in_parts:
                packet.is_corrupt = False  # the counters of MPEG-TS may begin again with each part
            if is_corrupt:
                packet.is_corrupt, is_corrupt = True, False
            yield packet

    def _demux(self) -> Iterator[VideoPacket]:
        if not self._is_device:
            yield from cast("Iterator[VideoPacket]", self._container.demux())
            return
        # The memory of a packet is the device's, and gone when that is closed. So it is copied, and kept nowhere, also
        # not in PyAV, whose generators keep their last one.
        while (packet := _copy(next(self._container.demux(), None))) is not None:
            yield packet

    def arriving(self, clock: StreamClock, stopping: threading.Event) -> Iterator[tuple[VideoPacket, Arrival]]:
        """Yield the packets of a live stream, each with its arrival, until it ends or `stopping` is set.

        What FFmpeg has read ahead while it opened the stream is held until the first packet that was waited for: only
        then it is known how long the others have waited. It is not held if that packet may take long.

        Args:
            clock: the stream's clock.
            stopping: ends it.

        Raises:
            FFmpegError: the stream is lost.

        """
        if self._comes_in_parts:
            yield from self._played(stopping)
            return
        burst: list[VideoPacket] | None = [] if self._has_timestamps else None
        packets = self.packets(stopping)
        began_s = asked_s = time.monotonic()
        for packet in packets:
            now_s = time.monotonic()
            waited = clock.read(self._seconds(packet.dts), asked_s, now_s)
            if burst is not None:
                burst.append(packet)
                if not waited and self._is_read_ahead(burst, now_s - began_s):
                    asked_s = time.monotonic()
                    continue
                ready, burst = burst, None
                _fill_timestamps(ready)
            else:
                ready = [packet]
            for each in ready:
                yield each, self._arrival(each, clock)
            asked_s = time.monotonic()
        for each in burst or ():
            yield each, self._arrival(each, clock)

    def _played(self, stopping: threading.Event) -> Iterator[tuple[VideoPacket, Arrival]]:
        """Yield the packets at the stream's own rate, as a player does: they come in parts of seconds.

        When their pictures were taken is not known; they arrive when they are due.
        """
        clock = MediaClock(self.video)
        began_s: float | None = None
        for packet in self.packets(stopping):
            due_s, now_s = clock.due_s(self._seconds(packet.dts)), time.monotonic()
            if began_s is None or now_s - (began_s + due_s) > _MAX_PART_LATE_S:
                began_s = now_s - due_s
            if stopping.wait(max(0.0, began_s + due_s - now_s)):
                return
            now_s = time.monotonic()
            yield packet, Arrival(now_s, now_s, "arrival")

    def _is_read_ahead(self, burst: list[VideoPacket], seconds: float) -> bool:
        """Return whether to hold these packets: more may have been read ahead, or the next one comes soon."""
        stamps = [stamp for packet in burst if (stamp := self._seconds(packet.dts)) is not None]
        rate = float(self.video.average_rate or 0)
        period_s = stamps[-1] - stamps[-2] if len(stamps) > 1 else 1 / rate if rate else inf
        is_short = seconds < _MAX_BURST_S and (not stamps or stamps[-1] - stamps[0] < _MAX_BURST_OF_STREAM_S)
        return is_short and period_s < _MAX_PERIOD_S

    def _arrival(self, packet: VideoPacket, clock: StreamClock) -> Arrival:
        now_s, wall_s = time.monotonic(), time.time()
        reported_s = None
        if packet.has_sidedata("prft"):
            reported_s = 1e-6 * int.from_bytes(bytes(packet.get_sidedata("prft"))[_WALLCLOCK], "little", signed=True)
        return clock.arrival(self._seconds(packet.dts), self._seconds(packet.pts), now_s, wall_s, reported_s)

    def _seconds(self, timestamp: int | None) -> float | None:
        return None if timestamp is None or not self._has_timestamps else timestamp * self._time_base


def _copy(packet: "av.Packet[Any] | None") -> VideoPacket | None:
    return join_packets([packet]) if packet is not None and packet.size else packet


def _fill_timestamps(packets: list[VideoPacket]) -> None:
    """Give packets without a timestamp, as often the first one, that of the following packet."""
    for packet, following in zip(reversed(packets[:-1]), reversed(packets[1:]), strict=True):
        if packet.dts is None:
            packet.dts, packet.pts = following.dts, following.pts
