"""What is sent to a service manager, and when."""

import asyncio
import os
import socket

from edgepub.daemon.systemd import Service, notify, watchdog_timeout_s
from edgepub.telemetry.status import Status
from tests.support.service_manager import no_progress


async def test_the_watchdog_is_fed_while_nothing_is_stuck_for_long(manager, monkeypatch, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    status, stuck = Status(["porch"]), []
    task = asyncio.create_task(Service(30, poll_s=0.02, stuck_after_s=0.5).follow(status, lambda: list(stuck)))

    async def fed(number):
        while sum("WATCHDOG" in message for message in manager.messages()) < number:
            await asyncio.sleep(0.01)

    async with asyncio.timeout(30):
        await fed(3)
        stuck.append("porch")
        while not any("WATCHDOG" in message for message in manager.messages()[-1:]):
            await asyncio.sleep(0.01)
        await no_progress(caplog, "porch")
        number = sum("WATCHDOG" in message for message in manager.messages())
        while sum(record.levelname == "ERROR" for record in caplog.records) < 5:  # pings left out, for over 0.3 s
            await asyncio.sleep(0.01)
        assert sum("WATCHDOG" in message for message in manager.messages()) == number, (
            "the manager would kill the daemon now"
        )
        stuck.clear()
        await fed(number + 2)
    task.cancel()


def test_without_a_service_manager_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/socket")
    notify("READY=1")
    monkeypatch.setenv("WATCHDOG_USEC", "5000000")
    assert watchdog_timeout_s() == 5.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert watchdog_timeout_s() is None, "another process is watched"


def test_an_abstract_socket_works_too(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind(f"\0edgepub-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@edgepub-test-{os.getpid()}")
        notify("READY=1", "STATUS=two\nlines of film-\udcff.avi")
        assert abstract.recv(100) == b"READY=1\nSTATUS=two lines of film-\\udcff.avi"


async def test_what_a_busy_manager_does_not_take_is_sent_later(manager, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    while notify("X=1"):
        pass
    status = Status([])
    status.broker.sessions = 1
    polls = []
    task = asyncio.create_task(Service(30, poll_s=0.02).follow(status, lambda: polls.append(1) or []))
    async with asyncio.timeout(30):
        while len(polls) < 3:  # nothing can be sent
            await asyncio.sleep(0.01)
        while not any("READY" in message for message in manager.messages()):
            await asyncio.sleep(0.01)
    task.cancel()
