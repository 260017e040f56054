"""The newest frame of one camera, for the pages that watch it; nothing is kept while no page watches."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from edgepub.camera.frames import Frame

_MAX_EVENTS = 50


class Seen(NamedTuple):
    """A frame with its detections."""

    frame: Frame
    objects: Sequence[Mapping[str, Any]]
    """The detections, in the payload's form."""
    blurred: Sequence[Mapping[str, Any]] = ()
    """What must be blurred in a picture, with `bbox_norm`; more than detections."""


class Viewfinder:
    """Keeps the newest frame while it is watched, and always the last events. For any thread."""

    def __init__(self) -> None:
        self.newest: Seen | None = None
        """The newest frame since the first watcher came; None without a watcher or without a frame."""
        self.shows_pixels = True
        """Whether pictures may leave the node; without them, pages get the detections alone."""
        self._lock = threading.Lock()
        self._watchers = 0
        self._events: deque[Mapping[str, Any]] = deque(maxlen=_MAX_EVENTS)
        self._event_count = 0

    def show(self, seen: Seen) -> None:
        """Take a frame and its detections."""
        if self._watchers:
            with self._lock:
                if self._watchers:  # checked again, so that no frame is kept without a watcher
                    self.newest = seen

    def reset(self) -> None:
        """Show nothing until there is a new frame."""
        with self._lock:
            self.newest = None

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Take the payload of an event, still without its `seq`."""
        with self._lock:
            self._events.append(event)
            self._event_count += 1

    def events(self, after: int) -> tuple[list[Mapping[str, Any]], int]:
        """Return the events after the first `after` ones, at most the last 50, oldest first; and the total number."""
        with self._lock:
            new = self._event_count - after
            return (list(self._events)[-new:] if new > 0 else []), self._event_count

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Keep the newest frame for the lifetime of the context."""
        with self._lock:
            self._watchers += 1
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1
                if not self._watchers:
                    self.newest = None
