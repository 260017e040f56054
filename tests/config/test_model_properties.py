"""The properties of a model: those of PySDK that can be set, and no others."""

import pytest
import yaml
from degirum.model import Model
from pydantic import ValidationError

from edgepub.camera.inference.loading import load_model
from edgepub.config.effective import load_effective
from edgepub.config.load import load_settings
from edgepub.config.model_properties import ModelProperties
from edgepub.config.settings import ModelSettings
from edgepub.core.errors import ConfigurationError

KEY = "models.coco.model_properties"
NO_POSTPROCESS = (
    "postprocess: PySDK has no such property; only {timing: {enable: true}} is accepted, and without effect"
)
DEVICE = "device_type: must be a device like HAILORT/HAILO8, or a list of them in order of preference"
CLASSES = "output_class_set: must be a list of labels, or of their numbers, like [person, car] or [0, 2]"
COLOUR = "input_letterbox_fill_color: must be three whole numbers from 0 to 255: red, green, blue"
GOOD = {
    "device_type": [["NO/SUCH", "DUMMY/DUMMY"], "DUMMY/DUMMY"],
    "devices_selected": [[0]],
    "extra_device_params": [{"HAILO_BATCH_SIZE": 8}, {}],
    "eager_batch_size": [1, 8],
    "frame_queue_depth": [1, 160],
    "inference_timeout_s": [0.5, 100],
    "image_backend": ["auto", "opencv", "pil"],
    "input_pad_method": ["stretch", "letterbox", "crop-first", "crop-last"],
    "input_resize_method": ["nearest", "bilinear", "area", "bicubic", "lanczos"],
    "input_crop_percentage": [0, 0.5, 1],
    "input_letterbox_fill_color": [[114, 114, 114]],
    "input_image_format": ["JPEG", "RAW"],
    "input_numpy_colorspace": ["auto", "BGR"],
    "input_shape": [[[1, 64, 64, 3]]],
    "output_confidence_threshold": [0, 0.3, 1, "0.3"],
    "output_class_set": [["person", "car"], [0, 2], "person", [], None],
    "output_max_detections": [50],
    "output_max_detections_per_class": [50],
    "output_max_classes_per_detection": [1],
    "output_nms_threshold": [0.6, None],
    "output_use_regular_nms": [True, False],
    "output_pose_threshold": [0.8],
    "output_top_k": [0, 5],
    "output_postprocess_type": ["Detection"],
    "inference_results_type": ["Detection"],
    "measure_time": [True, False],
    "non_blocking_batch_predict": [True],
    "save_model_image": [True],
    "overlay_alpha": ["auto", 0.5],
    "overlay_blur": [None],
    "overlay_color": [[255, 255, 0], [[255, 255, 0], [0, 0, 255]]],
    "overlay_font_scale": [2],
    "overlay_line_width": [2],
    "overlay_show_labels": [False],
    "overlay_show_probabilities": [True],
    "postprocess": [{"timing": {"enable": True}}, {"timing": {"enable": False}}],
}
WRONG = [
    ({"output_confidence_treshold": 0.3}, "output_confidence_treshold: unknown key; did you mean 'output_confidence_threshold'?"),
    ({"speed": 1}, "speed: unknown key"),
    ({"output_confidence_threshold": 30}, "output_confidence_threshold: must be at most 1"),
    ({"output_confidence_threshold": "high"}, "output_confidence_threshold: must be a number, without a unit"),
    ({"output_confidence_threshold": True}, "output_confidence_threshold: must be a number, not yes or no"),
    ({"output_nms_threshold": -0.1}, "output_nms_threshold: must be at least 0"),
    ({"output_top_k": -1}, "output_top_k: must be at least 0"),
    ({"output_max_detections": 1.5}, "output_max_detections: must be a valid integer, got a number with a fractional part"),
    ({"output_use_regular_nms": "fast"}, "output_use_regular_nms: must be true or false"),
    ({"frame_queue_depth": 0}, "frame_queue_depth: must be at least 1"),
    ({"inference_timeout_s": 0}, "inference_timeout_s: must be more than 0"),
    ({"image_backend": "PIL"}, "image_backend: must be 'auto', 'opencv' or 'pil'"),
    ({"input_pad_method": "crop"}, "input_pad_method: must be 'stretch', 'letterbox', 'crop-first' or 'crop-last'"),
    ({"input_letterbox_fill_color": [0, 0, 256]}, COLOUR),
    ({"input_numpy_colorspace": "RGB"}, "input_numpy_colorspace: edgepub's frames are BGR: the model would see red as blue and blue as red; remove it"),
    ({"device_type": "HAILO8"}, DEVICE),
    ({"device_type": ["HAILORT/HAILO8", "HAILO8L"]}, DEVICE),
    ({"device_type": []}, DEVICE),
    ({"devices_selected": []}, "devices_selected: needs at least one"),
    ({"output_class_set": ["person", 2]}, CLASSES),
    ({"output_class_set": 2}, CLASSES),
    ({"extra_device_params": "fast"}, "extra_device_params: must be a mapping (keys and values below it), not a single value"),
    ({"overlay_blur": "face"}, "overlay_blur: has no effect, because edgepub draws pictures itself: use cameras.<name>.snapshot.blur"),
    ({"custom_postprocessor": "mine"}, "custom_postprocessor: is a Python class, and edgepub sets its own: remove it"),
    ({"label_dictionary": {0: "a"}}, "label_dictionary: can only be read: remove it; cameras.<name>.labels selects the labels"),
    ({"postprocess": {"timing": {"enable": True}, "nms": {"enable": True}}}, NO_POSTPROCESS),
    ({"postprocess": {"timing": True}}, NO_POSTPROCESS),
]  # fmt: skip


