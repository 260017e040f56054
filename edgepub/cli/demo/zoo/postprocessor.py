"""Convert BlazeFace's output tensors to boxes and landmarks. PySDK runs this in a separate process.

Anchors, box coding and landmarks: V. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile
GPUs", 2019, and MediaPipe's graphs of the short range (strides 8, 16, 16, 16) and full range (stride 4) models.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LANDMARKS = ("right eye", "left eye", "nose", "mouth", "right ear", "left ear")
# total number of anchors: [(stride in pixels, anchors per cell), ...] and the side of the input
LAYOUTS = {896: (((8, 2), (16, 6)), 128), 2304: (((4, 1),), 192)}


def anchor_centers(count: int) -> Floats:
    """Return the anchors' centers in pixels of the input, shape (count, 2)."""
    layout, side = LAYOUTS[count]
    centers = []
    for stride, repeats in layout:
        y, x = np.mgrid[: side // stride, : side // stride]
        cells = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride
        centers.append(np.repeat(cells, repeats, axis=0))
    return np.concatenate(centers).astype(np.float32)


def overlap(box: Floats, boxes: Floats) -> Floats:
    """Return the intersection over union of a box (4,) with each of boxes (n, 4)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union: Floats = np.maximum(np.prod(box[2:] - box[:2]) + areas - common, 1e-6)
    shares: Floats = common / union
    return shares


class PostProcessor:
    """The interface that PySDK expects: configured once, then called for each frame."""

    def configure(self, config: dict[str, Any]) -> None:
        """Read the thresholds from the model's description."""
        parameters = config["POST_PROCESS"][0]
        threshold = min(max(float(parameters["OutputConfThreshold"]), 1e-6), 1 - 1e-6)
        self._min_logit = np.log(threshold / (1 - threshold))
        self._max_overlap = float(parameters["OutputNMSThreshold"])
        self._anchors: Floats | None = None

    def forward(self, tensors: list[Floats], details: list[Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return the faces of one frame: boxes and landmarks in pixels of the input, highest score first."""
        raw = next(t for t in tensors if t.shape[-1] == 16).reshape(-1, 16)  # noqa: PLR2004
        logits = next(t for t in tensors if t.shape[-1] == 1).reshape(-1)
        if self._anchors is None:
            self._anchors = anchor_centers(len(raw))
        chosen = np.flatnonzero(logits > self._min_logit)
        chosen = chosen[np.argsort(-logits[chosen])]
        points = raw[chosen].reshape(-1, 8, 2).copy()
        sizes = points[:, 1].copy()
        points += self._anchors[chosen, None]  # the center and the landmarks are offsets from the anchor
        boxes = np.concatenate([points[:, 0] - sizes / 2, points[:, 0] + sizes / 2], axis=1)
        faces = []
        while len(boxes):
            faces.append(face(boxes[0], points[0, 2:], logits[chosen[0]]))
            rest = overlap(boxes[0], boxes) <= self._max_overlap
            rest[0] = False
            boxes, points, chosen = boxes[rest], points[rest], chosen[rest]
        return faces


def face(box: Floats, landmarks: Floats, logit: float) -> dict[str, Any]:
    """Return one face in PySDK's format."""
    return {
        "category_id": 0,
        "label": "face",
        "score": float(1 / (1 + np.exp(-logit))),
        "bbox": [float(v) for v in box],
        "landmarks": [
            {"category_id": number, "label": label, "landmark": [float(v) for v in point], "connect": []}
            for number, (label, point) in enumerate(zip(LANDMARKS, landmarks, strict=True))
        ],
    }
