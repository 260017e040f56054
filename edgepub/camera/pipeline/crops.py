"""Parts of a frame: the region that a model sees, its tiles, and objects cut out of it. Pure."""

from math import ceil
from typing import NamedTuple

from edgepub.camera.frames import Box, Frame, Image, PixelMap, Result
from edgepub.config.pipelines import TilesSettings

_MIN_SIDE = 2  # pixels of a part
_MAX_ASPECT = 16  # of a part; PySDK cannot scale a picture if one side would have no pixel left


class Part(NamedTuple):
    """A part of a frame, in whole pixels of the full picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def box(self) -> Box:
        """The same as a box."""
        return float(self.left), float(self.top), float(self.right), float(self.bottom)

    def cut(self, frame: Frame, image: Image) -> Frame:
        """Return this part as a frame of its own, which shares the pixels.

        Args:
            frame: the frame.
            image: its pixels at full size.

        """
        return frame._replace(image=image[self.top : self.bottom, self.left : self.right], full=None)

    def place(self, result: Result, frame: Frame) -> Result:
        """Return the result of this part as one of the frame: its points are converted to the frame's pixels."""
        offset = PixelMap(1.0, 1.0, float(self.left), float(self.top))
        if result.to_frame:
            return result._replace(frame=frame, to_frame=result.to_frame.then(offset), visible=self.box)
        size = self.right - self.left, self.bottom - self.top  # the points are pixels of this part
        return result._replace(frame=frame, to_frame=offset, input_size=size, visible=self.box)


def find_region(region: Box, width: int, height: int) -> Part:
    """Return a part that is given in fractions of the frame."""
    x1, y1, x2, y2 = region
    return _make_part(x1 * width, y1 * height, x2 * width, y2 * height, width, height)


def find_tiles(within: Part, tiles: TilesSettings) -> list[Part]:
    """Return the tiles of a part, row by row, and the part itself if it is asked for."""
    columns = _spans(within.left, within.right, tiles.columns, tiles.overlap)
    rows = _spans(within.top, within.bottom, tiles.rows, tiles.overlap)
    parts = [Part(left, top, right, bottom) for top, bottom in rows for left, right in columns]
    return [*parts, within] if tiles.whole and len(parts) > 1 else parts


def find_crop(box: Box, margin: float, width: int, height: int) -> Part | None:
    """Return the part of a frame with an object.

    Args:
        box: the object's box, in pixels of the frame.
        margin: how much more to take at each side, as a part of the box.
        width: of the frame.
        height: of the frame.

    Returns:
        The part, wider than the object if that is very thin; None if the object has hardly any pixels.

    """
    x1, y1, x2, y2 = box
    if x2 - x1 < _MIN_SIDE or y2 - y1 < _MIN_SIDE:
        return None
    more_x, more_y = margin * (x2 - x1), margin * (y2 - y1)
    least = max(x2 - x1, y2 - y1) / _MAX_ASPECT
    more_x, more_y = max(more_x, (least - (x2 - x1)) / 2), max(more_y, (least - (y2 - y1)) / 2)
    return _make_part(x1 - more_x, y1 - more_y, x2 + more_x, y2 + more_y, width, height)


def _make_part(x1: float, y1: float, x2: float, y2: float, width: int, height: int) -> Part:
    left, top = min(max(0, int(x1)), width - 1), min(max(0, int(y1)), height - 1)
    return Part(left, top, max(left + 1, min(width, ceil(x2))), max(top + 1, min(height, ceil(y2))))


def _spans(start: int, end: int, count: int, overlap: float) -> list[tuple[int, int]]:
    """Return the starts and ends of equally long pieces that cover a side and overlap by a part of their length."""
    length = (end - start) / (count - (count - 1) * overlap)
    step = length * (1 - overlap)
    return [
        (
            start + int(number * step),
            max(start + int(number * step) + 1, min(end, ceil(start + number * step + length))),
        )
        for number in range(count)
    ]