def names(*, settable):
    """Return the names of PySDK's properties."""
    found = [name for name in dir(Model) if not name.startswith("_")] + list(vars(Model))
    properties = {name: getattr(Model, name) for name in found if isinstance(getattr(Model, name, None), property)}
    return {name for name, its in properties.items() if (its.fset is not None) == settable}


def write(directory, properties, model=None):
    model = model or {"model_name": "yolo", "zoo_url": "degirum/hailo", "inference_host_address": "@local"}
    content = {
        "models": {"coco": {**model, "model_properties": properties}},
        "cameras": {"porch": {"source": "rtsp://10.0.0.5/s", "model": "coco"}},
    }
    path = directory / "edgepub.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_properties_are_those_of_pysdk():
    assert names(settable=True) | names(settable=False) | {"postprocess"} == set(ModelProperties.model_fields)
    assert GOOD.keys() == names(settable=True) - {"custom_postprocessor"} | {"postprocess"}


@pytest.mark.parametrize("name", sorted(names(settable=False)))
def test_what_can_only_be_read_is_refused(name):
    with pytest.raises(ValidationError, match="can only be read"):
        ModelProperties.model_validate({name: []})


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_pysdk_takes_what_check_takes(studio, tmp_path, name, value):
    settings = load_settings(write(tmp_path, {name: value}, studio.model()))
    with load_model(settings.models["coco"]) as model:
        assert model.device == "DUMMY/DUMMY"
        assert model.pysdk.measure_time
        assert model.pysdk.input_numpy_colorspace == "BGR"


@pytest.mark.parametrize(("properties", "line"), WRONG, ids=[line for _, line in WRONG])
def test_a_mistake_names_the_property(tmp_path, properties, line):
    path = write(tmp_path, properties)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)
    assert caught.value.mistakes == [f"{path}: {KEY}.{line}"]


def test_an_environment_variable_sets_a_property(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPUB_MODELS__COCO__MODEL_PROPERTIES__OUTPUT_CONFIDENCE_THRESHOLD", "0.4")
    settings = load_settings(write(tmp_path, {"device_type": "HAILORT/HAILO8"}))
    properties = settings.models["coco"].model_properties
    assert properties.for_pysdk() == {"device_type": "HAILORT/HAILO8", "output_confidence_threshold": 0.4}


def test_properties_without_effect_are_noted_and_not_passed_on(tmp_path):
    properties = {"postprocess": {"timing": {"enable": True}}, "overlay_color": [1, 2, 3], "output_top_k": 5}
    path = write(tmp_path, properties)
    effective = load_effective(path)
    assert effective.settings.models["coco"].model_properties.for_pysdk() == {"output_top_k": 5}
    assert list(effective.notes()) == [
        f"{path}: {KEY}.overlay_color: has no effect: edgepub draws pictures itself",
        f"{path}: {KEY}.postprocess: has no effect: PySDK has no such property, and edgepub always measures the time",
    ]


def test_a_model_without_properties_says_nothing(tmp_path):
    assert list(load_effective(write(tmp_path, None)).notes()) == []
    assert ModelSettings(model_name="m", zoo_url="degirum/public").model_properties.for_pysdk() == {}
