"""Large pictures are converted straight to the model's size; boxes, snapshots and pages have the camera's pixels."""

import io
import itertools
import threading
from contextlib import closing

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from edgepub.camera.frames import Fit
from edgepub.camera.inference.loading import load_model
from edgepub.camera.results.objects import Wanted, read_objects
from edgepub.config.settings import ModelSettings
from tests.support import films
from tests.support.sources import open_source

FIT = Fit(320, 320, keeps_aspect=True)


def frames_of(film, fit, **capture):
    with closing(open_source(film, **capture).frames(threading.Event(), fit)) as frames:
        return list(frames)


@pytest.fixture
def face_model(demo_assets):
    return {"model_name": "blazeface", "zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}


@pytest.fixture
def film_faces(tmp_path, demo_assets):
    """Return a function that writes a film of a face, 20 frames of this size."""
    with av.open(str(demo_assets.video)) as video:
        faces = [frame.to_ndarray(format="bgr24") for frame in itertools.islice(video.decode(video=0), 20)]

    def draw(number, *size):
        return cv2.resize(faces[number], size)

    return lambda size: films.encode(tmp_path / "faces.mkv", range(20), size=size, draw=draw)


@pytest.mark.parametrize(
    ("fit", "picture", "size"),
    [
        (Fit(640, 640, keeps_aspect=True), (1920, 1080), (640, 360)),
        (Fit(640, 640, keeps_aspect=True), (1080, 1920), (360, 640)),
        (Fit(640, 640, keeps_aspect=False), (1920, 1080), (640, 640)),
        (Fit(640, 640, keeps_aspect=True), (704, 576), None),  # not much larger
        (Fit(640, 640, keeps_aspect=True), (640, 360), None),
        (Fit(320, 240, keeps_aspect=True), (1001, 999), (240, 240)),
        (Fit(640, 640, keeps_aspect=True), (1280, 720), (640, 360)),
        (Fit(128, 128, keeps_aspect=True), (3840, 4), (128, 1)),
        (Fit(640, 640, keeps_aspect=False), (3840, 640), None),  # one side is not much larger
    ],
)
def test_the_size_is_that_to_which_pysdk_would_reduce_it(fit, picture, size):
    assert fit.size(*picture) == size


@pytest.mark.parametrize(
    ("how", "capture", "shape", "full"),
    [
        ({}, {}, (180, 320, 3), (1280, 720)),
        ({"rotation": 90}, {}, (320, 180, 3), (720, 1280)),
        ({}, {"rotate": 270}, (320, 180, 3), (720, 1280)),
        ({}, {"rotate": 180}, (180, 320, 3), (1280, 720)),
        ({"interlaced": True}, {}, (180, 320, 3), (1280, 720)),
        ({"pix_fmt": "yuv420p10le"}, {}, (180, 320, 3), (1280, 720)),
        ({"pix_fmt": "yuvj422p", "codec": "mjpeg"}, {}, (180, 320, 3), (1280, 720)),
        ({"colorspace": 1, "color_range": 2}, {}, (180, 320, 3), (1280, 720)),
        ({"pix_fmt": "nv12", "codec": "rawvideo"}, {}, (180, 320, 3), (1280, 720)),
        ({"pix_fmt": "yuyv422", "codec": "rawvideo"}, {}, (720, 1280, 3), (1280, 720)),  # PySDK makes it smaller
    ],
)
def test_the_small_picture_is_the_large_one_made_smaller(tmp_path, how, capture, shape, full):
    container = "mp4" if "rotation" in how else "mkv"
    film = films.encode(tmp_path / f"film.{container}", range(5), size=(1280, 720), **how)
    for fitted, whole in zip(frames_of(film, FIT, **capture), frames_of(film, None, **capture), strict=True):
        assert fitted.image.shape == shape
        assert fitted.image.flags.c_contiguous
        assert fitted.size == whole.size == full
        assert (fitted.full_image == whole.image).all()
        small = cv2.resize(whole.image, shape[1::-1], interpolation=cv2.INTER_LINEAR)  # as PySDK does
        assert np.abs(small.astype(int) - fitted.image).mean() < 1
        assert films.read_corners(fitted.image) == films.read_corners(whole.image)


@pytest.mark.parametrize(
    ("properties", "fits"),
    [
        ({"input_pad_method": "letterbox"}, True),
        ({"input_pad_method": "stretch"}, True),
        ({"input_pad_method": "crop-first"}, False),
        ({"input_resize_method": "area"}, False),
        ({"image_backend": "pil"}, False),
    ],
)
@pytest.mark.parametrize("size", [(1408, 1152), (1920, 1080)])
def test_boxes_are_where_they_are_in_the_full_picture(face_model, film_faces, properties, fits, size):
    film = film_faces(size)
    boxes = {}
    with load_model(ModelSettings(**face_model, model_properties=properties)) as ready:
        assert (ready.fit is not None) == fits
        for fit in {None, ready.fit}:
            frames = open_source(film).frames(threading.Event(), fit)
            results = list(ready.infer(frames, live=False))
            boxes[fit] = [read_objects(result, Wanted(min_score=0.5))[0] for result in results]
    assert {result.frame.size for result in results} == {size}
    assert len(boxes[ready.fit]) == 20
    for whole, fitted in zip(boxes[None], boxes[ready.fit], strict=True):
        assert len(whole) == len(fitted) == 1
        difference = np.abs(np.subtract(whole[0]["bbox"], fitted[0]["bbox"])) / np.array([*size, *size])
        assert difference.max() < 0.03
        assert abs(whole[0]["score"] - fitted[0]["score"]) < 0.1


@pytest.mark.mosquitto
def test_payloads_and_snapshots_have_the_cameras_size(mosquitto, subscribe, run_daemon, face_model, film_faces):
    camera = {"source": str(film_faces((1408, 1152))), "model": "face", "loop": True, "realtime": True, "max_fps": 5}
    reader = subscribe(mosquitto.port)
    run_daemon(
        {
            "node": "test",
            "mqtt": {"url": mosquitto.url},
            "models": {"face": face_model},
            "cameras": {"cam": {**camera, "snapshot": {"max_width": 1920, "boxes": False}}},
        }
    )
    picture = reader.wait_for(lambda r: r.last("edgepub/test/cam/snapshot"), "a snapshot")
    payload = reader.detections()[-1]
    assert (payload["width"], payload["height"]) == (1408, 1152)
    assert max(payload["detections"][0]["bbox"]) > 400, "in pixels of the camera"
    image = Image.open(io.BytesIO(picture))
    assert image.size == (1408, 1152)
    sharp = cv2.Laplacian(np.asarray(image.convert("L")), cv2.CV_64F).var()
    blurred = cv2.resize(cv2.resize(np.asarray(image.convert("L")), (128, 105)), image.size)
    assert sharp > 2 * cv2.Laplacian(blurred, cv2.CV_64F).var(), "not the model's small picture"
