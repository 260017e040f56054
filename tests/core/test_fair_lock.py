"""The lock that threads get in the order in which they ask."""

import threading
import time

import pytest

from edgepub.core.fair_lock import FairLock
from tests.support.waiting import wait_until


class Workers:
    """Threads that ask for the lock one after another, and keep it until they are released."""

    def __init__(self, lock):
        self.lock = lock
        self.holding = []
        self.released = {}
        self._threads = []

    def start(self, name):
        self.released[name] = threading.Event()
        thread = threading.Thread(target=self._work, args=(name,), name=name)
        self._threads.append(thread)
        thread.start()

    def _work(self, name):
        with self.lock.hold():
            self.holding.append(name)
            assert self.released[name].wait(30)

    def end(self):
        for event in self.released.values():
            event.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


def test_threads_get_it_in_the_order_in_which_they_ask():
    workers = Workers(FairLock(max_held_s=60))
    names = [str(number) for number in range(20)]
    for number, name in enumerate(names):
        workers.start(name)
        wait_until(lambda number=number: workers.lock.waiting == number, "the thread that waits")
    for number, name in enumerate(names, 1):
        wait_until(lambda number=number: len(workers.holding) == number, "the next thread that holds it")
        workers.released[name].set()
    workers.end()
    assert workers.holding == names


def test_a_thread_that_hangs_keeps_the_others_waiting_only_for_a_while():
    workers = Workers(FairLock(max_held_s=0.05))
    workers.start("hangs")
    wait_until(lambda: workers.holding == ["hangs"], "the first")
    workers.start("second")
    wait_until(lambda: workers.holding == ["hangs", "second"], "the second")
    workers.released["hangs"].set()  # its end takes nothing from the second
    workers.start("third")
    workers.start("fourth")
    workers.released["second"].set()
    wait_until(lambda: "third" in workers.holding, "the third")
    workers.end()
    assert sorted(workers.holding) == ["fourth", "hangs", "second", "third"]


def test_an_error_releases_it():
    lock = FairLock(max_held_s=60)
    with pytest.raises(ZeroDivisionError), lock.hold():
        _ = 1 / 0
    with lock.hold():
        assert lock.waiting == 0


def test_it_says_how_long_it_was_held():
    lock = FairLock()
    began_s = time.monotonic()
    with lock.hold():
        time.sleep(0.02)
        assert lock.held_s >= 0.02
    held_s = lock.held_s
    assert 0.02 <= held_s <= time.monotonic() - began_s
    time.sleep(0.01)
    assert lock.held_s == held_s


def test_no_two_threads_hold_it_at_the_same_time():
    lock, inside, seen = FairLock(max_held_s=60), [], []

    def work():
        for _ in range(200):
            with lock.hold():
                inside.append(1)
                seen.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [1] * 1600
