"""Packets of a video: a copy of one, and one for each picture.

Some RTSP servers put parameter sets before each slice of a key frame, as GStreamer's payloader does with
``config-interval=-1``. FFmpeg's parser takes each slice for a picture then, and gives a packet for each, all with the
same timestamp.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

import av

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    VideoPacket: TypeAlias = av.Packet[VideoStream]
else:  # the class itself takes no argument
    VideoPacket = av.Packet


class JoinedPictures:
    """Joins the packets of each key frame, if they come in several.

    The last packet of a key frame is known when the next one comes. So key frames wait for that, but only in a stream
    in which they have been seen to come in several packets; in others, only the first packet waits.
    """

    def __init__(self) -> None:
        self._waits = True

    def join(self, packets: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
        """Yield a packet for each picture."""
        held: list[VideoPacket] = []
        for packet in packets:
            if held and packet.is_keyframe and held[-1].pts in {None, packet.pts}:
                held.append(packet)
                continue
            if held:
                self._waits = len(held) > 1
                yield join_packets(held)
                held = []
            if self._waits and packet.is_keyframe:
                held.append(packet)
            else:
                yield packet
        if held:
            yield join_packets(held)


def join_packets(packets: Sequence[VideoPacket]) -> VideoPacket:
    """Return one packet with the content of several, in memory of its own, and with the time of the last one."""
    first, last = packets[0], packets[-1]
    joined = cast("VideoPacket", av.Packet(b"".join(bytes(packet) for packet in packets)))
    joined.pts, joined.dts, joined.time_base, joined.stream = last.pts, last.dts, first.time_base, first.stream
    joined.is_keyframe = first.is_keyframe
    joined.is_corrupt = any(packet.is_corrupt for packet in packets)
    # The camera's report of the time when the picture was taken.
    if first.has_sidedata("prft"):
        joined.set_sidedata(first.get_sidedata("prft"))
    return joined
