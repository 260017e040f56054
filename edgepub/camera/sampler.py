"""Which results are published. Pure: settings, clock and results in, results out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

from edgepub.camera.rates import AdaptiveRateLimiter, RateLimiter
from edgepub.config.camera import PublishSettings

MOVED = 0.02
"""A box that moved by more than this part of the frame, with any of its sides, is a change."""
SCORE_CHANGED = 0.1
"""A score that changed by more than this is a change."""

Objects = Sequence[Mapping[str, Any]]
Item = TypeVar("Item")


class Verdict(NamedTuple, Generic[Item]):
    """What comes of a result: at most one to be published, and those that now never will be."""

    publish: Item | None
    left_out: Sequence[str] = ()
    """For each that is left out, the setting for whose sake; or `unchanged`."""


class _Held(NamedTuple, Generic[Item]):
    item: Item
    objects: Objects
    closed_by: str


class Sampler(Generic[Item]):
    """Admits results or leaves them out, as `publish` says.

    No change is left out by a limited rate, and none by `every` in mode `changes`: the newest result that differs from
    the last one published is held, and published at the next allowed moment, even when all is as before again by then.
    That it is, is the next change.

    Args:
        settings: the camera's `publish`.

    """

    def __init__(self, settings: PublishSettings) -> None:
        self._every = settings.every
        self._only_changes = settings.mode == "changes"
        self._heartbeat_s = inf if settings.heartbeat_s is None or not self._only_changes else settings.heartbeat_s
        self._spacing = None if settings.max_rate_hz is None else RateLimiter(settings.max_rate_hz)
        self._adaptive = AdaptiveRateLimiter() if settings.adaptive else None
        self._sees_changes = self._only_changes or settings.adaptive or settings.max_rate_hz is not None
        self._since = settings.every - 1  # results since the last one published: the first of all is due
        self._last: Objects | None = None
        self._last_s = -inf
        self._held: list[_Held[Item]] = []  # a change; and behind it, when it is over, the newest result

    @property
    def adapts(self) -> bool:
        """Whether it wants to know the queue's age."""
        return self._adaptive is not None

    def offer(self, item: Item, objects: Objects, now_s: float, queue_age_s: float = 0.0) -> Verdict[Item]:
        """Decide on a result.

        Args:
            item: what stands for the result, and is given back.
            objects: its detections.
            now_s: the time; never before that of an earlier call.
            queue_age_s: how long the oldest message of the camera has been waiting for the broker.

        """
        closed_by = self._closed_by(now_s, queue_age_s)
        if self._sees_changes and (self._only_changes or closed_by != "every"):
            return self._compare(item, objects, now_s, closed_by)
        return Verdict(None, [closed_by]) if closed_by else self._published(item, objects, now_s)

    def flush(self) -> list[Item]:
        """Return what is held still, when no more results come; what comes later begins anew."""
        held, self._held, self._last = self._held, [], None
        return [each.item for each in held]

    def _compare(self, item: Item, objects: Objects, now_s: float, closed_by: str | None) -> Verdict[Item]:
        held, self._held = self._held, []
        overdue = now_s - self._last_s >= self._heartbeat_s
        may = closed_by is None or overdue
        newest = _Held(item, objects, closed_by or "unchanged")
        if self._last is None or differ(self._last, objects):
            outdated = [each.closed_by for each in held]
            if may:
                return self._published(item, objects, now_s, outdated)
            self._held = [newest]
            return Verdict(None, outdated)
        if held:
            # The change that is held is over. It is told all the same, and after it that all is as before.
            change, *outdated_return = held
            outdated = [each.closed_by for each in outdated_return]
            if may:
                self._held = [newest._replace(closed_by=change.closed_by)]
                return self._published(change.item, change.objects, now_s, outdated)
            self._held = [change, newest]
            return Verdict(None, outdated)
        if overdue or (may and not self._only_changes):
            return self._published(item, objects, now_s)
        return Verdict(None, ["unchanged" if self._only_changes else newest.closed_by])

    def _closed_by(self, now_s: float, queue_age_s: float) -> str | None:
        """Return the setting that forbids this moment, if one does."""
        self._since += 1
        if self._since < self._every:
            return "every"
        if self._spacing and not self._spacing.allows(now_s):
            return "max_rate_hz"
        if self._adaptive and not self._adaptive.allows(now_s, queue_age_s):
            return "adaptive"
        return None

    def _published(self, item: Item, objects: Objects, now_s: float, left_out: Sequence[str] = ()) -> Verdict[Item]:
        self._since = 0
        self._last, self._last_s = objects, now_s
        for limit in (self._spacing, self._adaptive):
            if limit:
                limit.spend(now_s)
        return Verdict(item, left_out)


def differ(before: Objects, now: Objects) -> bool:
    """Return whether two results differ by more than the tolerances.

    Labels, tracks, zones and how many there are of each must be the same; each object, beside the nearest of its kind
    that no other object is beside, may differ by `MOVED` with each side and by `SCORE_CHANGED`.
    """
    if len(before) != len(now) or Counter(map(_kind, before)) != Counter(map(_kind, now)):
        return True
    unmatched = list(before)
    for each in now:
        kind = _kind(each)
        moved, match = min((_distance(each, o), i) for i, o in enumerate(unmatched) if _kind(o) == kind)
        if moved > MOVED or abs(each["score"] - unmatched[match]["score"]) > SCORE_CHANGED:
            return True
        del unmatched[match]
    return False


def _kind(each: Mapping[str, Any]) -> tuple[Any, ...]:
    return each["label"], each.get("track_id"), frozenset(each.get("zones", ()))


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    return float(max(abs(a - b) for a, b in zip(one["bbox_norm"], other["bbox_norm"], strict=True)))
