"""Files in the state directory: they survive restarts and power cuts, and a file that cannot be used is renamed."""

import errno
import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

_SQLITE_SUFFIXES = ("-wal", "-shm")
_MAX_READ_BYTES = 16_000_000
_UNUSABLE = {errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EPERM}
"""Errors of what can never be used as a file."""
_log = logging.getLogger(__name__)


def read_file(path: Path) -> bytes:
    """Return the content of a file. Never wait, whatever is in its place.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger than any file that edgepub reads as a whole.

    """
    descriptor = _open_file(path, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MAX_READ_BYTES + 1)
    if len(content) > _MAX_READ_BYTES:
        raise OSError(errno.EFBIG, f"has more than {_MAX_READ_BYTES // 1_000_000} MB")
    return content


def prepare_database_file(path: Path) -> None:
    """Create the file of an SQLite database if it does not exist, readable only by its owner.

    What is in its place, or in that of SQLite's files beside it, and cannot be used as a file, is renamed.

    Raises:
        OSError: the file cannot be created or written.

    """
    for suffix in ("", *_SQLITE_SUFFIXES):
        file = path.with_name(path.name + suffix)
        try:
            os.close(_open_file(file, os.O_RDWR))
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in _UNUSABLE:
                raise
            set_aside_damaged_file(file, error.strerror)
    create_private_file(path)


def create_private_file(path: Path) -> None:
    """Create the file if it does not exist, readable only by its owner.

    Raises:
        OSError: the file cannot be created or written.

    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def replace_file(path: Path, content: bytes) -> None:
    """Replace the content of a file atomically, and sync it to disk.

    Create the file and its directory if necessary, accessible only to their owner. After a crash or a power cut the
    file has either the old content or the new one.

    Raises:
        OSError: the file cannot be written; it keeps the old content.

    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    owner = path.parent.stat()
    for occupied in (new, path):  # a directory there would be in the way
        if occupied.is_dir() and not occupied.is_symlink():
            set_aside_damaged_file(occupied, os.strerror(errno.EISDIR))
    new.unlink(missing_ok=True)  # left by a power cut, or no file at all
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if os.geteuid() == 0:  # clearing a node's topics as root must not lock out its service
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    _sync(path.parent)


def remove_file(path: Path) -> None:
    """Delete a file if it exists, and sync its directory to disk.

    Raises:
        OSError: the file cannot be deleted.

    """
    with suppress(FileNotFoundError):
        path.unlink()
        _sync(path.parent)


def set_aside_damaged_file(path: Path, why: object) -> None:
    """Rename a damaged file, and log an error.

    Args:
        path: the file, or what is in its place.
        why: what is wrong with it.

    Raises:
        OSError: the file cannot be renamed.

    """
    aside = _rename(path, "damaged")
    _log.error("%s is damaged (%s); renamed to %s, and replaced by a new file", path, why, aside)


def set_aside_newer_file(path: Path, why: object) -> None:
    """Rename a file that a newer edgepub wrote, and log an error.

    Args:
        path: the file.
        why: how the versions differ.

    Raises:
        OSError: the file cannot be renamed.

    """
    aside = _rename(path, "newer")
    text = "%s is from a newer edgepub (%s); renamed to %s, and replaced by a new file; nothing in it is lost"
    _log.error(text, path, why, aside)


def copy_newer_file(path: Path, why: object, content: bytes) -> None:
    """Keep a copy of a file that a newer edgepub wrote, and log an error.

    Args:
        path: the file.
        why: how the versions differ.
        content: its content.

    Raises:
        OSError: the copy cannot be written.

    """
    copy = _free_name(path, "newer")
    replace_file(path.with_name(copy), content)
    text = "%s is from a newer edgepub (%s); a copy is in %s, and only what this edgepub knows stays in the file"
    _log.error(text, path, why, copy)


def set_aside_foreign_file(path: Path) -> str:
    """Rename a file of another node, if it exists; return its new name, or an empty text.

    Raises:
        OSError: the file cannot be renamed.

    """
    return _rename(path, "foreign") if os.path.lexists(path) else ""


def _open_file(path: Path, flags: int) -> int:
    """Open a file that exists, without waiting; raise OSError if it is not a regular file."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.ENXIO, "Is not a file")


def _rename(path: Path, kind: str) -> str:
    """Rename a file, together with SQLite's files beside it; return the new name, which no other file has."""
    name = _free_name(path, kind)
    path.rename(path.with_name(name))
    for suffix in _SQLITE_SUFFIXES:  # without them a copy of the database lacks its newest part
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(name + suffix))
    return name


def _free_name(path: Path, kind: str) -> str:
    """Return a name for a renamed file, which no other file has."""
    base = name = f"{path.name}.{kind}-{time.strftime('%Y%m%dT%H%M%S')}"
    number = 1
    while os.path.lexists(path.with_name(name)):
        number += 1
        name = f"{base}-{number}"
    return name


def _sync(directory: Path) -> None:
    """Sync a change of file names to disk; without it, a power cut may restore the old file."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
