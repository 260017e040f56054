"""Gives detectors the parts of frames."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from edgepub.camera.frames import Frame, Frames, Result
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.crops import Part


class Given(NamedTuple):
    """A frame whose results have not all come."""

    frame: Frame
    parts: list[Part] | None
    """What the detectors were given; None: the frame itself."""

    @property
    def picture_count(self) -> int:
        """How many pictures each detector was given."""
        return len(self.parts) if self.parts else 1

    def place(self, result: Result, number: int) -> Result:
        """Return a detector's result of this number as one of the frame."""
        return self.parts[number].place(result, self.frame) if self.parts else result


class PartFeed:
    """Gives detectors the parts of frames, and remembers the frames until their results have come.

    Args:
        frames: the frames.
        find_parts: returns the parts of a frame; None: the frame itself.
        others: the models of all detectors but the first.

    """

    def __init__(
        self, frames: Frames, find_parts: Callable[[Frame], list[Part] | None], others: Sequence[Model]
    ) -> None:
        self._frames = frames
        self._find_parts = find_parts
        self._others = others
        self._given: deque[Given] = deque()

    @property
    def oldest(self) -> Given:
        """The oldest frame whose results have not all come."""
        return self._given[0]

    def drop_oldest(self) -> None:
        """Forget the oldest frame: all results of the first detector have come."""
        self._given.popleft()

    def frames(self) -> Frames:
        """Yield the parts as frames."""
        timeout_s: float | None = None
        while True:
            try:
                frame = next(self._frames) if timeout_s is None else self._frames.send(timeout_s)
            except StopIteration:
                return
            if frame is None:
                timeout_s = yield None
                continue
            parts = self._find_parts(frame)
            image = frame.full_image if parts else None
            pictures = [frame] if parts is None or image is None else [part.cut(frame, image) for part in parts]
            self._given.append(Given(frame, parts))
            for picture in pictures:
                for model in self._others:
                    model.give(picture)
                timeout_s = yield picture
