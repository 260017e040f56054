"""Reads the objects in a model's result, whatever it is: the best ones, and what is wrong with the others."""

import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from edgepub.camera.frames import Result
from edgepub.camera.results.blurring import Blurred
from edgepub.camera.results.budget import MAX_OBJECTS, Budget, TooManyError
from edgepub.camera.results.conversion import PUBLISHED, convert
from edgepub.camera.results.filters import Filters
from edgepub.camera.results.flattening import flatten
from edgepub.camera.results.landmarks import find_landmarks
from edgepub.camera.results.space import find_space
from edgepub.camera.results.values import check_dictionary, check_list, read_label, read_score, read_text
from edgepub.core.errors import InvalidResultError

_ROUNDING = 1e-4  # of a score


class TextLabels(NamedTuple):
    """Every object gets the same label; the one of the model is a text, which becomes an attribute."""

    attribute: str
    """The attribute's name."""
    label: str
    """The label of all objects."""


class Wanted(NamedTuple):
    """Which objects of a result to keep, and what of them."""

    labels: Collection[str] | None = None
    """Their labels; None: all."""
    min_score: float = 0.0
    """The least score, of labels that have none of their own."""
    include: Collection[str] = ()
    """Keys to keep beyond the usual ones."""
    text_labels: TextLabels | None = None
    """What to make of the model's labels; None: they are labels."""
    min_scores: Mapping[str, float] | None = None
    """The least scores of labels that have their own; None: none has."""
    filters: Filters | None = None
    """Which of them to keep by their boxes; None: all."""
    blur: Collection[str] = ()
    """The labels of objects that must be blurred in pictures, whether they are kept or not."""

    def unfiltered(self) -> "Wanted":
        """Return what to read before `filter` is used: also objects in which something must be blurred."""
        min_scores = self.min_scores
        if self.blur and min_scores:
            min_scores = {label: min(score, self.min_score) for label, score in min_scores.items()}
        return self._replace(filters=None, min_scores=min_scores)

    def has_score(self, detection: Mapping[str, Any]) -> bool:
        """Return whether an object, in the payload's form, that was read as `unfiltered` says has enough score."""
        if not (self.blur and self.min_scores):
            return True
        score: float = detection["score"]
        return score >= self.min_scores.get(detection["label"], self.min_score)

    def filter(self, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of the objects, in the payload's form, that are wanted; they were read as `unfiltered` says."""
        objects = [one for one in objects if self.has_score(one)]
        return objects if self.filters is None else [one for one in objects if self.filters.keeps(one)]


class Label(NamedTuple):
    """What an object is."""

    label: str
    score: float
    classifier: str | None
    """Which of the model's classifiers the label is from, if it has several."""
    text: str | None
    """What the object reads, if the model says so."""


_ALL = Wanted(min_score=float("-inf"))


class Objects(NamedTuple):
    """The objects of one result."""

    objects: list[dict[str, Any]]
    """The best objects, in the payload's form."""
    invalid: Mapping[str, int]
    """The number of objects that could not be read, by what is wrong."""
    too_many: int
    """The number of objects that were left out because others are better."""
    not_included: Collection[str]
    """Keys of the objects that are not published."""
    tracks: Collection[int] | None = None
    """The tracks that exist, also of objects that may come back; objects have their `track_id`. None: they are
    not tracked yet."""
    blurred: Sequence[Mapping[str, Any]] = ()
    """The objects that must be blurred in pictures, with `bbox_norm`, also those that are left out."""
    missing: str = ""
    """Why objects that must be blurred may be missing, for a person; empty: all were looked for."""
    lost: Collection[str] = ()
    """The labels of objects that could not be kept, or not be read: nothing can be looked for in them. Empty unless
    something must be blurred. Those that must be blurred themselves are in `blurred` all the same."""

    @property
    def is_complete(self) -> bool:
        """Whether a picture of this frame may be shown: everything that must be blurred in it was looked for."""
        return not self.missing


def read_objects(result: Result, wanted: Wanted) -> Objects:
    """Return the objects of a result.

    Only the best `MAX_OBJECTS` are converted, so that a result with many more takes little time.

    Raises:
        InvalidResultError: it is not a result of detections, or none of its objects can be read.

    """
    reader = _Reader(result, wanted)
    try:
        reader.choose()
    except Exception as error:  # noqa: BLE001  (a result may be anything, and raise anything)
        raise InvalidResultError(_describe(error)) from None
    objects = reader.convert()
    if (reader.invalid or reader.too_many) and not (objects or reader.has_others):
        raise InvalidResultError(next(iter(reader.invalid), reader.why_too_many))
    blurred, missing = reader.blurred.find(result) if reader.blurred else ((), "")
    return Objects(objects, reader.invalid, reader.too_many, reader.not_included, None, blurred, missing, reader.lost)


def read_labels(result: Result) -> list[Label]:
    """Return what the objects of a result are, whatever their scores, and not where they are: that takes half the time.

    Raises:
        InvalidResultError: it is not a result of objects, or none of them can be read.

    """
    reader = _Reader(result, _ALL)
    try:
        reader.choose()
    except Exception as error:  # noqa: BLE001  (as above)
        raise InvalidResultError(_describe(error)) from None
    labels = reader.labels()
    if reader.invalid and not labels:
        raise InvalidResultError(next(iter(reader.invalid)))
    return labels


class _Reader:
    def __init__(self, result: Result, wanted: Wanted) -> None:
        self._result = result
        self._labels, self._min_score, self._include, self._text_labels, self._min_scores, self._filters = wanted[:-1]
        self.blurred = Blurred(wanted.blur)
        self._lowest_score = min([self._min_score, *(self._min_scores or {}).values()])
        self._known = PUBLISHED.union(self._include)
        # Each with what its entries have unless they say otherwise: a classifier's answers need no scores.
        self._lists: list[tuple[list[Any], Mapping[str, Any] | None]] = []
        self._seen: set[int] = set()  # their ids
        self._wanted: list[Mapping[str, Any]] = []
        self._read: dict[str, str] = {}  # labels that have been read
        self._budget, self._left_out_budget = Budget(), Budget()
        self._scores: list[float] = []  # no pairs: each would be an object for the garbage collector
        self.has_others = False
        """Whether there are objects that are not wanted."""
        self.invalid: Counter[str] = Counter()
        self.too_many = 0
        self.why_too_many = ""
        self.not_included: set[str] = set()
        self.lost: set[str] = set()

    def choose(self) -> None:
        """Choose the objects that are wanted, as far as that can be seen without converting them."""
        entries = self._result.objects
        is_one = isinstance(entries, dict) and any(key in entries for key in self._include)
        self._add_list([entries] if is_one else entries, None)
        for listed, answer in self._lists:  # a multi-label classification adds more: its objects are one level down
            for entry in listed:
                try:
                    check_dictionary(entry)
                    if "bbox" in entry and "label" in entry:  # nearly always
                        self._choose(entry if answer is None else {**answer, **entry})
                    elif "results" in entry and "label" not in entry:
                        self._add_list(entry["results"], {"score": 1.0, "classifier": entry.get("classifier")})
                    else:
                        for raw in flatten(entry, self._result, self._include, self._budget):
                            self._choose(raw if answer is None else {**answer, **raw})
                except Exception as error:  # noqa: BLE001  (as above)
                    self._leave_out(error)

    def _add_list(self, entries: Any, answer: Mapping[str, Any] | None) -> None:  # noqa: ANN401  (from a model)
        check_list(entries)
        if id(entries) not in self._seen:  # a list may contain itself
            self._seen.add(id(entries))
            self._lists.append((list(entries), answer))  # read here: it may be of a type that raises

    def _choose(self, raw: Mapping[str, Any]) -> None:
        score = read_score(raw)
        if (
            score >= self._lowest_score - _ROUNDING
            and (self._labels is None or self._label(raw) in self._labels)
            and (self._min_scores is None or score >= self._least_score(self._label(raw)) - _ROUNDING)
        ):
            self._wanted.append(raw)
            self._scores.append(score)
        else:
            self.has_others = True
            if self.blurred and score >= min(self._min_score, self._least_score(self._label(raw))) - _ROUNDING:
                self.blurred.add_left_out(raw, self._label(raw))

    def _least_score(self, label: str) -> float:
        return (self._min_scores or {}).get(label, self._min_score)

    def _label(self, raw: Mapping[str, Any]) -> str:
        if self._text_labels:
            return self._text_labels.label
        label = raw.get("label")
        if type(label) is not str or not label:
            return read_label(raw, self._result.labels)
        if label not in self._read:
            self._read[label] = read_label(raw, self._result.labels)
        return self._read[label]

    def convert(self) -> list[dict[str, Any]]:
        """Convert the best objects, and return them."""
        space = find_space(self._result, self._include, self._budget)
        kept: list[dict[str, Any]] = []
        least, min_scores, filters = self._min_score, self._min_scores, self._filters
        for rank, number in enumerate(self._order()):
            if len(kept) == MAX_OBJECTS:
                self.too_many += len(self._wanted) - rank
                self._leave_out_from(rank)
                break
            raw = self._wanted[number]
            before = None if filters is None else self._budget.left
            try:
                landmarks: Sequence[Any] = ()
                if "landmarks" in raw:
                    landmarks = find_landmarks(raw)
                    self._budget.take(points=len(landmarks))
                detection = convert(raw, self._label(raw), self._scores[number], landmarks, space)
                if self._text_labels:
                    text = read_label(raw, self._result.labels)
                    detection["attributes"] = {
                        self._text_labels.attribute: {"label": text, "score": detection["score"]}
                    }
            except Exception as error:  # noqa: BLE001  (as above)
                self._leave_out(error, raw)
                continue
            self.blurred.add(detection)
            if min_scores is not None:
                least = self._least_score(detection["label"])
            if detection["score"] >= least and (filters is None or filters.keeps(detection)):
                kept.append(detection)
                if not raw.keys() <= self._known:
                    self.not_included.update(raw.keys() - self._known)
            else:
                self.has_others = True
                if before is not None:
                    self._give_back(before)
        return kept

    def labels(self) -> list[Label]:
        """Return what the chosen objects are."""
        found: list[Label] = []
        for raw, score in zip(self._wanted, self._scores, strict=True):
            try:
                classifier, text = (
                    read_text(raw[key], key) if isinstance(raw.get(key), str) else None
                    for key in ("classifier", "text")
                )
                found.append(Label(self._label(raw), round(score, 4), classifier, text))
            except Exception as error:  # noqa: BLE001  (as above)
                self._leave_out(error)
        return found

    def _give_back(self, before: tuple[int, int]) -> None:
        """Give back what an object took that is not wanted, as long as such objects take no more than others may."""
        points, size_bytes = (old - new for old, new in zip(before, self._budget.left, strict=True))
        with contextlib.suppress(TooManyError):
            self._left_out_budget.take(points=points, size_bytes=size_bytes)
            self._budget.give_back(points=points, size_bytes=size_bytes)

    def _leave_out(self, error: Exception, raw: Mapping[str, Any] | None = None) -> None:
        """Count an object that is left out because of an error; `raw`: the object, if it is a wanted one."""
        if raw is None:
            self.blurred.miss(_describe(error))
        elif self.blurred:
            self._lose(raw)
        if isinstance(error, TooManyError):
            self.too_many, self.why_too_many = self.too_many + 1, str(error)
        else:
            self.invalid[_describe(error)] += 1

    def _leave_out_from(self, rank: int) -> None:
        """Leave out the wanted objects from this rank on; those that must be blurred are."""
        for number in self._order()[rank:] if self.blurred else ():
            self._lose(self._wanted[number])

    def _lose(self, raw: Mapping[str, Any]) -> None:
        """Note an object that is not converted; it can perhaps be placed all the same."""
        try:
            label = self._label(raw)
        except Exception as error:  # noqa: BLE001  (as above)
            self.blurred.miss(_describe(error))
        else:
            self.lost.add(label)
            self.blurred.add_left_out(raw, label)

    def _order(self) -> Sequence[int]:
        """Return the numbers of the wanted objects: the best first, or as the model gave them if all can be kept."""
        numbers = range(len(self._wanted))
        if len(numbers) <= MAX_OBJECTS:
            return numbers
        return sorted(numbers, key=self._scores.__getitem__, reverse=True)


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, InvalidResultError) else f"it cannot be read: {type(error).__name__}"
