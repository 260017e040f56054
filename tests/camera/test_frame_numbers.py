"""Lost pictures of H.264, by the numbers in real streams."""

import av
import pytest

from edgepub.camera.sources.frame_numbers import FrameNumbers
from tests.support import films

KINDS = {
    "baseline": {"profile": "baseline"},
    "high, with B-frames": {"profile": "high", "tune": "film", "x264-params": "bframes=3:b-pyramid=normal"},
    "two references": {"x264-params": "ref=3"},
    "4:4:4": {"profile": "high444"},
    "scaling lists": {"x264-params": "cqm=jvt"},
    "interlaced": {"flags": "+ildct+ilme", "x264-params": "tff=1"},
}


@pytest.mark.parametrize("container", ["mp4", "ts"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_picture_is_noticed_if_others_need_it(tmp_path, kind, container):
    pix_fmt = "yuv444p" if kind == "4:4:4" else "yuv420p"
    film = tmp_path / f"film.{container}"
    films.encode(film, range(60), gop=40, options=KINDS[kind], pix_fmt=pix_fmt, draw=films.noisy_picture)
    with av.open(str(film)) as source:
        extradata = source.streams.video[0].codec_context.extradata
        packets = [bytes(packet) for packet in source.demux(video=0) if packet.size]
    numbers = FrameNumbers(extradata)
    assert all(numbers.is_next(packet) for packet in packets)
    whole = pictures_without(film, None)
    unneeded = 0
    for lost in (5, 6, 7, 8, 20, 33, 40):
        numbers = FrameNumbers(extradata)
        follows = [numbers.is_next(packet) for at, packet in enumerate(packets) if at != lost]
        if all(follows):
            unneeded += 1
            assert pictures_without(film, lost) <= whole, "no other picture needs it"
        else:
            assert follows.index(False) >= lost
            assert follows.count(False) == 1, "once"
    assert unneeded < (4 if "B-frames" in kind else 1)


def pictures_without(film, lost):
    """Return the pictures that a film shows without its packet `lost`."""
    with av.open(str(film)) as source:
        context = source.streams.video[0].codec_context
        packets = [packet for at, packet in enumerate(source.demux(video=0)) if at != lost]
        return {picture.to_ndarray().tobytes() for packet in packets for picture in context.decode(packet)}


def test_anything_is_accepted_without_an_error():
    for content in (b"", b"\0", b"\0\0\1", b"\0\0\1\x67", b"\0\0\1\x67" + bytes(300), b"\0\0\1\x65" + b"\xff" * 50):
        assert FrameNumbers(content).is_next(content) in {True, False}
        assert FrameNumbers(b"\1\x42\0\x1e\xff\xe1\0\x10" + content).is_next(content) in {True, False}
