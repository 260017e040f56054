"""The wiring of the cameras: builds each camera's supervisor and its parts from the settings."""

import functools
import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from edgepub.camera.analysis.analysis import Analysis
from edgepub.camera.analysis.following import make_tracker
from edgepub.camera.analysis.saved_visits import SavedVisit, end_visits
from edgepub.camera.attention import Attention
from edgepub.camera.attribute_topics import AttributeTopics
from edgepub.camera.controls import Controls, read_setting
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.event_publisher import EventPublisher
from edgepub.camera.failover import Failover
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.reporter import Reporter
from edgepub.camera.results.conversion import PUBLISHED
from edgepub.camera.results.filters import Filters
from edgepub.camera.results.objects import TextLabels, Wanted
from edgepub.camera.sampler import Sampler
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.camera.supervisor import CameraSupervisor
from edgepub.camera.validity import Validity
from edgepub.camera.viewfinder import Viewfinder
from edgepub.camera.visit_store import saved_cameras, saved_visits, value_name
from edgepub.config.camera import CameraSettings
from edgepub.config.effective import InForce
from edgepub.core.fair_lock import FairLock
from edgepub.daemon.model_loader import detector_hosts, model_loader
from edgepub.daemon.picture_wiring import PictureWiring
from edgepub.http.context import CameraView
from edgepub.mqtt.messages import state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.retained import find_attributes, find_places
from edgepub.mqtt.store import Store
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import MetricsByCamera
from edgepub.telemetry.status import CameraState, Status

_log = logging.getLogger(__name__)


class _Carryover(NamedTuple):
    """What a camera keeps when it restarts: to subscribers it is the same camera."""

    track_ids: Iterator[int]
    viewfinder: Viewfinder


