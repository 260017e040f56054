"""A frame: one image from a source."""

import threading
from collections.abc import Generator
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray


class Frame(NamedTuple):
    """One image and where it stands in its source."""

    image: NDArray[Any]
    """Pixels, shape (height, width, 3), unsigned bytes in the order blue, green, red."""
    number: int
    """The frame's number from its source, from 1."""
    timestamp: float
    """When it was captured, Unix seconds."""
    captured_s: float
    """The same moment on the monotonic clock, for ages that no clock change can bend."""
    source_s: float
    """The same moment on the source's own clock, for the time between two frames: of a file by its own stamps, however
    fast it is read; else the monotonic clock. It never goes back while the source is open."""


Frames = Generator[Frame | None, float | None, None]
"""Frames from an open source, which is closed with it. `next` waits for a frame as long as that takes; with
`send(seconds)` one waits at most so long, and gets None when none came. Files not in real time never give None."""


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
    """What a model says of one frame."""

    frame: Frame
    objects: Any
    """PySDK's `InferenceResults.results`, as it came: a list of dictionaries for a detection model."""
    timing_ms: dict[str, float]
    """`preprocess`, `inference` and `postprocess`, as far as the runtime reports them, in milliseconds."""
    began_s: float
    """When the model was given the frame, on the monotonic clock."""
    ended_s: float
    """When it gave its answer."""
