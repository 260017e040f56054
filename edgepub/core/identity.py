"""Who a state directory belongs to: a node's random id, made once, beside the machine that it was made on."""

import logging
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edgepub.core.machine import is_other_machine
from edgepub.core.state_files import read_file, replace_file, set_aside_damaged_file, set_aside_foreign_file

_FILE = "identity.json"
_MANUAL = "docs/upgrading.md says how to move a node"
_log = logging.getLogger(__name__)


_Word = Annotated[str, StringConstraints(pattern=r"^[0-9a-z:_-]{0,64}$")]


class _Record(TypedDict):
    """The content of the file."""

    node_id: _Word
    node: _Word
    machine: _Word
    """As `machine_key` returns it."""
    disowned: bool
    """Whether the directory turned out to be a copy of that of a node that is running."""


_VALIDATOR = TypeAdapter(_Record)


class Identity:
    """The identity of a node whose state directory is locked.

    Args:
        directory: the state directory.
        node_id: the node's id.
        node: the node's name.
        machine: the key of this machine.

    Attributes:
        is_new: whether the directory had no identity before.
        subdirectory: where to keep the state, below the usual place; empty unless the state of another node is there.

    """

    def __init__(
        self, directory: Path, node_id: str, node: str, machine: str, *, is_new: bool = False, subdirectory: str = ""
    ) -> None:
        self.node_id = node_id
        self.is_new = is_new
        self.subdirectory = subdirectory
        self._directory = directory
        self._node = node
        self._machine = machine

    def save(self) -> bool:
        """Write the identity to the directory; log an error and return False if that is not possible."""
        return self._save(self._node, disowned=False)

    def disown(self, node: str) -> bool:
        """Mark the directory as a copy of that of another node; the next `open_identity` sets its files aside.

        Args:
            node: the name of the other node.

        Returns:
            False if the mark cannot be written, which is logged.

        """
        return self._save(node, disowned=True)

    def _save(self, node: str, *, disowned: bool) -> bool:
        path = self._directory / _FILE
        record = _Record(node_id=self.node_id, node=node, machine=self._machine, disowned=disowned)
        try:
            replace_file(path, orjson.dumps(record, option=orjson.OPT_INDENT_2))
        except OSError as error:
            _log.error("%s: %s: the node has another node_id after the next start", path, error.strerror)
            return False
        return True


def is_foreign(directory: Path, machine: str) -> bool:
    """Return whether what is in a state directory belongs to a node on another machine, or to another node here."""
    record = _read(directory / _FILE)
    return record is not None and _is_foreign(record, machine)


def open_identity(directory: Path, files: Iterable[Path], node: str, machine: str) -> Identity:
    """Return the identity of the node; make one if there is none. Hold the directory's lock.

    What another node left in the directory is renamed, so that it is neither used nor lost. If it cannot be renamed,
    the state goes to a subdirectory.

    Args:
        directory: the state directory.
        files: the files in which the node keeps its state.
        node: the node's name.
        machine: the key of this machine.

    """
    path, new_id = directory / _FILE, uuid.uuid4().hex
    record = _read(path, set_aside=True)
    if record is None:
        identity = Identity(directory, new_id, node, machine, is_new=True)
        identity.save()
        return identity
    if _is_foreign(record, machine):
        try:
            _set_aside(path, files, record)
        except OSError as error:
            text = "%s has the state of another node, which cannot be renamed: %s; this node's state is in %s"
            _log.error(text, directory, error.strerror, directory / new_id)
            return Identity(directory, new_id, node, machine, subdirectory=new_id)
        identity = Identity(directory, new_id, node, machine)
        identity.save()
        return identity
    if record["node"] != node:
        _log.info("%s: node %s is now %s", directory, record["node"], node)
    # If the machine is unknown now, its record stays: it may be known again at the next start.
    machine = machine or record["machine"]
    identity = Identity(directory, record["node_id"], node, machine)
    if (record["node"], record["machine"]) != (node, machine):
        identity.save()
    return identity


def _is_foreign(record: _Record, machine: str) -> bool:
    return record["disowned"] or is_other_machine(record["machine"], machine)


def _set_aside(path: Path, files: Iterable[Path], record: _Record) -> None:
    names = [name for file in files if (name := set_aside_foreign_file(file))]
    set_aside_foreign_file(path)  # last: until then the next start recognises the rest
    why = "is a copy of that of a node that is running" if record["disowned"] else "was written on another machine"
    text = "%s: the state of node %s there %s; not used, nothing cleared from the broker%s (%s)"
    renamed = f"; renamed to {', '.join(names)}" if names else ""
    _log.warning(text, path.parent, record["node"], why, renamed, _MANUAL)


def _read(path: Path, *, set_aside: bool = False) -> _Record | None:
    try:
        return _VALIDATOR.validate_python(orjson.loads(read_file(path)), strict=True)
    except OSError as error:
        if not set_aside or isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        reason = f"cannot be read: {error.strerror}"
    except (orjson.JSONDecodeError, ValidationError):
        if not set_aside:
            return None
        reason = "not written by edgepub"
    try:
        set_aside_damaged_file(path, reason)
    except OSError as error:
        _log.error("%s cannot be used (%s) or renamed (%s)", path, reason, error.strerror)
    return None
