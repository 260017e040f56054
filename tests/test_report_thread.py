"""The thread between inference and what is said of it."""

import asyncio
import threading

from edgepub.report_thread import ReportThread


class Told:
    """Remembers what it is told, and waits until it is let go."""

    def __init__(self):
        self.told = []
        self.threads = set()
        self.go = threading.Event()

    def report(self, result):
        self.go.wait(60)
        self._remember(result)

    def tell(self, status):
        self._remember(status)

    def _remember(self, what):
        self.told.append(what)
        self.threads.add(threading.current_thread())
        if what == "wrong":
            raise ZeroDivisionError


async def test_everything_is_told_in_order_by_one_thread_which_then_ends():
    told = Told()
    thread = ReportThread("porch", told)
    told.go.set()
    for number in range(500):
        thread.report(number)
        if number % 100 == 0:
            thread.tell("online")
    await asyncio.wait_for(thread.close(), 30)
    assert [each for each in told.told if each != "online"] == list(range(500))
    assert told.told.index("online") == 1
    (its,) = told.threads
    its.join(30)
    assert not its.is_alive()
    assert its.name == "report-porch"


async def test_who_is_too_fast_waits_and_a_status_never_does():
    told = Told()
    thread = ReportThread("porch", told)
    done = []
    fast = threading.Thread(target=lambda: [(thread.report(n), done.append(n)) for n in range(5)])
    fast.start()
    async with asyncio.timeout(30):
        while len(done) < 2:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert done == [0, 1], "no more than two wait"
    thread.tell("offline")
    told.go.set()
    fast.join(30)
    await asyncio.wait_for(thread.close(), 30)
    assert sorted(map(str, told.told)) == ["0", "1", "2", "3", "4", "offline"]


async def test_an_error_of_our_own_is_shown_and_the_next_result_is_told(caplog):
    told = Told()
    told.go.set()
    thread = ReportThread("porch", told)
    for result in ("wrong", 1, "wrong", 2):
        thread.report(result)
    await asyncio.wait_for(thread.close(), 30)
    assert told.told == ["wrong", 1, "wrong", 2]
    assert caplog.text.count("please report it") == 1, "once a minute"
    assert "ZeroDivisionError" in caplog.text


async def test_one_that_was_never_used_ends_at_once():
    await asyncio.wait_for(ReportThread("porch", Told()).close(), 30)
