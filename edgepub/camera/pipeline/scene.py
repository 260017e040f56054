"""The objects of one frame while the stages of a pipeline work on them."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from edgepub.camera.analysis.quality import quality
from edgepub.camera.frames import Frame, Image
from edgepub.camera.pipeline.crops import Part, find_crop
from edgepub.camera.pipeline.merging import merge
from edgepub.camera.results.budget import limit_objects
from edgepub.camera.results.objects import Objects, Wanted
from edgepub.config.pipelines import StageSettings
from edgepub.core.errors import InvalidResultError

_Detection = dict[str, Any]


class Crop(NamedTuple):
    """An object, and the part of the frame that is cut out."""

    detection: dict[str, Any]
    part: Part


class Scene:
    """The objects of one frame while the stages work on them.

    Args:
        frame: the frame.
        by_detector: what each detector found in each part of the frame, as far as it can be read.
        wanted: the objects that the camera wants.
        stages_ms: gets what each stage takes.

    """

    def __init__(
        self,
        frame: Frame,
        by_detector: Sequence[Sequence[Objects]],
        wanted: Wanted,
        stages_ms: MutableMapping[str, float],
    ) -> None:
        self.frame = frame
        self.objects: list[_Detection] = []
        """What was found, in the payload's form."""
        self._wanted = wanted
        self._stages_ms = stages_ms
        self._parents: dict[int, _Detection] = {}  # by the id of the object
        self._invalid: Counter[str] = Counter()
        self._too_many = 0
        self._not_included: set[str] = set()
        self._left_out: list[_Detection] = []  # or duplicates; kept only if something must be blurred in pictures
        self._lost: set[str] = set()
        self._blurred: list[Mapping[str, Any]] = []
        self._missing = ""
        self._image: Image | None = None
        merged = []
        for read in by_detector:
            for one in read:
                self._count(one)
            merged.append(self._merge([one.objects for one in read], tiles=True))
        self._take(self._merge(merged, tiles=False))

    def wanted(self, labels: list[str] | None) -> Wanted:
        """Return which objects to keep of a stage's model, which may have only these labels; None: all."""
        return self._wanted.unfiltered()._replace(labels=None if labels is None else frozenset(labels))

    def has_lost(self, labels: list[str] | None) -> bool:
        """Return whether nothing can be looked for in some objects with these labels, None: any; see `Objects.lost`."""
        return bool(self._lost) if labels is None else not self._lost.isdisjoint(labels)

    def crops(self, settings: StageSettings, *, also_left_out: bool) -> Iterator[Crop]:
        """Yield the objects that a stage may be applied to, the best seen first.

        Args:
            settings: the stage.
            also_left_out: whether to yield after them those that are left out by filters, or were found again.

        """
        for found in (self.objects, self._left_out if also_left_out else []):
            objects = [one for one in found if settings.on is None or one["label"] in settings.on]
            for detection in sorted(objects, key=quality, reverse=True):
                if part := find_crop(detection["bbox"], settings.margin, *self.frame.size):
                    yield Crop(detection, part)

    def cut(self, part: Part) -> Frame:
        """Return a part of the frame as a frame of its own."""
        if self._image is None:
            self._image = self.frame.full_image
        return part.cut(self.frame, self._image)

    def add(self, found: Sequence[tuple[_Detection, Objects]]) -> None:
        """Add the objects that were found in others; of the same one in two overlapping others, the better one.

        Args:
            found: an object, and what was found in it.

        """
        left_out = {id(detection) for detection in self._left_out}
        kept = []
        for parent, objects in found:
            self._count(objects)
            if id(parent) in left_out:
                self._left_out += objects.objects
                continue
            kept.append(objects.objects)
            self._parents.update((id(detection), parent) for detection in objects.objects)
        self._take(self._merge(kept, tiles=False))

    def miss(self, why: str) -> None:
        """Note that something that must be blurred in pictures may not have been found."""
        self._missing = self._missing or why

    def count_invalid(self, error: InvalidResultError) -> None:
        """Count a result that could not be read."""
        self._invalid[str(error)] += 1

    def add_time(self, name: str, ms: float) -> None:
        """Add what a model took."""
        self._stages_ms[name] = self._stages_ms.get(name, 0.0) + ms

    def result(self, tracks: Collection[int] | None) -> Objects:
        """Return the objects that are wanted, each with the place of its parent in the list.

        Args:
            tracks: the tracks that exist; None: objects are not tracked.

        """
        labels = self._wanted.labels
        kept, too_many = limit_objects([one for one in self.objects if labels is None or one["label"] in labels])
        self._too_many += too_many
        places = {id(one): place for place, one in enumerate(kept)}
        for one in kept:
            parent = self._parents.get(id(one))
            if parent is not None and id(parent) in places:
                one["parent"] = places[id(parent)]
        counted = self._invalid, self._too_many, self._not_included
        return Objects(kept, *counted, tracks, self._blurred, self._missing)

    def _merge(self, found: Sequence[list[_Detection]], *, tiles: bool) -> list[_Detection]:
        kept, others = merge(found, self._wanted.has_score, tiles=tiles)
        if self._wanted.blur:
            self._left_out += others  # of an object in two tiles, one part may have what the other lacks
        return kept

    def _take(self, found: list[_Detection]) -> None:
        """Add objects that are known now, as far as the filters keep them."""
        kept = self._wanted.filter(found)
        if self._wanted.blur and len(kept) < len(found):
            ids = set(map(id, kept))
            self._left_out += [one for one in found if id(one) not in ids]
        self.objects = [*self.objects, *kept]

    def _count(self, found: Objects) -> None:
        self._invalid.update(found.invalid)
        self._too_many += found.too_many
        self._not_included.update(found.not_included)
        self._blurred += found.blurred
        self._lost.update(found.lost)
        if found.missing:
            self.miss(found.missing)
