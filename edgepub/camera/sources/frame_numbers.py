"""Finds pictures of H.264 that were lost on the way: the decoder replaces them silently.

Source: Recommendation ITU-T H.264 (08/2021): 7.3.2.1.1 (sequence parameter set), 7.3.3 (slice header), 7.4.3 (its
frame_num).
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

_SLICE, _IDR_SLICE, _SPS = 1, 5, 7
_PROFILES_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
_YUV444 = 3


class _Sps(NamedTuple):
    frame_num_bits: int
    has_separate_planes: bool
    allows_gaps: bool


class FrameNumbers:
    """Follows the `frame_num` of a stream's pictures.

    Args:
        extradata: what the stream says before its first packet: parameter sets.

    """

    HEAD_BYTES = 4096
    """How much of a packet is needed: its parameter sets and the first slice's header."""

    def __init__(self, extradata: bytes | None) -> None:
        self._sps: _Sps | None = None
        self._reference: int | None = None  # frame_num of the last reference picture
        self._length_bytes = 0  # of the length before each unit; 0: start codes
        if extradata and extradata[0] == 1:  # ISO/IEC 14496-15, 5.3.3.1
            self._length_bytes = (extradata[4:5] or b"\3")[0] % 4 + 1
            with suppress(IndexError):
                self._read_sps(extradata[8:])
        elif extradata:
            self.is_next(extradata)

    def is_next(self, packet: bytes) -> bool:
        """Return whether this packet's picture follows the last one; True if that cannot be told.

        Args:
            packet: its first `HEAD_BYTES`.

        """
        try:
            for unit in self._units(packet):
                kind = unit[0] & 0x1F
                if kind == _SPS:
                    self._read_sps(unit)
                elif kind in {_SLICE, _IDR_SLICE}:
                    return self._follow(unit, is_idr=kind == _IDR_SLICE)
        except IndexError:  # cut off
            self._reference = None
        return True

    def reset(self) -> None:
        """Accept any next picture."""
        self._reference = None

    def _follow(self, unit: bytes, *, is_idr: bool) -> bool:
        if self._sps is None:
            return True
        bits = _Bits(unit[1:64])
        for _ in ("first_mb_in_slice", "slice_type", "pic_parameter_set_id"):
            bits.unsigned()
        if self._sps.has_separate_planes:
            bits.take(2)
        number = bits.take(self._sps.frame_num_bits)
        last, size = self._reference, 1 << self._sps.frame_num_bits
        is_next = is_idr or self._sps.allows_gaps or last is None or (number - last) % size <= 1
        if is_idr or unit[0] & 0x60 or not is_next:  # nal_ref_idc: other pictures refer to this one
            self._reference = number
        return is_next

    def _units(self, packet: bytes) -> Iterator[bytes]:
        if self._length_bytes:
            at = 0
            while at + self._length_bytes < len(packet):
                begin = at + self._length_bytes
                at = begin + int.from_bytes(packet[at:begin])
                yield packet[begin:at]
            return
        begin = packet.find(b"\0\0\1")
        while begin >= 0:
            end = packet.find(b"\0\0\1", begin + 3)
            yield packet[begin + 3 : end if end >= 0 else None]
            begin = end

    def _read_sps(self, unit: bytes) -> None:
        bits = _Bits(unit[1:])
        profile = bits.take(8)
        bits.take(16)
        bits.unsigned()
        has_separate_planes = False
        if profile in _PROFILES_WITH_CHROMA:
            chroma = bits.unsigned()
            has_separate_planes = chroma == _YUV444 and bool(bits.take(1))
            bits.unsigned()
            bits.unsigned()
            bits.take(1)
            if bits.take(1):
                for place in range(12 if chroma == _YUV444 else 8):
                    if bits.take(1):
                        bits.skip_scaling_list(16 if place < 6 else 64)  # noqa: PLR2004  (4x4 and 8x8 blocks)
        frame_num_bits = bits.unsigned() + 4
        order = bits.unsigned()
        if order == 0:
            bits.unsigned()
        elif order == 1:
            bits.take(1)
            bits.signed()
            bits.signed()
            for _ in range(bits.unsigned()):
                bits.signed()
        bits.unsigned()
        self._sps = _Sps(frame_num_bits, has_separate_planes, bool(bits.take(1)))


class _Bits:
    """Reads the bits of a unit. Past its end: IndexError."""

    def __init__(self, unit: bytes) -> None:
        content = unit.replace(b"\0\0\3", b"\0\0")  # emulation prevention, 7.4.1
        self._left = 8 * len(content)
        self._value = int.from_bytes(content)

    def take(self, number: int) -> int:
        self._left -= number
        if self._left < 0:
            raise IndexError
        return (self._value >> self._left) & ((1 << number) - 1)

    def unsigned(self) -> int:
        """Read ue(v), 9.1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """Read se(v), 9.1.1."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)

    def skip_scaling_list(self, size: int) -> None:
        """Read scaling_list(), 7.3.2.1.1.1."""
        last, following = 8, 8
        for _ in range(size):
            if following:
                following = (last + self.signed()) % 256
            last = following or last
