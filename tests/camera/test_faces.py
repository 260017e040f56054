"""A real face in a real video, found by a real model; the expected events were counted by hand in the clip."""

import json

import cv2
import numpy as np
import pytest

from edgepub.camera.drawing import label_colour

pytestmark = pytest.mark.mosquitto
FPS = 25
WIDTH, HEIGHT = 352, 288
FACE = (slice(20, 124), slice(28, 132))  # of the demo's video: the head, 104 pixels square
SIDE = 144  # of the face in the clip


def frames_of(video):
    """Return the face of each frame of the demo's video."""
    faces = []
    with video.open("rb") as file:
        capture = cv2.VideoCapture(file, cv2.CAP_FFMPEG, [])
        while (read := capture.read())[0]:
            faces.append(cv2.resize(read[1][FACE], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
        capture.release()
    return faces


def clip(video, path, visits=2):
    """Write a clip: a face comes in from the left within a second, stays 4 s, leaves to the right within a second.

    Before each visit there are 3 s without a face, and 4 s after the last one. Returns the middle of the face in each
    frame, in pixels, or None.
    """
    faces = frames_of(video)
    path_in = np.linspace(-SIDE / 2, WIDTH / 2, FPS, endpoint=False)
    path_out = np.linspace(WIDTH / 2, WIDTH + SIDE / 2, FPS)
    visit = [*[None] * (3 * FPS), *path_in, *[WIDTH / 2] * (4 * FPS), *path_out]
    middles = [*visit * visits, *[None] * (4 * FPS)]
    background = np.linspace(60, 120, WIDTH, dtype=np.uint8)[None, :, None].repeat(HEIGHT, 0).repeat(3, 2)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), FPS, (WIDTH, HEIGHT))
    for number, middle in enumerate(middles):
        wide = np.pad(background, ((0, 0), (SIDE, SIDE), (0, 0)), "edge")
        if middle is not None:
            left = int(middle - SIDE / 2) + SIDE
            wide[72 : 72 + SIDE, left : left + SIDE] = faces[number % len(faces)]
        writer.write(np.ascontiguousarray(wide[:, SIDE:-SIDE]))
    writer.release()
    return middles


@pytest.fixture(scope="module")
def a_clip(demo_assets, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "visits.avi"
    return path, clip(demo_assets.video, path)


def the_settings(mosquitto, demo_assets, source, **camera):
    return {
        "node": "test",
        "mqtt": {"url": mosquitto.url, "protocol": "3.1.1"},
        "models": {
            "face": {"model_name": "blazeface", "zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}
        },
        "cameras": {
            "cam": {
                "source": str(source),
                "model": "face",
                "zones": {"middle": {"polygon": [[0.35, 0], [0.65, 0], [0.65, 1], [0.35, 1]]}},
                "lines": {"door": {"from": [0.75, 0], "to": [0.75, 1]}},
                **camera,
            }
        },
    }


def ended(reader):
    return reader.last("edgepub/test/status") == b"offline" and reader.payloads("edgepub/test/info")


# A visit by the frame of the clip, counted by hand: the face can be recognised from the 86th frame on, its
# middle is in the zone from the 98th to the 207th and over the line in the 212th; after the 217th it is cut off.
VISIT = [
    ("appeared", 1, 89, None),
    ("zone_entered", 1, 101, None),
    ("line_crossed", 1, 213, "left"),
    ("zone_left", 1, 207, None),
    ("left", 1, 217, None),
]


@pytest.mark.parametrize(("max_fps", "tolerance"), [(None, 4), (5, 18)])
def test_two_visits_give_two_visits_and_nothing_else(
    mosquitto, subscribe, run_daemon, demo_assets, a_clip, max_fps, tolerance
):
    path, middles = a_clip
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(the_settings(mosquitto, demo_assets, path, max_fps=max_fps, min_score=0.7))
    assert daemon.wait() == 0, daemon.log
    reader.wait_for(ended, "the end")
    events = [json.loads(payload) for payload in reader.payloads("edgepub/test/cam/events")]
    expected = [*VISIT, *((what, 2, frame + 9 * FPS, way) for what, _, frame, way in VISIT)]
    assert [(e["event_type"], e["track_id"], e.get("direction")) for e in events] == [
        (what, track, way) for what, track, _, way in expected
    ]
    assert [e["frame"] for e in events] == [pytest.approx(frame, abs=tolerance) for _, _, frame, _ in expected]
    assert [e["dwell_s"] for e in events if e["event_type"] == "left"] == [pytest.approx(5.3, abs=0.5)] * 2
    assert [e["seq"] for e in events] == list(range(1, 11))
    for topic in ("objects/face", "zones/middle/objects/face"):
        counts = [payload.decode() for payload in reader.payloads(f"edgepub/test/cam/{topic}")]
        occupancy = [payload.decode() for payload in reader.payloads(f"edgepub/test/cam/{topic}/occupancy")]
        # The first value waits until it is on the disk that something is retained there, and may be over by then.
        visits = (["1", "0"] * 2, ["ON", "OFF"] * 2)
        assert (counts, occupancy) in (visits, tuple(visit[1:] for visit in visits))
    if max_fps is None:
        seen = [bool(payload["detections"]) for payload in reader.detections()]
        there = [middle is not None and SIDE / 3 < middle < WIDTH - SIDE / 3 for middle in middles]
        wrong = sum(a != b for a, b in zip(seen, there, strict=True))
        assert wrong < 0.03 * len(middles), "what the model sees is what was put into the clip"


def test_the_boxes_of_a_snapshot_lie_where_the_payload_says(mosquitto, subscribe, run_daemon, demo_assets, a_clip):
    path, _ = a_clip
    reader = subscribe(mosquitto.port)
    snapshot = {"max_width": 320, "quality": 95, "min_interval_s": 0}
    daemon = run_daemon(the_settings(mosquitto, demo_assets, path, snapshot=snapshot, realtime=True))
    reader.wait_for(lambda r: len(r.payloads("edgepub/test/cam/snapshot")) >= 3, "snapshots")
    assert daemon.terminate() == 0
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the end")
    by_frame = {payload["frame"]: payload for payload in reader.detections()}
    for picture in reader.payloads("edgepub/test/cam/snapshot"):
        at = picture.index(b"\xff\xfe")
        says = json.loads(picture[at + 4 : at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")])
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (round(HEIGHT * 320 / WIDTH), 320, 3)
        (face,) = by_frame[says["frame"]]["detections"]
        sides = np.array([319, image.shape[0] - 1, 319, image.shape[0] - 1])
        x1, y1, x2, y2 = np.rint(np.array(face["bbox_norm"]) * sides).astype(int)
        colour = np.array(label_colour("face"))
        right, bottom = image[(y1 + y2) // 2, x2], image[y2, (x1 + x2) // 2]
        assert np.abs(right.astype(int) - colour).max() < 90, "the right side of the box"
        assert np.abs(bottom.astype(int) - colour).max() < 90, "its lower side"
        middle = image[(y1 + y2) // 2, (x1 + x2) // 2]
        assert np.abs(middle.astype(int) - colour).max() > 90, "and not what is in it"
