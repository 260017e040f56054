"""One camera's results and its status become messages."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from edgepub.camera.analysis.analysis import Analysis, Findings
from edgepub.camera.analysis.rules import Occurrence
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.frames import Result
from edgepub.camera.payloads import DetectionsBuilder, build_event
from edgepub.camera.sampler import Sampler
from edgepub.camera.snapshots import Snapshots
from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.camera import CameraSettings
from edgepub.core.errors import InvalidResultError
from edgepub.mqtt.messages import DetectionsReceipt, event_message, json_format, state_message, stream_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.payloads import event
from edgepub.mqtt.payloads.detections import SCHEMA, Detections, encode
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraStatus

_log = logging.getLogger(__name__)
_DETECTIONS, _EVENT = json_format(SCHEMA), json_format(event.SCHEMA)
_Seen = tuple[Result, list[dict[str, Any]]]


class Reporter:
    """Puts into the outbox what is to be said of each result, and each new status.

    That is how many objects there are if it has changed, what happened, perhaps a picture, and, if the sampler admits
    it, the detections.

    Args:
        whose: the `node`, the `camera` and the `boot_id`.
        topics: where it all goes.
        builder: makes the detections' payloads.
        analysis: finds out what happens.
        numbers: publishes how many there are.
        snapshots: has pictures made.
        viewfinder: shows what is seen to whoever watches.
        sampler: decides which results are published.
        outbox: takes the messages.
        counts: the camera's counts.

    """

    def __init__(
        self,
        whose: Mapping[str, str],
        topics: Topics,
        builder: DetectionsBuilder,
        analysis: Analysis,
        numbers: ObjectCounts,
        snapshots: Snapshots,
        viewfinder: Viewfinder,
        sampler: Sampler[_Seen],
        outbox: Outbox,
        counts: CameraMetrics,
    ) -> None:
        camera = whose["camera"]
        self._whose = whose
        self._log = camera_logger(_log, camera)
        self._detections_topic = topics.detections(camera)
        self._events_topic = topics.events(camera)
        self._status_topic = topics.camera_status(camera)
        self._builder = builder
        self._analysis = analysis
        self._numbers = numbers
        self._snapshots = snapshots
        self._viewfinder = viewfinder
        self._sampler = sampler
        self._outbox = outbox
        self._counts = counts

    def report(self, result: Result) -> None:
        """Hand over what is to be said of a result; never waits, and never raises for what is in the result."""
        self._counts.count_inferred(result.frame.captured_s, result.began_s, result.ended_s, result.timing_ms)
        try:
            objects = self._builder.objects(result)
        except InvalidResultError as error:
            self._counts.next_seq()
            self._drop(result.frame.number, error)
            return
        findings = self._analysis.update(objects, result.frame)
        self._snapshots.update(result.frame, objects, findings.here)
        self._viewfinder.show(result.frame, objects)
        self._tell_of(findings)
        age_s = self._outbox.age_s(self._detections_topic) if self._sampler.adapts else 0.0
        publish, left_out = self._sampler.offer((result, objects), objects, result.ended_s, age_s)
        for reason in left_out:
            self._counts.count_sampled(reason)
        if publish:
            self._publish(*publish)

    def set_areas(self, settings: CameraSettings) -> None:
        """Let other zones and lines be in force from the next result on, and hand over what that changes at once.

        A result that is held back is published as it was: with the zones of its own moment.

        Args:
            settings: the camera's, in which only `zones` and `lines` are others.

        """
        self._numbers.set_areas(settings)
        self._tell_of(self._analysis.set_areas(settings))

    def set_status(self, status: CameraStatus) -> None:
        """Hand over the camera's status, and what is still to be said of results before it."""
        if status != "online":
            for held in self._sampler.flush():
                self._publish(*held)
            self._tell_of(self._analysis.reset())
            self._snapshots.reset()
            self._viewfinder.reset()
        self._outbox.put(state_message(self._status_topic, status))

    def _tell_of(self, findings: Findings) -> None:
        for each in findings.occurrences:
            self._put_event(each)
        if findings.counts is not None:
            self._numbers.show(findings.counts)
        if findings.gone:
            self._snapshots.forget(findings.gone)

    def _put_event(self, occurrence: Occurrence) -> None:
        try:
            its = build_event(occurrence, self._snapshots.frame_of(occurrence.key), self._whose)
        except InvalidResultError as error:
            self._drop(occurrence.sighting.moment.frame, error, "event_invalid")
            return
        topic = self._events_topic
        self._outbox.put_numbered(topic, lambda seq: event_message(topic, event.encode(its, seq), _EVENT))
        self._viewfinder.add_event({name: value for name, value in its.items() if name != "seq"})

    def _publish(self, result: Result, objects: list[dict[str, Any]]) -> None:
        seq = self._counts.next_seq()
        try:
            payload = self._builder.build(result, objects, seq)
        except InvalidResultError as error:
            self._drop(result.frame.number, error)
            return
        captured_s = result.frame.captured_s
        receipt = DetectionsReceipt(self._counts, captured_s, time.monotonic())
        self._outbox.put(
            stream_message(self._detections_topic, self._encoding(payload, captured_s), _DETECTIONS, receipt)
        )

    def _drop(self, frame: int, error: InvalidResultError, reason: str = "invalid") -> None:
        self._counts.count_dropped(reason)
        self._log.warning("frame %d is dropped: %s", frame, error)

    def _encoding(self, payload: Detections, captured_s: float) -> Callable[[], bytes]:
        return lambda: encode(payload, 1000 * (time.monotonic() - captured_s), self._counts.dropped_total)
