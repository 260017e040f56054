"""Which objects are wanted by their boxes: by size and shape, and by where they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgepub.camera.analysis.geometry import Zone
from edgepub.config.areas import IgnoreSettings
from edgepub.config.labels import LabelSettings


class Filters:
    """Leaves out objects that are not like what their label says, and those in ignore areas. Immutable.

    Args:
        labels: what objects must be like, by label.
        ignore: the ignore areas.

    """

    def __init__(self, labels: Mapping[str, LabelSettings], ignore: Sequence[IgnoreSettings]) -> None:
        self._labels = {label: settings for label, settings in labels.items() if settings.concerns_box}
        self._ignored = [Zone(area) for area in ignore]

    def __bool__(self) -> bool:
        """Return whether an object may be left out."""
        return bool(self._labels or self._ignored)

    def keeps(self, detection: Mapping[str, Any]) -> bool:
        """Return whether an object, in the payload's form, is wanted."""
        settings = self._labels.get(detection["label"])
        if settings is not None and not _fits(detection, settings):
            return False
        return not any(area.contains(detection, was_in=False) for area in self._ignored)


def _fits(detection: Mapping[str, Any], settings: LabelSettings) -> bool:
    left, top, right, bottom = detection["bbox_norm"]
    area = (right - left) * (bottom - top)
    x1, y1, x2, y2 = detection["bbox"]
    width, height = x2 - x1, y2 - y1
    return (
        (settings.min_area is None or area >= settings.min_area)
        and (settings.max_area is None or area <= settings.max_area)
        and (settings.min_ratio is None or width >= settings.min_ratio * height)
        and (settings.max_ratio is None or width <= settings.max_ratio * height)
    )
