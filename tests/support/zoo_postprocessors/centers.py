"""Convert the maps of a CenterNet to boxes. X. Zhou et al., "Objects as Points", 2019.

PySDK runs this in a process of its own.
"""

import cv2
import numpy as np

STRIDE = 4  # pixels of the input for each of a map


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        parameters = config["POST_PROCESS"][0]
        self._labels = parameters["Labels"]
        self._min_score = float(parameters["OutputConfThreshold"])
        self._max_overlap = float(parameters["OutputNMSThreshold"])

    def forward(self, tensors, details):
        """Return the objects, highest score first."""
        scores = np.squeeze(next(tensor for tensor in tensors if tensor.shape[1] == len(self._labels)))
        sides = np.squeeze(next(tensor for tensor in tensors if tensor.shape[1] == 4))
        classes, y, x = np.nonzero(scores > self._min_score)
        low, high = sides[:2, y, x].T, sides[2:, y, x].T  # from the middle to the left and top, right and bottom
        middles = STRIDE * np.stack([x, y], 1).astype(float)
        boxes = np.hstack([middles - low, middles + high])
        best = cv2.dnn.NMSBoxesBatched(
            np.hstack([middles - low, low + high]).tolist(),
            scores[classes, y, x].tolist(),
            classes.tolist(),
            self._min_score,
            self._max_overlap,
        )
        return [
            {
                "category_id": int(classes[at]),
                "label": self._labels[classes[at]],
                "score": float(scores[classes[at], y[at], x[at]]),
                "bbox": boxes[at].tolist(),
            }
            for at in best
        ]
