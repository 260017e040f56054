"""PySDK's results as the runtime gave them.

PySDK copies each result deeply, scales each box, and decodes each mask, for pictures that edgepub does not draw; for
thousands of boxes that takes far longer than the model. And one box that is none makes it raise, which would cost the
loaded model. Here a result is only stored; `edgepub.camera.objects` reads what it needs of it.
"""

from typing import Any

from degirum.postprocessor import DetectionResults, Hand_DetectionResults, InferenceResults


class RawResults(InferenceResults):  # type: ignore[misc]  # PySDK is untyped
    """A result whose points PySDK would not scale."""

    to_frame: Any = None

    def __init__(self, *, inference_results: Any, frame_info: Any = None, **_unused: Any) -> None:  # noqa: ANN401
        # The attributes that PySDK itself uses. Its constructor would copy the result.
        self.timing: dict[str, Any] = {}
        self._inference_results = inference_results
        self._frame_info = frame_info


class RawDetections(RawResults):
    """A result whose points are pixels of the model's input; `to_frame` converts them."""

    def __init__(self, *, conversion: Any, **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(**arguments)
        self.to_frame = conversion


def raw_class(pysdk_class: type) -> type[RawResults]:
    """Return the class to use instead of one of PySDK's classes of results."""
    return RawDetections if issubclass(pysdk_class, DetectionResults | Hand_DetectionResults) else RawResults
