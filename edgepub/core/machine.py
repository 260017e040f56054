"""Which machine this is, as far as that can be known."""

import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from pathlib import Path

import psutil

_ID_FILE = Path("/etc/machine-id")
_SERIAL_FILE = Path("/proc/device-tree/serial-number")
_CONTAINER_MARKERS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_CONTAINER_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")
_ID = re.compile(r"[0-9a-f]{32}")
# What lies there may be another one at the next start: of a container, or of a system that writes nothing to its disk.
_VOLATILE = {"overlay", "fuse-overlayfs", "aufs", "tmpfs", "ramfs", "rootfs"}
_APPLICATION = b"edgepub machine 1"


def machine_key(
    id_file: Path = _ID_FILE,
    serial_file: Path = _SERIAL_FILE,
    mounts: Iterable[tuple[str, str]] | None = None,
    *,
    is_container: bool | None = None,
) -> str:
    """Return what is the same at every start on this machine and differs on others; empty if nothing is.

    A keyed hash of the machine's id, which must not be published itself (machine-id(5)). A computer without a lasting
    one may have a serial number in its device tree. The key starts with the kind of its origin.

    Args:
        id_file: the file of systemd's machine id.
        serial_file: the file of the hardware's serial number.
        mounts: paths and types of the mounted file systems; None: those of this process.
        is_container: whether this process runs in a container; None: find out.

    """
    if _ID.fullmatch(machine_id := _read(id_file)):
        if mounts is None:
            mounts = [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
        at, kind = _mount_of(Path(os.path.realpath(id_file)), mounts)
        is_container = _is_container() if is_container is None else is_container
        if kind not in _VOLATILE and not (is_container and at == "/"):
            return _key("machine-id", machine_id)
    if serial := _read(serial_file):
        return _key("serial", serial)
    return ""


def is_other_machine(recorded: str, current: str) -> bool:
    """Return whether two machine keys are certainly of different machines."""
    return bool(recorded and current) and recorded != current and _kind(recorded) == _kind(current)


def _kind(key: str) -> str:
    return key.partition(":")[0]


def _key(kind: str, value: str) -> str:
    return f"{kind}:{hmac.new(value.encode(), _APPLICATION, hashlib.sha256).hexdigest()[:32]}"


def _read(path: Path) -> str:
    try:
        return path.read_bytes()[:256].decode("ascii", "replace").strip("\0 \n")
    except OSError:
        return ""


def _mount_of(path: Path, mounts: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the path and the type of the file system that has a file. Of two at one path, the last one is visible."""
    found = ("/", "")
    for at, kind in mounts:
        if path.is_relative_to(at) and len(at) >= len(found[0]):
            found = (at, kind)
    return found


def _is_container() -> bool:
    return any(marker.exists() for marker in _CONTAINER_MARKERS) or any(map(os.environ.get, _CONTAINER_VARIABLES))
