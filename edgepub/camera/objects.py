"""Reads the objects in a model's result, whatever it is: the best ones, and what is wrong with the others."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from edgepub.camera.conversion import check_dictionary, check_list, convert, find_landmarks, read_label, read_score
from edgepub.camera.frames import Result
from edgepub.core.errors import InvalidResultError

MAX_OBJECTS = 500
"""In one result. A model without non-maximum suppression gives thousands, nearly all of them the same few objects."""
MAX_LANDMARKS = 5000
"""In one result: ten faces with 468 points each, or 290 persons with 17 points each."""
_ROUNDING = 1e-4  # of a score


class Objects(NamedTuple):
    """The objects of one result."""

    objects: list[dict[str, Any]]
    """The best objects, in the payload's form."""
    invalid: Mapping[str, int]
    """The number of objects that could not be read, by what is wrong."""
    too_many: int
    """The number of objects that were left out because others are better."""


def read_objects(result: Result, labels: Collection[str] | None, min_score: float) -> Objects:
    """Return the objects of a result with these labels (None: all) and at least this score.

    Only the best `MAX_OBJECTS` are converted, so that a result with many more takes little time.

    Raises:
        InvalidResultError: it is not a result of detections, or none of its objects can be read.

    """
    reader = _Reader(labels, min_score)
    try:
        reader.choose(result.objects)
    except Exception as error:  # noqa: BLE001  (a result may be anything, and raise anything)
        raise InvalidResultError(_describe(error)) from None
    objects, too_many = reader.convert(result)
    if (reader.invalid or too_many) and not (objects or reader.has_others):
        raise InvalidResultError(next(iter(reader.invalid), f"a detection with more than {MAX_LANDMARKS} landmarks"))
    return Objects(objects, reader.invalid, too_many)


class _Reader:
    def __init__(self, labels: Collection[str] | None, min_score: float) -> None:
        self._labels = labels
        self._min_score = min_score
        self._lists: list[list[Any]] = []
        self._seen: set[int] = set()  # their ids
        self._wanted: list[Mapping[str, Any]] = []
        self._scores: list[float] = []  # no pairs: each would be an object for the garbage collector
        self.has_others = False
        """Whether there are objects with other labels or lower scores."""
        self.invalid: Counter[str] = Counter()

    def choose(self, objects: Any) -> None:  # noqa: ANN401  (from a model)
        """Choose the objects that are wanted, as far as that can be seen without converting them."""
        self._add_list(objects)
        for some in self._lists:  # a multi-label classification adds more: its objects are one level down
            for raw in some:
                try:
                    check_dictionary(raw)
                    if "results" in raw and "label" not in raw:
                        self._add_list(raw["results"])
                    else:
                        self._choose(raw)
                except Exception as error:  # noqa: BLE001  (as above)
                    self.invalid[_describe(error)] += 1

    def _add_list(self, objects: Any) -> None:  # noqa: ANN401
        check_list(objects)
        if id(objects) not in self._seen:  # a list may contain itself
            self._seen.add(id(objects))
            self._lists.append(list(objects))  # read here: it may be of a type that raises

    def _choose(self, raw: Mapping[str, Any]) -> None:
        score = read_score(raw)
        if score >= self._min_score - _ROUNDING and (self._labels is None or read_label(raw) in self._labels):
            self._wanted.append(raw)
            self._scores.append(score)
        else:
            self.has_others = True

    def convert(self, result: Result) -> tuple[list[dict[str, Any]], int]:
        """Convert the best objects; return them, and how many are left out."""
        width, height = result.frame.size
        kept: list[dict[str, Any]] = []
        too_many, max_landmarks = 0, MAX_LANDMARKS
        for rank, number in enumerate(self._order()):
            if len(kept) == MAX_OBJECTS:
                too_many += len(self._wanted) - rank
                break
            raw = self._wanted[number]
            try:
                landmarks = find_landmarks(raw)
                if len(landmarks) > max_landmarks:
                    too_many += 1
                    continue
                max_landmarks -= len(landmarks)
                detection = convert(raw, self._scores[number], landmarks, width, height, result.to_frame)
            except Exception as error:  # noqa: BLE001  (as above)
                self.invalid[_describe(error)] += 1
                continue
            if detection["score"] >= self._min_score:
                kept.append(detection)
            else:
                self.has_others = True
        return kept, too_many

    def _order(self) -> Sequence[int]:
        """Return the numbers of the wanted objects: the best first, or as the model gave them if all can be kept."""
        numbers = range(len(self._wanted))
        if len(numbers) <= MAX_OBJECTS:
            return numbers
        return sorted(numbers, key=self._scores.__getitem__, reverse=True)


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, InvalidResultError) else f"it cannot be read: {type(error).__name__}"
