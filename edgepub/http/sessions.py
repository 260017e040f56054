"""The browsers that are logged in: kept over restarts, so that a session that was logged out stays so."""

import asyncio
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edgepub.core.errors import StateError
from edgepub.core.state_files import read_file, replace_file, set_aside_damaged_file
from edgepub.core.threads import Worker, run_in_thread

MAX_AGE_S = 30 * 86_400
FILE = "http_sessions.json"
"""In the state directory."""
_MAX_SESSIONS = 100
_LOAD_TIMEOUT_S = 2.0
_RETRY_S = 30.0
_STOP_TIMEOUT_S = 1.0
_CLOSE_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


class _Saved(TypedDict):
    """The content of the file. It contains hashes of cookies: a copy of the file is no login."""

    token: str
    """Derived from the token: a new one makes all sessions worthless."""
    sessions: dict[str, float]
    """When each session expires, in Unix seconds, by the hash of its cookie."""


_SAVED = TypeAdapter(_Saved)


class Sessions:
    """The sessions of one token. The event loop calls all methods; a thread writes the file.

    Args:
        state_dir: the directory of the file.
        token: the token of the page; None if none is needed.
        clock: Unix seconds.

    """

    def __init__(self, state_dir: Path, token: bytes | None, clock: Callable[[], float] = time.time) -> None:
        self._path = state_dir / FILE
        self._token_id = hmac.new(token or b"", b"sessions", sha256).hexdigest()
        self._clock = clock
        self._lock = threading.Lock()
        self._expiry_s: dict[str, float] = {}  # the oldest is first
        self._has_changed = False
        self._closing: list[Future[None]] = []  # for each session whose end is not on disk yet
        self._worker = Worker("http-sessions", self._save)

    async def start(self) -> None:
        """Read the sessions of earlier runs; without them if the file is damaged or the disk hangs."""
        try:
            async with asyncio.timeout(_LOAD_TIMEOUT_S):
                self._expiry_s = await run_in_thread("http-sessions", self._load)
        except TimeoutError:
            _log.warning("%s: the disk does not answer; browsers have to log in again", self._path)
        self._worker.start()

    def stop(self) -> None:
        """Write what has changed."""
        self._worker.stop(_STOP_TIMEOUT_S)

    def open(self) -> str:
        """Start a session and return its cookie. The oldest session ends if there are too many."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            if len(self._expiry_s) >= _MAX_SESSIONS:
                del self._expiry_s[next(iter(self._expiry_s))]
            self._expiry_s[_hash(cookie)] = self._clock() + MAX_AGE_S
            self._has_changed = True
        self._worker.wake()
        return cookie

    def is_open(self, cookie: str) -> bool:
        """Return whether a cookie is that of a session."""
        return self._is_valid(self._expiry_s.get(_hash(cookie), 0.0))

    async def close(self, cookie: str) -> None:
        """End a session, if there is one, and wait until the disk has that: no kill brings it back then.

        Raises:
            StateError: the session has ended, but the disk does not have that.

        """
        written: Future[None] = Future()
        with self._lock:
            if self._expiry_s.pop(_hash(cookie), None) is None:
                return
            self._has_changed = True
            self._closing.append(written)
        self._worker.wake()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await asyncio.wrap_future(written)
        except TimeoutError:
            raise StateError("the disk does not answer") from None

    def _is_valid(self, expiry_s: float) -> bool:
        return 0 < expiry_s - self._clock() <= MAX_AGE_S  # none from a clock that was ahead

    def _load(self) -> dict[str, float]:
        try:
            saved = _SAVED.validate_python(orjson.loads(read_file(self._path)))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            return self._set_aside(f"cannot be read: {error.strerror}")
        except (orjson.JSONDecodeError, ValidationError):
            return self._set_aside("not written by edgepub")
        if saved["token"] != self._token_id:
            return {}
        valid = [(key, expiry_s) for key, expiry_s in saved["sessions"].items() if self._is_valid(expiry_s)]
        return dict(valid[-_MAX_SESSIONS:])

    def _set_aside(self, reason: str) -> dict[str, float]:
        try:
            set_aside_damaged_file(self._path, f"{reason}; browsers have to log in again")
        except OSError as error:
            text = "%s cannot be used (%s) or renamed (%s); browsers have to log in again"
            _log.error(text, self._path, reason, error.strerror)
        return {}

    def _save(self) -> float | None:
        with self._lock:
            if not self._has_changed:
                return None
            self._has_changed = False
            closing, self._closing = self._closing, []
            saved = _Saved(token=self._token_id, sessions=dict(self._expiry_s))
        waiting = [written for written in closing if written.set_running_or_notify_cancel()]
        try:
            replace_file(self._path, orjson.dumps(saved))
        except OSError as error:
            self._has_changed = True
            _log.error("%s: %s: a logout or login is lost at the next restart", self._path, error.strerror)
            for written in waiting:
                written.set_exception(StateError(error.strerror))
            return _RETRY_S
        for written in waiting:
            written.set_result(None)
        return None


def _hash(cookie: str) -> str:
    return sha256(cookie.encode(errors="replace")).hexdigest()
