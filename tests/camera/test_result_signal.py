"""How a thread waits for results that another thread notifies it of."""

import threading
import time
from types import SimpleNamespace

import pytest

from edgepub.camera.inference.result_signal import ResultSignal


@pytest.fixture
def signal():
    pysdk = SimpleNamespace(_result_ready_cv=None)
    signal = ResultSignal(pysdk)
    assert pysdk._result_ready_cv is signal, "PySDK notifies it"
    return signal


def test_it_waits_for_several_results(signal):
    def notify():
        for _ in range(3):
            with signal:
                signal.notify_all()

    thread = threading.Thread(target=notify)
    thread.start()
    signal.wait(3, 60.0)
    assert signal.count == 3
    thread.join()


def test_a_result_that_is_taken_before_its_notice_counts_once(signal):
    signal.take()
    signal.notify_all()
    assert signal.count == 0
    before_s = time.monotonic()
    signal.notify_all()
    assert signal.count == 1
    assert signal.take() >= before_s
    assert signal.count == 0


def test_notices_that_nobody_waited_for_wake_up_nobody_later(signal):
    for _ in range(100):
        signal.notify_all()
        signal.take()
    before_s = time.monotonic()
    signal.wait(1, 0.1)
    assert time.monotonic() - before_s > 0.09


def test_a_result_that_was_lost_is_not_waited_for(signal):
    signal.notify_all()
    signal.drop(signal.count)
    assert signal.count == 0
    before_s = time.monotonic()
    signal.notify_all()
    assert signal.take() >= before_s
