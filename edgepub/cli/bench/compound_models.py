"""The comparison: the arrangements of `edgepub bench pipelines` in plain degirum_tools.

``python -m edgepub.cli.bench.compound_models {predict,predict_batch} ARRANGEMENT ZOO FRAMES COUNT`` prints what each
frame takes, with one of the two ways to give frames to a model of degirum_tools.
"""

import os
import sys
from pathlib import Path
from typing import Any

from edgepub.cli.bench.arrangements import CLASSIFIER, COLUMNS, FIRST, ROWS, SECOND, Arrangement
from edgepub.cli.bench.frame_cost import measure, read_frames

_MAX_IOU = 0.5


def main(method: str, arrangement: str, zoo: str, frames: str, count: str) -> None:
    """Print what each frame takes."""
    # PySDK starts postprocessors with the first `python3` in PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    model = _make_model(Arrangement(arrangement), zoo)
    pictures = read_frames(Path(frames), int(count))
    results = map(model.predict, pictures) if method == "predict" else model.predict_batch(pictures)
    if Arrangement(arrangement) is Arrangement.SIDE_BY_SIDE:
        results = map(_merge, results)
    print(*measure((len(result.results) for result in results), int(count)))


def _merge(result: Any) -> Any:  # noqa: ANN401  (PySDK is untyped)
    """Leave out what the second model has found again."""
    import degirum_tools

    degirum_tools.nms(result, iou_threshold=_MAX_IOU)
    return result


def _make_model(arrangement: Arrangement, zoo: str) -> Any:  # noqa: ANN401  (PySDK is untyped)
    import degirum_tools

    def load(name: str) -> Any:  # noqa: ANN401
        spec = degirum_tools.ModelSpec(model_name=name, zoo_url=zoo, inference_host_address="@local")
        return spec.load_model()

    first = load(FIRST)
    match arrangement:
        case Arrangement.ALONE:
            return first
        case Arrangement.SIDE_BY_SIDE:
            return degirum_tools.CombiningCompoundModel(first, load(SECOND))
        case Arrangement.DETECTOR:
            return degirum_tools.CroppingAndDetectingCompoundModel(first, load(SECOND), add_model1_results=True)
        case Arrangement.CLASSIFIER | Arrangement.CLASSIFIER_OF_TRACKS:
            return degirum_tools.CroppingAndClassifyingCompoundModel(first, load(CLASSIFIER))
        case Arrangement.TILES:
            tiles = degirum_tools.TileExtractorPseudoModel(COLUMNS, ROWS, 0.0, first)
            return degirum_tools.TileModel(tiles, first, nms_options=degirum_tools.NmsOptions(_MAX_IOU))


if __name__ == "__main__":
    main(*sys.argv[1:])
