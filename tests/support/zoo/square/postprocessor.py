"""Turns the model's output into a detection. PySDK runs this in a separate process."""


class PostProcessor:
    """The interface that PySDK expects."""

    def configure(self, config):
        """Nothing to configure."""

    def forward(self, tensors, details):  # noqa: ARG002
        """Return the white rectangle, if there is one."""
        *box, score = (float(value) for value in tensors[0].ravel())
        return [{"bbox": box, "label": "square", "score": score, "category_id": 0}] if score > 0.5 else []
