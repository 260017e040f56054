"""Convert the tensor of a text reader to its text (connectionist temporal classification).

PySDK runs this in a process of its own.
"""

import numpy as np


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        parameters = config["POST_PROCESS"][0]
        self._min_score = float(parameters["OutputConfThreshold"])
        self._characters = parameters["Characters"]

    def forward(self, tensors, details):
        """Return one label, the text, or nothing."""
        columns = tensors[0].reshape(-1, len(self._characters) + 2)  # the first is a blank, the last a space
        best = columns.argmax(axis=1)
        read = np.flatnonzero((best > 0) & (best != np.concatenate([[0], best[:-1]])))
        text = "".join((self._characters + " ")[best[at] - 1] for at in read)
        score = float(columns[read, best[read]].mean()) if len(read) else 0.0
        return [{"category_id": 0, "label": text.strip(), "score": score}] if score >= self._min_score else []
