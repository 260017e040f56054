"""What must be blurred in pictures of a frame: every object with some labels, also one that is left out otherwise."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from edgepub.camera.frames import Result
from edgepub.camera.results.budget import MAX_OBJECTS, Budget
from edgepub.camera.results.conversion import convert
from edgepub.camera.results.landmarks import find_landmarks
from edgepub.camera.results.space import Space, find_space
from edgepub.core.errors import InvalidResultError

MAX_BLURRED = 4 * MAX_OBJECTS
"""Objects that are blurred in one frame: to find and to blur more would take too long."""
_BOX = frozenset({"bbox", "angle"})


class Blurred:
    """Collects the objects of one result that must be blurred.

    Args:
        labels: their labels.

    """

    def __init__(self, labels: Collection[str]) -> None:
        self._labels = frozenset(labels)
        self._converted: list[Mapping[str, Any]] = []
        self._left_out: list[Mapping[str, Any]] = []
        self._missing = ""

    def __bool__(self) -> bool:
        """Return whether there are labels to blur."""
        return bool(self._labels)

    def add(self, detection: Mapping[str, Any]) -> None:
        """Take an object in the payload's form, if it must be blurred."""
        if detection["label"] in self._labels:
            self._converted.append(detection)

    def add_left_out(self, raw: Mapping[str, Any], label: str) -> None:
        """Take an object that was not converted, if it must be blurred."""
        if label in self._labels:
            self._left_out.append(raw)

    def miss(self, why: str) -> None:
        """Note that an object cannot be read, whatever it is."""
        self._missing = f"an object cannot be read: {why}"

    def find(self, result: Result) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Return the objects, and why some may be missing, for a person; empty: none is."""
        if len(self._converted) + len(self._left_out) > MAX_BLURRED:
            self._missing = f"more than {MAX_BLURRED} objects in a frame must be blurred; set a higher min_score"
        if self._missing or not self._left_out:
            return self._converted, self._missing
        space = find_space(result, (), Budget())
        try:
            return [*self._converted, *(_find_box(raw, space) for raw in self._left_out)], ""
        except InvalidResultError as error:
            self.miss(str(error))
        except Exception as error:  # noqa: BLE001  (a result may be anything, and raise anything)
            self.miss(type(error).__name__)
        return self._converted, self._missing


def _find_box(raw: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Return an object in the payload's form, with little more than its box.

    Raises:
        InvalidResultError: it cannot be read; or it has no box, and its landmarks or its mask exceed the budget.

    """
    if "bbox" in raw:
        return convert({key: raw[key] for key in _BOX & raw.keys()}, "", 0.0, (), space)
    landmarks = find_landmarks(raw)
    space.budget.take(points=len(landmarks))
    return convert(raw, "", 0.0, landmarks, space)
