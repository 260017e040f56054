"""Chooses which packets of a live stream are decoded: all, or only key frames while nothing is to be seen."""

from typing import NamedTuple

from edgepub.camera.attention import Attention
from edgepub.camera.sources.packets import VideoPacket
from edgepub.config.capture import DecodeMode

_MAX_KEPT_BYTES = 16_000_000
_MAX_KEPT_S = 20.0


class Choice(NamedTuple):
    """What to decode now."""

    packets: list[VideoPacket]
    """The packets; empty: leave this one out."""
    is_alone: bool = False
    """Whether it is a key frame after which others are left out."""
    is_restart: bool = False
    """Whether these packets begin with a key frame that was decoded alone before."""


_NOTHING = Choice([])


class Selection:
    """Chooses the packets to decode.

    In the mode `adaptive`, the packets since the last key frame are kept, within bounds. When something is found in
    that key frame, decoding goes on from it at once.

    Args:
        mode: what to decode.
        attention: says whether something is to be seen.

    """

    def __init__(self, mode: DecodeMode, attention: Attention) -> None:
        self.mode = mode
        """What to decode."""
        self._attention = attention
        self._kept: list[VideoPacket] = []  # since the last key frame, while only key frames are decoded
        self._kept_bytes = 0
        self._kept_since_s = 0.0
        self._decodes_all = mode == "all"
        self._key_s: float | None = None  # when the last key frame came

    def choose(self, packet: VideoPacket, now_s: float) -> Choice:
        """Return what to decode, now that this packet has come."""
        if self.mode == "all":
            return Choice([packet])
        if self._key_s is None or packet.is_keyframe:
            self._key_s = now_s
        if now_s - self._key_s > _MAX_KEPT_S:  # a stream without key frames repairs itself, bit by bit
            return Choice([packet])
        is_wanted = self.mode == "adaptive" and self._attention.is_wanted(now_s)
        if packet.is_keyframe:
            self.forget()
            self._decodes_all = is_wanted
            if not is_wanted:
                self._keep(packet, now_s)
                return Choice([packet], is_alone=True)
        elif not self._decodes_all:
            self._keep(packet, now_s)
            if not is_wanted or not self._kept:
                return _NOTHING
            packets, self._decodes_all = self._kept, True
            self.forget()
            return Choice(packets, is_restart=True)
        return Choice([packet])

    def forget(self) -> None:
        """Forget the packets that are kept: some are missing after them."""
        self._kept, self._kept_bytes = [], 0

    def _keep(self, packet: VideoPacket, now_s: float) -> None:
        if packet.is_keyframe:
            self._kept_since_s = now_s
        elif not self._kept:
            return
        if self.mode == "adaptive":
            self._kept.append(packet)
            self._kept_bytes += packet.size
        if self._kept_bytes > _MAX_KEPT_BYTES or now_s - self._kept_since_s > _MAX_KEPT_S:
            self.forget()
