"""The wiring of a camera's pictures: the switch, the snapshots and the cut-outs."""

import logging
from collections.abc import Callable, Mapping, Sequence

from edgepub.camera.cutouts import Cutout, Cutouts
from edgepub.camera.picture_switch import PictureSwitch
from edgepub.camera.pictures import Pictures
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.snapshots import Snapshots
from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.camera import CameraSettings
from edgepub.mqtt.messages import JPEG, PictureReceipt, picture_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.retained import find_cutouts
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState

_log = logging.getLogger(__name__)


class PictureWiring:
    """Builds what makes and publishes the pictures of one camera.

    Args:
        identity: the `node`, the `camera` and the `boot_id`.
        settings: the camera's settings.
        topics: the node's topics.
        outbox: takes the messages.
        retained_topics: returns the topics where a state is retained.
        on_new: called, from any thread, when a topic has its first picture.
        is_on: whether pictures may leave the node at first.

    Attributes:
        switch: whether pictures may leave the node.

    """

    def __init__(
        self,
        identity: Mapping[str, str],
        settings: CameraSettings,
        topics: Topics,
        outbox: Outbox,
        retained_topics: Callable[[], Sequence[str]],
        on_new: Callable[[], None],
        *,
        is_on: bool,
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._topics = topics
        self._retained_topics = retained_topics
        self.switch = PictureSwitch(outbox, self._find_pictures, on_new, is_on=is_on)

    def clear_cutout(self, level: str) -> None:
        """Take the cut-out away from the broker of a label, as its topic level, that has lost its topics."""
        if self._settings.has_cutouts:
            self.switch.clear(self._topics.cutout(self._identity["camera"], level))

    def make_pictures(
        self,
        thread: SnapshotThread,
        metrics: CameraMetrics,
        has_topics: Callable[[str], bool],
        viewfinder: Viewfinder,
        state: CameraState,
    ) -> Pictures:
        """Return what shows frames.

        Args:
            thread: makes the pictures.
            metrics: the camera's metrics.
            has_topics: tells whether the label with this topic level has topics: others have no cut-outs.
            viewfinder: shows frames on the pages.
            state: the camera's state.

        """
        snapshots, cutouts = self._make_snapshots(thread, metrics), self._make_cutouts(thread, metrics, has_topics)
        log = camera_logger(_log, self._identity["camera"])
        return Pictures(snapshots, cutouts, viewfinder, self._settings, state, log)

    def _make_snapshots(self, thread: SnapshotThread, metrics: CameraMetrics) -> Snapshots:
        topic, receipt = self._topics.snapshot(self._identity["camera"]), PictureReceipt(metrics)

        def publish(jpeg: bytes) -> None:
            self.switch.put(picture_message(topic, jpeg, receipt))

        return Snapshots(self._identity, self._settings.snapshot, thread, self.switch, publish, metrics)

    def _make_cutouts(
        self, thread: SnapshotThread, metrics: CameraMetrics, has_topics: Callable[[str], bool]
    ) -> Cutouts:
        receipt = PictureReceipt(metrics)

        def publish(cutout: Cutout) -> None:
            topic = self._topics.cutout(self._identity["camera"], cutout.level)
            properties = (("visit_id", cutout.visit_id), ("frame", str(cutout.frame)))
            payload_format = JPEG._replace(properties=properties)
            self.switch.put(picture_message(topic, cutout.jpeg, receipt, payload_format, cutout.created_s))

        def is_retained(level: str) -> bool:
            return self._topics.cutout(self._identity["camera"], level) in self._retained_topics()

        return Cutouts(self._identity, self._settings.snapshot, thread, self.switch, has_topics, publish, is_retained)

    def _find_pictures(self) -> list[str]:
        """Return the topics with pictures, that of the snapshot in any case: the broker may have one."""
        camera = self._identity["camera"]
        return [self._topics.snapshot(camera), *find_cutouts(self._retained_topics(), camera, self._topics)]
