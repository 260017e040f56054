"""Frames, where they come from, and the results of the model."""

import threading
from collections.abc import Callable, Generator
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Clock = Literal["rtcp", "arrival", "file"]
"""How it is known when a picture was taken: `rtcp`: the camera says so; `arrival`: its packet came then; `file`: it was
read from a file then."""


class Frame(NamedTuple):
    """One image and its place in its source."""

    image: NDArray[Any]
    """Pixels, shape (height, width, 3), unsigned bytes in the order blue, green, red."""
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


class Shot(NamedTuple):
    """A frame whose pixels are not converted yet, which may turn out not to be worth it."""

    convert: Callable[[], NDArray[Any] | None]
    """Returns the pixels; None if they cannot be converted."""
    frame: Frame
    """The frame, without its pixels."""

    def to_frame(self) -> Frame | None:
        """Convert the pixels and return the frame; None if they cannot be converted.

        Raises:
            SourceError: no frame of this source can be converted.

        """
        image = self.convert()
        return None if image is None else self.frame._replace(image=image)


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

    def frames(self, stopping: threading.Event) -> Frames:
        """Open the source and yield its frames, until it ends or `stopping` is set.

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
    to_frame: Callable[[float, float], tuple[float, float]] | None = None
    """Converts a point of `objects` to pixels of the frame; None: the points are pixels of the frame."""
