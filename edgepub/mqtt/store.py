"""What is kept over restarts, in a small file in the state folder: settings that were set, and retained topics."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edgepub.core.state_dir import replace_file, set_aside_damaged_file
from edgepub.core.threads import Worker

_FILE = "state.json"
_TRY_AGAIN_S = 10.0
_GRACE_S = 5.0
_log = logging.getLogger(__name__)


class SavedState(TypedDict):
    """The file's content."""

    settings: dict[str, dict[str, str]]
    """By camera and name."""
    retained: list[str]


_VALIDATOR = TypeAdapter(SavedState)


class Store:
    """Memory answers, and a thread writes the file anew soon after each change.

    A folder or a disk that does not take it is complained of, and tried again; what it never took is forgotten at the
    next start. For any thread.

    Args:
        path: of the file; None: memory alone.

    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        kept = self._read() or {"settings": {}, "retained": []}
        self._settings = {
            (camera, name): value for camera, of in kept["settings"].items() for name, value in of.items()
        }
        self._retained = dict.fromkeys(kept["retained"])
        self._changed = False
        self._kept = set(self._retained)  # topics in the file
        self._fails = self._path is None
        self._set_on_saved: Callable[[], None] = lambda: None
        self._worker = Worker("store", self._save)

    def setting(self, camera: str, name: str) -> str | None:
        """Return what a setting was set to, or None if it is the configuration's."""
        with self._lock:
            return self._settings.get((camera, name))

    def save_setting(self, camera: str, name: str, value: str | None) -> None:
        """Keep what a setting was set to; None: it is the configuration's again."""
        with self._lock:
            if value is None:
                self._settings.pop((camera, name), None)
            else:
                self._settings[camera, name] = value
            self._change()

    def add_retained(self, topic: str) -> bool:
        """Remember that something is retained at a topic; return False while it will be in the file soon."""
        with self._lock:
            if topic not in self._retained:
                self._retained[topic] = None
                self._change()
            return topic in self._kept or self._fails

    def set_on_saved(self, kept: Callable[[], None]) -> None:
        """Call this in the thread that writes, each time when it has written, or could not."""
        self._set_on_saved = kept

    def remove_retained(self, topic: str) -> None:
        """Forget a topic where nothing is retained any more."""
        with self._lock:
            if topic in self._retained:
                del self._retained[topic]
                self._change()

    def retained_topics(self) -> list[str]:
        """Return the topics where this state folder's edgepub has something retained."""
        with self._lock:
            return sorted(self._retained)

    def start(self) -> None:
        """Begin to write changes."""
        if self._path:
            self._worker.start()

    def close(self) -> None:
        """Write what has changed, and end."""
        if self._path:
            self._worker.close(_GRACE_S)

    def _change(self) -> None:
        self._changed = True
        self._worker.wake_soon()

    def _read(self) -> SavedState | None:
        if self._path is None:
            return None
        try:
            return _VALIDATOR.validate_python(orjson.loads(self._path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._set_aside(f"cannot be read: {error.strerror}")
        except (orjson.JSONDecodeError, ValidationError):
            self._set_aside("it is not what edgepub wrote")
        return None

    def _set_aside(self, why: object) -> None:
        assert self._path is not None  # noqa: S101
        try:
            set_aside_damaged_file(self._path, why)
        except OSError as error:
            text = "%s cannot be used (%s), nor renamed (%s): nothing is kept over restarts until that is mended"
            _log.error(text, self._path, why, error.strerror)
            self._path = None  # so that it is not written over

    def _save(self) -> float | None:
        with self._lock:
            if not self._changed:
                return None
            self._changed = False
            settings: dict[str, dict[str, str]] = {}
            for (camera, name), value in self._settings.items():
                settings.setdefault(camera, {})[name] = value
            kept = SavedState(settings=settings, retained=sorted(self._retained))
            self._kept &= self._retained.keys()
        pause_s = None
        assert self._path is not None  # noqa: S101
        try:
            replace_file(self._path, orjson.dumps(kept, option=orjson.OPT_INDENT_2))
            self._fails = False
            self._kept = set(kept["retained"])
        except OSError as error:
            self._changed = self._fails = True
            _log.error("%s: %s: what changes now is forgotten at the next start", self._path, error.strerror)
            pause_s = _TRY_AGAIN_S
        self._set_on_saved()
        return pause_s


def read_retained_topics(folder: Path) -> list[str] | None:
    """Return where the edgepub of a folder, which may be running, has something retained; None if that is unknown."""
    try:
        return _VALIDATOR.validate_python(orjson.loads((folder / _FILE).read_bytes()))["retained"]
    except (OSError, orjson.JSONDecodeError, ValidationError):
        return None


@contextmanager
def open_store(folder: Path) -> Iterator[Store]:
    """Open the store of a folder, and close it at the end."""
    store = Store(folder / _FILE)
    store.start()
    try:
        yield store
    finally:
        store.close()
