"""What is saved across restarts, in a small file in the state directory: changed settings, and retained topics."""

import functools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NotRequired

import orjson
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edgepub.core.state_files import (
    copy_newer_file,
    read_file,
    replace_file,
    set_aside_damaged_file,
    set_aside_newer_file,
)
from edgepub.core.threads import Worker
from edgepub.mqtt.topics import is_topic

STORE_FILE = "state.json"
"""In the state directory."""
_VERSION = 2
_MAX_ENTITIES = 200
_RETRY_S = 10.0
_CLOSE_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


class SavedState(TypedDict):
    """The content of the file. A new key needs a new version."""

    version: NotRequired[int]
    """Of the file's format. 0.1.0 wrote none."""
    settings: dict[str, dict[str, str]]
    """Values by camera and setting."""
    retained: list[str]
    """The longest unchanged first."""
    entities: NotRequired[list[str]]
    """Entities in Home Assistant that no retained topic tells of; since version 2."""


_VALIDATOR = TypeAdapter(SavedState)


class Store:
    """Answers from memory; a thread rewrites the file soon after each change. Thread-safe.

    A failed write is logged and tried again. What was never written is lost at the next restart.

    Args:
        path: the file's path; None: memory only.
        retry_s: pause after a failed write.

    """

    def __init__(self, path: Path | None, retry_s: float = _RETRY_S) -> None:
        self._path = path
        self._retry_s = retry_s
        self._lock = threading.Lock()
        self._changed = False
        self._is_reordered = False  # which is written with the next change, or at the end
        saved = self._read() or {"settings": {}, "retained": []}
        self._settings = {
            (camera, name): value for camera, settings in saved["settings"].items() for name, value in settings.items()
        }
        self._retained = dict.fromkeys(filter(is_topic, saved["retained"]))
        self._entities = dict.fromkeys(saved.get("entities", []))
        if damaged := len(saved["retained"]) - len(self._retained):
            _log.error("%s: damaged topics: %d; their retained messages stay on the broker", path, damaged)
        self._saved_topics = set(self._retained)
        self._is_failing = self._path is None
        self._on_saved: Callable[[], None] = lambda: None
        self._worker = Worker("store", self._save)

    def setting(self, camera: str, name: str) -> str | None:
        """Return the value that a setting was changed to, or None if the configuration's value applies."""
        with self._lock:
            return self._settings.get((camera, name))

    def save_setting(self, camera: str, name: str, value: str | None) -> None:
        """Save the value that a setting was changed to; None: the configuration's value applies again."""
        with self._lock:
            if value is None:
                self._settings.pop((camera, name), None)
            else:
                self._settings[camera, name] = value
            self._change()
            self._worker.wake()  # what was confirmed must not be lost by a kill

    def add_retained(self, topic: str) -> bool:
        """Add a topic that has a retained message, as the newest; return False if it will be in the file soon."""
        with self._lock:
            if topic in self._retained:
                del self._retained[topic]
                self._is_reordered = True
            else:
                self._change()
            self._retained[topic] = None
            return topic in self._saved_topics or self._is_failing

    def set_on_saved(self, on_saved: Callable[[], None]) -> None:
        """Set what is called in the writing thread after each write, also after one that failed."""
        self._on_saved = on_saved

    def remove_retained(self, topic: str) -> None:
        """Remove a topic that no longer has a retained message."""
        with self._lock:
            if topic in self._retained:
                del self._retained[topic]
                self._change()

    def retained_topics(self) -> list[str]:
        """Return the topics where this node has retained messages, the longest unchanged first."""
        with self._lock:
            return list(self._retained)

    def add_entities(self, keys: Iterable[str]) -> list[str]:
        """Add entities that Home Assistant gets, and return all that it ever got, the newest last: at most 200."""
        with self._lock:
            entities = dict.fromkeys([*self._entities, *keys])
            for key in list(entities)[:-_MAX_ENTITIES]:
                del entities[key]
            if entities.keys() != self._entities.keys():
                self._entities = entities
                self._change()
            return list(entities)

    def start(self) -> None:
        """Start to write changes."""
        if self._path:
            self._worker.start()

    def close(self) -> None:
        """Write what has changed, and stop."""
        with self._lock:
            self._changed |= self._is_reordered
        if self._path:
            self._worker.stop(_CLOSE_TIMEOUT_S)

    def _change(self) -> None:
        self._changed = True
        self._worker.wake_soon()

    def _read(self) -> SavedState | None:
        if self._path is None:
            return None
        content: object = None
        try:
            encoded = read_file(self._path)
            content = orjson.loads(encoded)
            saved = _VALIDATOR.validate_python(content)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._rename(set_aside_damaged_file, f"cannot be read: {error.strerror}")
            return None
        except (orjson.JSONDecodeError, ValidationError):
            if why := _find_newer(content):
                self._rename(set_aside_newer_file, why)
            else:
                self._rename(set_aside_damaged_file, "not written by edgepub")
            return None
        if why := _find_newer(content):
            self._rename(functools.partial(copy_newer_file, content=encoded), why)
            self._changed = True  # so that the next start does not copy it again
        return saved

    def _rename(self, rename: Callable[[Path, object], None], reason: object) -> None:
        assert self._path is not None  # noqa: S101
        try:
            rename(self._path, reason)
        except OSError as error:
            text = "%s cannot be used (%s) or renamed (%s); nothing is saved across restarts until you fix that"
            _log.error(text, self._path, reason, error.strerror)
            self._path = None  # do not overwrite it

    def _save(self) -> float | None:
        with self._lock:
            if not self._changed:
                return None
            self._changed = self._is_reordered = False
            settings: dict[str, dict[str, str]] = {}
            for (camera, name), value in self._settings.items():
                settings.setdefault(camera, {})[name] = value
            saved = SavedState(version=_VERSION, settings=settings, retained=list(self._retained))
            if self._entities:
                saved["entities"] = list(self._entities)
            self._saved_topics &= self._retained.keys()
        pause_s = None
        assert self._path is not None  # noqa: S101
        try:
            replace_file(self._path, orjson.dumps(saved, option=orjson.OPT_INDENT_2))
            self._is_failing = False
            self._saved_topics = set(saved["retained"])
        except OSError as error:
            self._changed = self._is_failing = True
            _log.error("%s: %s: changes are lost at the next restart", self._path, error.strerror)
            pause_s = self._retry_s
        self._on_saved()
        return pause_s


