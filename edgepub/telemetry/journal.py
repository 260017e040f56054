"""Entries with fields for systemd's journal, by its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/)."""

import logging
import os
import select
import socket
import struct

SOCKET = "/run/systemd/journal/socket"

_PATIENCE_S = 0.05
"""With a journal that is busy; with one that has not taken the line before, none."""
_LONGEST_BYTES = 48 * 1024  # of a text; as many as journald itself takes of a line, and fewer than a datagram
_LOST = "%d lines of the log are lost: the journal did not take them"
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_WARNING = _PRIORITIES[logging.WARNING]
_STDERR = 2


def stderr_is_journal() -> bool:
    """Tell whether what is written to stderr goes to the journal (systemd.exec(5), `$JOURNAL_STREAM`)."""
    try:
        stderr = os.fstat(_STDERR)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"


class JournalHandler(logging.Handler):
    """Sends each record as an entry, its formatted text as the message; without the socket, as lines on stderr.

    Hardly waits: what a journal that is stuck does not take is lost; how much that was is said as soon as it can be.

    Args:
        path: of the journal's socket.
        stderr: where to write if that cannot be reached.

    """

    def __init__(self, path: str = SOCKET, stderr: int = _STDERR) -> None:
        super().__init__()
        self._path = path
        self._stderr = stderr
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # The kernel's own timeout: Python's would ask poll(2), which knows nothing of the queue at the other end.
        patience = struct.pack("@ll", 0, int(1e6 * _PATIENCE_S))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        try:
            text = _cut(self.format(record))
            fields = _fields(record)
        except Exception:  # noqa: BLE001  (of what it is to show)
            self.handleError(record)
            return
        if self._lost and self._send(_LOST % self._lost, {"PRIORITY": str(_WARNING)}):
            self._lost = 0
        if self._lost or not self._send(text, fields):
            self._lost += 1

    def close(self) -> None:
        """Close the socket."""
        with self.lock:  # type: ignore[union-attr]  # there always is one
            self._socket.close()
        super().close()

    def _send(self, text: str, fields: dict[str, str]) -> bool:
        entry = _entry({"MESSAGE": text, "SYSLOG_IDENTIFIER": "edgepub", **fields})
        try:
            self._socket.sendto(entry, socket.MSG_DONTWAIT if self._lost else 0, self._path)
        except BlockingIOError:
            return False
        except OSError:  # there is no journal, or it is not for us
            return self._write(text, fields["PRIORITY"])
        return True

    def _write(self, text: str, priority: str) -> bool:
        """Write lines with their priority (sd-daemon(3)), if that is possible without waiting."""
        lines = "".join(f"<{priority}>{line}\n" for line in text.splitlines())
        try:
            poll = select.poll()
            poll.register(self._stderr, select.POLLOUT)
            if not poll.poll(0):
                return False
            os.write(self._stderr, _encoded(lines)[: 2 * _LONGEST_BYTES])
        except OSError:
            return False
        return True


def _fields(record: logging.LogRecord) -> dict[str, str]:
    fields = {
        "PRIORITY": str(_PRIORITIES.get(record.levelno, _WARNING)),
        "LOGGER": record.name,
        "THREAD_NAME": record.threadName or "",
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        "CODE_FUNC": record.funcName or "",
    }
    if camera := getattr(record, "camera", None):
        fields["CAMERA"] = camera
    return fields


def _entry(fields: dict[str, str]) -> bytes:
    return b"".join(_field(name.encode(), _encoded(value)) for name, value in fields.items())


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%b\n%b%b\n" % (name, len(value).to_bytes(8, "little"), value)
    return b"%b=%b\n" % (name, value)


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _cut(text: str) -> str:
    """Return as much of a text as goes into an entry; all of nearly every one."""
    encoded = _encoded(text)
    if len(encoded) <= _LONGEST_BYTES:
        return text
    return encoded[:_LONGEST_BYTES].decode(errors="ignore") + "..."
