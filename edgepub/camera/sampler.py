"""Decides which results are published. Pure: settings, time and results in, results out."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from edgepub.camera.rates import AdaptiveRateLimiter, RateLimiter
from edgepub.config.publishing import PublishSettings

MIN_MOVE = 0.02
"""A box is a change if one of its sides moved by more than this part of the frame."""
MIN_SCORE_CHANGE = 0.1
"""A score is a change if it differs by more than this."""

Objects = Sequence[Mapping[str, Any]]
Item = TypeVar("Item")


class Verdict(NamedTuple, Generic[Item]):
    """The outcome of an offer: the result to publish, if any, and the results that are left out for good."""

    publish: Item | None
    left_out: Sequence[str] = ()
    """For each result that is left out, the setting that excludes it, or `unchanged`."""


class _Held(NamedTuple, Generic[Item]):
    item: Item
    objects: Objects
    excluded_by: str


class Sampler(Generic[Item]):
    """Admits results or leaves them out, according to the `publish` settings.

    A rate limit never suppresses a change; neither does `every` in mode `changes`. The newest result that differs from
    the last published one is held and published at the next allowed moment, even if the scene is as before again by
    then. The return to the former scene is the next change.

    Args:
        settings: the camera's `publish`.

    """

    def __init__(self, settings: PublishSettings) -> None:
        self._every = settings.every
        self._only_changes = settings.mode == "changes"
        self._heartbeat_s = inf if settings.heartbeat_s is None or not self._only_changes else settings.heartbeat_s
        self._limiter = None if settings.max_rate_hz is None else RateLimiter(settings.max_rate_hz)
        self._adaptive = AdaptiveRateLimiter() if settings.adaptive else None
        self._compares = self._only_changes or settings.adaptive or settings.max_rate_hz is not None
        self._since = settings.every - 1  # results since the last published one: the very first is due
        self._last: Objects | None = None
        self._last_s = -inf
        self._held: list[_Held[Item]] = []  # a change; when it is over, also the newest result

    @property
    def adapts(self) -> bool:
        """Whether `offer` needs the queue's age."""
        return self._adaptive is not None

    def offer(self, item: Item, objects: Objects, now_s: float, queue_age_s: float = 0.0) -> Verdict[Item]:
        """Decide on a result.

        Args:
            item: represents the result; returned when it is published.
            objects: its detections.
            now_s: the time; never earlier than in a previous call.
            queue_age_s: how long the camera's oldest message has waited for the broker.

        """
        excluded_by = self._exclusion(now_s, queue_age_s)
        if self._compares and (self._only_changes or excluded_by != "every"):
            return self._compare(item, objects, now_s, excluded_by)
        return Verdict(None, [excluded_by]) if excluded_by else self._publish(item, objects, now_s)

    def flush(self) -> list[Item]:
        """Return the results that are still held, and start over: no more results come from this source."""
        held, self._held, self._last = self._held, [], None
        return [result.item for result in held]

    def _compare(self, item: Item, objects: Objects, now_s: float, excluded_by: str | None) -> Verdict[Item]:
        held, self._held = self._held, []
        overdue = now_s - self._last_s >= self._heartbeat_s
        is_allowed = excluded_by is None or overdue
        newest = _Held(item, objects, excluded_by or "unchanged")
        if self._last is None or differ(self._last, objects):
            outdated = [result.excluded_by for result in held]
            if is_allowed:
                return self._publish(item, objects, now_s, outdated)
            self._held = [newest]
            return Verdict(None, outdated)
        if held:
            # The held change is over. It is published nevertheless, and after it the scene as it is now.
            change, *reverted = held
            outdated = [result.excluded_by for result in reverted]
            if is_allowed:
                self._held = [newest._replace(excluded_by=change.excluded_by)]
                return self._publish(change.item, change.objects, now_s, outdated)
            self._held = [change, newest]
            return Verdict(None, outdated)
        if overdue or (is_allowed and not self._only_changes):
            return self._publish(item, objects, now_s)
        return Verdict(None, ["unchanged" if self._only_changes else newest.excluded_by])

    def _exclusion(self, now_s: float, queue_age_s: float) -> str | None:
        """Return the setting that forbids publishing now, if one does."""
        self._since += 1
        if self._since < self._every:
            return "every"
        if self._limiter and not self._limiter.allows(now_s):
            return "max_rate_hz"
        if self._adaptive and not self._adaptive.allows(now_s, queue_age_s):
            return "adaptive"
        return None

    def _publish(self, item: Item, objects: Objects, now_s: float, left_out: Sequence[str] = ()) -> Verdict[Item]:
        self._since = 0
        self._last, self._last_s = objects, now_s
        for limiter in (self._limiter, self._adaptive):
            if limiter:
                limiter.spend(now_s)
        return Verdict(item, left_out)


def differ(before: Objects, now: Objects) -> bool:
    """Return whether two results differ by more than the tolerances.

    Labels, tracks, zones and the number of objects of each kind must be the same. Each object is compared to the
    nearest unmatched object of its kind: each side may differ by `MIN_MOVE`, the score by `MIN_SCORE_CHANGE`.
    """
    if len(before) != len(now):
        return True
    kinds_before, kinds_now = _by_kind(before), _by_kind(now)
    if any(len(kinds_before.get(kind, ())) != len(objects) for kind, objects in kinds_now.items()):
        return True
    return any(_have_moved(kinds_before[kind], objects) for kind, objects in kinds_now.items())


def _by_kind(objects: Objects) -> Mapping[tuple[Any, ...], Objects]:
    kinds: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for detection in objects:
        kinds.setdefault(_kind(detection), []).append(detection)
    return kinds


def _have_moved(before: Objects, now: Objects) -> bool:
    """Compare as many objects of the same kind."""
    if len(before) == 1:  # as usual: each has its own track
        return not _are_alike(before[0], now[0], _distance(before[0], now[0]))
    boxes = np.array([detection["bbox_norm"] for detection in before])  # there may be hundreds
    for detection in now:
        distances = np.abs(boxes - detection["bbox_norm"]).max(axis=1)
        nearest = int(distances.argmin())
        if not _are_alike(before[nearest], detection, distances[nearest]):
            return True
        boxes[nearest] = inf
    return False


def _are_alike(one: Mapping[str, Any], other: Mapping[str, Any], distance: float) -> bool:
    return distance <= MIN_MOVE and abs(one["score"] - other["score"]) <= MIN_SCORE_CHANGE


def _kind(detection: Mapping[str, Any]) -> tuple[Any, ...]:
    attributes = [
        attribute.get("label", attribute.get("value") if attribute.get("settled") else None)  # others change each time
        for attribute in detection.get("attributes", {}).values()
    ]
    zones = frozenset(detection.get("zones", ()))
    return detection["label"], detection.get("track_id"), zones, detection.get("text"), *attributes


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    return float(max(abs(a - b) for a, b in zip(one["bbox_norm"], other["bbox_norm"], strict=True)))
