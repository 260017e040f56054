"""PySDK's results as the runtime gave them.

PySDK copies each result deeply, scales each box, and decodes each mask, for pictures that edgepub does not draw; for
thousands of boxes that takes far longer than the model. And one box that is none makes it raise, which would cost the
loaded model. Here a result is only stored; `edgepub.camera.results` reads what it needs of it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from degirum.postprocessor import DetectionResults, Hand_DetectionResults, InferenceResults, SegmentationResults


class RawResults(InferenceResults):  # type: ignore[misc]  # PySDK is untyped
    """A result whose points PySDK would not scale."""

    to_image: Callable[[float, float], tuple[float, float]] | None = None
    """PySDK's conversion of points to pixels of the picture that the model was given, which they must not leave."""

    def __init__(
        self,
        *,
        inference_results: Any,  # noqa: ANN401
        frame_info: Any = None,  # noqa: ANN401
        label_dictionary: Mapping[int, str] | None = None,
        **_unused: Any,  # noqa: ANN401
    ) -> None:
        # The attributes that PySDK itself uses. Its constructor would copy the result.
        self.timing: dict[str, Any] = {}
        self._inference_results = inference_results
        self._frame_info = frame_info
        self.labels = label_dictionary or {}


class ScaledResults(RawResults):
    """A result whose points are pixels of the model's input."""

    def __init__(self, *, conversion: Any, **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(**arguments)
        self.to_image = conversion


def raw_class(pysdk_class: type) -> type[RawResults]:
    """Return the class to use instead of one of PySDK's classes of results."""
    scaled = DetectionResults | Hand_DetectionResults | SegmentationResults
    return ScaledResults if issubclass(pysdk_class, scaled) else RawResults
