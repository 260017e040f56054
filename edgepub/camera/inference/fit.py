"""The size of the pictures that a model takes, and its points in pixels of the full picture."""

from typing import Any

from edgepub.camera.frames import Fit, Frame, ToFrame

_WHOLE_PICTURE = frozenset({"letterbox", "stretch"})
_USUAL_RESIZE = ("opencv", "bilinear")  # PySDK's default; of the same name, Pillow's gives other pictures


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


def to_full_picture(to_image: ToFrame | None, frame: Frame) -> ToFrame | None:
    """Return the conversion of points to pixels of the full picture.

    Args:
        to_image: converts them to pixels of what the model was given; None: they need no conversion.
        frame: the frame.

    """
    if to_image is None or frame.full is None:
        return to_image
    height, width = frame.image.shape[:2]
    across, down = frame.full.width / width, frame.full.height / height

    def to_frame(x: float, y: float) -> tuple[float, float]:
        image_x, image_y = to_image(x, y)
        return image_x * across, image_y * down

    return to_frame
