"""Every kind of result that PySDK knows: with the real PySDK, the real daemon and a real broker, and as it is drawn."""

import base64
import json

import cv2
import jsonschema
import numpy as np
import pytest

from edgepub.camera.drawing import label_colour
from tests.support.health import NO_SERVER, read_health
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.mosquitto
TIMEOUT_MS = 30_000
SIZE = 640, 480
"""Of the frames. The model's input is 64x64, so a point at (x, y) there is at (10 x, 7.5 y) in the frame."""


def rle(mask):
    """Encode a mask as PySDK does: the values of its runs, then their lengths."""
    flat = mask.ravel().astype(np.uint32)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.concatenate([starts, [flat.size]]))
    return base64.b64encode(np.concatenate([flat[starts], lengths]).astype(np.uint32).tobytes()).decode()


TRIANGLE = np.tri(20, dtype=np.uint8)
"""What is below the diagonal of a square."""
MASK = {"x_min": 20, "y_min": 20, "width": 20, "height": 20, "data": rle(TRIANGLE)}
CATEGORIES = [[0] * 4 + [1] * 4] * 4 + [[2] * 8] * 4
POSE = [
    {"category_id": 0, "label": "nose", "score": 0.9, "landmark": [10, 20, 0.75], "connect": [1]},
    {"category_id": 1, "label": "knee", "score": 0.7, "landmark": [30, 40, 0.25], "connect": [0]},
]
HAND = [
    {"category_id": 0, "label": "Wrist", "landmark": [10, 20, -3], "world_landmark": [1, 2, 3], "connect": [1]},
    {"category_id": 1, "label": "Thumb", "landmark": [30, 40, 2], "world_landmark": [1, 2, 3], "connect": [0]},
]
RESULTS = {
    "pose": ("PoseDetection", [{"landmarks": POSE}]),
    "hand": ("HandDetection", [{"score": 0.9, "handedness": 0.98, "landmarks": HAND}]),
    "several": (
        "MultiLabelClassification",
        [
            {"classifier": "colour", "results": [{"label": "red", "score": 0.75}, {"label": "blue", "score": 0.25}]},
            {"classifier": "type", "results": [{"label": "van"}]},
        ],
    ),
    "rotated": ("DetectionYoloV8OBB", [{"bbox": [12, 29, 52, 35], "label": "ship", "score": 0.9, "angle": np.pi / 2}]),
    "mask": (
        "SegmentationYoloV8",
        [{"bbox": [20, 20, 40, 40], "label": "dog", "score": 0.9, "category_id": 1, "mask": MASK}],
    ),
    "mask_alone": ("SegmentationYoloV8", [{"category_id": 1, "mask": MASK}]),
    "classes": ("Classification", [{"category_id": 0, "label": "cat", "score": 0.8}]),
    "age": ("Classification", [{"label": "age", "score": 34.5}]),
    "plate": ("Detection", [{"bbox": [10, 20, 30, 40], "label": "B-AB 123", "score": 0.9}]),
    "reader": ("Detection", [{"bbox": [10, 20, 30, 40], "label": "sign", "text": "EXIT", "score": 0.9}]),
    "tensor": ("None", [{"id": 0, "name": "features", "shape": [1, 2, 2], "data": [[[0.1, -2.5], [3e-9, 123456.75]]]}]),
    "areas": ("Segmentation", [{"data": CATEGORIES}]),
    "anything": ("None", {"queue": {"length": 3, "moving": True}, "note": "ü"}),
}
CAMERAS = {
    "plate": {"text_labels": {"as": "plate_text", "label": "plate"}},
    "anything": {"include": ["queue", "note"]},
    "hand": {"include": ["world_landmark"]},
}
MASK_CORNERS = [[200.4, 150.3], [200.4, 299.7], [399.6, 299.7]]
EXPECTED = {
    "pose": [
        {
            "label": "pose",
            "score": 0.8,
            "bbox": [100, 150, 300, 300],
            "landmarks": [
                {"label": "nose", "landmark": [100, 150], "score": 0.9, "visibility": 0.75, "connect": [1]},
                {"label": "knee", "landmark": [300, 300], "score": 0.7, "visibility": 0.25, "connect": [0]},
            ],
        }
    ],
    "hand": [
        {
            "label": "hand",
            "score": 0.9,
            "bbox": [100, 150, 300, 300],
            "handedness": 0.98,
            "landmarks": [
                {"label": "Wrist", "landmark": [100, 150], "z": -3, "connect": [1], "world_landmark": [1, 2, 3]},
                {"label": "Thumb", "landmark": [300, 300], "z": 2, "connect": [0], "world_landmark": [1, 2, 3]},
            ],
        }
    ],
    "several": [
        {"label": "red", "score": 0.75, "classifier": "colour", "bbox": [0, 0, 640, 480]},
        {"label": "blue", "score": 0.25, "classifier": "colour"},
        {"label": "van", "score": 1, "classifier": "type"},
    ],
    "rotated": [
        {
            "label": "ship",
            "bbox": [290, 90, 350, 390],
            "angle": 1.5708,
            "corners": [[350, 90], [350, 390], [290, 390], [290, 90]],
        }
    ],
    "mask": [{"label": "dog", "score": 0.9, "bbox": [200, 150, 400, 300], "mask": MASK_CORNERS}],
    "mask_alone": [{"label": "dog", "score": 1, "bbox": [200.4, 150.3, 399.6, 299.7], "mask": MASK_CORNERS}],
    "classes": [{"label": "cat", "score": 0.8, "category_id": 0, "bbox": [0, 0, 640, 480]}],
    "age": [{"label": "age", "score": 34.5, "bbox": [0, 0, 640, 480]}],
    "plate": [
        {
            "label": "plate",
            "score": 0.9,
            "bbox": [100, 150, 300, 300],
            "attributes": {"plate_text": {"label": "B-AB 123", "score": 0.9, "settled": True}},
        }
    ],
    "reader": [{"label": "sign", "text": "EXIT", "bbox": [100, 150, 300, 300]}],
    "tensor": [{"label": "features", "score": 1, "embedding": [0.1, -2.5, 3e-9, 123457], "bbox": [0, 0, 640, 480]}],
    "areas": [
        {"label": "dog", "category_id": 1, "score": 1, "share": 0.25, "bbox": [320, 0, 640, 240]},
        {"label": "road", "category_id": 2, "score": 1, "share": 0.5, "bbox": [0, 240, 640, 480]},
    ],
    "anything": [
        {
            "label": "result",
            "score": 1,
            "bbox": [0, 0, 640, 480],
            "queue": {"length": 3, "moving": True},
            "note": "ü",
        }
    ],
}
# Points of the frame that have the label's colour in the snapshot.
DRAWN = {
    "pose": [(200, 225), (100, 150), (300, 300)],
    "hand": [(200, 225), (100, 150)],
    "rotated": [(290, 200), (350, 200), (320, 390)],
    "mask": [(200, 200), (400, 200), (300, 225)],
    "plate": [(100, 250), (300, 250)],
}


