"""Turns the results and the status of one camera into messages."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from edgepub.camera.analysis.analysis import Analysis, Findings
from edgepub.camera.analysis.saved_visits import SavedVisit
from edgepub.camera.attention import Attention
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.event_publisher import EventPublisher
from edgepub.camera.frames import Result
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.pictures import Pictures
from edgepub.camera.results.budget import MAX_BYTES, MAX_OBJECTS, MAX_PIXELS, MAX_POINTS
from edgepub.camera.results.objects import Objects
from edgepub.camera.sampler import Sampler
from edgepub.camera.validity import Validity
from edgepub.config.camera import CameraSettings
from edgepub.core.errors import InvalidResultError
from edgepub.mqtt.messages import DetectionsReceipt, state_message, stream_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.payloads.detections import encode
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraStatus

_log = logging.getLogger(__name__)
_MAX_NAMED_KEYS = 100
_Sample = tuple[Result, list[dict[str, Any]]]


class Reporter:
    """Puts the messages of each result and of each new status into the outbox.

    These are the counts that have changed, the events, a snapshot if one is due, and, if the sampler admits them, the
    detections.

    Args:
        camera: the camera's name.
        topics: the node's topics.
        builder: makes the detections' payloads.
        analysis: finds objects' events, visits and counts.
        events: publishes the events and visits.
        object_counts: publishes the counts.
        pictures: shows frames: in snapshots, in cut-outs and on the pages.
        sampler: decides which results are published.
        outbox: takes the messages.
        metrics: the camera's metrics.
        validity: decides when invalid results are the camera's problem.
        attention: is told when something was found.

    """

    def __init__(
        self,
        camera: str,
        topics: Topics,
        builder: DetectionsBuilder,
        analysis: Analysis,
        events: EventPublisher,
        object_counts: ObjectCounts,
        pictures: Pictures,
        sampler: Sampler[_Sample],
        outbox: Outbox,
        metrics: CameraMetrics,
        validity: Validity,
        attention: Attention,
    ) -> None:
        self._log = camera_logger(_log, camera)
        self._detections_topic = topics.detections(camera)
        self._status_topic = topics.camera_status(camera)
        self._builder = builder
        self._analysis = analysis
        self._events = events
        self._object_counts = object_counts
        self._pictures = pictures
        self._sampler = sampler
        self._outbox = outbox
        self._metrics = metrics
        self._validity = validity
        self._attention = attention
        self._named: set[str] = set()  # keys of results that are not published

    def report(self, result: Result) -> str | None:
        """Publish the messages of a result. Never waits. Whatever the result is, it costs its frame at most.

        Returns:
            Why the camera is of no use, if its results have been invalid for too long; else None.

        """
        steps = result.timing_ms
        if result.stages_ms:
            steps = steps | {f"stage/{name}": ms for name, ms in result.stages_ms.items()}
        self._metrics.count_inferred(result.frame.captured_s, result.began_s, result.ended_s, steps)
        try:
            fault = self._process(result)
        except Exception:  # noqa: BLE001  (whatever it is, the camera continues)
            self._log.exception("internal error, please report it")
            fault = "internal error, see the log"
            self._lose()
            self._publish_findings(self._analysis.reset())
        return self._validity.update(fault, result.ended_s)

    def restore(self, visits: Sequence[SavedVisit]) -> None:
        """Continue with the visits of an earlier run; publish that those of objects that may have moved are over."""
        if visits:
            findings = self._analysis.restore(visits)
            self._pictures.restore(self._analysis.visits)
            self._publish_findings(findings)

    def set_areas(self, settings: CameraSettings) -> None:
        """Use other zones and lines from the next result on, and publish now what that changes.

        A result that the sampler holds is published unchanged, with the zones of its own time.

        Args:
            settings: the camera's settings, of which only `zones` and `lines` have changed.

        """
        self._object_counts.set_areas(settings)
        self._publish_findings(self._analysis.set_areas(settings))

    def set_status(self, status: CameraStatus) -> None:
        """Publish the camera's status, after everything that is still due for the results before it."""
        if status != "online":
            for sample in self._sampler.flush():
                self._publish(*sample)
            self._publish_findings(self._analysis.reset())
            self._pictures.reset()
        self._validity.set_status(status)
        self._outbox.put(state_message(self._status_topic, status))

    def _process(self, result: Result) -> str | None:
        """Process a result; return why it is invalid, if it is. An invalid result is a frame without known objects."""
        try:
            found, fault = self._read(result), None
        except InvalidResultError as error:
            fault = str(error)
            found = Objects([], {}, 0, (), missing=f"the model's results cannot be read: {error}")
            self._lose()
            self._log.warning("frame %d is dropped: %s", result.frame.number, error)
        if found.objects:
            self._attention.extend(result.ended_s)
        findings = self._analysis.update(found.objects, result.frame, tracks=found.tracks)
        self._publish_findings(findings, result, found)
        if fault is None:
            self._sample(result, found.objects)
        return fault

    def _read(self, result: Result) -> Objects:
        found = self._builder.read(result)
        if found.not_included:
            self._name_keys(found.not_included)
        for what, number in found.invalid.items():
            self._metrics.count_objects_dropped("invalid", number)
            self._log.warning("frame %d: objects dropped: %d: %s", result.frame.number, number, what)
        if found.too_many:
            self._metrics.count_objects_dropped("too_many", found.too_many)
            self._log.warning(
                "frame %d: objects dropped: %d: a result has at most %d objects, %d points, %d pixels of masks "
                "and %d bytes of tensors and included values, the best are kept; "
                "set a higher min_score, or use a model with non-maximum suppression",
                result.frame.number,
                found.too_many,
                MAX_OBJECTS,
                MAX_POINTS,
                MAX_PIXELS,
                MAX_BYTES,
            )
        return found

    def _name_keys(self, not_included: Collection[str]) -> None:
        """Name the keys that are not published, each once; no more after many, as they may be random."""
        left = _MAX_NAMED_KEYS - len(self._named)
        if new := sorted(set(not_included) - self._named)[:left]:
            self._named.update(new)
            more = ", and more" if len(new) == left else ""
            keys = ", ".join(new) + more
            self._log.info("the model also gives %s; name what you want in the camera's `include`", keys)

    def _sample(self, result: Result, objects: list[dict[str, Any]]) -> None:
        age_s = self._outbox.age_s(self._detections_topic) if self._sampler.adapts else 0.0
        sample, left_out = self._sampler.offer((result, objects), objects, result.ended_s, age_s)
        for reason in left_out:
            self._metrics.count_sampled(reason)
        if sample:
            self._publish(*sample)

    def _publish_findings(self, findings: Findings, result: Result | None = None, found: Objects | None = None) -> None:
        if findings.counts is not None:  # before the pictures: a new label gets its topics
            self._object_counts.update(findings.counts)
        if result and found:  # before the events, which name their pictures
            self._pictures.show(result.frame, found, result.ended_s, findings.present, self._analysis.visits)
        saved = self._analysis.save() if findings.are_visits_new else {}
        frame_of, cutout_s = self._pictures.snapshot_of, self._pictures.cutout_s
        self._events.publish(findings.occurrences, findings.visits, frame_of, cutout_s, saved)
        if findings.gone:
            self._pictures.forget(findings.gone)

    def _publish(self, result: Result, objects: list[dict[str, Any]]) -> None:
        seq = self._metrics.next_seq()
        try:
            payload = self._builder.build(result, objects, seq)
        except InvalidResultError as error:
            self._drop(result.frame.number, error)
            return
        captured_s = result.frame.captured_s
        receipt = DetectionsReceipt(self._metrics, captured_s, time.monotonic())
        encoding, payload_format = self._encoding(payload, captured_s), self._builder.payload_format
        self._outbox.put(stream_message(self._detections_topic, encoding, payload_format, receipt))

    def _lose(self) -> None:
        """Count a detections message that there will not be; its number shows as a gap."""
        self._metrics.next_seq()
        self._metrics.count_dropped("invalid")

    def _drop(self, frame: int, error: InvalidResultError) -> None:
        self._metrics.count_dropped("invalid")
        self._log.warning("frame %d is dropped: %s", frame, error)

    def _encoding(self, payload: dict[str, Any], captured_s: float) -> Callable[[], bytes]:
        return lambda: encode(payload, 1000 * (time.monotonic() - captured_s), self._metrics.dropped_total)
