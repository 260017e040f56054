"""The visits that are not over, in a file in the state directory: they go on after a restart."""

import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import orjson
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edgepub.camera.analysis.saved_visits import SavedVisit
from edgepub.core.state_files import read_file, replace_file, set_aside_damaged_file, set_aside_newer_file
from edgepub.core.threads import Worker

VISITS_FILE = "visits.json"
"""In the state directory."""
_VERSION: Literal[1] = 1
_INTERVAL_S = 1.0
"""The least time between two writes: visits begin and end all the time."""
_RETRY_S = 10.0
_CLOSE_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


class _Content(TypedDict):
    """The content of the file. A new key needs a new version."""

    version: Literal[1]
    cameras: dict[str, list[SavedVisit]]


_VALIDATOR = TypeAdapter(_Content)


class VisitStore:
    """Answers from memory; a thread rewrites the file soon after each change. Thread-safe.

    Args:
        path: the file; None: memory only.

    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._visits: dict[str, Sequence[SavedVisit]] = dict(_read(path)) if path else {}
        self._has_changed = False
        self._is_closing = False
        self._written_s = time.monotonic() - _INTERVAL_S
        self._worker = Worker("visits", self._write)

    @property
    def cameras(self) -> Collection[str]:
        """The cameras with visits."""
        with self._lock:
            return list(self._visits)

    def visits(self, camera: str) -> Sequence[SavedVisit]:
        """Return the visits of a camera."""
        with self._lock:
            return self._visits.get(camera, ())

    def save(self, camera: str, visits: Sequence[SavedVisit]) -> None:
        """Replace the visits of a camera. Callable from any thread; does not block."""
        with self._lock:
            if visits:
                self._visits[camera] = visits
            elif self._visits.pop(camera, None) is None:
                return
            self._has_changed = True
        self._worker.wake_soon()

    def start(self) -> None:
        """Start to write changes."""
        if self._path:
            self._worker.start()

    def close(self) -> None:
        """Write what has changed, and stop."""
        self._is_closing = True
        if self._path:
            self._worker.stop(_CLOSE_TIMEOUT_S)

    def _write(self) -> float | None:
        """Write the file if it is due; return the pause before the next try."""
        assert self._path is not None  # noqa: S101
        left_s = self._written_s + _INTERVAL_S - time.monotonic()
        if left_s > 0 and not self._is_closing:
            return left_s
        with self._lock:
            if not self._has_changed:
                return None
            self._has_changed = False
            content = _Content(version=_VERSION, cameras={name: list(visits) for name, visits in self._visits.items()})
        self._written_s = time.monotonic()
        try:
            replace_file(self._path, orjson.dumps(content))
        except OSError as error:
            self._has_changed = True
            self._written_s += _RETRY_S - _INTERVAL_S  # also if there are changes meanwhile
            _log.error("%s: %s: visits do not survive the next restart", self._path, error.strerror)
            return _RETRY_S
        return None


@contextmanager
def open_visit_store(state_dir: Path) -> Iterator[VisitStore]:
    """Open the visits of a state directory, and close them at the end."""
    store = VisitStore(state_dir / VISITS_FILE)
    store.start()
    try:
        yield store
    finally:
        store.close()


def _read(path: Path) -> Mapping[str, list[SavedVisit]]:
    """Return the content of the file; a file that cannot be used is renamed."""
    content: object = None
    try:
        content = orjson.loads(read_file(path))
        return _VALIDATOR.validate_python(content)["cameras"]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, orjson.JSONDecodeError, ValidationError) as error:
        version = content.get("version") if isinstance(content, dict) else None
        try:
            if isinstance(version, int) and version > _VERSION:
                set_aside_newer_file(path, f"format {version}; this edgepub knows formats up to {_VERSION}")
            else:
                why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "not written by edgepub"
                set_aside_damaged_file(path, why)
        except OSError as renaming:
            _log.error("%s cannot be used or renamed (%s)", path, renaming.strerror)
    return {}
