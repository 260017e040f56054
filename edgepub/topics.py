"""The topic tree: ``<prefix>/<node>/...``, as section 4 of the contract draws it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one node."""

    prefix: str
    node: str

    @property
    def root(self) -> str:
        """What every topic of this node begins with."""
        return f"{self.prefix}/{self.node}"

    @property
    def status(self) -> str:
        """`online` or `offline`, retained; also the last will."""
        return f"{self.root}/status"

    @property
    def info(self) -> str:
        """What runs here, retained."""
        return f"{self.root}/info"

    @property
    def stats(self) -> str:
        """Figures of the node and its cameras, every so often."""
        return f"{self.root}/stats"

    def camera_status(self, camera: str) -> str:
        """`online`, `offline` or `disabled`, retained."""
        return f"{self.root}/{camera}/status"

    def detections(self, camera: str) -> str:
        """One message for each published frame."""
        return f"{self.root}/{camera}/detections"
