"""Calls that run one at a time, also for a thread that must not wait."""

import threading

from edgepub.core.serial_calls import SerialCalls


def test_a_call_that_comes_during_another_runs_after_it_and_is_not_waited_for():
    calls, order = SerialCalls(), []
    inside, go_on = threading.Event(), threading.Event()

    def work():
        with calls.alone():
            inside.set()
            assert go_on.wait(30)
            order.append("first")

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(30)
    for name in ("second", "third"):
        calls.submit(lambda name=name: order.append((name, threading.current_thread() is thread)))
    assert order == [], "the call returned without the other's end"
    go_on.set()
    thread.join(30)
    assert order == ["first", ("second", True), ("third", True)]


def test_a_call_runs_immediately_if_there_is_no_other():
    calls, order = SerialCalls(), []
    calls.submit(lambda: order.append("done"))
    assert order == ["done"]


def test_an_error_of_a_submitted_call_is_logged_and_stops_nothing(caplog):
    calls, order = SerialCalls(), []

    def fail():
        raise ValueError

    calls.submit(fail)
    calls.submit(lambda: order.append("next"))
    with calls.alone():
        order.append("alone")
    assert order == ["next", "alone"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_no_call_is_lost_or_runs_beside_another():
    calls, inside, seen = SerialCalls(), [], []

    def step():
        inside.append(1)
        seen.append(len(inside))
        inside.pop()

    def work(number):
        for _ in range(500):
            if number % 2:
                with calls.alone():
                    step()
            else:
                calls.submit(step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [1] * 4000


def test_a_submitted_call_may_submit_another():
    calls, order = SerialCalls(), []
    calls.submit(lambda: calls.submit(lambda: order.append("inner")))
    assert order == ["inner"]


def test_a_long_call_does_not_delay_who_submits():
    calls, inside, release = SerialCalls(), threading.Event(), threading.Event()

    def work():
        with calls.alone():
            inside.set()
            assert release.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(30)
    done = threading.Event()
    calls.submit(done.set)
    assert not done.is_set()
    release.set()
    thread.join(30)
    assert done.is_set()
