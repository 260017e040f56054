"""Each configuration of docs/models.md does what the page says: run by the real daemon, with a real broker.

Only its models' addresses and its cameras' sources are replaced: by real models, or by echo models where there is no
free one, and by films.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgepub.cli.bench.ai_server import ai_server
from edgepub.config.yaml_file import read_yaml
from tests.support import drifting, scenes, zoo
from tests.support.drifting import DRIFT_PX
from tests.support.onnx_zoo import needs_onnx
from tests.support.pages import blocks
from tests.support.waiting import free_port

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]  # the first use downloads the models
CONFIGURATIONS = {block.heading: block.text for block in blocks("yaml") if block.page == "docs/models.md"}
PLATE = "B-AB 123"
CAR = (200, 240, 360, 390)
"""In the frame, in pixels."""
AROUND_THE_CAR = (184, 225, 376, 405)
"""The same with the page's margin."""
FACE = (180, 82, 273, 175)
"""In the picture `astronaut`."""


class Lab:
    """What a configuration of the page needs to be run."""

    def __init__(self, broker, reader, studio, run_daemon):
        self.directory = studio.directory
        self.reader = reader
        self._broker = broker
        self._studio = studio
        self._run_daemon = run_daemon

    def echo(self, name):
        """Make an echo model, and return its address."""
        self._studio.model(name)
        return str(self._studio.zoo / name)

    def real(self, name):
        """Make a model of the zoo, and return its address."""
        return str(zoo.make(self.directory / "real", name) / name)

    def run(self, heading, addresses, source, **cameras):
        """Run the configuration below a heading of the page, with one camera, and return that camera's name.

        Args:
            heading: the heading.
            addresses: of all its models, by their names: a `model_url`, or several keys. A fragment without `models`
                gets them.
            source: the camera's source.
            cameras: more cameras.

        """
        page = self.directory / "page.yaml"
        page.write_text(CONFIGURATIONS[heading])
        settings = read_yaml(page)
        models = settings.setdefault("models", {name: {"inference_host_address": "@local"} for name in addresses})
        assert models.keys() == addresses.keys()
        for name, address in addresses.items():
            models[name] |= address if isinstance(address, dict) else {"model_url": address}
        (camera,) = settings["cameras"]
        film = {"source": source, "loop": True, "realtime": True}
        settings["cameras"][camera] |= film
        settings["cameras"] |= {name: {**film, **more} for name, more in cameras.items()}
        self._run_daemon({"node": "test", "mqtt": {"url": self._broker.url, "protocol": "3.1.1"}, **settings})
        return camera

    def wait_for(self, camera, is_wanted, what):
        """Return the first detections of a camera that are as wanted."""
        return self.reader.wait_for(
            lambda r: next((d["detections"] for d in r.detections(camera) if is_wanted(d["detections"])), None), what
        )


@pytest.fixture
def lab(mosquitto, subscribe, run_daemon, studio):
    return Lab(mosquitto, subscribe(mosquitto.port), studio, run_daemon)


def labels(detections):
    return [one["label"] for one in detections]


def test_every_configuration_of_the_page_is_run_here():
    assert CONFIGURATIONS.keys() == {
        "Plates",
        "Faces",
        "Hands",
        "Small objects",
        "Two models",
        "More keys",
        "Models that read texts",
        "A model on another computer",
        "Blurred faces",
    }


@needs_onnx
def test_plates(lab):
    """Echo models find the car and its plate; a real model reads it."""
    sign = drifting.sign(PLATE, 44)
    x, y = 210, 330
    street = drifting.scene(*scenes.SIZE, (sign, x, y))
    plate = part_of(AROUND_THE_CAR, (x, y, x + sign.shape[1], y + sign.shape[0]))
    scene = {
        None: [{"bbox": part_of((0, 0, *scenes.SIZE), CAR), "label": "car", "score": 0.93}],
        AROUND_THE_CAR: [{"bbox": plate, "label": "plate", "score": 0.81}],
    }
    film = scenes.film(lab.directory / "film.avi", [scene] * 20, background=street)
    models = {"vehicles": lab.echo("vehicles"), "plates": lab.echo("plates"), "reader": lab.real("ocr_rec")}
    camera = lab.run("Plates", models, film)
    topic = f"edgepub/test/{camera}/attributes/text"
    lab.reader.wait_for(lambda r: r.last(topic) == PLATE.encode(), "the plate")
    _, found = lab.wait_for(
        camera, lambda found: found and "attributes" in found[-1], "a car and a plate that has been read"
    )
    (example,) = (block for block in blocks("json") if block.heading == "Plates")
    expected = json.loads(example.text)["detections"][1]
    assert (found["label"], found["parent"]) == (expected["label"], expected["parent"])
    assert found["attributes"]["text"]["label"] == expected["attributes"]["text"]["label"] == PLATE
    assert found["attributes"]["text"].keys() == expected["attributes"]["text"].keys()


def part_of(part, box):
    """Return a box of the frame in pixels of the input of an echo model that sees this part of it."""
    left, top, right, bottom = part
    across, down = 64 / (right - left), 64 / (bottom - top)
    x1, y1, x2, y2 = box
    return [(x1 - left) * across, (y1 - top) * down, (x2 - left) * across, (y2 - top) * down]


@needs_onnx
def test_faces(lab):
    models = {"faces": lab.real("face"), "ages": lab.real("face_age"), "features": lab.real("face_embedding")}
    camera = lab.run("Faces", models, drifting.film(lab.directory / "film.mp4", zoo.picture("astronaut")))
    lab.wait_for(camera, lambda found: found and "embedding" in found[0], "an embedding")
    (face,) = lab.wait_for(camera, lambda found: found and "attributes" in found[0], "an age")
    assert face["label"] == "face"
    assert 25 < face["attributes"]["age"]["value"] < 48, "in her thirties"


