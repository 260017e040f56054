"""The properties of a model: those of `degirum.model.Model` that can be set, and what edgepub does with each.

PySDK itself checks them only when the model is loaded, and importing it takes too long here. A test compares the names.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema

from edgepub.config.fields import Number, Section

_READ_ONLY = "can only be read: remove it"
_REFUSED = {
    "custom_postprocessor": "is a Python class, and edgepub sets its own: remove it",
    "devices_available": f"{_READ_ONLY}; devices_selected can be set",
    "label_dictionary": f"{_READ_ONLY}; cameras.<name>.labels selects the labels",
    "model_info": _READ_ONLY,
    "overlay_blur": "has no effect, because edgepub draws pictures itself: use cameras.<name>.snapshot.blur",
    "supported_device_types": f"{_READ_ONLY}; device_type can be set",
}
_DRAWS = "edgepub draws pictures itself"
_IGNORED = {
    "measure_time": "edgepub always measures the time",
    "non_blocking_batch_predict": "edgepub sets it itself",
    "overlay_alpha": _DRAWS,
    "overlay_color": _DRAWS,
    "overlay_font_scale": _DRAWS,
    "overlay_line_width": _DRAWS,
    "overlay_show_labels": _DRAWS,
    "overlay_show_probabilities": _DRAWS,
    "postprocess": "PySDK has no such property, and edgepub always measures the time",
    "save_model_image": "edgepub keeps the camera's own picture",
}


def _check_device_type(value: object) -> object:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name.count("/") == 1 for name in names):
        raise ValueError("must be a device like HAILORT/HAILO8, or a list of them in order of preference")
    return value


def _check_classes(value: object) -> object:
    classes = value if isinstance(value, list | set) else [value]
    kinds = (str, int) if isinstance(value, list | set) else (str,)
    if not any(all(isinstance(entry, kind) for entry in classes) for kind in kinds):
        raise ValueError("must be a list of labels, or of their numbers, like [person, car] or [0, 2]")
    return value


def _check_postprocess(value: object) -> object:
    if value not in [{"timing": {"enable": True}}, {"timing": {"enable": False}}]:
        raise ValueError("PySDK has no such property; only {timing: {enable: true}} is accepted, and without effect")
    return value


Fraction = Annotated[float, Field(ge=0, le=1), Number]
Whole = Annotated[int, Number]
Count = Annotated[int, Field(ge=0), Number]


class ModelProperties(Section):
    """Properties of the PySDK model. null: as the model says."""

    model_config = ConfigDict(protected_namespaces=())

    device_type: Annotated[str | list[str], BeforeValidator(_check_device_type)] | None = None
    """The device as `<runtime>/<device>`, or a list: the first one that the model supports."""
    devices_selected: Annotated[list[Whole], Field(min_length=1)] | None = None
    """The numbers of the devices of that type to use."""
    extra_device_params: dict[str, Any] | None = None
    """Parameters for the runtime, like `HAILO_BATCH_SIZE`."""
    eager_batch_size: Count | None = None
    """How many frames a device takes in a row before it works for another model."""
    frame_queue_depth: Annotated[int, Field(ge=1, le=160), Number] | None = None
    """Maximum frames in flight."""
    inference_timeout_s: Annotated[float, Field(gt=0), Number] | None = None
    """How long PySDK waits for a result. The camera's `stall_timeout_s` is usually shorter."""
    image_backend: Literal["auto", "opencv", "pil"] | None = None
    """The library that makes pictures as small as the model takes them."""
    input_pad_method: Literal["stretch", "letterbox", "crop-first", "crop-last"] | None = None
    """How a picture of another shape fits."""
    input_resize_method: Literal["nearest", "bilinear", "area", "bicubic", "lanczos"] | None = None
    """How a picture is made smaller."""
    input_crop_percentage: Fraction | None = None
    """Which part of the picture the methods `crop-first` and `crop-last` keep."""
    input_letterbox_fill_color: Annotated[list[Whole], Field(min_length=3, max_length=3)] | None = None
    """The colour around a picture that does not fill the model's: red, green and blue, 0 to 255."""
    input_image_format: Literal["JPEG", "RAW"] | None = None
    """How a picture is sent to the model."""
    input_numpy_colorspace: Literal["auto", "BGR"] | None = None
    """The order of the colours in edgepub's frames. It is always `BGR`."""
    input_shape: list[list[Whole]] | None = None
    """The shape of each input."""
    output_confidence_threshold: Fraction | None = None
    """The score from which the model reports an object."""
    output_class_set: Annotated[str | list[str] | list[int], BeforeValidator(_check_classes)] | None = None
    """The labels, or their numbers, that the model reports; the camera's `labels` can differ from camera to camera."""
    output_max_detections: Whole | None = None
    """Maximum objects in a frame."""
    output_max_detections_per_class: Whole | None = None
    """Maximum objects of one label in a frame."""
    output_max_classes_per_detection: Whole | None = None
    """Maximum labels for the same object."""
    output_nms_threshold: Fraction | None = None
    """How much two boxes overlap if they are the same object."""
    output_use_regular_nms: bool | None = None
    """Whether boxes are compared only with those of the same label."""
    output_pose_threshold: Fraction | None = None
    """The score from which a model of poses reports a pose."""
    output_top_k: Count | None = None
    """How many labels a model that classifies reports; 0: those above `output_confidence_threshold`."""
    output_postprocess_type: str | None = None
    """The kind of post-processing."""
    inference_results_type: str | None = None
    """The kind of results."""
    measure_time: bool | None = None
    """Has no effect: edgepub always measures the time."""
    non_blocking_batch_predict: bool | None = None
    """Has no effect: edgepub sets it itself."""
    save_model_image: Any = None
    """Has no effect: edgepub keeps the camera's own picture."""
    overlay_alpha: Any = None
    """Has no effect, like all of `overlay_`: edgepub draws pictures itself."""
    overlay_color: Any = None
    """Has no effect."""
    overlay_font_scale: Any = None
    """Has no effect."""
    overlay_line_width: Any = None
    """Has no effect."""
    overlay_show_labels: Any = None
    """Has no effect."""
    overlay_show_probabilities: Any = None
    """Has no effect."""
    postprocess: Annotated[dict[str, Any], BeforeValidator(_check_postprocess)] | None = None
    """`{timing: {enable: true}}` has no effect: edgepub always measures the time."""
    custom_postprocessor: SkipJsonSchema[Any] = None
    devices_available: SkipJsonSchema[Any] = None
    label_dictionary: SkipJsonSchema[Any] = None
    model_info: SkipJsonSchema[Any] = None
    overlay_blur: SkipJsonSchema[Any] = None
    supported_device_types: SkipJsonSchema[Any] = None

    @field_validator(*_REFUSED, mode="before")
    @classmethod
    def _refuse(cls, value: object, info: ValidationInfo) -> None:
        if value is not None:
            raise ValueError(_REFUSED[str(info.field_name)])

    @field_validator("input_numpy_colorspace", mode="before")
    @classmethod
    def _refuse_other_colours(cls, value: object) -> object:
        if value == "RGB":
            raise ValueError("edgepub's frames are BGR: the model would see red as blue and blue as red; remove it")
        return value

    @field_validator("input_letterbox_fill_color")
    @classmethod
    def _check_colour(cls, value: list[int] | None) -> list[int] | None:
        if value and not all(0 <= part <= 255 for part in value):  # noqa: PLR2004
            raise ValueError("must be three whole numbers from 0 to 255: red, green, blue")
        return value

    def for_pysdk(self) -> dict[str, Any]:
        """Return the properties to set in PySDK, in order: a device type resets the selected devices."""
        return {name: value for name, value in self._given() if name not in _IGNORED}

    def notes(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the reason of each property that has no effect."""
        yield from ((name, f"has no effect: {_IGNORED[name]}") for name, _ in self._given() if name in _IGNORED)

    def _given(self) -> Iterator[tuple[str, Any]]:
        for name in type(self).model_fields:
            if (value := getattr(self, name)) is not None:
                yield name, value
