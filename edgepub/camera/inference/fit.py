"""The size of the pictures that a model takes, and its points in pixels of the full picture."""

from collections.abc import Callable
from typing import Any

from edgepub.camera.frames import Fit, Frame, PixelMap

_WHOLE_PICTURE = frozenset({"letterbox", "stretch"})
_USUAL_RESIZE = ("opencv", "bilinear")  # PySDK's default; of the same name, Pillow's gives other pictures
_STEP = 0.25  # pixels of the input
PointConversion = Callable[[float, float], tuple[float, float]]


def find_fit(pysdk: Any) -> Fit | None:  # noqa: ANN401  (PySDK is untyped)
    """Return the size of the pictures that a model takes.

    Returns:
        The size; None: give PySDK pictures at full size, because it cuts parts of them away for this model, makes them
        smaller by another method than usual, or the model takes something else than pictures.

    """
    try:
        info, pad = pysdk.model_info, pysdk.input_pad_method
        resize = (pysdk.image_backend, pysdk.input_resize_method)
        if list(info.InputType) != ["Image"] or pad not in _WHOLE_PICTURE or resize != _USUAL_RESIZE:
            return None
        return Fit(int(info.InputW[0]), int(info.InputH[0]), keeps_aspect=pad == "letterbox")
    except Exception:  # noqa: BLE001  (PySDK raises Exception itself; without a size, pictures keep their own)
        return None


def find_input_size(pysdk: Any) -> tuple[int, int] | None:  # noqa: ANN401  (PySDK is untyped)
    """Return width and height of a model's input; None if it is no picture."""
    try:
        info = pysdk.model_info
        width, height = int(info.InputW[0]), int(info.InputH[0])
    except Exception:  # noqa: BLE001  (as above)
        return None
    return (width, height) if info.InputType[0] == "Image" and width > 0 and height > 0 else None


def cuts_borders(pysdk: Any) -> bool:  # noqa: ANN401  (PySDK is untyped)
    """Return whether PySDK cuts parts of pictures away for a model: what is there is not found."""
    try:
        return str(pysdk.input_pad_method).startswith("crop")
    except Exception:  # noqa: BLE001  (as above)
        return False


def find_map(to_image: PointConversion | None, size: tuple[int, int] | None, frame: Frame) -> PixelMap | None:
    """Return the conversion of a model's points to pixels of the full picture.

    PySDK's own conversion moves points into the picture, which would distort what is partly outside. The middle of the
    model's input always shows the picture, so there it tells the scale.

    Args:
        to_image: PySDK's conversion to pixels of what the model was given; None: points need no conversion.
        size: width and height of the model's input; None: points need no conversion.
        frame: the frame.

    """
    if to_image is None or size is None:
        return None
    middle_x, middle_y = size[0] / 2, size[1] / 2
    left, top = to_image(middle_x - _STEP, middle_y - _STEP)
    right, bottom = to_image(middle_x + _STEP, middle_y + _STEP)
    scale_x, scale_y = (right - left) / (2 * _STEP), (bottom - top) / (2 * _STEP)
    to_given = PixelMap(scale_x, scale_y, left - scale_x * (middle_x - _STEP), top - scale_y * (middle_y - _STEP))
    if frame.full is None:
        return to_given
    height, width = frame.image.shape[:2]
    return to_given.then(PixelMap(frame.full.width / width, frame.full.height / height, 0.0, 0.0))
