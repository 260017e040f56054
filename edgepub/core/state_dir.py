"""The folder where things are kept over restarts."""

import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgepub.core.errors import StateInUseError

_PATIENCE_S = 5.0  # another may just be ending
_LOOK_S = 0.1
_log = logging.getLogger(__name__)


def default_state_dir() -> Path:
    """Return ``$STATE_DIRECTORY``, else ``$XDG_STATE_HOME/edgepub``, else ``~/.local/state/edgepub``."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])  # systemd may name several
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "edgepub"


@contextmanager
def lock_state_dir(folder: Path) -> Iterator[None]:
    """Make the folder if need be, for its owner alone, and keep any other edgepub out of it.

    A folder that cannot be made or locked is no reason to stop: whoever writes into it will say so.

    Raises:
        StateInUseError: another edgepub is there.

    """
    lock = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        _lock(lock, folder)
    except OSError as error:
        _log.debug("%s: %s", folder, error)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _lock(descriptor: int, folder: Path) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            if time.monotonic() > end_s:
                os.close(descriptor)
                raise StateInUseError(
                    f"{folder}: another edgepub uses this folder; end it, or give this one a folder of its own in "
                    "STATE_DIRECTORY"
                ) from None
            time.sleep(_LOOK_S)
        else:
            return


def create_private_file(path: Path) -> None:
    """Make sure that there is a file, which only its owner can read if it is new.

    Raises:
        OSError: it cannot be made or written.

    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file's content as a whole, on the disk; make it, and its folder, if need be, for the owner alone.

    Whatever happens meanwhile, there is the old content or the new one.

    Raises:
        OSError: it cannot be written; the old content is there.

    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    owner = path.parent.stat()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        if os.geteuid() == 0:  # who clears a node's topics as root must not lock its service out
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    _sync(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file, if there is one, on the disk.

    Raises:
        OSError: it cannot be removed.

    """
    with suppress(FileNotFoundError):
        path.unlink()
        _sync(path.parent)


def set_aside_damaged_file(path: Path, why: object) -> None:
    """Rename a damaged file, and say so.

    Raises:
        OSError: it cannot be renamed.

    """
    aside = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    _log.error("%s is damaged (%s); it is set aside as %s, and edgepub begins a new one", path, why, aside)
    path.rename(path.with_name(aside))
    for rest in ("-wal", "-shm"):  # those of SQLite, without which a copy of the file would lack its newest part
        with suppress(FileNotFoundError):
            path.with_name(path.name + rest).rename(path.with_name(aside + rest))


def _sync(folder: Path) -> None:
    """Let a change of names be on the disk: else a power cut may bring the old file back."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
