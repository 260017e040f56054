"""Convert the map of a text detector (differentiable binarization) to rotated boxes.

M. Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", 2020. PySDK runs this in a process of
its own.
"""

import cv2
import numpy as np

MIN_SIDE, GROWTH = 3, 1.6  # pixels; how much the shrunk texts of the map are grown: PaddleOCR's values


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        self._min_score = float(config["POST_PROCESS"][0]["OutputConfThreshold"])

    def forward(self, tensors, details):
        """Return the texts' boxes, from the top: `bbox` is unrotated, `angle` in radians turns it about its middle."""
        scores = np.squeeze(tensors[0])
        contours, _ = cv2.findContours((scores > 0.3).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        boxes = [box for contour in contours if (box := self._box(scores, contour))]
        return sorted(boxes, key=lambda box: box["bbox"][1])

    def _box(self, scores, contour):
        (x, y), (width, height), degrees = cv2.minAreaRect(contour)
        if min(width, height) < MIN_SIDE:
            return None
        inside = cv2.drawContours(np.zeros(scores.shape, np.uint8), [contour], -1, 1, cv2.FILLED)
        score = cv2.mean(scores, inside)[0]
        if score < self._min_score:
            return None
        if width < height:
            width, height, degrees = height, width, degrees - 90
        growth = GROWTH * width * height / (width + height)  # twice the distance by which each side is moved
        width, height = width + growth, height + growth
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
        return {
            "category_id": 0,
            "label": "text",
            "score": float(score),
            "bbox": [float(corner) for corner in corners],
            "angle": float(np.deg2rad((degrees + 90) % 180 - 90)),
        }
