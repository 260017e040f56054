"""Log entries with fields for systemd's journal, in its native protocol.

See https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
"""

import logging
import os
import select
import socket
import struct

SOCKET = "/run/systemd/journal/socket"

_SEND_TIMEOUT_S = 0.05
"""For a busy journal. After a lost line the timeout is zero, until the journal accepts a line again."""
_MAX_BYTES = 48 * 1024  # of a text: journald's own limit for a line, and less than a datagram can hold
_LOST = "lost log lines, because the journal did not accept them: %d"
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_WARNING = _PRIORITIES[logging.WARNING]
_STDERR = 2


def stderr_is_journal() -> bool:
    """Return whether stderr is connected to the journal (systemd.exec(5), `$JOURNAL_STREAM`)."""
    try:
        stderr = os.fstat(_STDERR)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"


class JournalHandler(logging.Handler):
    """Sends each record as a journal entry with the formatted text as its message, or to stderr without a journal.

    Blocks for a short timeout at most. Lines that a stuck journal does not accept are lost; their number is logged as
    soon as the journal accepts lines again.

    Args:
        path: the socket of the journal.
        stderr: the file descriptor to write to if the socket cannot be reached.

    """

    def __init__(self, path: str = SOCKET, stderr: int = _STDERR) -> None:
        super().__init__()
        self._path = path
        self._stderr = stderr
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # The kernel's timeout: Python's own uses poll(2), which does not know the queue of the receiver.
        timeout = struct.pack("@ll", 0, int(1e6 * _SEND_TIMEOUT_S))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        try:
            text = _cut(self.format(record))
            fields = _fields(record)
        except Exception:  # noqa: BLE001  (an argument cannot be formatted)
            self.handleError(record)
            return
        if self._lost and self._send(_LOST % self._lost, {"PRIORITY": str(_WARNING)}):
            self._lost = 0
        if self._lost or not self._send(text, fields):
            self._lost += 1

    def close(self) -> None:
        """Close the socket."""
        with self.lock:  # type: ignore[union-attr]  # always set
            self._socket.close()
        super().close()

    def _send(self, text: str, fields: dict[str, str]) -> bool:
        entry = _entry({"MESSAGE": text, "SYSLOG_IDENTIFIER": "edgepub", **fields})
        try:
            self._socket.sendto(entry, socket.MSG_DONTWAIT if self._lost else 0, self._path)
        except BlockingIOError:
            return False
        except OSError:  # no journal, or no permission
            return self._write(text, fields["PRIORITY"])
        return True

    def _write(self, text: str, priority: str) -> bool:
        """Write lines with their priority (sd-daemon(3)), if that does not block; return whether they were written."""
        lines = "".join(f"<{priority}>{line}\n" for line in text.splitlines())
        try:
            poll = select.poll()
            poll.register(self._stderr, select.POLLOUT)
            if not poll.poll(0):
                return False
            os.write(self._stderr, _encode(lines)[: 2 * _MAX_BYTES])
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
    return b"".join(_field(name.encode(), _encode(value)) for name, value in fields.items())


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%b\n%b%b\n" % (name, len(value).to_bytes(8, "little"), value)
    return b"%b=%b\n" % (name, value)


def _encode(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _cut(text: str) -> str:
    """Return the text, cut to the maximum size of an entry."""
    encoded = _encode(text)
    if len(encoded) <= _MAX_BYTES:
        return text
    return encoded[:_MAX_BYTES].decode(errors="ignore") + "..."
