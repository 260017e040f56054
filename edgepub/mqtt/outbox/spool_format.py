"""The versions of the events file, in its `PRAGMA user_version`, and the steps from one to the next."""

import sqlite3
from contextlib import closing

_STEPS: tuple[tuple[str, ...], ...] = (
    (  # 0.1.0 made these tables, and left the version at 0
        """CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, schema TEXT NOT NULL, payload BLOB NOT NULL, created_s REAL NOT NULL
)""",
        "CREATE TABLE IF NOT EXISTS numbers (topic TEXT PRIMARY KEY, newest INTEGER NOT NULL) WITHOUT ROWID",
    ),
    (  # the one row of the clock that `events.created_s` is on (`spool_clock`)
        """CREATE TABLE IF NOT EXISTS clock (
    id INTEGER PRIMARY KEY CHECK (id = 1), boot_id TEXT NOT NULL, ahead_s REAL NOT NULL, newest_s REAL NOT NULL
)""",
    ),
    ("CREATE TABLE IF NOT EXISTS saved (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID",),
)
"""The statements of each step; step n makes version n + 1.

Append steps, never change one: files with the old table would be taken for damaged. Put what is new in tables of its
own: 0.1.0 does not read the version, and writes the rows of `events` by the position of their columns.
"""


class NewerFormatError(Exception):
    """A newer edgepub wrote the file."""


def read_version(database: sqlite3.Connection, newest: int = len(_STEPS)) -> int:
    """Return the version of an open file. Change nothing.

    Raises:
        NewerFormatError: a newer edgepub wrote the file.
        sqlite3.DatabaseError: the file is damaged.

    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > newest:
        raise NewerFormatError(f"format {version}; this edgepub knows formats up to {newest}")
    return int(version)


def upgrade(database: sqlite3.Connection, version: int, steps: tuple[tuple[str, ...], ...] = _STEPS) -> None:
    """Bring a file from its version to the newest one, in place. The events in it stay.

    Raises:
        sqlite3.DatabaseError: the file cannot be changed; it has its old version.

    """
    if version == len(steps):
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        for statement in (statement for step in steps[max(version, 0) :] for statement in step):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(steps)}")
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def check_tables(database: sqlite3.Connection, version: int, steps: tuple[tuple[str, ...], ...] = _STEPS) -> None:
    """Check that the tables of an open file are those that the steps make. Change nothing.

    A file of an older version may lack some: the next steps make them. Other tables beside them do not matter.

    Raises:
        ValueError: one has other columns, is a view, has a trigger or the like.
        sqlite3.DatabaseError: the file is damaged.

    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        upgrade(model, 0, steps)
        wanted = set(_read_objects(model))
    names = {table for _, _, table, _ in wanted}
    found = {row for row in _read_objects(database) if names & {row[1].lower(), row[2].lower()}}
    if others := (found - wanted) or (wanted - found if version == len(steps) else set()):
        raise ValueError(f"its table {min(table for _, _, table, _ in others)} is not as edgepub makes it")


def _read_objects(database: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """Return the type, name, table and statement of each table, index, view and trigger."""
    rows = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return [(kind, name, table, " ".join((sql or "").split())) for kind, name, table, sql in rows]