def test_hands(lab):
    models = {"palms": lab.real("palm"), "hands": lab.real("hand")}
    camera = lab.run("Hands", models, drifting.film(lab.directory / "film.mp4", zoo.picture("index_finger")))
    _, hand = lab.wait_for(camera, lambda found: labels(found) == ["palm", "hand"], "a palm and a hand")
    assert hand["parent"] == 0
    assert {"Wrist", "IndexFingerTip"} <= {landmark["label"] for landmark in hand["landmarks"]}


def test_small_objects(lab):
    """A face that is too small for the model; a second camera shows that."""
    person = cv2.resize(zoo.picture("astronaut"), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    street = drifting.scene(1536, 1024, (person, 60, 560))
    film = drifting.film(lab.directory / "film.mp4", street)
    camera = lab.run("Small objects", {"coco": lab.real("face")}, film, plain={"model": "coco"})
    (face,) = lab.wait_for(camera, lambda found: found, "a small object")
    expected = [60 + 0.7 * FACE[0], 560 + 0.7 * FACE[1], 60 + 0.7 * FACE[2], 560 + 0.7 * FACE[3]]
    assert face["bbox"] == pytest.approx(expected, abs=8 + DRIFT_PX)
    lab.reader.wait_for(lambda r: len(r.detections("plain")) > 10, "detections without tiles")
    assert not any(payload["detections"] for payload in lab.reader.detections("plain"))


def test_two_models(lab):
    """One finds the person; the other, an echo model, a car, and a dog that is not wanted of it."""
    picture = drifting.scene(*scenes.SIZE, (cv2.resize(zoo.picture("astronaut"), (380, 380)), 130, 100))
    results = [
        {"bbox": part_of((0, 0, *scenes.SIZE), CAR), "label": "car", "score": 0.93},
        {"bbox": [1, 20, 9, 30], "label": "dog", "score": 0.8},
    ]
    film = scenes.film(lab.directory / "film.avi", [{None: results}] * 20, background=picture)
    camera = lab.run("Two models", {"people": lab.real("person"), "vehicles": lab.echo("vehicles")}, film)
    found = lab.wait_for(camera, lambda found: len(found) > 1, "two objects")
    assert sorted(labels(found)) == ["car", "person"]


def test_more_keys(lab):
    results = [[{"bbox": [8, 16, 24, 48], "label": "car", "score": 0.9, "lane": 2, "speed_kmh": 51.5}]] * 20
    camera = lab.run("More keys", {"cars": lab.echo("cars")}, video(lab, results))
    (car,) = lab.wait_for(camera, lambda found: found, "a car")
    assert (car["lane"], car["speed_kmh"]) == (2, 51.5)


def test_models_that_read_texts(lab):
    """The plate is misread now and then."""
    texts = [f"B-AB {number:03}" if number % 11 == 5 else PLATE for number in range(60)]
    results = [[{"bbox": [8, 16, 24, 48], "label": text, "score": 0.9}] for text in texts]
    camera = lab.run("Models that read texts", {"plates": lab.echo("plates")}, video(lab, results))
    topic = f"edgepub/test/{camera}/attributes/text"
    lab.reader.wait_for(lambda r: r.last(topic) == PLATE.encode(), "the text")
    (plate,) = lab.wait_for(camera, lambda found: found and found[0]["attributes"]["text"].get("settled"), "the same")
    assert (plate["label"], plate["attributes"]["text"]["label"]) == ("plate", PLATE)


def video(lab, results):
    return scenes.film(lab.directory / "film.avi", [{None: result} for result in results])


def test_a_model_on_another_computer(lab):
    """One of the two AI servers is off."""
    box = (184, 225, 376, 405)
    scene = {
        None: [{"bbox": part_of((0, 0, *scenes.SIZE), box), "label": "plate", "score": 0.81}],
        box: [{"label": PLATE, "score": 0.9}],
    }
    film = scenes.film(lab.directory / "film.avi", [scene] * 20)
    plates, _ = lab.echo("plates"), lab.echo("reader")
    with ai_server(Path(plates).parent) as (port, _):
        servers = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}"]
        raw = {"input_image_format": "RAW"}  # JPEG would change the text in the picture
        reader = {"inference_host_address": servers, "model_properties": raw}
        camera = lab.run("A model on another computer", {"plates": plates, "reader": reader}, film)
        topic = f"edgepub/test/{camera}/attributes/text"
        lab.reader.wait_for(lambda r: r.last(topic) == PLATE.encode(), "the text")


def test_blurred_faces(lab):
    picture = zoo.picture("astronaut")
    film = drifting.film(lab.directory / "film.mp4", picture)
    camera = lab.run("Blurred faces", {"faces": lab.real("face")}, film)
    topic = f"edgepub/test/{camera}/snapshot"
    jpeg = lab.reader.wait_for(lambda r: r.last(topic), "a snapshot")
    snapshot = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    inner = slice(FACE[1] + 20, FACE[3] - 20), slice(FACE[0] + 20, FACE[2] - 20)
    suit = slice(250, 350), slice(60, 160)
    assert detail(snapshot[inner]) < 0.4 * detail(picture[inner]), "the face"
    assert detail(snapshot[suit]) > 0.6 * detail(picture[suit]), "the rest"


def detail(image):
    """Return how much neighbouring pixels differ."""
    return float(np.abs(np.diff(image.astype(int), axis=1)).mean())
