"""Which stages of a pipeline look for what must be blurred in pictures. Pure."""

from collections.abc import Collection, Sequence

from edgepub.config.pipelines import PipelineSettings, StageSettings


def find_models(pipeline: PipelineSettings, blur: Collection[str]) -> list[str]:
    """Return the names of the models that look for objects with these labels, or for what they are in."""
    searching = zip(pipeline.then, find_searching(pipeline.then, blur), strict=True)
    names = [*(one.model for one in pipeline.detect), *(stage.model for stage, searches in searching if searches)]
    return list(dict.fromkeys(names)) if blur else []


def find_searching(stages: Sequence[StageSettings], blur: Collection[str]) -> list[bool]:
    """Return of each stage whether objects with these labels may be missing if it does not work.

    Such a stage finds them, or finds the objects in which a later one looks for them.
    """
    needed: set[str] | None = set(blur)  # None: whatever it is
    searching = []
    for stage in reversed(stages):
        finds = bool(blur and stage.detect) and (
            needed is None or stage.labels is None or not needed.isdisjoint(stage.labels)
        )
        searching.append(finds)
        if finds:
            needed = None if needed is None or stage.on is None else needed.union(stage.on)
    return searching[::-1]