def make_cameras(studio, settings, names=tuple(RESULTS)):
    settings["cameras"], settings["models"] = {}, {}
    for name in names:
        kind, result = RESULTS[name]
        settings["models"][name] = studio.model(name, kind=kind, labels=["background", "dog", "road"])
        settings["cameras"][name] = {
            "source": studio.video([result] * 100, f"{name}.avi", fps=10, size=SIZE),
            "model": name,
            "loop": True,
            "realtime": True,
            "min_score": 0.2,
            "occupancy_on_frames": 1,
            "snapshot": {"min_interval_s": 0},
            **CAMERAS.get(name, {}),
        }


def test_every_kind_of_result_is_published_and_drawn(mosquitto, subscribe, run_daemon, studio, cli):
    schema = json.loads(cli("schema", "detections").stdout)
    reader = subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, "")
    make_cameras(studio, settings)
    daemon = run_daemon(settings)
    reader.wait_for(
        lambda r: all(r.detections(name)[20:] and r.last(f"edgepub/test/{name}/snapshot") for name in RESULTS), "all"
    )
    wrong = {}
    for name, expected in EXPECTED.items():
        payload = reader.detections(name)[-1]
        jsonschema.validate(payload, schema)
        found = [
            {key: detection.get(key) for key in some}
            for detection, some in zip(payload["detections"], expected, strict=True)
        ]
        if found != expected:
            wrong[name] = found
    assert not wrong, "see EXPECTED"
    for name, points in DRAWN.items():
        picture = decode(reader.last(f"edgepub/test/{name}/snapshot"))
        colour = label_colour(expected_label(name))
        for x, y in points:
            near = picture[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).astype(int)
            assert np.abs(near - colour).max(axis=1).min() < 60, f"{name}: a line at {x}, {y}"
    assert daemon.terminate() == 0
    assert "internal error" not in daemon.log


def expected_label(name):
    return EXPECTED[name][0]["label"]


def decode(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


SHAPES = """(selector) => [...document.querySelectorAll(selector)].map((shape) => {
    const drawn = shape.getBoundingClientRect(), frame = document.querySelector("#overlay").getBoundingClientRect();
    return [
        (drawn.left - frame.left) / frame.width, (drawn.top - frame.top) / frame.height,
        (drawn.right - frame.left) / frame.width, (drawn.bottom - frame.top) / frame.height,
    ];
})"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "selector", "extent", "label"),
    [
        ("pose", "#links line", (100, 150, 300, 300), "pose 0.80 #1"),
        ("rotated", "#shapes .rotated", (290, 90, 350, 390), "ship 0.90 #1"),
        ("mask", "#shapes .mask", (200, 150, 400, 300), "dog 0.90 #1"),
        ("plate", "#boxes rect.box", (100, 150, 300, 300), "plate B-AB 123 0.90 #1"),
        ("areas", "#shapes .mask", (320, 0, 640, 240), "dog 25% #1"),
    ],
)
def test_the_page_draws_it(mosquitto, run_daemon, studio, browser_page, name, selector, extent, label):
    port = free_port()
    settings = studio.settings(mosquitto.url, "")
    make_cameras(studio, settings, [name])
    run_daemon({**settings, "http": {"listen": f"127.0.0.1:{port}"}})
    wait_until(lambda: read_health(port) is not NO_SERVER, "the page")
    browser_page.goto(f"http://127.0.0.1:{port}/cameras/{name}")
    browser_page.wait_for_function(
        f"() => document.querySelector('#labels text')?.textContent === {json.dumps(label)}", timeout=TIMEOUT_MS
    )
    shape = browser_page.evaluate(SHAPES, selector)[0]
    expected = [part / side for part, side in zip(extent, SIZE * 2, strict=True)]
    assert np.abs(np.array(shape) - expected).max() < 0.02, "in fractions of the frame"


def test_a_key_that_is_not_published_is_named_once(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    results = [[{"bbox": [1, 2, 30, 40], "label": "a", "score": 0.9, "speed_kmh": 50, "lane": 2}]] * 50
    settings = studio.settings(mosquitto.url, studio.video(results), loop=True, realtime=True)
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: len(r.detections()) > 20, "detections")
    assert "speed_kmh" not in reader.detections()[-1]["detections"][0]
    assert daemon.terminate() == 0
    assert daemon.log.count("the model also gives lane, speed_kmh;") == 1
