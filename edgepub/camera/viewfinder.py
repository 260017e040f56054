"""What one camera sees right now, for whoever looks; nothing of it is kept while nobody does."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from edgepub.camera.frames import Frame

_EVENTS = 50


class Seen(NamedTuple):
    """A frame that the model has looked at."""

    frame: Frame
    objects: Sequence[Mapping[str, Any]]
    """Its detections, in the form of their payload."""


class Viewfinder:
    """Keeps the newest frame while it is watched, and the last events in any case. For any thread."""

    def __init__(self) -> None:
        self.newest: Seen | None = None
        """The newest frame since somebody began to watch; None while nobody does, or the camera gives none."""
        self._lock = threading.Lock()
        self._watchers = 0
        self._events: deque[Mapping[str, Any]] = deque(maxlen=_EVENTS)
        self._happened = 0

    def show(self, frame: Frame, objects: Sequence[Mapping[str, Any]]) -> None:
        """Take a frame and its detections."""
        if self._watchers:
            with self._lock:
                if self._watchers:  # else it would be kept for nobody
                    self.newest = Seen(frame, objects)

    def reset(self) -> None:
        """Show nothing any more, until there is a new frame."""
        with self._lock:
            self.newest = None

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Take the payload of an event, which has no number yet."""
        with self._lock:
            self._events.append(event)
            self._happened += 1

    def events(self, after: int) -> tuple[list[Mapping[str, Any]], int]:
        """Return the events that happened after so many, of the last 50, oldest first; and how many there were."""
        with self._lock:
            new = self._happened - after
            return (list(self._events)[-new:] if new > 0 else []), self._happened

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Have frames kept for as long as the context lasts."""
        with self._lock:
            self._watchers += 1
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1
                if not self._watchers:
                    self.newest = None
