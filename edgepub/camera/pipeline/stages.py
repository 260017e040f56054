"""The stages of a pipeline: models that are applied to the objects that were found, each cut out of its frame."""

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence
from math import inf
from typing import Any

import numpy as np

from edgepub.camera.analysis.quality import quality
from edgepub.camera.analysis.recognition import Answer, Recognition
from edgepub.camera.frames import Frame, Image, Result
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.answers import read_answers, read_embedding_of
from edgepub.camera.pipeline.crops import Part, find_crop
from edgepub.camera.pipeline.merging import merge
from edgepub.camera.results.objects import Objects, Wanted, limit_objects, read_objects
from edgepub.config.pipelines import StageSettings
from edgepub.core.backoff import Backoff
from edgepub.core.errors import InvalidResultError, ModelError
from edgepub.telemetry.logs import CameraLogger

MAX_CROPS = 20
"""The most objects that one stage is applied to in one frame; the best seen ones."""
_MIN_PAUSE_S, _MAX_PAUSE_S = 1.0, 30.0
_WARM_UP_SIDE = 64  # pixels
EMBEDDING = "embedding"


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

    def crops(self, settings: StageSettings) -> Iterator[tuple[dict[str, Any], Part]]:
        """Yield the objects that a stage is applied to, the best seen first, with their parts of the frame."""
        objects = [one for one in self.objects if settings.on is None or one["label"] in settings.on]
        for detection in sorted(objects, key=quality, reverse=True):
            if part := find_crop(detection["bbox"], settings.margin, *self.frame.size):
                yield detection, part

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
            self.objects = [*self.objects, *merge([objects.objects for _, objects in found], tiles=False)]

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
    """A model that is applied to objects. If it fails, its objects or attributes are missing, and nothing else.

    Args:
        settings: what it does, and with which objects.
        model: its model.
        log: the camera's log.
        clock: the monotonic clock.

    """

    def __init__(
        self, settings: StageSettings, model: Model, log: CameraLogger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self.model = model
        self._log = log
        self._clock = clock
        self._recognition = Recognition()
        self._backoff = Backoff(_MIN_PAUSE_S, _MAX_PAUSE_S)
        self._failed_until_s = -inf

    @property
    def detects(self) -> bool:
        """Whether it finds objects in objects."""
        return self._settings.detect is not None

    def warm_up(self) -> None:
        """Run the model once: some runtimes compile it only then, which takes longer than a frame may take."""
        with contextlib.suppress(ModelError):  # it is said when there is an object
            self.model.predict(Frame(np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8), 1, 0.0, 0.0, 0.0))

    def reset(self) -> None:
        """Forget all tracks: the source has been opened again."""
        self._recognition = Recognition()

    def detect(self, scene: Scene) -> None:
        """Find objects in objects, if that is what the stage does."""
        if not self.detects:
            return
        labels = None if self._settings.labels is None else frozenset(self._settings.labels)
        wanted = scene.wanted._replace(labels=labels)
        found: list[tuple[dict[str, Any], Objects]] = []
        for parent, part in itertools.islice(scene.crops(self._settings), MAX_CROPS):
            if (result := self._predict(scene, part)) is None:
                break
            try:
                found.append((parent, read_objects(result, wanted)))
            except InvalidResultError as error:
                scene.count_invalid(error)
        scene.add(found)

    def recognize(self, scene: Scene, tracks: Collection[int] | None) -> None:
        """Add attributes or embeddings to objects, if that is what the stage does.

        Args:
            scene: the frame and its objects.
            tracks: the tracks that exist: it asks only for objects that have one, and only a few times for each. None:
                objects are not tracked.

        """
        if self.detects:
            return
        now_s = scene.frame.source_s
        asked = 0
        for detection, part in scene.crops(self._settings):
            track = detection.get("track_id")
            if tracks is not None and (track is None or not self._needs_answer(track, detection, now_s)):
                continue
            if asked == MAX_CROPS or (result := self._predict(scene, part)) is None:
                break
            asked += 1
            self._take(scene, result, detection, track)
        if tracks is not None:
            self._add_attributes(scene)
            self._recognition.keep(tracks)

    def _needs_answer(self, track: int, detection: dict[str, Any], now_s: float) -> bool:
        if self._settings.embed:
            return self._recognition.is_better(track, EMBEDDING, quality(detection))
        return self._recognition.needs_answer(track, self._settings.name or "", quality(detection), now_s)

    def _take(self, scene: Scene, result: Result, detection: dict[str, Any], track: int | None) -> None:
        """Add an answer to an object, or to what is known of its track."""
        name = EMBEDDING if self._settings.embed else self._settings.name or ""
        seen, now_s = quality(detection), scene.frame.source_s
        try:
            if self._settings.embed:
                detection[EMBEDDING] = read_embedding_of(result)
                answers: dict[str, Answer] = {}
            else:
                answers = read_answers(result, name)
        except InvalidResultError as error:
            scene.count_invalid(error)
            answers = {}
        if track is None:
            detection.setdefault("attributes", {}).update(
                {key: {"label": answer.label, "score": round(answer.score, 4)} for key, answer in answers.items()}
            )
            return
        for key in dict.fromkeys([name, *answers]):
            self._recognition.add(track, key, answers.get(key), seen, now_s)

    def _add_attributes(self, scene: Scene) -> None:
        for detection in scene.objects:
            track = detection.get("track_id")
            if track is not None and (known := self._recognition.attributes(track)):
                detection.setdefault("attributes", {}).update(known)

    def _predict(self, scene: Scene, part: Part) -> Result | None:
        """Return the model's result for a part of the frame; None after a failure, for a while."""
        if self._clock() < self._failed_until_s:
            return None
        try:
            result = part.place(self.model.predict(scene.cut(part)), scene.frame)
        except ModelError as error:
            pause_s = self._backoff.next_s()
            self._failed_until_s = self._clock() + pause_s
            self._log.warning("stage %s: %s; trying again in %.1f s", self._settings.model, error, pause_s)
            return None
        self._backoff.reset()
        scene.add_time(self._settings.model, 1000 * (result.ended_s - result.began_s))
        return result
