"""Convert the tensors of MediaPipe's body and face models to one object with landmarks; its score is its presence.

PySDK runs this in a process of its own.
"""

import numpy as np

BODY = (
    "nose",
    "left eye inner",
    "left eye",
    "left eye outer",
    "right eye inner",
    "right eye",
    "right eye outer",
    "left ear",
    "right ear",
    "mouth left",
    "mouth right",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left pinky",
    "right pinky",
    "left index",
    "right index",
    "left thumb",
    "right thumb",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
    "left heel",
    "right heel",
    "left foot index",
    "right foot index",
)
BONES = {0: (7, 8), 11: (12, 13, 23), 12: (14, 24), 13: (15,), 14: (16,), 23: (24, 25), 24: (26,), 25: (27,), 26: (28,)}


def sigmoid(logit):
    return float(1 / (1 + np.exp(-np.clip(float(logit), -100, 100))))


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        self._min_score = float(config["POST_PROCESS"][0]["OutputConfThreshold"])

    def forward(self, tensors, details):
        """Return the body or the face, or nothing; points are pixels of the input."""
        score = float(next(tensor for tensor in tensors if tensor.size == 1).reshape(-1)[0])
        points = next(tensor for tensor in tensors if tensor.size in {195, 1404}).reshape(-1)
        is_body = points.size == 195  # 33 landmarks and 6 for the next frame: x, y, z, visibility, presence
        if not is_body:
            score = sigmoid(score)
        if score < self._min_score:
            return []
        return [{"score": score, "landmarks": body_landmarks(points) if is_body else face_landmarks(points)}]


def body_landmarks(points):
    return [
        {
            "category_id": number,
            "label": name,
            "score": sigmoid(visibility),
            "landmark": [float(x), float(y)],
            "connect": list(BONES.get(number, ())),
        }
        for number, (name, (x, y, _, visibility, _)) in enumerate(
            zip(BODY, points.reshape(39, 5)[: len(BODY)], strict=True)
        )
    ]


def face_landmarks(points):
    return [
        {"category_id": number, "landmark": [float(x), float(y)], "connect": []}
        for number, (x, y, _) in enumerate(points.reshape(468, 3))
    ]
