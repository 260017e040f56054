"""Convert the tensors of a face to attributes: a multi-label classification, whose age has no score.

PySDK runs this in a process of its own.
"""

import numpy as np


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        """Need nothing."""

    def forward(self, tensors, details):
        """Return the gender and the age, as PySDK's multi-label classifications do."""
        male = float(next(tensor for tensor in tensors if tensor.size == 1).reshape(-1)[0])
        ages = next(tensor for tensor in tensors if tensor.size == 100).reshape(-1)
        gender = {"label": "male", "score": male} if male > 0.5 else {"label": "female", "score": 1 - male}
        age = {"label": str(round(float(ages @ np.arange(100))))}
        return [{"classifier": "gender", "results": [gender]}, {"classifier": "age", "results": [age]}]
