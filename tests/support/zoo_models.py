"""The models of the zoo as PySDK describes models: what goes in, and what comes out."""

from pathlib import Path
from typing import Any, NamedTuple

from tests.support.zoo_files import digest


class Model(NamedTuple):
    """A model of the zoo."""

    weights: str
    """Its file in `zoo_files`; of a TensorFlow.js graph, the name without a suffix."""
    size: tuple[int, int]
    """Of its input: width and height in pixels."""
    kind: str
    """PySDK's `OutputPostprocessType`."""
    python: str | None = None
    """Its postprocessor in zoo_postprocessors; None: PySDK's own."""
    before: dict[str, Any] = {}  # noqa: RUF012  (nobody changes it)
    """More of `PRE_PROCESS`."""
    after: dict[str, Any] = {}  # noqa: RUF012
    """More of `POST_PROCESS`."""
    labels: tuple[str, ...] = ()
    outputs: dict[str, list[int]] | None = None
    """Of a TensorFlow.js graph: the shape of each output."""


# Pixels are numbers from 0 to 1, if nothing else is said.
_SIGNED = {"InputNormMean": [0.5] * 3, "InputNormStd": [0.5] * 3}  # from -1 to 1
_BYTES = {"InputNormCoeff": 1}  # from 0 to 255
_TEXT = {**_SIGNED, "InputColorSpace": "BGR"}
_FACERES = {"gender_pred/Sigmoid": [1, 1], "global_pooling/Mean": [1, 1024], "age_pred/Softmax": [1, 100]}
_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_COCO = tuple(Path(__file__).with_name("coco.txt").read_text().splitlines())

MODELS = {
    # detectors: boxes, and landmarks of faces, persons and palms
    "face": Model("face_detection_short_range.tflite", (128, 128), "Detection", "anchors.py", _SIGNED, {}, ("face",)),
    "person": Model("pose_detection.tflite", (224, 224), "Detection", "anchors.py", _SIGNED, {}, ("person",)),
    "palm": Model("palm_detection_lite.tflite", (192, 192), "Detection", "anchors.py", labels=("palm",)),
    "coco": Model(
        "centernet",
        (512, 512),
        "Detection",
        "centers.py",
        _BYTES,
        {"OutputConfThreshold": 0.4},
        _COCO,
        {"tower_0/keypoints": [1, 80, 128, 128], "tower_0/wh": [1, 4, 128, 128]},
    ),
    # landmarks without a box, for a picture of one
    "pose": Model("pose_landmark_full.tflite", (256, 256), "PoseDetection", "landmarks.py"),
    "face_mesh": Model("face_landmark.tflite", (192, 192), "PoseDetection", "landmarks.py"),
    "hand": Model(  # PySDK's postprocessor takes tensors by their numbers in the file
        "hand_landmark_lite.tflite", (224, 224), "HandDetection", after={"PostProcessorInputs": [167, 166, 164, 168]}
    ),
    # a mask
    "person_mask": Model(
        "pose_landmark_full.tflite", (256, 256), "SegmentationYoloV8", "person_mask.py", labels=("person",)
    ),
    # texts
    "ocr_det": Model(
        "ch_PP-OCRv4_det_infer.onnx", (640, 640), "DetectionYoloV8OBB", "text_boxes.py", _TEXT, {}, ("text",)
    ),
    "ocr_rec": Model("ch_PP-OCRv4_rec_infer.onnx", (320, 48), "Classification", "text.py", _TEXT),
    "ocr_cls": Model(
        "ch_ppocr_mobile_v2.0_cls_infer.onnx", (192, 48), "Classification", None, _TEXT, {}, ("upright", "upside down")
    ),
    # for a picture of one face
    "face_age": Model("faceres", (224, 224), "Classification", "age.py", _BYTES, outputs=_FACERES),
    "face_attributes": Model(
        "faceres", (224, 224), "MultiLabelClassification", "attributes.py", _BYTES, outputs=_FACERES
    ),
    "face_embedding": Model("faceres", (224, 224), "None", None, _BYTES, outputs={"global_pooling/Mean": [1, 1024]}),
    "face_emotion": Model(
        "emotion", (64, 64), "Classification", None, _SIGNED, {}, _EMOTIONS, outputs={"Identity": [1, 7]}
    ),
}


def describe(model: Model, weights: Path) -> dict[str, Any]:
    """Return a model's description, the content of its JSON file."""
    width, height = model.size
    runtime = "ONNX" if weights.suffix == ".onnx" else "TFLITE"
    device = {"RuntimeAgent": runtime, "DeviceType": "CPU", "SupportedDeviceTypes": f"{runtime}/CPU", "DeviceMask": 1}
    before = {
        "InputType": "Image",
        "InputN": 1,
        "InputH": height,
        "InputW": width,
        "InputC": 3,
        "InputColorSpace": "RGB",
        "InputPadMethod": "letterbox",
        "InputNormEn": True,
        "InputNormMean": [0, 0, 0],
        "InputNormStd": [1, 1, 1],
        "InputQuantEn": False,
    }
    after = {
        "OutputPostprocessType": model.kind,
        "LabelsPath": "labels.json",
        "OutputConfThreshold": 0.5,
        "OutputNMSThreshold": 0.3,
    }
    if runtime == "ONNX":
        before["InputTensorLayout"] = "NCHW"
    if model.python:
        after |= {"PythonFile": model.python, "Labels": list(model.labels)}
    if model.python == "text.py":
        after["Characters"] = _read_characters(weights.read_bytes())
    return {
        "ConfigVersion": 11,
        "Checksum": digest(weights),
        "DEVICE": [device],
        "PRE_PROCESS": [before | model.before],
        "MODEL_PARAMETERS": [{"ModelPath": weights.name}],
        "POST_PROCESS": [after | model.after],
    }


def _read_characters(onnx: bytes) -> str:
    """Return the characters that a text reader knows, from the metadata of its file."""
    at = onnx.index(b"\x0a\x09character\x12") + 12  # a `StringStringEntryProto`: its key, its value
    length = shift = 0
    while True:
        length |= (onnx[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if onnx[at - 1] < 128:
            return onnx[at : at + length].decode().replace("\n", "")
