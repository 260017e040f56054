"""The file of events that wait for the broker: SQLite in WAL mode."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from edgepub.core.errors import SpoolError, SpoolReplacedError
from edgepub.core.redaction import redact_line
from edgepub.core.state_files import prepare_database_file, set_aside_damaged_file, set_aside_newer_file
from edgepub.mqtt.outbox.row import DamagedRow, Row, find_damage, topic_of
from edgepub.mqtt.outbox.spool_clock import SpoolClock
from edgepub.mqtt.outbox.spool_content import SET_NUMBER, SET_VALUE, Found, read_content
from edgepub.mqtt.outbox.spool_format import NewerFormatError, check_tables, read_version, upgrade

_LOCK_TIMEOUT_S = 1.0
_MIN_FREE_PAGES = 256  # 1 MB; fewer are not worth a shrink
_MAX_WAL_BYTES = 4_000_000
_DAMAGE_CODES = {
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH),
    *(sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_FORMAT),
}
_CONVERSION_ERRORS = (OverflowError, TypeError, ValueError)
"""For values in a file that are not what SQLite takes them for."""


class Spool:
    """The file. Each method raises SpoolError when the file cannot be used.

    A file that is damaged or from a newer edgepub is renamed, and SpoolReplacedError is raised; `open` then makes a new
    one.

    Args:
        path: the file's path.
        clock: the clock of the file.
        find_damage: returns what is wrong with a row, or None.

    """

    def __init__(
        self,
        path: Path,
        clock: SpoolClock | None = None,
        find_damage: Callable[[Row], str | None] = find_damage,
    ) -> None:
        self._path = path
        self._clock = clock or SpoolClock()
        self._find_damage = find_damage
        self._database: sqlite3.Connection | None = None

    def __str__(self) -> str:
        return str(self._path)

    @property
    def is_open(self) -> bool:
        """Whether the file can be read and, unless the disk is full, written."""
        return self._database is not None

    def open(self) -> Found:
        """Open the file, make it if there is none, and return its content."""
        with self._errors():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            prepare_database_file(self._path)
            database = sqlite3.connect(
                self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            database.text_factory = _decode
            try:
                found = _prepare(database)
                self._clock.start(database)
            except BaseException:
                database.close()
                raise
            self._database = database
            return found

    def read(self, after: int, limit: int) -> tuple[list[Row], list[DamagedRow]]:
        """Return the messages in up to `limit` rows behind an id, in order, and those of the rows that are damaged."""
        query = "SELECT id, topic, schema, payload, created_s FROM events WHERE id > ? ORDER BY id LIMIT ?"
        with self._errors():
            found = [Row(*values) for values in self._connection().execute(query, (after, limit))]
            ids = [after, *(row.id for row in found)]
            if any(row >= following for row, following in pairwise(ids)):
                raise ValueError("rows are not in order")
        rows, damaged = [], []
        for row in found:
            if why := self._find_damage(row):
                damaged.append(DamagedRow(row.id, topic_of(row.topic), why))
            else:
                rows.append(row._replace(created_s=self._clock.from_file(row.created_s)))
        return rows, damaged

    def write(
        self,
        rows: Sequence[Row],
        numbers: Mapping[str, int],
        removed: Sequence[int],
        values: Mapping[str, bytes | None] = MappingProxyType({}),
    ) -> None:
        """Add rows, save the newest numbers, delete rows by id, and save values by name, in one transaction.

        Rows and numbers are on disk when it returns, and the values that are written with them or before. A power
        failure may undo the last deletions, and the values written with nothing else. From time to time it also saves
        the clock, so call it now and then while messages wait.

        Args:
            rows: the messages to add.
            numbers: the newest number of topics.
            removed: the ids of the rows to delete.
            values: what to save, by name; None: nothing from now on.

        """
        is_save_due = self._clock.is_save_due
        if not (rows or numbers or removed or values or is_save_due):
            return
        saved_at_s = None
        stored = [row._replace(created_s=self._clock.to_file(row.created_s)) for row in rows]
        with self._errors():
            database = self._connection()
            database.execute(f"PRAGMA synchronous = {'FULL' if rows or numbers else 'NORMAL'}")
            try:
                database.execute("BEGIN IMMEDIATE")
                # A row may be there already, from a commit that succeeded and yet reported an error.
                database.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", stored)
                database.executemany(SET_NUMBER, numbers.items())
                database.executemany("DELETE FROM events WHERE id = ?", ((id_,) for id_ in removed))
                over = [(name,) for name, value in values.items() if value is None]
                database.executemany("DELETE FROM saved WHERE name = ?", over)
                database.executemany(SET_VALUE, [item for item in values.items() if item[1] is not None])
                if is_save_due:
                    saved_at_s = self._clock.save(database)
                database.execute("COMMIT")
            except sqlite3.Error:
                if database.in_transaction:  # when the disk is full, SQLite has rolled it back itself
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                raise
        if saved_at_s is not None:
            self._clock.set_saved(saved_at_s)

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
        except (sqlite3.Error, *_CONVERSION_ERRORS) as error:
            reason = redact_line(error)
            if not (_is_damage(error) or self._has_other_tables(error)):
                raise SpoolError(f"{self._path}: {reason}") from None
            self._set_aside(set_aside_damaged_file, reason)

    def _has_other_tables(self, error: Exception) -> bool:
        """Return whether a statement failed, and somebody has changed the tables since the file was opened."""
        if self._database is None or getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
            return False
        try:
            check_tables(self._database, read_version(self._database))
        except (sqlite3.Error, NewerFormatError):
            return False
        except _CONVERSION_ERRORS:
            return True
        return False

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
    check_tables(database, version)
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
    upgrade(database, version)
    return read_content(database)


def _decode(text: bytes) -> str:
    """Decode a text that may be damaged. Without this, one would make all rows of a query unreadable."""
    return text.decode(errors="surrogateescape")


def _is_damage(error: Exception) -> bool:
    if isinstance(error, _CONVERSION_ERRORS):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own error, for a text that cannot be decoded
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _DAMAGE_CODES
