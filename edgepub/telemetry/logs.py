"""Configures the log: text lines, JSON objects, or entries in systemd's journal."""

import io
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import orjson

from edgepub.telemetry import journal
from edgepub.telemetry.dedup import RepeatFilter

# Messages of these at info and below are for their own developers.
_CHATTY = ("aiomqtt", "degirum", "degirum_tools", "asyncio")
# Warnings of these are covered by edgepub's own lines: aiomqtt's logger, and the retries inside PySDK.
_NOISY = ("mqtt", "urllib3")

CameraLogger = logging.LoggerAdapter[logging.Logger]


class LogOptions(Protocol):
    """The options of the log: the keys of `log` in the configuration."""

    @property
    def level(self) -> str:
        """The lowest level that is logged: `debug`, `info`, `warning` or `error`."""

    @property
    def format(self) -> str:
        """`auto` or `json`."""


def configure_logging(
    options: LogOptions, journal_socket: str = journal.SOCKET, clock: Callable[[], float] = time.monotonic
) -> None:
    """Configure the log. Can be called again to change it.

    Args:
        options: the lowest level, and the format.
        journal_socket: the path of the journal's socket.
        clock: monotonic seconds, for the intervals between repeated warnings.

    """
    handler = _make_handler(options, journal_socket)
    handler.addFilter(RepeatFilter(clock))
    root = logging.getLogger()
    old_handlers, root.handlers = root.handlers, [handler]  # in one step, because other threads may be logging
    for old in old_handlers:
        old.close()
    root.setLevel(options.level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


def camera_logger(log: logging.Logger, camera: str) -> CameraLogger:
    """Return a logger for a camera. Text lines begin with its name; JSON and the journal have it as a field."""
    return logging.LoggerAdapter(log, {"camera": camera})


def _make_handler(options: LogOptions, journal_socket: str) -> logging.Handler:
    handler: logging.Handler
    formatter: logging.Formatter
    if options.format == "json":
        if isinstance(sys.stderr, io.TextIOWrapper):
            sys.stderr.reconfigure(encoding="utf-8")  # the encoding of JSON
        handler, formatter = logging.StreamHandler(), _Json()
    elif journal.stderr_is_journal():
        handler, formatter = journal.JournalHandler(journal_socket), _Text("%(message)s")
    else:
        handler, formatter = logging.StreamHandler(), _Text("%(asctime)s %(levelname)-7s %(message)s")
    handler.setFormatter(formatter)
    return handler


class _Text(logging.Formatter):
    """Formats a record as text."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the name is given by logging)
        """Return the line with the name of the camera and the number of suppressed repeats."""
        if camera := getattr(record, "camera", None):
            record.message = f"{camera}: {record.message}"
        if unsaid := getattr(record, "unsaid", 0):
            record.message += f" ({unsaid} more like this since)"
        return super().formatMessage(record)


class _Json(logging.Formatter):
    """Formats a record as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object on one line, without keys that do not apply."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "camera": getattr(record, "camera", None),
            "message": record.getMessage(),
            "unsaid": getattr(record, "unsaid", None) or None,
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return orjson.dumps({name: _clean(value) for name, value in fields.items() if value is not None}).decode()


def _clean(value: object) -> object:
    """Escape what cannot be encoded as UTF-8 in a text, for example in an unusual file name."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
