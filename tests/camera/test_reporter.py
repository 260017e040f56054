"""Whatever a result is, it costs at most its frame: with the real analysis, counts, sampler and outbox."""

import json
import logging
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepub.camera.analysis.analysis import Analysis
from edgepub.camera.attention import Attention
from edgepub.camera.attribute_topics import AttributeTopics
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.event_publisher import EventPublisher
from edgepub.camera.frames import Frame, Result
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.reporter import Reporter
from edgepub.camera.results.objects import Wanted
from edgepub.camera.sampler import Sampler
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.validity import Validity
from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.camera import CameraSettings
from edgepub.daemon.picture_wiring import PictureWiring
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.retained import MAX_CLASSIFIERS
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState

IDENTITY = {"node": "test", "camera": "cam", "boot_id": "boot"}
TOPICS = Topics("edgepub", "test")
IMAGE = np.zeros((480, 640, 3), np.uint8)
PERSON = {"bbox": [100, 100, 200, 300], "label": "person", "score": 0.9, "category_id": 0}
ATTRIBUTES = ["text"]
FPS = 10
TIMEOUT_S = 3.0


INVALID = [
    {"error": "no device"},
    None,
    "text",
    [[1, 2], [3]],
    [{"name": "tensor", "shape": [2], "data": ["?", 2]}],
    [PERSON | {"score": math.nan}],
    RuntimeError("raised by the property"),
]


class Desk:
    """A reporter, and what it has put into the outbox: the detections and the last value of each other topic."""

    def __init__(self, analysis=Analysis, tracking=True, **camera):
        quiet = {"snapshot": {"enabled": False}}
        camera = CameraSettings(source="cam.mp4", model="m", tracking=tracking, **quiet, **camera)
        self.outbox = Outbox(1000)
        self.metrics = CameraMetrics()
        self.attention = Attention()
        self.viewfinder = Viewfinder()
        attributes = AttributeTopics(ATTRIBUTES, [], camera_logger(logging.getLogger("test"), "cam"))
        counts = ObjectCounts("cam", camera, TOPICS, self.outbox)
        pictures = PictureWiring(IDENTITY, camera, TOPICS, Outbox(1), list, lambda: None, is_on=False)
        self.reporter = Reporter(
            "cam",
            TOPICS,
            DetectionsBuilder(IDENTITY, Wanted(camera.labels), camera.publish.fields),
            analysis(camera),
            EventPublisher(IDENTITY, TOPICS, self.outbox, self.metrics, self.viewfinder, attributes),
            counts,
            pictures.make_pictures(SnapshotThread(), self.metrics, counts.has_topics, self.viewfinder, CameraState()),
            Sampler(camera.publish),
            self.outbox,
            self.metrics,
            Validity(TIMEOUT_S),
            self.attention,
        )
        self.frame = 0
        self.detections = []
        self.states = {}
        self.events = []

    def report(self, *results):
        """Report results, a tenth of a second apart; return the problem after the last one."""
        problem = None
        for objects in results:
            self.frame += 1
            at_s = self.frame / FPS
            frame = Frame(IMAGE, self.frame, 1e9 + at_s, at_s, at_s)
            problem = self.reporter.report(Result(frame, objects, {}, at_s, at_s))
            if problem is None:
                self.reporter.set_status("online")  # as the supervisor does
            self._take()
        return problem

    def set_status(self, status):
        self.reporter.set_status(status)
        self._take()

    def _take(self):
        while message := self.outbox.take():
            payload = message.encoded()
            topic = message.topic.removeprefix("edgepub/test/cam/")
            if topic == "detections":
                self.detections.append(json.loads(payload))
            elif topic == "events":
                self.events.append(json.loads(payload)["event_type"])
            else:
                self.states[topic] = payload.decode()
            self.outbox.done(message)

    @property
    def occupancy(self):
        return self.states.get("objects/person/occupancy")


@pytest.mark.parametrize("invalid", INVALID, ids=range(len(INVALID)))
@pytest.mark.parametrize("tracking", [True, False])
def test_time_passes_while_results_are_invalid(tracking, invalid):
    desk = Desk(tracking=tracking, occupancy_off_s=1)
    desk.report(*[[PERSON]] * 5)
    assert desk.occupancy == "ON"
    desk.report(*[invalid] * 9)
    assert desk.occupancy == "ON"
    desk.report(invalid)
    assert desk.occupancy == "OFF"
    assert desk.events == ["appeared", "left"] * tracking
    assert len(desk.detections) == 5, "of an invalid result nothing is known, so nothing is published"
    assert desk.metrics.read().dropped == {"invalid": 10}
    desk.report(*[[PERSON]] * 3)
    assert desk.occupancy == "ON"
    assert [d["seq"] for d in desk.detections] == [1, 2, 3, 4, 5, 16, 17, 18], "the gap shows what is lost"


def test_fewer_fields_are_for_the_broker_alone():
    """The page, the sampler, counts and events know everything."""
    desk = Desk(publish={"fields": "lean", "mode": "changes"}, occupancy_off_s=0)
    with desk.viewfinder.watch():
        desk.report(*[[PERSON]] * 5)
        (seen,) = desk.viewfinder.newest.objects
    assert {"bbox_norm", "category_id", "track_id"} <= seen.keys()
    assert (desk.occupancy, desk.events) == ("ON", ["appeared"])
    objects = [{"label": "person", "score": 0.9, "bbox": [100.0, 100.0, 200.0, 300.0]}]
    assert [d["detections"] for d in desk.detections] == [objects, objects], "the second one has a track_id"
    assert {*desk.detections[0]} == {"timestamp", "detections"}


