"""Which labels of a camera have topics: the one owner of that bound. A model that reads text has no end of labels."""

import time
from collections.abc import Callable, Iterable
from math import inf

from edgepub.mqtt.label_levels import former_level, topic_level
from edgepub.mqtt.retained import MAX_LABELS
from edgepub.telemetry.logs import CameraLogger

_MIN_UNSEEN_S = 3600.0
"""A label keeps its place at least for this long after it was last seen in this run. Otherwise each new text would
change the topics and the entities in Home Assistant."""
_NOTE = "labels"


class CountedLabels:
    """The labels that have topics, as topic levels: those that the settings name, and a bounded number of others.

    Of the others, a new one takes the place of the one that was not seen for longest.

    Args:
        named: the labels that the settings name.
        retained: the levels that have topics from earlier runs, the longest unseen first.
        log: takes one line when there are more labels than places, and one for labels with the same level.
        notes: the camera's notes, which tell the former.
        can_replace: tells whether topics can be cleared now.
        max_others: how many labels the settings need not name.
        min_unseen_s: how long a label keeps its place.
        clock: returns monotonic seconds.

    """

    def __init__(
        self,
        named: Iterable[str],
        retained: Iterable[str],
        log: CameraLogger,
        notes: dict[str, str],
        can_replace: Callable[[], bool] = lambda: True,
        max_others: int = MAX_LABELS,
        min_unseen_s: float = _MIN_UNSEEN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._named = set(map(topic_level, named))
        self._seen_s = {level: -inf for level in retained if level not in self._named}  # the longest unseen first
        self._labels: dict[str, str] = {}  # by level, the first that was seen
        self._present: set[str] = set()
        self._log = log
        self._notes = notes
        self._can_replace = can_replace
        self._max_others = max_others
        self._min_unseen_s = min_unseen_s
        self._clock = clock

    def __contains__(self, level: str) -> bool:
        """Return whether a level has topics."""
        return level in self._named or level in self._seen_s

    def set_named(self, named: Iterable[str], published: Iterable[str]) -> list[str]:
        """Take the labels that the settings name now, and the levels that have topics; return those without a place."""
        self._named = set(map(topic_level, named))
        seen_s = {level: self._seen_s.get(level, -inf) for level in published if level not in self._named}
        self._seen_s = dict(sorted(seen_s.items(), key=lambda item: item[1]))
        self._labels = {level: label for level, label in self._labels.items() if level in self}
        return [self._remove_oldest() for _ in range(len(self._seen_s) - self._max_others)]

    def update(self, present: Iterable[str]) -> list[str]:
        """Take the labels of the objects that are present now; return the levels that others took the place of."""
        now_s = self._clock()
        levels = {label: topic_level(label) for label in present}
        for level in self._seen_s.keys() & self._present.union(levels.values()):
            del self._seen_s[level]
            self._seen_s[level] = now_s
        self._present = set(levels.values())
        replaced = []
        for label, level in levels.items():
            if level not in self:
                if (former := former_level(label)) != level and self._seen_s.get(former) == -inf:
                    del self._seen_s[former]  # it was this label's until edgepub was upgraded
                    replaced.append(former)
                if len(self._seen_s) >= self._max_others:
                    self._note_limit()
                    if not (self._has_old(now_s) and self._can_replace()):
                        continue
                    replaced.append(self._remove_oldest())
                self._seen_s[level] = now_s
            self._note_twin(level, label)
        return replaced

    def _has_old(self, now_s: float) -> bool:
        return now_s - next(iter(self._seen_s.values()), inf) >= self._min_unseen_s

    def _remove_oldest(self) -> str:
        level = next(iter(self._seen_s))
        del self._seen_s[level]
        self._labels.pop(level, None)
        return level

    def _note_limit(self) -> None:
        if _NOTE not in self._notes:
            self._notes[_NOTE] = (
                f"more than {self._max_others} labels were detected; a new one is not counted until it can take the "
                "place of an old one: set `labels`"
            )
            self._log.warning("%s", self._notes[_NOTE])

    def _note_twin(self, level: str, label: str) -> None:
        first = self._labels.setdefault(level, label)
        if first not in {label, ""}:
            self._labels[level] = ""  # said
            text = "the labels %r and %r are counted together: both have the topic level %r"
            self._log.warning(text, first, label, level)
