"""Labels that a configuration names, and that no model gives. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from edgepub.config.pipelines import DetectorSettings, PipelineSettings, StageSettings
from edgepub.config.suggestions import did_you_mean

LabelsByModel = Mapping[str, Sequence[str]]
"""The labels of models, by the model's name. A model that is missing here, or has none, does not list them."""
_MADE_HERE = frozenset({"hand", "mask", "pose", "result"})
"""Labels of objects for which a model gives none, whatever labels it lists."""
_MAX_SHOWN = 10


def find_unknown_of_camera(labels: Iterable[str], pipeline: PipelineSettings, known: LabelsByModel) -> Iterator[str]:
    """Yield an error text for each label of a camera that its models do not give.

    Args:
        labels: the labels that the camera names.
        pipeline: the camera's pipeline; of a model alone, one with a single detector.
        known: the labels of the models.

    """
    return _find_unknown_of(_finders(pipeline, pipeline.then), labels, known)


def find_unfindable(labels: Iterable[str], pipeline: PipelineSettings, known: LabelsByModel) -> Iterator[str]:
    """As `find_unknown_of_camera`, without stages that never get an object to look into."""
    models: list[DetectorSettings | StageSettings] = [*pipeline.detect]
    for stage in pipeline.then:
        given = _given(models, known)
        if stage.detect and (stage.on is None or given is None or not set(stage.on).isdisjoint({*given, *_MADE_HERE})):
            models.append(stage)
    return _find_unknown_of(models, labels, known)


def find_unknown_of_pipeline(pipeline: PipelineSettings, known: LabelsByModel) -> Iterator[tuple[str, str]]:
    """Yield the key, below the pipeline, and an error text for each label that the models do not give."""
    for index, detector in enumerate(pipeline.detect):
        for why in _find_own(detector, known):
            yield f"detect.{index}.labels", why
    for index, stage in enumerate(pipeline.then):
        # The others run when all objects have been found.
        before = pipeline.then[:index] if stage.detect else pipeline.then
        given = _given(_finders(pipeline, before), known)
        for why in _find_unknown(stage.on, given, "the models before it give", "they give"):
            yield f"then.{index}.on", why
        for why in _find_own(stage, known):
            yield f"then.{index}.labels", why


def _find_unknown_of(
    models: Sequence[DetectorSettings | StageSettings], labels: Iterable[str], known: LabelsByModel
) -> Iterator[str]:
    words = ("its models give", "they give") if len(models) > 1 else ("the model has", "it has")
    return _find_unknown(labels, _given(models, known), *words)


def _finders(pipeline: PipelineSettings, stages: Iterable[StageSettings]) -> list[DetectorSettings | StageSettings]:
    """Return what finds objects: the detectors, and those of these stages that do."""
    return [*pipeline.detect, *(stage for stage in stages if stage.detect)]


def _given(finders: Iterable[DetectorSettings | StageSettings], known: LabelsByModel) -> list[str] | None:
    """Return the labels of the objects that are found; None if that is not known of one of the models."""
    given: list[str] = []
    for finder in finders:
        labels = known.get(finder.model) or finder.labels
        if not labels:
            return None
        given += [label for label in labels if finder.labels is None or label in finder.labels]
    return list(dict.fromkeys(given))


def _find_own(finder: DetectorSettings | StageSettings, known: LabelsByModel) -> Iterator[str]:
    return _find_unknown(finder.labels, known.get(finder.model) or None, "the model has", "it has")


def _find_unknown(
    labels: Iterable[str] | None, known: Sequence[str] | None, they_have: str, have: str
) -> Iterator[str]:
    """Yield an error text for each label that is not among the known ones; None: it is not known which there are."""
    for label in labels or ():
        if known is not None and label not in known and label not in _MADE_HERE:
            shown = ", ".join(known[:_MAX_SHOWN]) + ", ..." * (len(known) > _MAX_SHOWN)
            yield f"{they_have} no label {label!r}" + (did_you_mean(label, known) or f"; {have}: {shown or 'none'}")
