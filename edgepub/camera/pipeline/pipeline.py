"""Several models for one camera: applied to the frame or parts of it, and then to the objects that were found."""

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.frames import Box, Fit, Frame, Frames, Result
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.crops import Part, find_region, find_tiles
from edgepub.camera.pipeline.feed import Given, PartFeed
from edgepub.camera.pipeline.scene import Scene
from edgepub.camera.pipeline.stages import Stage
from edgepub.camera.results.objects import Objects, Wanted, read_objects
from edgepub.config.pipelines import TilesSettings
from edgepub.core.errors import InvalidResultError
from edgepub.core.fair_lock import FairLock

_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


class Detector(NamedTuple):
    """A model that is applied to the frame."""

    name: str
    model: Model
    labels: frozenset[str] | None
    """The labels to keep of it; None: all."""


class Pipeline:
    """Runs the models of a camera; for one thread at a time.

    The first detector is given its frames like a model alone, so that several can be in flight. The other detectors are
    given theirs at the same time, and the stages when there are objects. Models on this node's CPU work one after
    another.

    Args:
        detectors: the models that are applied to the frame, at least one.
        tiles: the parts of the region that they are applied to, one after another; None: to the region.
        region: the part of the frame that they see, in fractions of the frame; None: all of it.
        stages: what is done with the objects that were found, in order.
        wanted: returns which objects are wanted now.
        make_tracker: makes a tracker; it returns None if objects are not tracked.
        turns: held while results are read, so that few threads work at the same time.

    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        tiles: TilesSettings | None,
        region: Box | None,
        stages: Sequence[Stage],
        wanted: Callable[[], Wanted],
        make_tracker: Callable[[], Tracker | None],
        turns: FairLock,
    ) -> None:
        self._detectors = detectors
        self._tiles = tiles
        self._region = region
        self._stages = stages
        self._wanted = wanted
        self._make_tracker = make_tracker
        self._turns = turns

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

    def infer(self, frames: Frames, *, live: bool) -> Iterator[Result | None]:
        """Yield the result of each frame, in order, and None whenever a part of a frame is done; see `Model.infer`."""
        first, *others = (detector.model for detector in self._detectors)
        feed = PartFeed(frames, self._find_parts, others)
        tracker = self._make_tracker()
        for stage in self._stages:
            stage.reset()
        results: list[Result] = []
        try:
            for result in first.infer(feed.frames(), live=live, while_busy=True):
                given = feed.oldest
                results.append(given.place(result, len(results)))
                if len(results) < given.picture_count:
                    yield None
                    continue
                feed.drop_oldest()
                yield from self._finish(given, results, tracker)
                results = []
        finally:
            for model in others:
                model.cancel()

    def _find_parts(self, frame: Frame) -> list[Part] | None:
        """Return the parts of a frame that the detectors are given; None: the frame itself."""
        if not self._tiles and not self._region:
            return None
        region = find_region(self._region or _WHOLE, *frame.size)
        return find_tiles(region, self._tiles) if self._tiles else [region]

    def _finish(self, given: Given, results: list[Result], tracker: Tracker | None) -> Iterator[Result | None]:
        """Wait for the other detectors, run the stages, and yield the result of all; None as in `infer`."""
        for stage in self._stages:
            stage.model.poll()
        by_detector = [results]
        for detector in self._detectors[1:]:
            by_detector.append([])
            for number in range(given.picture_count):
                yield None
                by_detector[-1].append(given.place(detector.model.take(), number))
        stages_ms: dict[str, float] = {}
        timing_ms: dict[str, float] = {}
        for detector, found in zip(self._detectors, by_detector, strict=True):
            stages_ms[detector.name] = stages_ms.get(detector.name, 0.0) + _took_ms(found)
            for step, ms in itertools.chain.from_iterable(result.timing_ms.items() for result in found):
                timing_ms[step] = round(timing_ms.get(step, 0.0) + ms, 3)
        objects: Any
        try:
            with self._turns.hold():
                scene = self._find_objects(given.frame, by_detector, stages_ms)
            for stage in self._stages:
                if stage.detects:
                    yield from self._apply(scene, [stage], None)
            tracks: Collection[int] | None = None
            if tracker:
                with self._turns.hold():
                    tracker.track(scene.objects, given.frame.source_s)
                    tracks = tracker.numbers
            recognizing = [stage for stage in self._stages if not stage.detects]
            yield from self._apply(scene, recognizing, tracks)
            objects = scene.result(tracks)
        except InvalidResultError as error:
            objects = error
        rounded = {name: round(ms, 3) for name, ms in stages_ms.items()}
        yield Result(given.frame, objects, timing_ms, results[0].began_s, time.monotonic(), stages_ms=rounded)

    def _apply(self, scene: Scene, stages: Sequence[Stage], tracks: Collection[int] | None) -> Iterator[None]:
        """Apply stages to objects at the same time. Yield before each one that is waited for."""
        if not stages:
            return
        with self._turns.hold():
            picked = [stage.pick(scene, tracks) for stage in stages]
        asked = [stage.ask(scene, crops) for stage, crops in zip(stages, picked, strict=True)]
        for stage, crops, pending in zip(stages, picked, asked, strict=True):
            yield None
            results = stage.wait(pending)
            with self._turns.hold():
                stage.take(scene, crops, results, tracks)

    def _find_objects(self, frame: Frame, by_detector: Sequence[list[Result]], stages_ms: dict[str, float]) -> Scene:
        """Return what the detectors have found.

        Raises:
            InvalidResultError: no result of them can be read.

        """
        wanted = self._wanted()
        # The filters are for objects that are whole: of one that is in several tiles, the reader sees parts.
        unfiltered = wanted.unfiltered()
        read: list[list[Objects]] = []
        errors: list[InvalidResultError] = []
        for detector, results in zip(self._detectors, by_detector, strict=True):
            read.append([])
            for result in results:
                try:
                    read[-1].append(read_objects(result, unfiltered._replace(labels=detector.labels)))
                except InvalidResultError as error:
                    errors.append(error)
        if not any(read):
            raise errors[0]
        scene = Scene(frame, read, wanted, stages_ms)
        for invalid in errors:
            scene.count_invalid(invalid)
            scene.miss(f"a result cannot be read: {invalid}")
        return scene


def _took_ms(results: Sequence[Result]) -> float:
    """Return what a model took for some results; without the runtime's own times, until they came."""
    return sum(sum(result.timing_ms.values()) or 1000 * (result.ended_s - result.began_s) for result in results)
