"""Frames, where they come from, and the results of the model."""

import threading
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

_MAX_SCALE = 2 / 3  # with less reduction, PySDK is as fast
Image = NDArray[Any]
"""Pixels, shape (height, width, 3), unsigned bytes in the order blue, green, red."""
Box = tuple[float, float, float, float]
"""A box: the x and y of its upper left corner, and of its lower right one."""
Clock = Literal["rtcp", "arrival", "file"]
"""How it is known when a picture was taken: `rtcp`: the camera says so; `arrival`: its packet came then; `file`: it was
read from a file then."""


class Fit(NamedTuple):
    """The size that a model takes. A much larger picture is converted straight to it."""

    width: int
    height: int
    keeps_aspect: bool
    """Whether the model is given the whole picture with its aspect ratio, and something around it."""

    def size(self, width: int, height: int) -> tuple[int, int] | None:
        """Return the width and height to convert a picture to; None: its own.

        They are the ones to which PySDK would make the picture smaller, so that it has nothing left to do.
        """
        across, down = self.width / width, self.height / height
        if not self.keeps_aspect:
            return (self.width, self.height) if max(across, down) <= _MAX_SCALE else None
        scale = min(across, down)
        if scale > _MAX_SCALE:
            return None
        return max(1, min(round(width * scale), self.width)), max(1, min(round(height * scale), self.height))


class Picture(NamedTuple):
    """The pixels of a frame, for the model; and at full size, if that is another one."""

    image: NDArray[Any]
    """Pixels, shape (height, width, 3), unsigned bytes in the order blue, green, red."""
    full: "FullPicture | None" = None
    """The picture as the camera gave it; None: it is `image`."""


class FullPicture(Protocol):
    """A picture that is converted only when somebody looks at it; for any thread."""

    width: int
    height: int

    def image(self) -> NDArray[Any]:
        """Return its pixels, like those of a `Frame`."""


class Frame(NamedTuple):
    """One image and its place in its source."""

    image: NDArray[Any]
    """Pixels for the model, shape (height, width, 3), unsigned bytes in the order blue, green, red."""
    number: int
    """The frame's number in its source, from 1."""
    timestamp: float
    """When it was captured, in Unix seconds."""
    captured_s: float
    """The same moment on the monotonic clock, for ages that stay right when the clock is set."""
    source_s: float
    """The same moment on the source's own clock, for the time between two frames. For a file these are its own
    timestamps, whatever the speed it is read at; otherwise the monotonic clock. It never goes back while the source is
    open."""
    clock: Clock = "arrival"
    """How `timestamp` and `captured_s` are known."""
    full: FullPicture | None = None
    """The picture at its full size; None: it is `image`."""

    @property
    def size(self) -> tuple[int, int]:
        """The picture's full width and height, in which results are given."""
        if self.full is not None:
            return self.full.width, self.full.height
        height, width = self.image.shape[:2]
        return width, height

    @property
    def full_image(self) -> NDArray[Any]:
        """The picture's pixels at its full size."""
        return self.image if self.full is None else self.full.image()


class Shot(NamedTuple):
    """A frame whose pixels are not converted yet, which may turn out not to be worth it."""

    convert: "Callable[[Fit | None], Picture | None]"
    """Returns the pixels; None if they cannot be converted."""
    frame: Frame
    """The frame, without its pixels."""

    def to_frame(self, fit: Fit | None) -> Frame | None:
        """Convert the pixels and return the frame; None if they cannot be converted.

        Args:
            fit: the size that the model takes; None: full size.

        Raises:
            SourceError: no frame of this source can be converted.

        """
        picture = self.convert(fit)
        return None if picture is None else self.frame._replace(image=picture.image, full=picture.full)


NO_PIXELS: NDArray[Any] = np.empty((0, 0, 3), np.uint8)
"""The pixels of a frame that is not converted yet."""

Shots = Generator[Shot | None, None, None]
"""What an open source gives, as it comes; None for a frame that is not used. Closing it closes the source."""

Frames = Generator[Frame | None, float | None, None]
"""Frames from an open source; closing the generator closes the source. `next` waits for a frame without a limit;
`send(seconds)` waits up to that long, and returns None if no frame came. Files not in real time never give None."""


class FrameSource(Protocol):
    """Where frames come from: a file, a URL or a webcam."""

    @property
    def live(self) -> bool:
        """Whether a frame that is not taken immediately gets old: true for a camera, false for a file."""

    def frames(self, stopping: threading.Event, fit: Fit | None = None) -> Frames:
        """Open the source and yield its frames, until it ends or `stopping` is set.

        Args:
            stopping: ends it.
            fit: the size that the model takes; None: full size.

        Raises:
            SourceError: the source cannot be opened, or was lost.

        """


class ShotSource(Protocol):
    """Where frames come from that are read in a thread of their own: a camera, or a file in real time."""

    def shots(self, stopping: threading.Event) -> Shots:
        """Open the source and yield what it gives, until it ends or `stopping` is set.

        Raises:
            SourceError: the source cannot be opened, or was lost.

        """


class PixelMap(NamedTuple):
    """Converts a point from the pixels of one picture to those of another."""

    scale_x: float
    """Pixels of the other picture for each pixel, across."""
    scale_y: float
    """The same, down."""
    left: float
    """Where x = 0 is in the other picture."""
    top: float
    """Where y = 0 is in the other picture."""

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Convert a point."""
        return self.left + self.scale_x * x, self.top + self.scale_y * y

    def then(self, other: "PixelMap | None") -> "PixelMap":
        """Return the conversion by this one and then by the other; None leaves points as they are."""
        if other is None:
            return self
        left, top = other.point(self.left, self.top)
        return PixelMap(self.scale_x * other.scale_x, self.scale_y * other.scale_y, left, top)


class Result(NamedTuple):
    """A model's result for one frame."""

    frame: Frame
    objects: Any
    """What the model returned, unchanged: a list of dictionaries for a detection model. Anything is possible, also a
    number or the exception that reading it raised."""
    timing_ms: dict[str, float]
    """`preprocess`, `inference` and `postprocess` in milliseconds, as far as the runtime reports them."""
    began_s: float
    """When the model was given the frame, on the monotonic clock."""
    ended_s: float
    """When it gave its result, on the monotonic clock."""
    to_frame: PixelMap | None = None
    """Converts points of `objects`, pixels of the model's input, to pixels of the frame; None: they are pixels of the
    frame."""
    input_size: tuple[int, int] | None = None
    """Width and height of the model's input; None: it is no picture."""
    visible: Box | None = None
    """The part of the frame that the model was given, in pixels; None: all of it."""
    stages_ms: Mapping[str, float] = MappingProxyType({})
    """What each model of a pipeline took for this frame, in milliseconds."""
    labels: Mapping[int, str] = MappingProxyType({})
    """The names of the model's categories, as far as it has them."""
