"""Convert the mask of MediaPipe's body model to one person with an instance mask.

PySDK runs this in a process of its own.
"""

import base64

import cv2
import numpy as np


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        self._min_score = float(config["POST_PROCESS"][0]["OutputConfThreshold"])

    def forward(self, tensors, details):
        """Return the person, or nothing; the mask is coded as PySDK's instance segmentations are."""
        score = float(next(tensor for tensor in tensors if tensor.size == 1).reshape(-1)[0])
        mask = (np.squeeze(next(tensor for tensor in tensors if tensor.size == 256 * 256)) > 0).astype(np.uint8)
        if score < self._min_score or not mask.any():
            return []
        x, y, width, height = cv2.boundingRect(mask)
        pixels = mask.reshape(-1)
        starts = np.flatnonzero(np.diff(pixels, prepend=255 - pixels[0]))
        lengths = np.diff(starts, append=pixels.size)
        data = np.concatenate([pixels[starts], lengths]).astype(np.uint32)  # each run's value, then each run's length
        code = {"x_min": 0, "y_min": 0, "height": 256, "width": 256, "data": base64.b64encode(data.tobytes()).decode()}
        box = [float(x), float(y), float(x + width), float(y + height)]
        return [{"category_id": 0, "label": "person", "score": score, "bbox": box, "mask": code}]
