"""What is in the events file when it is opened. What is damaged there is removed."""

import logging
import sqlite3
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from edgepub.mqtt.outbox.row import MAX_ROW, is_number, read_number, topic_of

SET_VALUE = "INSERT INTO saved VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET content = excluded.content"
SET_NUMBER = "INSERT INTO numbers VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET newest = max(newest, excluded.newest)"
_NO_IDS = ((-(2**63), 0), (MAX_ROW + 1, 2**63 - 1))
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_log = logging.getLogger(__name__)


class Found(NamedTuple):
    """The content of a file when it is opened."""

    numbers: dict[str, int]
    """The newest number of each topic."""
    waiting: Counter[str]
    """How many messages of each topic wait."""
    newest: int
    """The highest `Row.id`."""
    damaged: Mapping[str, int] = _NOTHING
    """How many messages of each topic were removed because of their ids."""
    values: Mapping[str, bytes] = _NOTHING
    """What is saved beside the messages."""


def read_content(database: sqlite3.Connection) -> Found:
    """Return the content of an open file."""
    damaged = _remove_damaged_ids(database)
    numbers = _read_numbers(database)
    waiting: Counter[str] = Counter()
    newest = 0
    for value, count, last in database.execute("SELECT topic, count(*), max(id) FROM events GROUP BY topic").fetchall():
        topic = topic_of(value)
        waiting[topic] += count
        newest = max(newest, last)
        ((payload,),) = database.execute("SELECT payload FROM events WHERE id = ?", (last,))
        if topic and (number := read_number(payload)) > numbers.get(topic, 0):  # so that no number is used twice
            numbers[topic] = number
    database.execute("SELECT id, topic, schema, payload, created_s FROM events LIMIT 1").fetchone()
    return Found(numbers, waiting, newest, damaged, _read_values(database))


def _remove_damaged_ids(database: sqlite3.Connection) -> Mapping[str, int]:
    """Remove the messages that a read would never return, or that leave no ids for new ones; return how many."""
    damaged: Counter[str] = Counter()
    for bounds in _NO_IDS:
        query = "SELECT topic, count(*) FROM events WHERE id BETWEEN ? AND ? GROUP BY topic"
        for topic, count in database.execute(query, bounds).fetchall():
            damaged[topic_of(topic)] += count
        if damaged:
            database.execute("DELETE FROM events WHERE id BETWEEN ? AND ?", bounds)
    return damaged


def _read_numbers(database: sqlite3.Connection) -> dict[str, int]:
    """Return the newest number of each topic; remove the damaged ones."""
    rows = database.execute("SELECT topic, newest FROM numbers").fetchall()
    numbers = {topic: newest for topic, newest in rows if topic_of(topic) and is_number(newest)}
    if len(numbers) < len(rows):
        _rewrite(database, "numbers", SET_NUMBER, numbers, len(rows))
    return numbers


def _read_values(database: sqlite3.Connection) -> dict[str, bytes]:
    """Return what is saved beside the messages; remove the damaged values."""
    rows = database.execute("SELECT name, content FROM saved").fetchall()
    values = {name: content for name, content in rows if topic_of(name) and isinstance(content, bytes)}
    if len(values) < len(rows):
        _rewrite(database, "saved", SET_VALUE, values, len(rows))
    return values


def _rewrite(database: sqlite3.Connection, table: str, insert: str, good: Mapping[str, Any], before: int) -> None:
    """Write a table again with its good rows alone, of those that it had before."""
    _log.error("damaged rows removed from the file of events, table %s: %d of %d", table, before - len(good), before)
    database.execute("BEGIN IMMEDIATE")
    database.execute(f"DELETE FROM {table}")  # noqa: S608  (a name from above)
    database.executemany(insert, good.items())
    database.execute("COMMIT")