def test_one_bad_object_costs_no_other(caplog):
    desk = Desk()
    desk.report([PERSON, PERSON | {"score": math.nan}, {"label": "person"}], [PERSON])
    assert [len(d["detections"]) for d in desk.detections] == [1, 1]
    reading = desk.metrics.read()
    assert reading.objects_dropped == {"invalid": 2}
    assert reading.dropped == {}
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(lines) == 2, "one for each kind"


def test_too_many_objects_are_counted_and_said(caplog):
    desk = Desk(tracking=False)
    desk.report([PERSON] * 8400)
    assert len(desk.detections[0]["detections"]) == 500
    assert desk.metrics.read().objects_dropped == {"too_many": 7900}
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "min_score" in line


def test_invalid_results_are_a_problem_when_there_is_nothing_else():
    desk = Desk()
    assert "type dict" in desk.report({}), "immediately, as long as the camera was not online"
    assert desk.report([]) is None
    assert desk.report(*[{}] * 30) is None
    assert "type dict" in desk.report({}), "for 3 s"
    desk.set_status("offline")
    assert "type str" in desk.report("")
    assert desk.report([PERSON]) is None
    assert desk.report(*[None, []] * 100) is None, "never for 3 s"


class Broken(Analysis):
    """An analysis that fails on a label."""

    def update(self, objects, frame, **more):
        if any(o["label"] == "bomb" for o in objects):
            raise ZeroDivisionError
        return super().update(objects, frame, **more)


def test_an_error_in_the_analysis_costs_its_frame_and_nobody_stays_present(caplog):
    desk = Desk(Broken)
    bomb = [PERSON, PERSON | {"label": "bomb"}]
    desk.report(*[[PERSON]] * 5, bomb)
    assert desk.occupancy == "OFF"
    assert len(desk.detections) == 5
    assert desk.metrics.read().dropped == {"invalid": 1}
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
    desk.report(*[[PERSON]] * 5)
    assert desk.occupancy == "ON"
    assert len(desk.detections) == 10
    assert "internal error" in desk.report(*[bomb] * 40)


class Raising(dict):
    """A dictionary that cannot be read."""

    def __getitem__(self, key):
        raise RuntimeError(key)

    get = __contains__ = __getitem__


def nest(inner, depth, key):
    for _ in range(depth):
        inner = [inner] if key is None else [{key: inner}]
    return inner


def cycle(objects):
    objects.append({"results": objects})
    return objects


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.sampled_from([10**400, "x" * 10_000, "\ud800", np.float32("nan"), np.zeros(3), 1e308, object(), Raising()]),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner))
keys = st.sampled_from([*PERSON, "landmarks", "landmark", "mask", "results", "classifier"])
objects = st.recursive(
    st.dictionaries(keys, values) | st.dictionaries(keys, values).map(lambda wrong: PERSON | wrong) | values,
    lambda inner: st.builds(lambda key, some: {key: some}, keys, st.lists(inner, max_size=3)),
    max_leaves=5,
)
anything = st.one_of(
    values,
    st.lists(objects, max_size=5),
    st.lists(objects, max_size=3).map(cycle),
    st.lists(objects, max_size=2).map(lambda some: [*some, PERSON] * 260),
    st.builds(nest, objects, st.integers(1, 3000), st.sampled_from(["results", "landmarks", "label", None])),
    st.sampled_from([RuntimeError("raised"), RecursionError(), range(3), iter([PERSON])]),
)


@pytest.mark.slow
@given(st.lists(anything, min_size=1, max_size=6), st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_result_costs_at_most_its_frame(results, tracking):
    """Neither is an exception raised, nor anything lost that comes after; and time passes."""
    desk = Desk(tracking=tracking, labels=["person"])
    desk.report(*[[PERSON]] * 5)
    desk.report(*results)
    counts = desk.metrics.read().dropped.get("invalid", 0)
    assert len(desk.detections) + counts == 5 + len(results)
    assert all(len(d["detections"]) <= 500 for d in desk.detections)
    desk.report(*[results[0], None] * 15, *[[]] * 25)
    assert desk.occupancy == "OFF"
    before = len(desk.detections)
    desk.report(*[[PERSON]] * 5)
    assert len(desk.detections) == before + 5
    assert desk.occupancy == "ON"
    assert [len(d["detections"]) for d in desk.detections[-5:]] == [1] * 5


def test_keys_that_are_not_published_are_named_once_and_not_without_end(caplog):
    caplog.set_level(logging.INFO)
    desk = Desk()
    for number in range(300):
        desk.report([PERSON | {f"key_{number}": 1, "speed": 2}])
    lines = [record.getMessage() for record in caplog.records if "the model also gives" in record.getMessage()]
    assert sum("speed" in line for line in lines) == 1
    assert len(lines) == 99
    assert "and more" in lines[-1]


def test_the_topics_of_classifiers_are_bounded_and_that_is_said_once(caplog):
    published, new = [], []
    log = camera_logger(logging.getLogger("test"), "cam")
    topics = AttributeTopics(["text", "age"], ["text_0", "old"], log, lambda: new.append(published[-1]))
    names = ["text", "other", "texts", "age_group", *(f"text_{number}" for number in range(MAX_CLASSIFIERS + 10))]
    for name in [*names, *names]:
        topics.publish(name, lambda name=name: published.append(name))
    classifiers = ["age_group", *(f"text_{number}" for number in range(MAX_CLASSIFIERS))]
    assert published == ["text", *classifiers] * 2
    assert new == [name for name in classifiers if name != "text_0"], "its topic is from an earlier run"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "the model of the attribute text has more than 20 classifiers: only the first have topics"
