"""Real models on the real PySDK: the CPU runtime, the echo runtime, and an AI server."""

import resource
import shutil
import subprocess
import sys
import threading
import time
from itertools import count, islice, pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from edgepub.camera.frames import Frame
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import Model
from edgepub.camera.inference.pace import Pace
from edgepub.camera.results.objects import Wanted, read_objects
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.cli.bench import echo
from edgepub.cli.bench.ai_server import ai_server
from edgepub.config.settings import ModelSettings
from edgepub.core.errors import ModelError, SourceError
from edgepub.telemetry.metrics import CameraMetrics
from tests.support.studio import BOX


def infer(model, video, *, live, number=None):
    with load_model(ModelSettings(**model)) as ready:
        counts = CameraMetrics()
        kind = {"loop": False, "realtime": False, "stall_timeout_s": 10, "metrics": counts}
        frames = make_source("cam", video, Gate(None, counts), **kind).frames(threading.Event())
        return list(islice(ready.infer(frames, live=live), number))


@pytest.mark.parametrize("backend", ["opencv", "pil"])
@pytest.mark.parametrize("live", [False, True])
def test_each_frame_has_its_own_result(studio, tmp_path, live, backend):
    """In a batch and one by one: the result of a frame is what was in it, each byte of blue, green and red."""
    script = [[{**BOX, "category_id": n}] * (n % 3) for n in range(40)]
    model = {**studio.model(), "model_properties": {"image_backend": backend}}
    results = infer(model, tmp_path / studio.video(script), live=live)
    assert [r.objects for r in results] == script
    assert [r.frame.number for r in results] == list(range(1, 41))
    assert all("inference" in r.timing_ms for r in results[1:])


