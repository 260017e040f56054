"""What is kept over restarts, in a small SQLite database in the state folder: numbers of events, settings, topics."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgepub.logs import Complaints
from edgepub.redaction import one_line

_TABLES = """
CREATE TABLE IF NOT EXISTS events (camera TEXT PRIMARY KEY, newest INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS settings (camera TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (camera, name));
CREATE TABLE IF NOT EXISTS counts (topic TEXT PRIMARY KEY);
"""
_MISSING = "no such column"  # it is a database, but not ours
_PATIENCE_S = 5.0  # at the start, when another may just be ending
_BUSY_MS = 100
_log = logging.getLogger(__name__)


def default_folder() -> Path:
    """Return ``$STATE_DIRECTORY``, else ``$XDG_STATE_HOME/edgepub``, else ``~/.local/state/edgepub``."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])  # systemd may name several
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "edgepub"


class Store:
    """Everything is read at the start; then memory answers, and each change is written before it is used.

    A folder or a disk that does not take it is complained of, and nothing else changes: it is then forgotten at the
    next start. For any thread.

    Args:
        database: where to write, or None.

    """

    def __init__(self, database: sqlite3.Connection | None) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._complaints = Complaints(_log)
        self._events: dict[str, int] = dict(self._rows("SELECT camera, newest FROM events"))
        self._settings: dict[tuple[str, str], str] = {
            (camera, name): value for camera, name, value in self._rows("SELECT camera, name, value FROM settings")
        }
        self._counts: set[str] = {topic for (topic,) in self._rows("SELECT topic FROM counts")}

    def next_event(self, camera: str) -> int:
        """Return the number of a camera's next event, counted from 1 since the node's very first start."""
        with self._lock:
            number = self._events[camera] = self._events.get(camera, 0) + 1
            self._write("INSERT OR REPLACE INTO events VALUES (?, ?)", camera, number)
        return number

    def setting(self, camera: str, name: str) -> str | None:
        """Return what a setting was set to, or None if it is the configuration's."""
        with self._lock:
            return self._settings.get((camera, name))

    def keep_setting(self, camera: str, name: str, value: str | None) -> None:
        """Keep what a setting was set to; None: it is the configuration's again."""
        with self._lock:
            if value is None:
                self._settings.pop((camera, name), None)
                self._write("DELETE FROM settings WHERE camera = ? AND name = ?", camera, name)
            else:
                self._settings[camera, name] = value
                self._write("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", camera, name, value)

    def add_count(self, topic: str) -> None:
        """Remember that a count is published there."""
        with self._lock:
            if topic not in self._counts:
                self._counts.add(topic)
                self._write("INSERT OR IGNORE INTO counts VALUES (?)", topic)

    def counts(self) -> list[str]:
        """Return all topics where counts were ever published."""
        with self._lock:
            return sorted(self._counts)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._database.execute(query).fetchall() if self._database else []

    def _write(self, statement: str, *values: object) -> None:
        if self._database is None:
            return
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            self._complaints.warn("the state folder cannot be written, what changes is lost at the end: %s", error)


@contextmanager
def opened(folder: Path, node: str) -> Iterator[Store]:
    """Open the store of a node, and close it at the end; one that is damaged is set aside for a new one."""
    path = folder / f"{node}.sqlite"
    database = _connected(path)
    try:
        store = Store(database)
    except (sqlite3.Error, ValueError) as error:
        if database:
            database.close()
        database = _after(path, error)
        store = Store(database)
    try:
        yield store
    finally:
        if database:
            database.close()


def _connected(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _prepared(path)
    except (OSError, sqlite3.Error) as error:
        return _after(path, error)


def _prepared(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
    try:
        # A kill loses nothing then, and no write waits for the disk.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_TABLES)
        database.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")  # of those that wait then, one is a camera
    except sqlite3.Error:
        database.close()
        raise
    return database


def _after(path: Path, error: Exception) -> sqlite3.Connection | None:
    """Return what there is after a failure: nothing if the database cannot be used, a new one if it is damaged."""
    if isinstance(error, OSError | sqlite3.OperationalError) and _MISSING not in str(error):
        _complain(path, error)
        return None
    return _set_aside(path, error)


def _set_aside(path: Path, error: Exception) -> sqlite3.Connection | None:
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    _log.error("%s is damaged (%s); it is set aside as %s, and edgepub begins anew", path, one_line(error), aside.name)
    try:
        path.rename(aside)
        for rest in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + rest).unlink()
        return _prepared(path)
    except (OSError, sqlite3.Error) as again:
        _complain(path, again)
        return None


def _complain(path: Path, error: Exception) -> None:
    reason = error.strerror if isinstance(error, OSError) else one_line(error)
    _log.error("%s cannot be used (%s): events begin at 1 and set settings are lost at the next start", path, reason)