def _find_newer(content: object) -> str | None:
    """Return what shows that a newer edgepub wrote this content, or None."""
    if not isinstance(content, dict):
        return None
    version = content.get("version", 0)
    if isinstance(version, int) and version > _VERSION:
        return f"format {version}; this edgepub knows formats up to {_VERSION}"
    unknown = content.keys() - SavedState.__annotations__.keys()
    return f"unknown keys: {', '.join(map(repr, sorted(unknown)))}" if unknown else None


def read_retained_topics(state_dir: Path) -> list[str] | None:
    """Return the topics with retained messages of the node of a state directory; None if unknown. It may be running."""
    saved = _read_state(state_dir)
    return None if saved is None else list(filter(is_topic, saved["retained"]))


def read_entities(state_dir: Path) -> list[str]:
    """Return the entities of the node of a state directory; see `Store.add_entities`. It may be running."""
    saved = _read_state(state_dir)
    return [] if saved is None else saved.get("entities", [])


def _read_state(state_dir: Path) -> SavedState | None:
    try:
        return _VALIDATOR.validate_python(orjson.loads(read_file(state_dir / STORE_FILE)))
    except (OSError, orjson.JSONDecodeError, ValidationError):
        return None


@contextmanager
def open_store(state_dir: Path, retry_s: float = _RETRY_S) -> Iterator[Store]:
    """Open the store of a state directory, and close it at the end; see `Store` for `retry_s`."""
    store = Store(state_dir / STORE_FILE, retry_s)
    store.start()
    try:
        yield store
    finally:
        store.close()
