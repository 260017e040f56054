"""Publishes the events and visits of one camera: numbered, and written to disk first."""

import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from edgepub.camera.analysis.rules import Key, Occurrence
from edgepub.camera.analysis.saved_visits import SavedVisit
from edgepub.camera.analysis.visits import EndedVisit
from edgepub.camera.attribute_topics import AttributeTopics
from edgepub.camera.payloads import build_event, build_visit
from edgepub.camera.viewfinder import Viewfinder
from edgepub.camera.visit_store import encode_visits
from edgepub.core.errors import InvalidResultError
from edgepub.mqtt.label_levels import topic_level
from edgepub.mqtt.messages import Message, event_message, json_format, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.payloads import event, visit
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics

_log = logging.getLogger(__name__)
_EVENT, _VISIT = json_format(event.SCHEMA), json_format(visit.SCHEMA)
_Numbered = tuple[str, Callable[[int], Message]]


class EventPublisher:
    """Puts events and visits into the outbox.

    Args:
        identity: the `node`, the `camera` and the `boot_id`.
        topics: the node's topics.
        outbox: takes the messages.
        metrics: the camera's metrics.
        viewfinder: shows events on the pages.
        attribute_topics: decides which attributes have topics.

    """

    def __init__(
        self,
        identity: Mapping[str, str],
        topics: Topics,
        outbox: Outbox,
        metrics: CameraMetrics,
        viewfinder: Viewfinder,
        attribute_topics: AttributeTopics,
    ) -> None:
        camera = self._camera = identity["camera"]
        self._identity = identity
        self._topics = topics
        self._events_topic, self._visits_topic = topics.events(camera), topics.visits(camera)
        self._outbox = outbox
        self._metrics = metrics
        self._viewfinder = viewfinder
        self._attribute_topics = attribute_topics
        self._log = camera_logger(_log, camera)

    def publish(
        self,
        occurrences: Iterable[Occurrence],
        visits: Iterable[EndedVisit],
        frame_of: Callable[[Key], int | None] = lambda _key: None,
        cutout_s: Callable[[str, str | None], float | None] = lambda _label, _visit_id: None,
        saved: Mapping[str, SavedVisit | None] = MappingProxyType({}),
    ) -> None:
        """Publish events and visits, and save the visits that are not over: all of it is on the disk, or none.

        Args:
            occurrences: the events, in order.
            visits: the visits that are over.
            frame_of: returns the frame of the newest snapshot of an object.
            cutout_s: returns since when the cut-outs of a label show the object of a visit; None: they do not.
            saved: the visits to save, by `visit_id`; None: it is over.

        """
        messages: list[_Numbered] = []
        for occurrence in occurrences:
            label = occurrence.key[0]
            picture = None
            if (since_s := cutout_s(label, occurrence.visit_id)) is not None:
                picture = self._topics.cutout(self._camera, topic_level(label)), since_s
            try:
                payload = build_event(occurrence, frame_of(occurrence.key), self._identity, picture and picture[0])
                messages.append(self._event(payload, picture))
            except InvalidResultError as error:
                self._drop(occurrence.sighting.moment.frame, error)
        for ended in visits:
            try:
                messages.append(self._visit(build_visit(ended, self._identity)))
            except InvalidResultError as error:
                self._drop(ended.last.moment.frame, error)
        if messages or saved:
            self._outbox.put_numbered(messages, encode_visits(self._camera, saved))

    def _event(self, payload: event.Event, picture: tuple[str, float] | None) -> _Numbered:
        if payload["event_type"] == "recognized":
            message = state_message(self._topics.attribute(self._camera, payload["attribute"]), str(payload["value"]))
            self._attribute_topics.publish(payload["attribute"], lambda: self._outbox.put(message))
        self._viewfinder.add_event({name: value for name, value in payload.items() if name != "seq"})
        self._count(payload)
        topic = self._events_topic
        return topic, lambda seq: event_message(topic, event.encode(payload, seq), _EVENT, picture)

    def _visit(self, payload: visit.Visit) -> _Numbered:
        topic = self._visits_topic
        self._metrics.objects.count_visit(payload["label"])
        return topic, lambda seq: event_message(topic, visit.encode(payload, seq), _VISIT)

    def _count(self, payload: event.Event) -> None:
        """Count what an object did in a zone or at a line."""
        objects, label = self._metrics.objects, payload["label"]
        match payload["event_type"]:
            case "zone_entered":
                objects.count_entered(payload["zone"], label)
            case "zone_left":
                objects.count_left(payload["zone"], label, payload["dwell_s"])
            case "line_crossed":
                objects.count_crossed(payload["line"], payload["direction"], label)

    def _drop(self, frame: int, error: InvalidResultError) -> None:
        self._metrics.count_dropped("invalid")
        self._log.warning("frame %d is dropped: %s", frame, error)
