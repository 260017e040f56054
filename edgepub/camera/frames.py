"""Frames, where they come from, and the results of the model."""

import threading
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray


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
