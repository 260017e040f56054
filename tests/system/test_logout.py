"""A logout is on disk when it is answered, or the answer says that it is not. The real daemon, killed; real disks."""

import contextlib
import http.client
import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.waiting import free_port, wait_until

SLOW_DISK = Path(__file__).parents[1] / "support" / "slow_disk"
TOKEN = "0123456789abcdef0123456789abcdef"


class Page:
    """The page of a daemon without a broker and a camera."""

    def __init__(self, studio, run_daemon, directory, state, **environment):
        (directory / "token").write_text(TOKEN)
        self.settings = studio.settings("mqtt://127.0.0.1:1", "0", enabled=False)
        self.settings["http"] = {"listen": free_port(), "token_file": str(directory / "token")}
        self.settings["outbox"] = {"durable": {"path": str(directory / "events")}}  # it would keep the disk busy
        self.file = state / "http_sessions.json"
        self.start = lambda: run_daemon(self.settings, STATE_DIRECTORY=str(state), **environment)
        self.daemon = self.start()

    def ask(self, method, path, body=None, **headers):
        """Return the status, the cookie and the text of the answer."""
        address = ("127.0.0.1", self.settings["http"]["listen"])
        with contextlib.closing(http.client.HTTPConnection(*address, timeout=30)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Set-Cookie", "").partition(";")[0], answer.read().decode()

    def responds(self):
        with contextlib.suppress(OSError):
            return self.ask("GET", "/")[0] == 401

    def log_in(self):
        """Return the cookie of a browser that has logged in, and will be after a restart."""
        wait_until(self.responds, "the page")
        before = self.saved()
        status, cookie, _ = self.ask("POST", "/login", json.dumps({"token": TOKEN}))
        assert status == 204
        wait_until(lambda: self.saved() != before, "the session in the file")
        return cookie

    def log_out(self, cookie):
        status, new_cookie, text = self.ask("POST", "/logout", Cookie=cookie)
        assert new_cookie.endswith('=""'), "the browser's own cookie is deleted in any case"
        return status, text

    def saved(self):
        return self.file.read_bytes() if self.file.exists() else b""

    def is_open(self, cookie):
        return self.ask("GET", "/healthz", Cookie=cookie)[0] != 401

    def kill(self):
        """Kill the daemon, and start it again."""
        self.daemon.process.kill()
        self.daemon.wait()
        self.daemon = self.start()
        wait_until(self.responds, "the page")


def test_a_kill_right_after_the_answer_brings_no_session_back(studio, run_daemon, tmp_path):
    page = Page(studio, run_daemon, tmp_path, tmp_path / "state")
    other = page.log_in()
    for _ in range(3):
        cookie = page.log_in()
        assert page.log_out(cookie) == (204, "")
        page.kill()
        assert not page.is_open(cookie)
        assert page.is_open(other)


def test_a_disk_that_hangs_is_named_and_delays_no_other_request(studio, run_daemon, tmp_path):
    hanging = tmp_path / "hanging"
    slow_disk = {"PYTHONPATH": str(SLOW_DISK), "DISK_HANGS_WHILE": str(hanging)}
    page = Page(studio, run_daemon, tmp_path, tmp_path / "state", **slow_disk)
    cookie, second = page.log_in(), page.log_in()
    saved = page.saved()
    hanging.touch()
    began_s = time.monotonic()
    status, text = page.log_out(cookie)
    assert time.monotonic() - began_s < 10
    assert (status, text.count("\n")) == (503, 1)
    assert "the disk does not answer" in text
    assert not page.is_open(cookie), "it has ended nevertheless"
    assert page.log_out(second)[0] == 503
    hanging.unlink()
    wait_until(lambda: page.saved().count(b":") == saved.count(b":") - 2, "both logouts in the file")
    page.kill()
    assert not page.is_open(cookie)
    assert not page.is_open(second)


@pytest.mark.parametrize("kind", ["read-only", "full"])
def test_a_disk_that_cannot_be_written_is_named(kind, small_disk, studio, run_daemon, tmp_path):
    page = Page(studio, run_daemon, tmp_path, small_disk)
    cookie, second = page.log_in(), page.log_in()
    if kind == "full":
        with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(bytes(4096)):
                pass
    else:
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    status, text = page.log_out(cookie)
    assert status == 503
    assert {"full": "No space left", "read-only": "Read-only"}[kind] in text
    assert not page.is_open(cookie), "it has ended nevertheless"
    assert page.is_open(second)
    if kind == "full":
        (small_disk / "ballast").unlink()
    else:
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert page.log_out(second) == (204, ""), "all that had to be written is"
    page.kill()
    assert not page.is_open(cookie)
