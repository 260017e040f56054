"""The file in which events wait for the broker: SQLite in WAL mode."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from edgepub.core.errors import SpoolDamagedError, SpoolError
from edgepub.core.redaction import redact_line
from edgepub.core.state_dir import create_private_file, set_aside_damaged_file

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, schema TEXT NOT NULL, payload BLOB NOT NULL, created_s REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS numbers (topic TEXT PRIMARY KEY, newest INTEGER NOT NULL) WITHOUT ROWID;
"""
_BUSY_S = 1.0
_MANY_PAGES = 256  # a megabyte
_LONGEST_WAL_BYTES = 4_000_000
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}
_NUMBER = "INSERT INTO numbers VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET newest = max(newest, excluded.newest)"


class Row(NamedTuple):
    """A message in the file."""

    id: int
    topic: str
    schema: str
    payload: bytes
    created_s: float


class Found(NamedTuple):
    """What is in a file when it is opened."""

    numbers: dict[str, int]
    """The newest number of each topic."""
    waiting: Counter[str]
    """How many messages of each topic wait."""
    newest: int
    """The highest `Row.id`."""


class Spool:
    """The file, while it can be used; each method raises SpoolError when it cannot.

    One that turns out to be damaged is set aside and is empty when it is opened again.

    Args:
        path: of the file.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be read and, unless the disk is full, written."""
        return self._database is not None

    def open(self) -> Found:
        """Open the file, which is made if there is none, and return what is in it."""
        with self._errors():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_private_file(self._path)
            database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                found = _prepare(database)
            except sqlite3.Error:
                database.close()
                raise
            self._database = database
            return found

    def read(self, after: int, limit: int) -> list[Row]:
        """Return the first rows behind an id, in their order."""
        query = "SELECT id, topic, schema, payload, created_s FROM events WHERE id > ? ORDER BY id LIMIT ?"
        with self._errors():
            return [Row(*row) for row in self._opened().execute(query, (after, limit))]

    def write(self, rows: Sequence[Row], numbers: Mapping[str, int], gone: Iterable[int]) -> None:
        """Add rows, keep the newest numbers and remove rows by their ids: all of it or nothing.

        Rows and numbers are on the disk then. Of what is only removed, a power cut may bring the last back.
        """
        with self._errors():
            database = self._opened()
            database.execute(f"PRAGMA synchronous = {'FULL' if rows or numbers else 'NORMAL'}")
            try:
                database.execute("BEGIN IMMEDIATE")
                # It may be there: of a commit that went well and then said otherwise.
                database.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", rows)
                database.executemany(_NUMBER, numbers.items())
                database.executemany("DELETE FROM events WHERE id = ?", ((id_,) for id_ in gone))
                database.execute("COMMIT")
            except sqlite3.Error:
                if database.in_transaction:  # SQLite itself has ended it when the disk is full
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                raise

    def shrink(self) -> None:
        """Give the disk back what is not used any more."""
        with self._errors():
            (pages,) = self._opened().execute("PRAGMA freelist_count").fetchone()
            if pages > _MANY_PAGES:
                self._opened().executescript("PRAGMA incremental_vacuum")  # `execute` frees one page and no more

    def close(self) -> None:
        """Close the file."""
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise SpoolError("it is not open")
        return self._database

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpoolError(f"{self._path}: {error.strerror}") from None
        except sqlite3.Error as error:
            why = redact_line(error)
            if not _is_damage(error):
                raise SpoolError(f"{self._path}: {why}") from None
            self.close()
            try:
                set_aside_damaged_file(self._path, why)
            except OSError as again:
                raise SpoolError(f"{self._path} is damaged and cannot be renamed: {again.strerror}") from None
            raise SpoolDamagedError(f"{self._path} was damaged: {why}") from None


def _prepare(database: sqlite3.Connection) -> Found:
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA journal_size_limit = {_LONGEST_WAL_BYTES}")
    database.executescript(_TABLES)
    numbers = dict(database.execute("SELECT topic, newest FROM numbers"))
    waiting = Counter(dict(database.execute("SELECT topic, count(*) FROM events GROUP BY topic")))
    (newest,) = database.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()
    database.execute("SELECT id, topic, schema, payload, created_s FROM events LIMIT 1").fetchone()
    return Found(numbers, waiting, newest)


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # of Python's own: a text that is none
        return isinstance(error, sqlite3.OperationalError)
    # Or a database, but not ours.
    return code & 0xFF in _DAMAGE or (code == sqlite3.SQLITE_ERROR and "no such" in str(error))
