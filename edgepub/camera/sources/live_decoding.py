"""Decodes an open stream as it comes: chooses packets, and gives pictures with their times."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import cast

import av

from edgepub.camera.frames import NO_PIXELS, Frame, Shot, Shots
from edgepub.camera.sources.cost import CostMeter
from edgepub.camera.sources.decoder import Decoder
from edgepub.camera.sources.frozen import FrozenPicture
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.lateness import Lateness
from edgepub.camera.sources.packets import VideoPacket
from edgepub.camera.sources.picture import Converter
from edgepub.camera.sources.selection import Choice, Selection
from edgepub.camera.sources.stream import Stream
from edgepub.camera.sources.stream_clock import Arrival, StreamClock
from edgepub.core.errors import SourceError
from edgepub.telemetry.logs import CameraLogger
from edgepub.telemetry.metrics import CameraMetrics

_DAMAGED_FRACTION = 0.5  # of the stall timeout: how long pictures are left out after a damage
_UNDECODABLE_FRACTION = 0.8  # of the stall timeout: how long none may be decoded
_FIRST_PICTURE_S = 25.0
_MAX_ONE_THREAD_PIXELS = 1920 * 1088


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What the source of a live camera works with."""

    gate: Gate
    """Limits the frame rate."""
    selection: Selection
    """Chooses what is decoded."""
    rotate: int
    """Degrees clockwise to turn the pictures."""
    stall_timeout_s: float
    """How long the camera may give no frame."""
    metrics: CameraMetrics
    notes: dict[str, str]
    """Gets lines about what does not work although the camera does."""
    log: CameraLogger


class LiveDecoding:
    """Decodes one open stream.

    Args:
        stream: the stream.
        title: the source, for errors.
        parts: the camera's parts.
        first: the number of the first frame.

    """

    def __init__(self, stream: Stream, title: str, parts: LiveParts, first: int = 1) -> None:
        self._stream = stream
        self._title = title
        self._gate = parts.gate
        self._metrics = parts.metrics
        video = stream.video
        # With several threads each picture comes later by as many frames: 500 ms at 2 frames a second with two
        # processors. One thread keeps up with a camera, unless its pictures are very large.
        threads = 0 if video.width * video.height > _MAX_ONE_THREAD_PIXELS else 1
        max_damaged_s = _DAMAGED_FRACTION * parts.stall_timeout_s
        try:
            self._decoder = Decoder(video, self._title, threads=threads, max_damaged_s=max_damaged_s, is_whole=False)
        except SourceError:
            self._gate.count_undecodable()
            raise
        self._converter = Converter(self._gate, self._title, parts.rotate)
        self._selection = parts.selection
        self._clock = StreamClock(self._metrics.set_clock_offset)
        self._lateness = Lateness(parts.log)
        self._frozen = FrozenPicture(parts.stall_timeout_s, parts.notes, parts.log)
        is_measurable = threads == 1 and not self._decoder.is_intra_only  # of which not each picture is decoded
        fps = float(video.average_rate or video.guessed_rate or 0) if is_measurable else 0.0
        self._cost = CostMeter(fps, self._metrics, parts.log, could_be_less=parts.selection.mode == "all")
        self._max_undecodable_s = _UNDECODABLE_FRACTION * parts.stall_timeout_s
        self._give_up_s = time.monotonic() + max(_FIRST_PICTURE_S, self._max_undecodable_s)
        self.number = first - 1
        """The number of the last frame."""
        self.has_given_picture = False
        """Whether a picture could be decoded."""
        self._source_s = -inf
        self._shown: Arrival | None = None  # that of the last picture that was decoded alone

    def shots(self, stopping: threading.Event) -> Shots:
        """Yield the frames as they come, until the stream ends or `stopping` is set; None for one that is not used.

        Raises:
            FFmpegError: the stream is lost.
            SourceError: no frame can be decoded.

        """
        for packet, arrival in self._stream.arriving(self._clock, stopping):
            if stopping.is_set():
                return  # the read hung and was abandoned
            packet.opaque = arrival
            choice, reason = self._choose(packet, arrival)
            if not choice.packets:
                self.number += 1
                if reason:
                    self._gate.count_skipped(reason)
                yield None
            elif choice.is_alone:
                yield from self._show(self._decoder.decode_alone(packet))
            else:
                if choice.is_restart:
                    self._decoder.restart()
                for each in choice.packets:
                    yield from self._show(self._decode(each))
        yield from self._show(self._decoder.decode(None))

    def _choose(self, packet: VideoPacket, arrival: Arrival) -> tuple[Choice, str | None]:
        """Return what to decode, and why nothing, if that is not counted yet."""
        now_s, lateness = time.monotonic(), self._lateness
        was_skipping = lateness.is_skipping
        if lateness.skips(now_s - arrival.came_s, now_s, self._clock.period_s, is_key=packet.is_keyframe):
            self._selection.forget()
            return Choice([]), "late"
        if self._decoder.is_intra_only:
            return Choice([packet] if self._gate.admit(arrival.taken_s) else []), None
        choice = self._selection.choose(packet, now_s)
        if was_skipping and packet.is_keyframe:
            choice = choice._replace(is_restart=True)
        elif was_skipping:
            self._decoder.set_damaged()
        return choice, "decode"

    def _decode(self, packet: VideoPacket) -> Iterator[av.VideoFrame | None]:
        if self._cost.is_done:
            yield from self._decoder.decode(packet)
            return
        self._cost.start()
        pictures = list(self._decoder.decode(packet))
        video = self._stream.video
        self._cost.stop(video.width, video.height, sum(picture is not None for picture in pictures))
        yield from pictures

    def _show(self, pictures: Iterator[av.VideoFrame | None]) -> Shots:
        for picture in pictures:
            arrival = cast("Arrival", picture.opaque) if picture else None
            if arrival is not None and arrival is self._shown:
                continue  # a key frame that was decoded alone before
            self.number += 1
            if picture is None or arrival is None:
                self._gate.count_undecodable(captured=self._decoder.is_intra_only)  # whose packets were admitted
                self._check_undecodable()
                yield None
                continue
            now_s = time.monotonic()
            self._give_up_s, self.has_given_picture = now_s + self._max_undecodable_s, True
            if picture.key_frame:
                self._shown = arrival
                self._frozen.update(picture, now_s)
            self._source_s = max(self._source_s, arrival.taken_s)
            if self._decoder.is_intra_only or self._gate.admit(self._source_s):
                yield self._shot(picture, arrival)
            else:
                yield None

    def _check_undecodable(self) -> None:
        if time.monotonic() > self._give_up_s:
            raise SourceError(
                f"{self._title}: no more frames, or none that can be decoded, for {self._max_undecodable_s:.0f} s"
            )

    def _shot(self, picture: av.VideoFrame, arrival: Arrival) -> Shot:
        now_s, wall_s = time.monotonic(), time.time()
        self._metrics.set_behind(now_s - arrival.came_s, now_s)
        timestamp = wall_s - (now_s - arrival.taken_s)
        frame = Frame(NO_PIXELS, self.number, timestamp, arrival.taken_s, self._source_s, arrival.clock)
        return Shot(partial(self._converter.convert, picture), frame)
