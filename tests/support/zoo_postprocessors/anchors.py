"""Convert the tensors of MediaPipe's detectors of faces, persons and palms to boxes and landmarks.

Anchors and coding: MediaPipe's graphs (`SsdAnchorsCalculator`, `TensorsToDetectionsCalculator`). PySDK runs this in a
process of its own.
"""

import cv2
import numpy as np

# number of anchors: (label, side of the input, [(stride in pixels, anchors of each cell), ...], landmarks)
DETECTORS = {
    896: ("face", 128, ((8, 2), (16, 6)), ("right eye", "left eye", "nose", "mouth", "right ear", "left ear")),
    2254: ("person", 224, ((8, 2), (16, 2), (32, 6)), ("hips", "edge of body", "shoulders", "edge of upper body")),
    2016: (
        "palm",
        192,
        ((8, 2), (16, 6)),
        ("wrist", "index finger", "middle finger", "ring finger", "little finger", "thumb base", "thumb"),
    ),
}


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        parameters = config["POST_PROCESS"][0]
        self._min_score = float(parameters["OutputConfThreshold"])
        self._max_overlap = float(parameters["OutputNMSThreshold"])

    def forward(self, tensors, details):
        """Return the objects, highest score first; points are pixels of the input."""
        logits = next(tensor for tensor in tensors if tensor.shape[-1] == 1).reshape(-1)
        label, side, layout, names = DETECTORS[len(logits)]
        values = next(tensor for tensor in tensors if tensor.shape[-1] > 1).reshape(len(logits), -1, 2)
        scores = 1 / (1 + np.exp(-np.clip(logits.astype(float), -100, 100)))
        points = values.astype(float) + anchor_centers(side, layout)[:, None]
        sizes = values[:, 1].astype(float)
        boxes = np.hstack([points[:, 0] - sizes / 2, sizes])
        best = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self._min_score, self._max_overlap)
        return [
            {
                "category_id": 0,
                "label": label,
                "score": float(scores[at]),
                "bbox": body(points[at, 2:]) if label == "person" else corners(boxes[at]),
                "landmarks": [
                    {"category_id": number, "label": name, "landmark": point.tolist(), "connect": []}
                    for number, (name, point) in enumerate(zip(names, points[at, 2:], strict=True))
                ],
            }
            for at in best
        ]


def anchor_centers(side, layout):
    """Return the middles of the anchors in pixels, shape (anchors, 2)."""
    centers = []
    for stride, repeats in layout:
        y, x = np.mgrid[: side // stride, : side // stride]
        centers.append(np.repeat((np.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride, repeats, axis=0))
    return np.concatenate(centers)


def corners(box):
    """Return x1, y1, x2, y2 of a box x, y, width, height."""
    return [*map(float, box[:2]), *map(float, box[:2] + box[2:])]


def body(landmarks):
    """Return the square around the whole body: the detector's own box is only the head."""
    hips, edge = landmarks[:2]
    reach = np.linalg.norm(edge - hips)
    return [*map(float, hips - reach), *map(float, hips + reach)]
