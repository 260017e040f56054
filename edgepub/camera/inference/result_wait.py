"""How a thread waits for a result of PySDK."""

import threading
from collections.abc import Callable
from typing import Any

from edgepub.core.errors import ModelError
from edgepub.core.threads import is_abandoned

_CHECK_S = 0.25
_NAME = "_result_ready_cv"  # PySDK's own: with another version that has none, it waits as it likes


class _PatientCondition(threading.Condition):
    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:  # noqa: ANN401  (as declared)
        if is_abandoned():
            # PySDK itself never stops waiting for results that a lost connection cannot bring.
            raise ModelError("its thread is abandoned")
        return super().wait_for(predicate, _CHECK_S if timeout is None else max(timeout, _CHECK_S))


def wait_patiently(pysdk: Any) -> None:  # noqa: ANN401  (PySDK is untyped)
    """Make a model of PySDK wait until a result has come, and look for a lost connection only four times a second.

    PySDK wakes up every 10 ms. A hundred waiting threads then do nothing else, and nobody gets a result: they keep all
    others from Python's interpreter.
    """
    if hasattr(pysdk, _NAME):
        setattr(pysdk, _NAME, _PatientCondition())
