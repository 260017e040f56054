"""The arrangements of models that `edgepub bench pipelines` compares."""

from enum import StrEnum
from typing import Any

from edgepub.config.pipelines import PipelineSettings

FIRST, SECOND, CLASSIFIER = "first", "second", "classifier"
"""The names of the models in each zoo."""
COLUMNS, ROWS = 2, 2


class Arrangement(StrEnum):
    """Models on one camera."""

    ALONE = "the first model alone"
    SIDE_BY_SIDE = "two models side by side"
    DETECTOR = "a detector on crops"
    CLASSIFIER = "a classifier on crops"
    CLASSIFIER_OF_TRACKS = "a classifier on crops, with tracking"
    TILES = "four tiles"

    @property
    def pipeline(self) -> PipelineSettings:
        """The pipeline."""
        return PipelineSettings.model_validate({"detect": FIRST, **_PIPELINES[self]})

    @property
    def is_tracked(self) -> bool:
        """Whether objects are tracked."""
        return self is Arrangement.CLASSIFIER_OF_TRACKS


_CLASSIFY = {"then": [{"classify": CLASSIFIER, "as": "kind"}]}
_PIPELINES: dict[Arrangement, dict[str, Any]] = {
    Arrangement.ALONE: {},
    Arrangement.SIDE_BY_SIDE: {"detect": [FIRST, SECOND]},
    Arrangement.DETECTOR: {"then": [{"detect": SECOND}]},
    Arrangement.CLASSIFIER: _CLASSIFY,
    Arrangement.CLASSIFIER_OF_TRACKS: _CLASSIFY,
    Arrangement.TILES: {"tiles": {"columns": COLUMNS, "rows": ROWS, "overlap": 0, "whole": False}},
}
