"""The state directory, which belongs to one edgepub at a time."""

import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepub.core.errors import StateInUseError

LOCK_TIMEOUT_S = 5.0
"""Time to wait for the lock: another edgepub may be about to end."""
_POLL_S = 0.1
_log = logging.getLogger(__name__)


def default_state_dir() -> Path:
    """Return ``$STATE_DIRECTORY``, else ``$XDG_STATE_HOME/edgepub``, else ``~/.local/state/edgepub``."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])  # systemd may list several
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "edgepub"


def real_path(path: Path) -> Path:
    """Return a path without symbolic links. Unlike `Path.resolve`, raise nothing for links that form a loop."""
    return Path(os.path.realpath(path))


@contextmanager
def lock_state_dir(directory: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Create the directory if necessary, accessible only to its owner, and keep any other edgepub out of it.

    Continue if the directory cannot be created or locked: the code that writes there reports the error.

    Args:
        directory: the state directory.
        timeout_s: how long to wait for another edgepub to end.

    Raises:
        StateInUseError: another edgepub uses the directory.

    """
    lock = None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        _lock(lock, directory, timeout_s)
    except OSError as error:
        _log.debug("%s: %s", directory, error)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _lock(descriptor: int, directory: Path, timeout_s: float) -> None:
    end_s = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            if time.monotonic() > end_s:
                os.close(descriptor)
                raise StateInUseError(
                    f"{directory}: another edgepub uses this directory; stop it, or set STATE_DIRECTORY to another "
                    "directory for this one"
                ) from None
            time.sleep(_POLL_S)
        else:
            return
