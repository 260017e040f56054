"""One camera's results become its messages."""

import logging
import time
from collections.abc import Callable

from edgepub.detections import Detections, DetectionsBuilder, encode
from edgepub.errors import InvalidResultError
from edgepub.frames import Result
from edgepub.logs import Complaints
from edgepub.messages import Message
from edgepub.metrics import CameraMetrics
from edgepub.outbox import Outbox

_log = logging.getLogger(__name__)


class Reporter:
    """Puts a detections message into the outbox for each result.

    Args:
        camera: the camera's name.
        topic: where its detections go.
        builder: makes the payloads.
        outbox: takes the messages.
        counts: the camera's counts.

    """

    def __init__(
        self, camera: str, topic: str, builder: DetectionsBuilder, outbox: Outbox, counts: CameraMetrics
    ) -> None:
        self._camera = camera
        self._topic = topic
        self._builder = builder
        self._outbox = outbox
        self._counts = counts
        self._complaints = Complaints(_log)
        self._seq = 0

    def report(self, result: Result) -> None:
        """Hand the result's message over; never waits, and never raises for what is in the result."""
        self._counts.count_inferred()
        self._seq += 1
        try:
            payload = self._builder.build(result, self._seq)
        except InvalidResultError as error:
            self._counts.count_dropped("invalid")
            self._complaints.warn("%s: frame %d is dropped: %s", self._camera, result.frame.number, error)
            return
        self._outbox.put(Message(self._topic, self._encoding(payload, result.frame.captured_s), counts=self._counts))

    def _encoding(self, payload: Detections, captured_s: float) -> Callable[[], bytes]:
        return lambda: encode(payload, 1000 * (time.monotonic() - captured_s), self._counts.dropped_total)
