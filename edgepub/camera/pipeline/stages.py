"""The stages of a pipeline: models that are applied to the objects that were found, each cut out of its frame."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from math import inf
from typing import Any, NamedTuple

from edgepub.camera.analysis.quality import quality
from edgepub.camera.analysis.recognition import Answer, Recognition, Value, describe_answer
from edgepub.camera.frames import Frame, Image, Result
from edgepub.camera.pipeline.answers import read_answers, read_embedding_of, read_values
from edgepub.camera.pipeline.crops import Part, find_crop
from edgepub.camera.pipeline.merging import merge
from edgepub.camera.pipeline.model_thread import Pending
from edgepub.camera.pipeline.stage_model import StageModel
from edgepub.camera.results.objects import Objects, Wanted, limit_objects, read_objects
from edgepub.config.pipelines import StageSettings
from edgepub.core.errors import InvalidResultError

MAX_CROPS = 20
"""The most objects that one stage is applied to in one frame; the best seen ones."""
EMBEDDING = "embedding"


class Crop(NamedTuple):
    """An object, and the part of the frame that is cut out."""

    detection: dict[str, Any]
    part: Part


class Scene:
    """The objects of one frame while the stages work on them.

    Args:
        frame: the frame.
        objects: what the detectors found, in the payload's form.
        wanted: the objects that the camera wants.
        read: the results of the detectors.
        stages_ms: gets what each stage takes.

    """

    def __init__(
        self,
        frame: Frame,
        objects: list[dict[str, Any]],
        wanted: Wanted,
        read: Sequence[Objects],
        stages_ms: MutableMapping[str, float],
    ) -> None:
        self.frame = frame
        self.objects = objects
        self.wanted = wanted
        self._stages_ms = stages_ms
        self._parents: dict[int, dict[str, Any]] = {}  # by the id of the object
        self._invalid: Counter[str] = Counter()
        self._too_many = 0
        self._not_included: set[str] = set()
        self._image: Image | None = None
        for one in read:
            self._count(one)

    def crops(self, settings: StageSettings) -> Iterator[Crop]:
        """Yield the objects that a stage may be applied to, the best seen first."""
        objects = [one for one in self.objects if settings.on is None or one["label"] in settings.on]
        for detection in sorted(objects, key=quality, reverse=True):
            if part := find_crop(detection["bbox"], settings.margin, *self.frame.size):
                yield Crop(detection, part)

    def cut(self, part: Part) -> Frame:
        """Return a part of the frame as a frame of its own."""
        if self._image is None:
            self._image = self.frame.full_image
        return part.cut(self.frame, self._image)

    def add(self, found: Sequence[tuple[dict[str, Any], Objects]]) -> None:
        """Add the objects that were found in others; of the same one in two overlapping others, the better one.

        Args:
            found: an object, and what was found in it.

        """
        for parent, objects in found:
            self._count(objects)
            self._parents.update((id(detection), parent) for detection in objects.objects)
        if found:
            merged = merge([objects.objects for _, objects in found], tiles=False)
            self.objects = [*self.objects, *self.wanted.filter(merged)]

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
        labels = self.wanted.labels
        kept, too_many = limit_objects([one for one in self.objects if labels is None or one["label"] in labels])
        self._too_many += too_many
        places = {id(one): place for place, one in enumerate(kept)}
        for one in kept:
            parent = self._parents.get(id(one))
            if parent is not None and id(parent) in places:
                one["parent"] = places[id(parent)]
        return Objects(kept, self._invalid, self._too_many, self._not_included, tracks)

    def _count(self, found: Objects) -> None:
        self._invalid.update(found.invalid)
        self._too_many += found.too_many
        self._not_included.update(found.not_included)


class Stage:
    """Applies a model to objects. If it fails, its objects or attributes are missing, and nothing else.

    For each frame call `pick`, `ask`, `wait` and `take`, each with what the one before returned.

    Args:
        settings: what it does, and with which objects.
        model: its model.

    """

    def __init__(self, settings: StageSettings, model: StageModel) -> None:
        self.settings = settings
        self.model = model
        self._recognition = Recognition()

    @property
    def detects(self) -> bool:
        """Whether it finds objects in objects."""
        return self.settings.detect is not None

    def reset(self) -> None:
        """Forget all tracks: the source has been opened again."""
        self._recognition = Recognition()

    def pick(self, scene: Scene, tracks: Collection[int] | None) -> list[Crop]:
        """Return the objects to apply the model to in this frame, the best seen first.

        Args:
            scene: the frame and its objects.
            tracks: the tracks that exist: attributes and embeddings are asked for only of objects that have one, and
                only a few times for each. None: objects are not tracked.

        """
        crops = scene.crops(self.settings)
        if tracks is not None and not self.detects:
            crops = (crop for crop in crops if self._needs_answer(crop.detection, scene.frame.source_s))
        return list(itertools.islice(crops, MAX_CROPS))

    def ask(self, scene: Scene, crops: Sequence[Crop]) -> Pending | None:
        """Give the model what `pick` returned, and return its results, which come later; None: there will be none."""
        return self.model.apply([scene.cut(crop.part) for crop in crops]) if crops else None

    def wait(self, pending: Pending | None) -> list[Result]:
        """Wait for the results of `ask`, and return them; fewer if the model fails, or takes too long."""
        return self.model.wait(pending) if pending else []

    def take(
        self, scene: Scene, crops: Sequence[Crop], results: Sequence[Result], tracks: Collection[int] | None
    ) -> None:
        """Add what was found in objects, or what is known of them, to the scene; see `pick`."""
        if results:
            scene.add_time(self.model.name, _busy_ms(results))
        answered = list(zip(crops, results, strict=False))
        if self.detects:
            self._add_objects(scene, answered)
            return
        for crop, result in answered:
            self._add_answer(scene, result, crop.detection)
        if tracks is not None:
            self._add_attributes(scene)
            self._recognition.keep(tracks)

    def _needs_answer(self, detection: dict[str, Any], now_s: float) -> bool:
        track = detection.get("track_id")
        if track is None:
            return False
        if self.settings.embed:
            return self._recognition.is_better(track, EMBEDDING, quality(detection))
        return self._recognition.needs_answer(track, self.settings.name or "", quality(detection), now_s)

    def _add_objects(self, scene: Scene, answered: Sequence[tuple[Crop, Result]]) -> None:
        labels = None if self.settings.labels is None else frozenset(self.settings.labels)
        wanted = scene.wanted._replace(labels=labels, filters=None)
        found: list[tuple[dict[str, Any], Objects]] = []
        for crop, result in answered:
            try:
                found.append((crop.detection, read_objects(crop.part.place(result, scene.frame), wanted)))
            except InvalidResultError as error:
                scene.count_invalid(error)
        scene.add(found)

    def _add_answer(self, scene: Scene, result: Result, detection: dict[str, Any]) -> None:
        """Add an answer to an object, or to what is known of its track."""
        name = EMBEDDING if self.settings.embed else self.settings.name or ""
        track, seen, now_s = detection.get("track_id"), quality(detection), scene.frame.source_s
        answers: Mapping[str, Answer | Value] = {}
        try:
            if self.settings.embed:
                detection[EMBEDDING] = read_embedding_of(result)
            else:
                read = read_values if self.settings.regress else read_answers
                answers = read(result, name)
        except InvalidResultError as error:
            scene.count_invalid(error)
        if track is None:
            described = {key: describe_answer(answer) for key, answer in answers.items()}
            detection.setdefault("attributes", {}).update(described)
            return
        for key in dict.fromkeys([name, *answers]):
            self._recognition.add(track, key, answers.get(key), seen, now_s)

    def _add_attributes(self, scene: Scene) -> None:
        for detection in scene.objects:
            track = detection.get("track_id")
            if track is not None and (known := self._recognition.attributes(track)):
                detection.setdefault("attributes", {}).update(known)


def _busy_ms(results: Sequence[Result]) -> float:
    """Return how long a model worked on results; it may have worked on several at the same time."""
    took_s, until_s = 0.0, -inf
    for result in results:
        took_s += result.ended_s - max(result.began_s, until_s)
        until_s = result.ended_s
    return 1000 * took_s
