"""The log: its three forms, and repeated warnings."""

import io
import json
import logging
import os
import socket
import sys
import threading
import time
from datetime import datetime

import pytest

from edgepub.config.settings import LogSettings
from edgepub.telemetry import logs
from edgepub.telemetry.dedup import RepeatFilter
from edgepub.telemetry.journal import JournalHandler

LOG = logging.getLogger("edgepub.test")
PORCH = logs.camera_logger(LOG, "porch")
YEAR_S = 365 * 86_400
HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def _restore_root_logger(monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    level = root.level
    yield
    for handler in root.handlers:
        handler.close()
    root.setLevel(level)
    LOG.handlers, LOG.propagate, LOG.level = [], True, logging.NOTSET


@pytest.fixture
def stderr(capfd):
    """Return a function that gives what was written to stderr since the last time."""
    return lambda: capfd.readouterr().err


def only_to(handler):
    LOG.handlers, LOG.propagate = [handler], False
    LOG.setLevel(logging.INFO)


class Journal:
    """A socket that accepts entries, as journald does."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(5)

    def entry(self):
        return fields_of(self.socket.recv(1 << 20))

    def fill(self):
        """Fill the socket, and return how many datagrams it holds."""
        number = 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                while True:
                    sender.sendto(b"MESSAGE=noise\n", self.path)
                    number += 1
            except BlockingIOError:
                return number


def fields_of(entry):
    """Parse an entry as the protocol describes it."""
    fields = {}
    while entry:
        line, entry = entry.split(b"\n", 1)
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(entry[:8], "little")
            value, end, entry = entry[8 : 8 + size], entry[8 + size : 9 + size], entry[9 + size :]
            assert end == b"\n"
        assert name not in fields
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def journal(tmp_path):
    server = Journal(tmp_path / "socket")
    yield server
    server.socket.close()


@pytest.fixture
def under_systemd(monkeypatch):
    """Make our stderr the one that systemd has connected to the journal."""
    stderr = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stderr.st_dev}:{stderr.st_ino}")


@pytest.fixture
def to_journal(under_systemd, journal):  # noqa: ARG001
    logs.configure_logging(LogSettings(), journal.path)
    return journal


@pytest.fixture
def unreachable(tmp_path):
    """A handler without a journal, and what it writes to stderr instead."""
    sender, receiver = socket.socketpair()
    handler = JournalHandler(str(tmp_path / "none"), sender.fileno())
    receiver.settimeout(5)
    only_to(handler)
    yield receiver
    handler.close()
    sender.close()
    receiver.close()


def boom():
    raise ValueError("Fenêtre ☃")


def log_boom():
    try:
        boom()
    except ValueError:
        PORCH.exception("internal error")


def test_text_lines_are_readable(stderr):
    logs.configure_logging(LogSettings())
    PORCH.warning("source: %s", "silent")
    LOG.info("stopping")
    LOG.debug("not this")
    first, second = stderr().splitlines()
    stamp = len("2026-01-01 12:00:00,123")
    assert first[stamp:] == " WARNING porch: source: silent"
    assert second[stamp:] == " INFO    stopping"
    datetime.strptime(first[:stamp], "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007


def test_json_is_one_object_per_line_in_utf_8(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, "latin-1", write_through=True))
    logs.configure_logging(LogSettings(format="json"))
    PORCH.warning("source: %s ☃\nand more", "Bäh")
    LOG.info("node %s", "garage\udcff")
    log_boom()
    first, second, third = map(json.loads, written.getvalue().splitlines())
    assert abs(datetime.fromisoformat(first.pop("time")).timestamp() - time.time()) < 5
    assert first == {
        "level": "warning",
        "logger": "edgepub.test",
        "camera": "porch",
        "message": "source: Bäh ☃\nand more",
    }
    assert second["message"] == "node garage\\udcff"
    assert "camera" not in second
    assert third["message"] == "internal error"
    assert third["exception"].startswith("Traceback")
    assert third["exception"].endswith("ValueError: Fenêtre ☃")


def test_json_says_how_many_were_suppressed(stderr):
    now = [0.0]
    logs.configure_logging(LogSettings(format="json"), clock=lambda: now[0])
    for second in (0, 20, 40, 60):
        now[0] = float(second)
        PORCH.warning("source: silent")
    first, second = map(json.loads, stderr().splitlines())
    assert "unsaid" not in first
    assert (second["message"], second["unsaid"]) == ("source: silent", 2)


def test_level_and_format_can_change_while_it_runs(stderr):
    logs.configure_logging(LogSettings())
    logs.configure_logging(LogSettings(level="debug", format="json"))
    LOG.debug("one")
    logs.configure_logging(LogSettings(level="error"))
    LOG.warning("two")
    LOG.error("three")
    one, three = stderr().splitlines()
    assert json.loads(one)["message"] == "one"
    assert three.endswith("ERROR   three")


def test_entries_of_the_journal_have_fields(to_journal):
    PORCH.warning("source: %s", "ümläut")
    LOG.info("stopping")
    LOG.error("bad")
    first = to_journal.entry()
    assert first.pop("CODE_FILE") == __file__
    assert int(first.pop("CODE_LINE")) > 100
    assert first == {
        "MESSAGE": "porch: source: ümläut",
        "PRIORITY": "4",
        "CAMERA": "porch",
        "LOGGER": "edgepub.test",
        "SYSLOG_IDENTIFIER": "edgepub",
        "THREAD_NAME": threading.current_thread().name,
        "CODE_FUNC": "test_entries_of_the_journal_have_fields",
    }
    second, third = to_journal.entry(), to_journal.entry()
    assert (second["MESSAGE"], second["PRIORITY"]) == ("stopping", "6")
    assert "CAMERA" not in second
    assert (third["MESSAGE"], third["PRIORITY"]) == ("bad", "3")


def test_an_exception_is_one_entry(to_journal):
    log_boom()
    entry = to_journal.entry()
    lines = entry["MESSAGE"].splitlines()
    assert lines[:2] == ["porch: internal error", "Traceback (most recent call last):"]
    assert lines[-1] == "ValueError: Fenêtre ☃"
    assert entry["PRIORITY"] == "3"


def test_a_text_cannot_set_another_field(to_journal):
    LOG.warning("a topic\nCAMERA=porch")
    entry = to_journal.entry()
    assert entry["MESSAGE"] == "a topic\nCAMERA=porch"
    assert "CAMERA" not in entry


def test_a_text_too_long_for_an_entry_is_cut(to_journal):
    LOG.warning("☃" * 1_000_000)
    message = to_journal.entry()["MESSAGE"]
    assert message[:1000] == "☃" * 1000
    assert 40_000 < len(message.encode()) < 60_000
    assert message.endswith("☃...")


def test_without_a_journal_lines_have_their_priority(unreachable):
    LOG.warning("one\ntwo")
    LOG.error("three")
    received = b""
    while received.count(b"\n") < 3:
        received += unreachable.recv(1000)
    assert received == b"<4>one\n<4>two\n<3>three\n"


def test_a_stderr_that_is_not_read_does_not_block(unreachable):  # noqa: ARG001
    started_s = time.monotonic()
    for number in range(1000):
        LOG.warning("x" * 10_000, extra={"camera": str(number)})
    assert time.monotonic() - started_s < 20


def test_a_redirected_stderr_is_not_the_journal(monkeypatch, stderr, journal):
    """A service of systemd with its stderr redirected to a file."""
    stat = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino + 1}")
    logs.configure_logging(LogSettings(), journal.path)
    LOG.warning("here")
    assert "WARNING here" in stderr()


def test_a_stuck_journal_does_not_block_and_later_gets_the_number_of_lost_lines(to_journal):
    number = to_journal.fill()
    started_s = time.monotonic()
    for n in range(50):
        LOG.info("line %d", n)
    assert time.monotonic() - started_s < 10, "a send that blocks would not end"
    for _ in range(number):
        assert to_journal.entry()["MESSAGE"] == "noise"
    LOG.info("line 50")
    lost, entry = to_journal.entry(), to_journal.entry()
    assert lost["MESSAGE"].endswith(" 50")
    assert (lost["PRIORITY"], lost["SYSLOG_IDENTIFIER"]) == ("4", "edgepub")
    assert entry["MESSAGE"] == "line 50"


def test_threads_log_in_parallel_and_entries_stay_whole(to_journal):
    def work(name):
        for n in range(200):
            logs.camera_logger(LOG, name).info("line %d\nof %s", n, name)

    names = [f"cam{n}" for n in range(8)]
    threads = [threading.Thread(target=work, args=(name,), name=f"camera-{name}") for name in names]
    entries = []
    reader = threading.Thread(target=lambda: entries.extend(to_journal.entry() for _ in range(1600)))
    for thread in (reader, *threads):
        thread.start()
    for thread in (*threads, reader):
        thread.join()
    for entry in entries:
        assert entry["MESSAGE"].endswith(f"\nof {entry['CAMERA']}")
        assert entry["THREAD_NAME"] == f"camera-{entry['CAMERA']}"
    assert len({(entry["CAMERA"], entry["MESSAGE"]) for entry in entries}) == 1600


class Passed(logging.Handler):
    """Records that pass the filter, with the time of a fake clock."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0
        self.records = []
        self.addFilter(RepeatFilter(lambda: self.now_s))

    def emit(self, record):
        self.records.append((self.now_s, record.getMessage(), getattr(record, "unsaid", 0)))

    @property
    def texts(self):
        return [text for _, text, _ in self.records]


@pytest.fixture
def passed():
    handler = Passed()
    only_to(handler)
    return handler


def warn_repeatedly(passed, until_s, every_s, text, *values):
    while passed.now_s < until_s:
        PORCH.warning(text, *values)
        passed.now_s += every_s


def test_intervals_between_equal_warnings_grow_and_the_suppressed_ones_are_counted(passed):
    warn_repeatedly(passed, 2 * HOUR_S, 30, "source: silent")
    times = [time for time, _, _ in passed.records]
    assert times == [0, 60, 180, 420, 900, 1860, 3780]
    assert [unsaid for _, _, unsaid in passed.records] == [0, 1, 3, 7, 15, 31, 63]


def test_a_camera_that_is_off_for_a_year_does_not_fill_the_disk(passed):
    warn_repeatedly(passed, YEAR_S / 12, 30, "source: %s; trying again in %.1f s", "10.0.0.5:554: refused", 29.7)
    assert len(passed.records) < 24 * 31 + 10


def test_texts_that_differ_in_numbers_are_equal(passed):
    for number in range(1000):
        PORCH.warning("frame %d is bad at %.3f <object at 0x%x>; trying again", number, number / 7, number)
    assert len(passed.records) == 1


def test_different_warnings_are_logged(passed):
    other = logs.camera_logger(LOG, "garden")
    for _ in range(5):
        for reason in ("silent for 9 s", "refused"):
            PORCH.warning("source: %s; trying again in %.1f s", reason, 3.1)
        other.warning("source: %s; trying again in %.1f s", "refused", 3.1)
        for topic in ("edgepub/garage/cam1/events", "edgepub/garage/cam2/events", "edgepub/garage/cam-3/events"):
            LOG.warning("a message to %s is dropped", topic)
    assert passed.texts == [
        "source: silent for 9 s; trying again in 3.1 s",
        "source: refused; trying again in 3.1 s",
        "source: refused; trying again in 3.1 s",
        "a message to edgepub/garage/cam1/events is dropped",
        "a message to edgepub/garage/cam2/events is dropped",
        "a message to edgepub/garage/cam-3/events is dropped",
    ]


def test_different_exceptions_are_logged(passed):
    def fail(error):
        try:
            raise error
        except (ValueError, KeyError):
            PORCH.exception("internal error")

    for _ in range(5):
        fail(ValueError("one"))
        fail(ValueError("two"))
        fail(KeyError("one"))
    assert len(passed.records) == 3


def test_texts_that_are_always_new_are_limited(passed):
    for number in range(10_000):
        PORCH.warning("no such camera or setting: %r", f"edgepub/x{number}/set")
        passed.now_s += 0.01
    assert len(passed.records) < 15
    PORCH.warning("another warning")
    assert passed.texts[-1] == "another warning"


def test_after_a_recovery_the_warning_is_logged_soon(passed):
    warn_repeatedly(passed, 10 * HOUR_S, 30, "source: silent")
    PORCH.info("online")
    passed.now_s += 90
    before = len(passed.records)
    PORCH.warning("source: silent")
    assert len(passed.records) == before + 1


def test_a_warning_after_a_long_time_is_new(passed):
    warn_repeatedly(passed, 10 * HOUR_S, 30, "source: silent")
    passed.now_s += 900
    before = len(passed.records)
    warn_repeatedly(passed, passed.now_s + 100, 30, "source: silent")
    assert len(passed.records) == before + 2, "immediately, and after a minute"


def test_a_warning_that_comes_and_goes_is_logged_once_a_minute(passed):
    for _ in range(600):
        PORCH.warning("source: silent")
        passed.now_s += 1
        PORCH.info("online")
    assert passed.texts.count("source: silent") == 10
    assert passed.texts.count("online") == 600, "so that the last line shows the current state"


def test_a_flood_from_several_threads_is_a_few_lines(stderr):
    logs.configure_logging(LogSettings())

    def flood():
        for number in range(25_000):
            PORCH.warning("frame %d is dropped", number)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(stderr().splitlines()) <= 3


def test_memory_for_places_is_limited():
    repeats = RepeatFilter()

    def is_logged(number):
        return repeats.filter(logging.LogRecord("a", logging.WARNING, f"/file{number}.py", number, "text", (), None))

    assert all(is_logged(number) for number in range(1001))
    assert not is_logged(1000), "a repeat"
    assert is_logged(0), "it was forgotten: it is the oldest of too many"
