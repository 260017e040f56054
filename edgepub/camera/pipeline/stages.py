"""The stages of a pipeline: models that are applied to the objects that were found, each cut out of its frame."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Any

from edgepub.camera.analysis.quality import quality
from edgepub.camera.analysis.recognition import Answer, Recognition, Value, describe_answer
from edgepub.camera.frames import Result
from edgepub.camera.pipeline.answers import read_answers, read_embedding_of, read_values
from edgepub.camera.pipeline.model_thread import Pending
from edgepub.camera.pipeline.scene import Crop, Scene
from edgepub.camera.pipeline.stage_model import StageModel
from edgepub.camera.results.objects import Objects, read_objects
from edgepub.config.pipelines import StageSettings
from edgepub.core.errors import InvalidResultError

MAX_CROPS = 20
"""The most objects that one stage is applied to in one frame; the best seen ones."""
EMBEDDING = "embedding"


class Stage:
    """Applies a model to objects. If it fails, its objects or attributes are missing, and nothing else.

    For each frame call `pick`, `ask`, `wait` and `take`, each with what the one before returned.

    Args:
        settings: what it does, and with which objects.
        model: its model.
        must_search: whether it may find what must be blurred in pictures: then it also looks into objects that are left
            out otherwise, and a frame is not complete if it could not look into all.

    """

    def __init__(self, settings: StageSettings, model: StageModel, *, must_search: bool = False) -> None:
        self.settings = settings
        self.model = model
        self._must_search = must_search
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
        crops = scene.crops(self.settings, also_left_out=self._must_search)
        if tracks is not None and not self.detects:
            crops = (crop for crop in crops if self._needs_answer(crop.detection, scene.frame.source_s))
        picked = list(itertools.islice(crops, MAX_CROPS))
        if self._must_search and scene.has_lost(self.settings.on):
            scene.miss(
                f"a result has too many objects, or some that cannot be read, and the stage {self.model.name} should "
                "look into them; set a higher min_score if there are too many"
            )
        if self._must_search and next(crops, None):
            scene.miss(
                f"there are more objects than the {MAX_CROPS} of a frame that the stage {self.model.name} looks into; "
                "name fewer labels in its `on`, or detect in the whole frame what must be blurred"
            )
        return picked

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
        if self._must_search and len(results) < len(crops):
            scene.miss(f"the stage {self.model.name} does not work, or is too slow; earlier lines of the log say why")
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
        wanted = scene.wanted(self.settings.labels)
        found: list[tuple[dict[str, Any], Objects]] = []
        for crop, result in answered:
            try:
                found.append((crop.detection, read_objects(crop.part.place(result, scene.frame), wanted)))
            except InvalidResultError as error:
                scene.count_invalid(error)
                if self._must_search:
                    scene.miss(f"a result of the stage {self.model.name} cannot be read: {error}")
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
