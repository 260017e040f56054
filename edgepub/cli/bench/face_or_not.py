"""Make a classifier of BlazeFace's tensors: is it a face? PySDK runs a copy of this in a separate process."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class PostProcessor:
    """The interface that PySDK expects: configured once, then called for each frame."""

    def configure(self, config: dict[str, Any]) -> None:
        """Take no settings."""

    def forward(self, tensors: list[NDArray[Any]], details: list[Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return the answer, and how sure it is."""
        logit = next(float(tensor.max()) for tensor in tensors if tensor.shape[-1] == 1)
        score = float(1 / (1 + np.exp(-abs(logit))))
        return [{"category_id": int(logit > 0), "label": "face" if logit > 0 else "other", "score": score}]
