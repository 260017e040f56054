"""The receipts of messages from the durable lane, which may be of an earlier run."""

from edgepub.mqtt.messages import EventReceipt, Receipt, VisitReceipt
from edgepub.mqtt.topics import VISITS_SUFFIX, camera_of_events
from edgepub.telemetry.metrics import MetricsByCamera


def durable_receipt(metrics: MetricsByCamera, topic: str) -> Receipt:
    """Return the receipt of an event or of a visit, by its topic."""
    camera = camera_of_events(topic)
    return VisitReceipt(metrics, camera) if topic.endswith(VISITS_SUFFIX) else EventReceipt(metrics, camera)