class CameraWiring:
    """Builds cameras from the settings in force. Other parts look up metrics, controls and views here, by name.

    Args:
        in_force: the settings in force.
        boot_id: identifies this run of the daemon.
        topics: the node's topics.
        outbox: takes the messages.
        store: keeps the settings that were set by command.
        status: the node's status; each camera has its state there.
        metrics: the metrics of all cameras.
        retained_topics: returns the topics where a state is retained, the longest unchanged first.
        on_new_state: called, from any thread, when there are other counts or attributes than before.
        on_new_server: called, from any thread, when a camera uses another AI server than before.

    """

    def __init__(
        self,
        in_force: InForce,
        boot_id: str,
        topics: Topics,
        outbox: Outbox,
        store: Store,
        status: Status,
        metrics: MetricsByCamera,
        retained_topics: Callable[[], Sequence[str]],
        on_new_state: Callable[[], None],
        on_new_server: Callable[[], None],
    ) -> None:
        self.snapshot_thread = SnapshotThread()
        self.turns = FairLock()
        self.metrics = metrics
        self.controls: dict[str, Controls] = {}
        self.views: dict[str, CameraView] = {}
        self._in_force = in_force
        self._boot_id = boot_id
        self._topics = topics
        self._outbox = outbox
        self._store = store
        self._status = status
        self._retained_topics = retained_topics
        self._on_new_state = on_new_state
        self._on_new_server = on_new_server
        self._supervisors: dict[str, CameraSupervisor] = {}
        self._builders: dict[str, DetectionsBuilder] = {}
        self._pictures: dict[str, PictureWiring] = {}
        self._carryovers: dict[str, _Carryover] = {}

    def add(self, name: str) -> CameraSupervisor:
        """Build a camera and put its first states into the outbox; return its supervisor, not yet running."""
        settings, carryover = self._settings(name), self._carryovers.get(name)
        if carryover is None:
            carryover = self._carryovers[name] = _Carryover(itertools.count(1), Viewfinder())
        metrics = self.metrics.of(name)
        state = self._status.cameras[name] = CameraState()
        current = functools.partial(read_setting, camera=name, settings=settings, store=self._store)
        enabled = current("enabled")
        pictures = self._pictures[name] = PictureWiring(
            self._identity(name),
            settings,
            self._topics,
            self._outbox,
            self._retained_topics,
            self._on_new_state,
            is_on=current("snapshot_enabled"),
        )
        if self._note_blur(name, settings.snapshot.blur or ()):
            pictures.switch.clear_all()  # there was less to blur when they were made
        object_counts = self._publish_first_states(name, settings, state.notes, pictures, enabled=enabled)
        gate, attention = Gate(current("max_fps"), metrics), Attention()
        carryover.viewfinder.reset()  # other settings may want more to be blurred
        carryover.viewfinder.shows_pixels = pictures.switch.is_on
        wanted = _wanted_objects(settings, current("min_score"))
        builder = DetectionsBuilder(self._identity(name), wanted, settings.publish.fields)
        source = make_source(
            name,
            settings.resolved_source,
            gate,
            loop=settings.loop,
            realtime=settings.realtime,
            attention=attention,
            stall_timeout_s=settings.stall_timeout_s,
            capture=settings.capture,
            metrics=metrics,
            notes=state.notes,
        )
        reporter = self._build_reporter(
            name, settings, state, carryover, builder, object_counts, pictures, attention, lambda: source.live
        )
        reporter.restore(saved_visits(self._outbox, name))
        self._builders[name] = builder
        supervisor = self._supervisors[name] = CameraSupervisor(
            name,
            source,
            model_loader(
                name,
                self._in_force,
                lambda: builder.wanted,
                functools.partial(make_tracker, settings, carryover.track_ids),
                self.turns,
                state,
                self._on_new_server,
            ),
            Failover(detector_hosts(self._in_force.settings, settings)),
            reporter,
            self.turns,
            metrics,
            state,
            settings.stall_timeout_s,
            enabled=enabled,
        )

        def set_snapshot_enabled(is_on: bool) -> None:
            carryover.viewfinder.shows_pixels = is_on
            pictures.switch.set(is_on)
            self._on_new_state()

        setters = {
            "enabled": supervisor.set_enabled,
            "snapshot_enabled": set_snapshot_enabled,
            "min_score": builder.set_min_score,
            "max_fps": gate.set_max_fps,
        }
        controls = Controls(name, settings, self._topics, self._outbox, self._store, setters)
        self.controls[name] = controls
        self.views[name] = CameraView(carryover.viewfinder, controls)
        return supervisor

    def remove(self, name: str) -> None:
        """Forget a camera that has been stopped, except for what it keeps if it comes back."""
        self.metrics.unlist(name)
        self._pictures.pop(name).switch.close()  # before what is obsolete is cleared
        for by_name in (self.controls, self.views, self._supervisors, self._builders, self._status.cameras):
            by_name.pop(name, None)

    def end_visits_of_removed(self) -> None:
        """End the visits in front of cameras that are not configured any more."""
        for name in saved_cameras(self._outbox) - self._in_force.settings.cameras.keys():
            self._end_visits(name, saved_visits(self._outbox, name))

    def end_lost_visits(self, names: Collection[str]) -> None:
        """End the visits that have these names in the file of events, which could not be read at the start."""
        for camera in saved_cameras(self._outbox):
            lost = [visit for visit in saved_visits(self._outbox, camera) if value_name(camera, visit) in names]
            self._end_visits(camera, lost)

    def set_areas(self, name: str, on_done: Callable[[], None]) -> None:
        """Apply a camera's areas in force, from its next result on; see `CameraSupervisor.set_areas`."""
        settings = self._settings(name)
        self._builders[name].set_filters(_filters(settings))
        self._supervisors[name].set_areas(settings, on_done)

    def _note_blur(self, camera: str, labels: Collection[str]) -> bool:
        """Save what is blurred in pictures of a camera; return whether it is more than before, or may be."""
        name, content = f"blur/{camera}", "\n".join(sorted(labels)).encode() or None
        before = self._outbox.saved(name).get(name)
        if before == content:
            return False
        self._outbox.put_numbered([], {name: content})
        return before is None or not {label.encode() for label in labels} <= set(before.split(b"\n"))

    def _end_visits(self, camera: str, visits: Sequence[SavedVisit]) -> None:
        track_ids, viewfinder = self._carryovers.get(camera) or _Carryover(itertools.count(1), Viewfinder())
        metrics, no_topics = self.metrics.of(camera), AttributeTopics((), (), camera_logger(_log, camera))
        publisher = EventPublisher(self._identity(camera), self._topics, self._outbox, metrics, viewfinder, no_topics)
        over = {visit["visit_id"]: None for visit in visits}
        publisher.publish(*end_visits(visits, track_ids), saved=over)

    def _settings(self, name: str) -> CameraSettings:
        return self._in_force.settings.cameras[name]

    def _identity(self, name: str) -> dict[str, str]:
        return {"node": self._topics.node, "camera": name, "boot_id": self._boot_id}

    def _publish_first_states(
        self, name: str, settings: CameraSettings, notes: dict[str, str], pictures: PictureWiring, *, enabled: bool
    ) -> ObjectCounts:
        topics, outbox = self._topics, self._outbox
        outbox.put(state_message(topics.camera_status(name), "offline" if enabled else "disabled"))
        places = find_places(self._retained_topics(), name, settings, topics)
        return ObjectCounts(name, settings, topics, outbox, places, notes, self._on_new_state, pictures.clear_cutout)

    def _build_reporter(
        self,
        name: str,
        settings: CameraSettings,
        state: CameraState,
        carryover: _Carryover,
        builder: DetectionsBuilder,
        object_counts: ObjectCounts,
        pictures: PictureWiring,
        attention: Attention,
        keeps_visits: Callable[[], bool],
    ) -> Reporter:
        identity, metrics = self._identity(name), self.metrics.of(name)
        return Reporter(
            name,
            self._topics,
            builder,
            Analysis(settings, carryover.track_ids, keeps_visits=keeps_visits),
            EventPublisher(
                identity,
                self._topics,
                self._outbox,
                metrics,
                carryover.viewfinder,
                self._attribute_topics(name, settings),
            ),
            object_counts,
            pictures.make_pictures(
                self.snapshot_thread, metrics, object_counts.has_topics, carryover.viewfinder, state
            ),
            Sampler(settings.publish),
            self._outbox,
            metrics,
            Validity(settings.stall_timeout_s),
            attention,
        )

    def _attribute_topics(self, name: str, settings: CameraSettings) -> AttributeTopics:
        named = self._in_force.settings.attributes_of(settings)
        retained = find_attributes(self._retained_topics(), name, named, (), self._topics)
        return AttributeTopics(named, retained, camera_logger(_log, name), self._on_new_state)


def _wanted_objects(settings: CameraSettings, min_score: float) -> Wanted:
    labels, texts = settings.kept_labels, settings.text_labels
    return Wanted(
        None if labels is None else frozenset(labels),
        min_score,
        tuple(dict.fromkeys(key for key in settings.include if key not in PUBLISHED)),
        TextLabels(texts.name, texts.label) if texts else None,
        settings.min_scores or None,
        _filters(settings),
        frozenset(settings.snapshot.blur or ()),
    )


def _filters(settings: CameraSettings) -> Filters | None:
    return Filters(settings.labels or {}, list(settings.ignore.values())) or None
