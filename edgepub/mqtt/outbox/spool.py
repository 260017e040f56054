"""The file of events that wait for the broker: SQLite in WAL mode."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from edgepub.core.errors import SpoolError, SpoolReplacedError
from edgepub.core.redaction import redact_line
from edgepub.core.state_dir import create_private_file, set_aside_damaged_file, set_aside_newer_file
from edgepub.mqtt.outbox.spool_clock import SpoolClock
from edgepub.mqtt.outbox.spool_format import NewerFormatError, read_version, upgrade

_LOCK_TIMEOUT_S = 1.0
_MIN_FREE_PAGES = 256  # 1 MB; fewer are not worth a shrink
_MAX_WAL_BYTES = 4_000_000
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}
_SET_NUMBER = (
    "INSERT INTO numbers VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET newest = max(newest, excluded.newest)"
)


class Row(NamedTuple):
    """A message in the file."""

    id: int
    topic: str
    schema: str
    payload: bytes
    created_s: float
    """On the clock of the file (`spool_clock`) there, on the monotonic clock here."""


class Found(NamedTuple):
    """The content of a file when it is opened."""

    numbers: dict[str, int]
    """The newest number of each topic."""
    waiting: Counter[str]
    """How many messages of each topic wait."""
    newest: int
    """The highest `Row.id`."""


class Spool:
    """The file. Each method raises SpoolError when the file cannot be used.

    A file that is damaged or from a newer edgepub is renamed, and SpoolReplacedError is raised; `open` then makes a new
    one.

    Args:
        path: the file's path.
        clock: the clock of the file.

    """

    def __init__(self, path: Path, clock: SpoolClock | None = None) -> None:
        self._path = path
        self._clock = clock or SpoolClock()
        self._database: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether the file can be read and, unless the disk is full, written."""
        return self._database is not None

    def open(self) -> Found:
        """Open the file, make it if there is none, and return its content."""
        with self._errors():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_private_file(self._path)
            database = sqlite3.connect(
                self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                found = _prepare(database)
                self._clock.start(database)
            except BaseException:
                database.close()
                raise
            self._database = database
            return found

    def read(self, after: int, limit: int) -> list[Row]:
        """Return up to `limit` rows behind an id, in order."""
        query = "SELECT id, topic, schema, payload, created_s FROM events WHERE id > ? ORDER BY id LIMIT ?"
        with self._errors():
            rows = [Row(*row) for row in self._connection().execute(query, (after, limit))]
        return [row._replace(created_s=self._clock.from_file(row.created_s)) for row in rows]

    def write(self, rows: Sequence[Row], numbers: Mapping[str, int], removed: Sequence[int]) -> None:
        """Add rows, save the newest numbers and delete rows by id, in one transaction.

        Rows and numbers are on disk when it returns. A power failure may undo the last deletions. From time to time it
        also saves the clock, so call it now and then while messages wait.
        """
        is_save_due = self._clock.is_save_due
        if not (rows or numbers or removed or is_save_due):
            return
        stored = [row._replace(created_s=self._clock.to_file(row.created_s)) for row in rows]
        with self._errors():
            database = self._connection()
            database.execute(f"PRAGMA synchronous = {'FULL' if rows or numbers else 'NORMAL'}")
            try:
                database.execute("BEGIN IMMEDIATE")
                # A row may be there already, from a commit that succeeded and yet reported an error.
                database.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", stored)
                database.executemany(_SET_NUMBER, numbers.items())
                database.executemany("DELETE FROM events WHERE id = ?", ((id_,) for id_ in removed))
                if is_save_due:
                    self._clock.save(database)
                database.execute("COMMIT")
            except sqlite3.Error:
                if database.in_transaction:  # when the disk is full, SQLite has rolled it back itself
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                raise
        if is_save_due:
            self._clock.set_saved()

    def shrink(self) -> None:
        """Return unused space to the disk."""
        with self._errors():
            (pages,) = self._connection().execute("PRAGMA freelist_count").fetchone()
            if pages > _MIN_FREE_PAGES:
                self._connection().executescript("PRAGMA incremental_vacuum")  # `execute` would free only one page

    def close(self) -> None:
        """Close the file."""
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            raise SpoolError(f"{self._path} is not open")
        return self._database

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpoolError(f"{self._path}: {error.strerror}") from None
        except NewerFormatError as error:
            self._set_aside(set_aside_newer_file, str(error))
        except sqlite3.Error as error:
            reason = redact_line(error)
            if not _is_damage(error):
                raise SpoolError(f"{self._path}: {reason}") from None
            self._set_aside(set_aside_damaged_file, reason)

    def _set_aside(self, rename: Callable[[Path, object], None], reason: str) -> NoReturn:
        self.close()
        try:
            rename(self._path, reason)
        except OSError as error:
            text = f"{self._path} cannot be used ({reason}) or renamed ({error.strerror})"
            raise SpoolError(text) from None
        raise SpoolReplacedError(f"{self._path} could not be used: {reason}") from None


def _prepare(database: sqlite3.Connection) -> Found:
    version = read_version(database)
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
    upgrade(database, version)
    numbers = dict(database.execute("SELECT topic, newest FROM numbers"))
    waiting = Counter(dict(database.execute("SELECT topic, count(*) FROM events GROUP BY topic")))
    (newest,) = database.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()
    database.execute("SELECT id, topic, schema, payload, created_s FROM events LIMIT 1").fetchone()
    return Found(numbers, waiting, newest)


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own error, for a text that cannot be decoded
        return isinstance(error, sqlite3.OperationalError)
    # SQLITE_ERROR with "no such table" or the like: a database, but not edgepub's.
    return code & 0xFF in _DAMAGE_CODES or (code == sqlite3.SQLITE_ERROR and "no such" in str(error))
