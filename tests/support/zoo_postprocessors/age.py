"""Convert the tensor of ages to the age that is expected: a regression, whose `score` is in years.

PySDK runs this in a process of its own.
"""

import numpy as np


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        """Need nothing."""

    def forward(self, tensors, details):
        """Return one object, as DeGirum's models of ages do."""
        ages = next(tensor for tensor in tensors if tensor.size == 100).reshape(-1)
        return [{"category_id": 0, "label": "age", "score": float(ages @ np.arange(100))}]
