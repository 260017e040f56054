"""Decodes a stream's packets, and leaves out every picture that was not decoded completely."""

import time
from collections.abc import Iterator

import av
from av.video.stream import VideoStream

from edgepub.camera.sources.frame_numbers import FrameNumbers
from edgepub.camera.sources.limits import MAX_PIXELS, describe_too_large
from edgepub.camera.sources.packets import VideoPacket
from edgepub.core.errors import SourceError

_REFUSES_UNKNOWN_TAGS = frozenset({"tiff"})  # as if they were damage
_SILENT = "100"  # added to the level of each line that a decoder logs


class Decoder:
    """Decodes the pictures of one stream.

    After a damage, pictures that are made from others are left out up to the next key frame.

    Args:
        video: the stream.
        title: the source, for errors.
        threads: the number of threads; 0: one for each processor. With more than one, each picture comes later by the
            number of threads.
        max_damaged_s: how long pictures are left out, at most: some streams have hardly any key frames.
        is_whole: whether the stream begins here. Else, pictures are left out up to the first key frame.

    Raises:
        SourceError: the pictures are too large.

    """

    def __init__(self, video: VideoStream, title: str, *, threads: int, max_damaged_s: float, is_whole: bool) -> None:
        self._context = context = video.codec_context
        if context.width * context.height > MAX_PIXELS:
            raise SourceError(describe_too_large(title, f"its pictures have {context.width} x {context.height} pixels"))
        self.is_intra_only = context.codec.intra_only
        """Whether each picture can be decoded by itself."""
        context.thread_count = threads
        if threads != 1:
            context.thread_type = "AUTO"
        context.copy_opaque = True
        # A line that one of the decoder's own threads logs would wait for Python while Python waits for that thread.
        context.options = {"log_level_offset": _SILENT, "max_pixels": str(MAX_PIXELS)}
        if self.is_intra_only and context.name not in _REFUSES_UNKNOWN_TAGS:
            context.options["err_detect"] = "explode"  # an error, not a picture with its lower part undefined
        self._numbers = FrameNumbers(context.extradata) if context.codec.name == "h264" else None
        self._damaged_until_s = 0.0
        self._max_damaged_s = max_damaged_s
        if not is_whole:
            self.set_damaged()

    def decode(self, packet: VideoPacket | None) -> Iterator[av.VideoFrame | None]:
        """Yield the pictures that a packet completes; None for one that is left out.

        Args:
            packet: the packet; None: the end, give what is left. Its `opaque` becomes that of the pictures.

        """
        if packet is not None and packet.is_corrupt and self.is_intra_only:
            yield None
            return
        if packet is not None and (packet.is_corrupt or not self._follows(packet)):
            self.set_damaged()
        try:
            pictures = self._context.decode(packet)
        except av.FFmpegError:
            self.set_damaged()
            yield None
            return
        for picture in pictures:
            yield picture if self._is_good(picture) else None

    def decode_alone(self, packet: VideoPacket) -> Iterator[av.VideoFrame | None]:
        """Yield the picture of a key frame, at once; the packets after it are not decoded from there."""
        self.restart()
        yield from self.decode(packet)
        yield from self.decode(None)
        self.restart()

    def restart(self) -> None:
        """Forget what was decoded: packets were left out, and the next one is a key frame."""
        self._context.flush_buffers()
        if self._numbers:
            self._numbers.reset()

    def _follows(self, packet: VideoPacket) -> bool:
        return self._numbers is None or self._numbers.is_next(bytes(memoryview(packet)[: FrameNumbers.HEAD_BYTES]))

    def set_damaged(self) -> None:
        """Leave out pictures up to the next key frame: packets are missing."""
        if not self.is_intra_only:
            self._damaged_until_s = time.monotonic() + self._max_damaged_s

    def _is_good(self, picture: av.VideoFrame) -> bool:
        if picture.is_corrupt:
            self.set_damaged()
            return False
        if picture.key_frame:
            self._damaged_until_s = 0.0
        return not self._damaged_until_s or time.monotonic() > self._damaged_until_s
