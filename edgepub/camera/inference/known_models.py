"""A model for each type of device: one that DeGirum's published examples use, or that of edgepub's demo."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that runs on a type of device."""

    key: str
    """A name for it in the configuration."""
    origin: str
    """What it finds and where it comes from, in a few words."""
    settings: dict[str, Any]
    """Its settings in the configuration."""


_CLOUD_MODELS = {
    # device type: (cloud zoo, name), as in DeGirum's repositories hailo_examples and PySDKExamples
    "HAILORT/HAILO8": ("degirum/hailo", "yolov8n_coco--640x640_quant_hailort_multidevice_1"),
    "HAILORT/HAILO8L": ("degirum/hailo", "yolov8n_coco--640x640_quant_hailort_multidevice_1"),
    "AXELERA/METIS": ("degirum/axelera", "yolov8n_coco--640x640_quant_axelera_metis_1"),
    "DEEPX/M1A": ("degirum/deepx", "yolov8n_coco--640x640_quant_deepx_m1a_1"),
    "RKNN/RK3588": ("degirum/models_rknn", "yolov8n_relu6_coco--640x640_quant_rknn_rk3588_1"),
    "OPENVINO/NPU": ("degirum/models_openvino", "yolov8n_relu6_coco--640x640_quant_openvino_multidevice_1"),
    "OPENVINO/GPU": ("degirum/models_openvino", "yolov8n_relu6_coco--640x640_quant_openvino_multidevice_1"),
    "OPENVINO/CPU": ("degirum/models_openvino", "yolov8n_relu6_coco--640x640_quant_openvino_multidevice_1"),
    "TFLITE/EDGETPU": ("degirum/google", "yolov8n_relu6_coco--512x512_quant_tflite_edgetpu_1"),
    "N2X/ORCA1": ("degirum/models_n2x", "yolov8n_relu6_coco--640x640_quant_n2x_orca1_1"),
    "N2X/CPU": ("degirum/public", "mobilenet_v2_ssd_coco--300x300_quant_n2x_cpu_1"),
}


def find_model(device_type: str) -> KnownModel | None:
    """Return a model for a device type like `HAILORT/HAILO8`; None if none is known for certain."""
    if device_type == "TFLITE/CPU":
        demo = {"model_name": "blazeface", "zoo_url": "~/.cache/edgepub/zoo", "inference_host_address": "@local"}
        return KnownModel("faces", "faces; run `edgepub demo` once, which stores this model", demo)
    if device_type not in _CLOUD_MODELS:
        return None
    zoo, name = _CLOUD_MODELS[device_type]
    settings: dict[str, Any] = {
        "model_name": name,
        "zoo_url": zoo,
        "inference_host_address": "@local",
        "model_properties": {"device_type": [device_type]},
    }
    return KnownModel("coco", "people, cars and the other labels of COCO; from a cloud zoo of DeGirum", settings)
