"""What is known of tracked objects beyond their label: asked a few times, and then settled. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import inf
from statistics import median
from typing import Any, NamedTuple

from edgepub.camera.analysis.quality import MIN_IMPROVEMENT

MIN_VOTES = 3
"""Equal answers that settle an attribute, if they are the majority."""
MAX_ANSWERS = 10
"""After this many answers the most frequent one is taken, if it came at least twice."""
SETTLING_VALUES = 5
"""After this many values their median is taken: two of them may be far off."""
MAX_CLASSIFIERS = 20
"""Answers of one model for a track, besides the one that the settings name."""
_DIGITS = 4  # after the decimal point
_PAUSE_S = 0.5  # between two questions otherwise: pictures that follow each other are nearly the same


class Answer(NamedTuple):
    """What a model says of an object in words: it is voted on."""

    label: str
    score: float


class Value(NamedTuple):
    """What a model says of an object as a number: the median counts."""

    number: float


def describe_answer(answer: Answer | Value) -> dict[str, Any]:
    """Return an answer in the payload's form."""
    if isinstance(answer, Value):
        return {"value": round(answer.number, _DIGITS)}
    return {"label": answer.label, "score": round(answer.score, _DIGITS)}


@dataclass(slots=True)
class _Record:
    """The questions and answers for one attribute of one track."""

    asked_s: float = -inf
    quality: float = 0.0
    votes: Counter[str] = field(default_factory=Counter)
    scores: dict[str, float] = field(default_factory=dict)  # the sum of each label's scores
    numbers: list[float] = field(default_factory=list)
    settled: bool = False

    @property
    def has_answer(self) -> bool:
        """Whether there is an answer."""
        return bool(self.votes or self.numbers)

    def take(self, answer: Answer | Value) -> None:
        """Take an answer, and settle if that is enough."""
        if isinstance(answer, Value):
            self.numbers.append(answer.number)
            self.settled = len(self.numbers) >= SETTLING_VALUES
            return
        self.votes[answer.label] += 1
        self.scores[answer.label] = self.scores.get(answer.label, 0.0) + answer.score
        leading, total = max(self.votes.values()), self.votes.total()
        agrees = leading >= MIN_VOTES and 2 * leading > total
        self.settled = agrees or (total >= MAX_ANSWERS and leading > 1)

    def result(self) -> Answer | Value | None:
        """Return the median of the values, or the answer that leads, with its mean score; None without an answer."""
        if self.numbers:
            return Value(median(self.numbers))
        if not self.votes:
            return None
        label = max(self.votes, key=lambda answer: (self.votes[answer], self.scores[answer]))
        return Answer(label, self.scores[label] / self.votes[label])


class Recognition:
    """The attributes of one camera's tracks. Times are those of the source, in seconds."""

    def __init__(self) -> None:
        self._records: dict[int, dict[str, _Record]] = {}  # by track and attribute

    def needs_answer(self, track: int, name: str, quality: float, now_s: float) -> bool:
        """Return whether to ask for an attribute of a track now.

        Args:
            track: the track's number.
            name: the attribute.
            quality: how well the object is seen, its score times the part of the frame that it covers.
            now_s: the frame's time.

        """
        records = self._records.get(track, {})
        # A model with several outputs answers under several names: it is asked until all are settled.
        answered = [record for key, record in records.items() if record.has_answer and _is_of(key, name)]
        if answered and all(record.settled for record in answered):
            return False
        record = records.get(name)
        return record is None or self.is_better(track, name, quality) or now_s - record.asked_s >= _PAUSE_S

    def is_better(self, track: int, name: str, quality: float) -> bool:
        """Return whether a track is new, or seen better than whenever it was asked for an attribute."""
        record = self._records.get(track, {}).get(name)
        return record is None or quality > MIN_IMPROVEMENT * record.quality

    def add(self, track: int, name: str, answer: Answer | Value | None, quality: float, now_s: float) -> None:
        """Add an answer; None: the model said nothing."""
        records = self._records.setdefault(track, {})
        if name not in records and len(records) > MAX_CLASSIFIERS:
            return
        record = records.setdefault(name, _Record())
        if record.settled:
            return
        record.asked_s, record.quality = now_s, max(quality, record.quality)
        if answer is not None:
            record.take(answer)

    def attributes(self, track: int) -> dict[str, dict[str, Any]]:
        """Return the attributes of a track, in the payload's form."""
        return {
            name: {**describe_answer(result), "settled": record.settled}
            for name, record in self._records.get(track, {}).items()
            if (result := record.result())
        }

    def vote(self, objects: Iterable[dict[str, Any]], now_s: float) -> None:
        """Replace the attributes of tracked objects by those on which their answers up to now agree.

        Args:
            objects: the detections of a frame, in the payload's form, with an answer for each attribute.
            now_s: the frame's time.

        """
        for detection in objects:
            track = detection.get("track_id")
            if track is None or "attributes" not in detection:
                continue
            for name, answer in detection["attributes"].items():
                if self.needs_answer(track, name, 0.0, now_s):
                    self.add(track, name, Answer(answer["label"], answer["score"]), 0.0, now_s)
            detection["attributes"] = self.attributes(track)

    def keep(self, tracks: Collection[int]) -> None:
        """Forget all tracks but these."""
        for track in self._records.keys() - tracks:
            del self._records[track]


def _is_of(key: str, name: str) -> bool:
    """Return whether an attribute is of a model that was asked for this one."""
    return key == name or key.startswith(f"{name}_")
