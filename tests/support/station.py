"""One camera's reporter without threads: results go in, messages come out; it can stop, restart and be killed."""

import itertools
import logging

from edgepub.camera.analysis.analysis import Analysis
from edgepub.camera.attention import Attention
from edgepub.camera.attribute_topics import AttributeTopics
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.event_publisher import EventPublisher
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.reporter import Reporter
from edgepub.camera.results.filters import Filters
from edgepub.camera.results.objects import TextLabels, Wanted
from edgepub.camera.sampler import Sampler
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.validity import Validity
from edgepub.camera.viewfinder import Viewfinder
from edgepub.camera.visit_store import saved_visits
from edgepub.config.camera import CameraSettings
from edgepub.daemon.picture_wiring import PictureWiring
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.retained import find_places
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState
from tests.support.recorder import Recording, Tape

_TOPICS = Topics("edgepub", "test")


class Station:
    """A camera that has been built as the daemon builds it.

    Args:
        camera: the camera's settings.

    """

    def __init__(self, camera):
        quiet = {"snapshot": {"enabled": False}}
        self._camera = {"source": "rtsp://cam", "model": "m", **quiet, **camera}
        self._settings = CameraSettings.model_validate(self._camera)
        self._tape = Tape()  # continues over restarts, as the file of events does
        self._boots = itertools.count(1)
        self._start()

    def report(self, result):
        """Report a result."""
        assert self._reporter.report(result) is None
        self._reporter.set_status("online")  # as the supervisor does

    def stop(self, how):
        """Stop it, as `how` says: `offline`, `disabled`, `restart` of edgepub, or `kill`; it can go on then."""
        if how != "kill":
            self._reporter.set_status("disabled" if how == "disabled" else "offline")
        if how in {"kill", "restart"}:
            self._start()

    def restart(self, **camera):
        """Restart it with these settings besides those that it has."""
        self._reporter.set_status("offline")
        self._camera = self._camera | camera
        self._settings = CameraSettings.model_validate(self._camera)
        self._start()

    def redraw(self, zones):
        """Use these zones from now on."""
        self._settings = CameraSettings.model_validate(self._camera | {"zones": zones})
        self._reporter.set_areas(self._settings)

    @property
    def recording(self):
        """All messages so far."""
        return Recording(self._tape.messages)

    def _retained(self):
        """Return what was counted before."""
        topics = [f"edgepub/test/cam/{topic}" for topic, _ in self.recording.states()]
        return find_places(list(dict.fromkeys(topics)), "cam", self._settings, _TOPICS)

    def _start(self):
        identity = {"node": "test", "camera": "cam", "boot_id": f"boot-{next(self._boots)}"}
        metrics, settings = CameraMetrics(), self._settings
        viewfinder = Viewfinder()
        counts = ObjectCounts("cam", settings, _TOPICS, self._tape, self._retained())
        pictures = PictureWiring(identity, settings, _TOPICS, Outbox(1), list, lambda: None, is_on=False)
        attributes = AttributeTopics([], [], camera_logger(logging.getLogger("test"), "cam"))
        self._reporter = Reporter(
            "cam",
            _TOPICS,
            DetectionsBuilder(identity, _wanted(settings)),
            Analysis(settings, keeps_visits=lambda: True),
            EventPublisher(identity, _TOPICS, self._tape, metrics, viewfinder, attributes),
            counts,
            pictures.make_pictures(SnapshotThread(), metrics, counts.has_topics, viewfinder, CameraState()),
            Sampler(settings.publish),
            self._tape,
            metrics,
            Validity(settings.stall_timeout_s),
            Attention(),
        )
        self._reporter.restore(saved_visits(self._tape, "cam"))


def _wanted(settings):
    texts = settings.text_labels
    return Wanted(
        text_labels=TextLabels(texts.name, texts.label) if texts else None,
        filters=Filters({}, list(settings.ignore.values())) or None,
    )