def test_the_real_model_finds_the_face_in_every_frame(demo_assets):
    model = {"model_name": "blazeface", "zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}
    results = infer(model, demo_assets.video, live=True)
    assert len(results) == 120
    for result in results:
        (face,) = result.objects
        assert face["label"] == "face"
        assert face["score"] > 0.8
        x1, y1, x2, y2 = face["bbox"]
        assert 25 < x1 < x2 < 150, "where the face is in this video"
        assert 20 < y1 < y2 < 130
        assert set(result.timing_ms) == {"preprocess", "inference", "postprocess"}


def test_the_postprocessor_worker_listens_on_loopback_only(demo_assets):
    """It unpickles whatever any sender sends."""
    model = {"model_name": "blazeface", "zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}
    with load_model(ModelSettings(**model)) as ready:
        frame = Frame(np.zeros((99, 99, 3), np.uint8), 1, 0.0, time.monotonic(), 0.0)
        list(ready.infer((process for process in [frame]), live=False))
        children = psutil.Process().children(recursive=True)
        workers = [child for child in children if "pproc_worker.py" in str(child.as_dict(["cmdline"]))]  # or a zombie
        listening = [
            c.laddr for process in workers for c in process.net_connections() if c.status == psutil.CONN_LISTEN
        ]
    assert listening
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_larger_model_finds_the_face_too(demo_assets):
    model = {"model_name": "blazeface_full_range", "zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}
    results = infer(model, demo_assets.video, live=True, number=20)
    assert [len(r.objects) for r in results] == [1] * 20


@pytest.fixture
def _no_cloud(monkeypatch):
    """The same on a machine that has a network."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")


@pytest.mark.usefixtures("_no_cloud")
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model_name": "nope"}, "Model 'nope' is not found in model zoo"),
        ({"zoo_url": "/no/such/zoo"}, "path '/no/such/zoo' does not exist"),
        ({"model_properties": {"device_type": ["HAILORT/HAILO8"]}}, "None of the device types"),
        (
            {"inference_host_address": "127.0.0.1:9", "zoo_url": ""},
            r"^the AI server 127\.0\.0\.1:9 does not answer: Connection refused$",
        ),
        ({"zoo_url": "degirum/hailo"}, r"^Unable to access server hub\.degirum\.com; is there a network\?$"),
    ],
)
def test_a_model_that_cannot_be_loaded_gives_one_line(studio, change, why):
    with pytest.raises(ModelError, match=why) as caught, load_model(ModelSettings(**{**studio.model(), **change})):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("live", [False, True])
def test_a_model_that_fails_on_a_frame_gives_one_line(studio, tmp_path, live):
    """The runtime is asked to fail; then a corrupt model file fails by itself."""
    video = tmp_path / studio.video([[BOX]] * 3)
    with pytest.raises(ModelError, match="inference failed"):
        infer(studio.model("failing", SimulateFail=1), video, live=live)


def test_a_corrupt_model_file_gives_one_line(demo_assets, tmp_path):
    directory = tmp_path / "zoo" / "blazeface"
    directory.mkdir(parents=True)
    for file in (demo_assets.zoo / "blazeface").iterdir():
        (directory / file.name).write_bytes(b"garbage" if file.suffix == ".tflite" else file.read_bytes())
    model = {"model_name": "blazeface", "zoo_url": str(tmp_path / "zoo"), "inference_host_address": "@local"}
    with pytest.raises(ModelError, match="Loading model failed"):
        infer(model, demo_assets.video, live=True)


@pytest.mark.parametrize("live", [False, True])
def test_a_lost_source_is_no_model_error_and_loses_no_frame(studio, live):
    """PySDK would replace the error by its own, and lose the frames in flight."""

    def frames():
        for number in range(1, 6):
            image = np.frombuffer(b"[]".ljust(64 * 64 * 3), np.uint8).reshape(64, 64, 3)
            yield Frame(image, number, 0.0, 0.0, 0.0)
        raise SourceError("the camera is gone")

    results = []
    with load_model(ModelSettings(**studio.model())) as model, pytest.raises(SourceError, match="the camera is gone"):
        for result in model.infer(frames(), live=live):
            results.append(result.frame.number)
    assert results == [1, 2, 3, 4, 5]


def test_the_users_own_properties_reach_the_model(studio, tmp_path):
    car = {**BOX, "label": "car"}
    model = {**studio.model(), "model_properties": {"output_class_set": ["person"], "frame_queue_depth": 3}}
    with load_model(ModelSettings(**model)) as ready:
        assert ready.pysdk.frame_queue_depth == 3
    results = infer(model, tmp_path / studio.video([[car, BOX], [car]]), live=True)
    assert [result.objects for result in results] == [[BOX], []]


def test_a_cloud_model_that_was_loaded_before_needs_no_network(studio, monkeypatch, tmp_path):
    """PySDK itself asks the cloud zoo at every load. The download is a fake: there is no cloud here."""
    from degirum_tools import ModelSpec

    asked = []
    studio.model()

    def download(spec, destination):
        asked.append(spec.zoo_url)
        if spec.zoo_url != "degirum/hailo" or len(asked) > 1:
            raise OSError("Unable to access server")
        return shutil.copytree(studio.zoo / spec.model_name, Path(destination) / spec.model_name)

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(ModelSpec, "download_model", download)
    model = {"model_name": "echo", "zoo_url": "degirum/hailo", "inference_host_address": "@local"}
    video = tmp_path / studio.video([[BOX]])
    for _ in range(2):
        assert [r.objects for r in infer(model, video, live=True)] == [[BOX]]
    assert asked == ["degirum/hailo"]
    with pytest.raises(ModelError, match="Unable to access server"):
        infer({**model, "zoo_url": "somebody/else"}, video, live=True)
    assert asked == ["degirum/hailo", "somebody/else"], "a model of the same name in another zoo is another model"


@pytest.mark.process
def test_an_ai_server(demo_assets):
    with ai_server(demo_assets.zoo) as (port, _):
        model = {"model_name": "blazeface", "inference_host_address": f"127.0.0.1:{port}"}
        results = {live: infer(model, demo_assets.video, live=live) for live in (False, True)}
    for live, ours in results.items():
        assert [result.frame.number for result in ours] == list(range(1, 121)), live
        assert {result.objects[0]["label"] for result in ours} == {"face"}


class Lost:
    """PySDK with a lost connection: gives a number of results, and checks the connection when the frames end."""

    frame_queue_depth = 4

    def __init__(self, answers, cure):
        self.answers, self.cure, self.cured = answers, cure, 0

    def predict_batch(self, feed):
        waiting = []
        for item in feed:
            if item is not None:
                waiting.append(item[1])
            if waiting and self.answers:
                self.answers -= 1
                yield SimpleNamespace(info=waiting.pop(0), results=[])
            else:
                yield None
        if not self.cure:
            raise RuntimeError("Timeout")
        self.cured += 1
        self.answers = self.cure
        for frame in waiting:
            yield SimpleNamespace(info=frame, results=[])


def test_a_thread_that_waits_for_a_result_leaves_python_to_the_others(studio):
    """PySDK alone wakes it up every 10 ms: a hundred of them then work for nothing but that."""
    slow = studio.model("slow", SimulateTime_ms=300)
    with load_model(ModelSettings(**slow)) as ready:
        image = np.zeros((64, 64, 3), np.uint8)
        image[0, 0] = (91, 93, 32)  # `[]`, and white space
        image[0, 1:] = image[1:] = 32
        frames = (Frame(image, number, 0.0, time.monotonic(), 0.0) for number in range(4))
        wakeups = [resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw for _ in ready.infer(frames, live=True)]
    assert min(after - before for before, after in pairwise(wakeups)) < 15


def endless():
    for number in count(1):
        yield Frame(None, number, time.time(), time.monotonic(), 0.0)


def test_a_connection_lost_with_frames_in_flight_recovers_or_fails():
    """PySDK checks it only when no more frames come. A fake: there is no cloud here."""
    kind = {"overlaps": True, "pace": Pace(0.3, 0.1), "quiet_timeout_s": 0.1}
    lost = Lost(answers=5, cure=7)
    results = list(islice(Model(lost, **kind).infer(endless(), live=True), 25))
    assert [result.frame.number for result in results] == list(range(1, 26)), "all of them, in order"
    assert lost.cured >= 2
    with pytest.raises(ModelError, match="Timeout"):
        list(Model(Lost(answers=5, cure=0), **kind).infer(endless(), live=True))


class Steady:
    """PySDK with a model that takes 40 ms, of which it reports the steps."""

    frame_queue_depth = 8

    def __init__(self, *steps_ms):
        self.timing = dict(zip(("CoreInferenceDuration_ms", "CorePostprocessDuration_ms"), steps_ms, strict=False))

    def predict_batch(self, feed):
        for item in feed:
            if item is None:
                yield None
            else:
                time.sleep(0.04)
                yield SimpleNamespace(info=item[1], results=[], timing=self.timing)


@pytest.mark.parametrize(
    ("is_remote", "steps_ms", "expected"),
    [
        (True, [40.0], 1),
        (True, [20.0], 2),
        (True, [10.0], 4),
        (False, [2.0], 1),
        (False, [2.0, 2.0], 2),
        (False, [0.01, 0.01], 1),
        (False, [], 1),
    ],
)
def test_the_number_of_live_frames_in_flight_is_measured(is_remote, steps_ms, expected):
    """It is how often the longest step of the runtime fits into the whole time of a frame.

    On this computer that is the time of the steps. The rest, 2 ms for one of 2 ms, is waiting for other threads.
    """
    model = Model(Steady(*steps_ms), overlaps=True, is_remote=is_remote)
    results = list(islice(model.infer(endless(), live=True), 30))
    assert [result.frame.number for result in results] == list(range(1, 31))
    assert model.pace.in_flight() == expected


@pytest.mark.parametrize(
    ("there_s", "busy_s", "expected"),
    [(0.1, 0.0, 1), (0.1, 0.1, 2), (0.3, 0.0, 3), (0.3, 0.1, 4), (0.3, 0.3, 2), (0.3, 2.0, 1)],
)
def test_while_the_caller_is_busy_as_few_frames_are_in_flight_as_keep_both_working(there_s, busy_s, expected):
    """Results that wait for the stages of a pipeline only get old."""
    assert Pace(there_s, 0.1).in_flight(busy_s) == expected


@pytest.mark.parametrize(("busy_s", "most"), [(0.0, 3), (0.06, 2), (0.3, 1)])
def test_a_busy_caller_is_given_fresh_frames(studio, busy_s, most):
    """The model takes 20 ms. Its results come while the caller works, as if it were called through a network."""
    waiting, given = [], []

    def frames():
        for number in count(1):
            given.append(number)
            yield Frame(image, number, 0.0, time.monotonic(), 0.0)

    image = np.full((64, 64, 3), 32, np.uint8)
    image[0, 0] = (91, 93, 32)  # `[]`, and white space
    with load_model(ModelSettings(**studio.model("quick", SimulateTime_ms=20))) as ready:
        model = Model(ready.pysdk, overlaps=True, pace=Pace(0.06, 0.02))
        for result in islice(model.infer(frames(), live=True, while_busy=True), 12):
            waiting.append(len(given) - result.frame.number + 1)
            time.sleep(busy_s)
    assert max(waiting[3:]) == most


@pytest.mark.parametrize("pace", [None, Pace(0.1, 0.1), Pace(0.2, 0.1)])
def test_an_internal_error_of_the_source_is_no_model_error(pace):
    def wrong():
        yield Frame(None, 1, 0.0, 0.0, 0.0)
        raise KeyError("a mistake of ours")

    with pytest.raises(KeyError, match="a mistake of ours"):
        list(Model(Steady(4.0), overlaps=True, pace=pace).infer(wrong(), live=True))


PREPARE = """
import os, sys
from edgepub.core.errors import ModelError
from edgepub.camera.inference.loading import load_model
from edgepub.config.settings import ModelSettings
try:
    with load_model(ModelSettings(model_name="a", zoo_url="/no", inference_host_address="@local")):
        pass
except ModelError as error:
    print(error)
print(os.environ["PATH"].split(":")[0] == os.path.dirname(sys.executable))
"""


def test_an_unwritable_home_gives_an_error_not_an_abort():
    done = subprocess.run(
        [sys.executable, "-c", PREPARE],
        env={"HOME": "/proc/none", "PATH": "/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "PySDK cannot write /proc/none/.local/share/DeGirum; set HOME to a directory that this user can write",
        "True",
    ]


def test_boxes_are_in_pixels_of_a_frame_of_another_size(studio, tmp_path):
    """PySDK scales them itself, but not in the results that edgepub takes."""
    video = tmp_path / "large.avi"
    echo.make_video(video, [[BOX]] * 3, size=(640, 320))
    for result in infer(studio.model(), video, live=False):
        (detection,) = read_objects(result, Wanted()).objects
        assert detection["bbox"] == (80, 80, 240, 240), "ten times as wide and five times as high as in the model"
