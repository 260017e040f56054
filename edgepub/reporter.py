"""One camera's results and its status become messages."""

import logging
import time
from collections.abc import Callable
from typing import Any

from edgepub.detections import Detections, DetectionsBuilder, encode
from edgepub.errors import InvalidResultError
from edgepub.frames import Result
from edgepub.logs import Complaints
from edgepub.messages import CameraStatus, Message, Receipt, state
from edgepub.metrics import CameraMetrics
from edgepub.outbox import Outbox
from edgepub.sampler import Sampler

_log = logging.getLogger(__name__)
_Seen = tuple[Result, list[dict[str, Any]]]


class Reporter:
    """Puts a detections message into the outbox for each result that the sampler admits, and each new status.

    Args:
        camera: the camera's name.
        detections_topic: where its detections go.
        status_topic: where its status goes.
        builder: makes the payloads.
        sampler: decides which results are published.
        outbox: takes the messages.
        counts: the camera's counts.

    """

    def __init__(
        self,
        camera: str,
        detections_topic: str,
        status_topic: str,
        builder: DetectionsBuilder,
        sampler: Sampler[_Seen],
        outbox: Outbox,
        counts: CameraMetrics,
    ) -> None:
        self._camera = camera
        self._detections_topic = detections_topic
        self._status_topic = status_topic
        self._builder = builder
        self._sampler = sampler
        self._outbox = outbox
        self._counts = counts
        self._complaints = Complaints(_log)
        self._seq = 0

    def report(self, result: Result) -> None:
        """Hand over what is to be said of a result; never waits, and never raises for what is in the result."""
        self._counts.count_inferred(result)
        try:
            objects = self._builder.objects(result)
        except InvalidResultError as error:
            self._seq += 1
            self._drop(result, error)
            return
        age_s = self._outbox.age_s(self._detections_topic) if self._sampler.adapts else 0.0
        publish, left_out = self._sampler.offer((result, objects), objects, result.ended_s, age_s)
        for reason in left_out:
            self._counts.count_sampled(reason)
        if publish:
            self._publish(*publish)

    def tell(self, status: CameraStatus) -> None:
        """Hand over the camera's status, and what is still to be said of results before it."""
        if status != "online":
            for held in self._sampler.end():
                self._publish(*held)
        self._outbox.put(state(self._status_topic, status))

    def _publish(self, result: Result, objects: list[dict[str, Any]]) -> None:
        self._seq += 1
        try:
            payload = self._builder.build(result, objects, self._seq)
        except InvalidResultError as error:
            self._drop(result, error)
            return
        captured_s = result.frame.captured_s
        receipt = Receipt(self._counts, captured_s, time.monotonic())
        self._outbox.put(Message(self._detections_topic, self._encoding(payload, captured_s), receipt=receipt))

    def _drop(self, result: Result, error: InvalidResultError) -> None:
        self._counts.count_dropped("invalid")
        self._complaints.warn("%s: frame %d is dropped: %s", self._camera, result.frame.number, error)

    def _encoding(self, payload: Detections, captured_s: float) -> Callable[[], bytes]:
        return lambda: encode(payload, 1000 * (time.monotonic() - captured_s), self._counts.dropped_total)
