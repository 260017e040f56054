"""Several models for one camera: applied to the frame or parts of it, and then to the objects that were found."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.frames import Box, Fit, Frame, Frames, Result
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.crops import Part, find_region, find_tiles
from edgepub.camera.pipeline.merging import merge
from edgepub.camera.pipeline.stages import Scene, Stage
from edgepub.camera.results.objects import Objects, Wanted, read_objects
from edgepub.config.pipelines import TilesSettings
from edgepub.core.errors import InvalidResultError

_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


class Detector(NamedTuple):
    """A model that is applied to the frame, and the labels to keep of it; None: all."""

    name: str
    model: Model
    labels: frozenset[str] | None


class Pipeline:
    """Runs the models of a camera one after another; for one thread at a time.

    The first detector is given its frames like a model alone, so that several can be in flight. The other models are
    given theirs when its result has come.

    Args:
        detectors: the models that are applied to the frame, at least one.
        tiles: the parts of the region that they are applied to, one after another; None: to the region.
        region: the part of the frame that they see, in fractions of the frame; None: all of it.
        stages: what is done with the objects that were found, in order.
        wanted: returns which objects are wanted now.
        make_tracker: makes a tracker; it returns None if objects are not tracked.

    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        tiles: TilesSettings | None,
        region: Box | None,
        stages: Sequence[Stage],
        wanted: Callable[[], Wanted],
        make_tracker: Callable[[], Tracker | None],
    ) -> None:
        self._detectors = detectors
        self._tiles = tiles
        self._region = region
        self._stages = stages
        self._wanted = wanted
        self._make_tracker = make_tracker

    @property
    def fit(self) -> Fit | None:
        """The size of the pictures that all its detectors take; None: give it pictures at full size."""
        fits = {detector.model.fit for detector in self._detectors}
        return fits.pop() if len(fits) == 1 and not self._tiles and not self._region else None

    @property
    def device(self) -> str:
        """The device of its first detector."""
        return self._detectors[0].model.device

    @property
    def is_remote(self) -> bool:
        """Whether frames and results of its first detector go through a network."""
        return self._detectors[0].model.is_remote

    @property
    def server(self) -> str | None:
        """The AI server of its first detector; None: on this node, or in a cloud."""
        return self._detectors[0].model.server

    @property
    def labels(self) -> list[str]:
        """The labels of its objects; empty if one of its models does not list them."""
        models = [*(one.model for one in self._detectors), *(one.model for one in self._stages if one.detects)]
        labels = [model.labels for model in models]
        return [label for some in labels for label in some] if all(labels) else []

    def infer(self, frames: Frames, *, live: bool) -> Iterator[Result]:
        """Yield the result of each frame, in order; see `Model.infer`."""
        feed = _PartFeed(frames, self._find_parts)
        tracker = self._make_tracker()
        for stage in self._stages:
            stage.reset()
        first, *others = self._detectors
        results: list[Result] = []
        for result in first.model.infer(feed.frames(), live=live):
            frame, parts = feed.oldest
            results.append(result if parts is None else parts[len(results)].place(result, frame))
            if parts is None or len(results) == len(parts):
                feed.drop_oldest()
                yield self._finish(frame, parts, results, others, tracker)
                results = []

    def _find_parts(self, frame: Frame) -> list[Part] | None:
        """Return the parts of a frame that the detectors are given; None: the frame itself."""
        if not self._tiles and not self._region:
            return None
        region = find_region(self._region or _WHOLE, *frame.size)
        return find_tiles(region, self._tiles) if self._tiles else [region]

    def _finish(
        self,
        frame: Frame,
        parts: Sequence[Part] | None,
        results: list[Result],
        others: Iterable[Detector],
        tracker: Tracker | None,
    ) -> Result:
        """Run the other models, and return the result of all."""
        stages_ms = {self._detectors[0].name: _took_ms(results)}
        by_detector = [results]
        for detector in others:
            if parts is None:
                more = [detector.model.predict(frame)]
            else:
                image = frame.full_image
                more = [part.place(detector.model.predict(part.cut(frame, image)), frame) for part in parts]
            stages_ms[detector.name] = stages_ms.get(detector.name, 0.0) + _took_ms(more)
            by_detector.append(more)
        timing_ms: dict[str, float] = {}
        for result in (result for one in by_detector for result in one):
            for step, ms in result.timing_ms.items():
                timing_ms[step] = round(timing_ms.get(step, 0.0) + ms, 3)
        try:
            objects: Any = self._find_objects(frame, by_detector, tracker, stages_ms)
        except InvalidResultError as error:
            objects = error
        rounded = {name: round(ms, 3) for name, ms in stages_ms.items()}
        return Result(frame, objects, timing_ms, results[0].began_s, time.monotonic(), stages_ms=rounded)

    def _find_objects(
        self, frame: Frame, by_detector: Sequence[list[Result]], tracker: Tracker | None, stages_ms: dict[str, float]
    ) -> Objects:
        wanted = self._wanted()
        read: list[Objects] = []
        by_tile: list[list[list[dict[str, Any]]]] = []
        errors: list[InvalidResultError] = []
        for detector, results in zip(self._detectors, by_detector, strict=True):
            by_tile.append([])
            for result in results:
                try:
                    objects = read_objects(result, wanted._replace(labels=detector.labels))
                except InvalidResultError as error:
                    errors.append(error)
                    continue
                read.append(objects)
                by_tile[-1].append(objects.objects)
        if not read:
            raise errors[0]
        found = merge([merge(tiles, tiles=True) for tiles in by_tile], tiles=False)
        scene = Scene(frame, found, wanted, read, stages_ms)
        for invalid in errors:
            scene.count_invalid(invalid)
        for stage in self._stages:
            stage.detect(scene)
        if tracker:
            tracker.track(scene.objects, frame.source_s)
        tracks = tracker.numbers if tracker else None
        for stage in self._stages:
            stage.recognize(scene, tracks)
        return scene.result(tracks)


class _PartFeed:
    """Gives a model the parts of frames, and remembers the frames until their results have come.

    Args:
        frames: the frames.
        find_parts: returns the parts of a frame; None: the frame itself.

    """

    def __init__(self, frames: Frames, find_parts: Callable[[Frame], list[Part] | None]) -> None:
        self._frames = frames
        self._find_parts = find_parts
        self._given: deque[tuple[Frame, list[Part] | None]] = deque()

    @property
    def oldest(self) -> tuple[Frame, list[Part] | None]:
        """The oldest frame whose results have not all come, and its parts."""
        return self._given[0]

    def drop_oldest(self) -> None:
        """Forget the oldest frame: all its results have come."""
        self._given.popleft()

    def frames(self) -> Frames:
        """Yield the parts as frames."""
        timeout_s: float | None = None
        while True:
            try:
                frame = next(self._frames) if timeout_s is None else self._frames.send(timeout_s)
            except StopIteration:
                return
            if frame is None:
                timeout_s = yield None
                continue
            parts = self._find_parts(frame)
            self._given.append((frame, parts))
            if parts is None:
                timeout_s = yield frame
                continue
            image = frame.full_image
            for part in parts:
                timeout_s = yield part.cut(frame, image)


def _took_ms(results: Sequence[Result]) -> float:
    """Return what a model took for some results; without the runtime's own times, until they came."""
    return sum(sum(result.timing_ms.values()) or 1000 * (result.ended_s - result.began_s) for result in results)
