"""The log: lines for a person, objects for a program, or entries of systemd's journal."""

import io
import logging
import sys
from datetime import UTC, datetime
from typing import Protocol

import orjson

from edgepub.telemetry import journal
from edgepub.telemetry.dedup import RepeatFilter

# What these say at info and below is for their own developers.
_CHATTY = ("aiomqtt", "degirum", "degirum_tools", "asyncio")
# What these warn of, our own lines say better: aiomqtt's logger, and the retries inside PySDK.
_NOISY = ("mqtt", "urllib3")

CameraLogger = logging.LoggerAdapter[logging.Logger]


class LogOptions(Protocol):
    """What the log is like: the keys of `log` in the configuration."""

    @property
    def level(self) -> str:
        """The least important level that is written: `debug`, `info`, `warning` or `error`."""

    @property
    def format(self) -> str:
        """`auto` or `json`."""


def configure_logging(settings: LogOptions, journal_socket: str = journal.SOCKET) -> None:
    """Write the log as the settings say, from now on.

    Args:
        settings: the least level, and the form.
        journal_socket: where the journal listens.

    """
    handler = _handler(settings, journal_socket)
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    before, root.handlers = root.handlers, [handler]  # at once, because other threads log meanwhile
    for each in before:
        each.close()
    root.setLevel(settings.level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


def camera_logger(log: logging.Logger, camera: str) -> CameraLogger:
    """Return a log whose lines are of a camera: in texts they begin with its name, elsewhere it is a field."""
    return logging.LoggerAdapter(log, {"camera": camera})


def _handler(settings: LogOptions, journal_socket: str) -> logging.Handler:
    handler: logging.Handler
    formatter: logging.Formatter
    if settings.format == "json":
        if isinstance(sys.stderr, io.TextIOWrapper):
            sys.stderr.reconfigure(encoding="utf-8")  # as JSON is everywhere
        handler, formatter = logging.StreamHandler(), _Json()
    elif journal.stderr_is_journal():
        handler, formatter = journal.JournalHandler(journal_socket), _Text("%(message)s")
    else:
        handler, formatter = logging.StreamHandler(), _Text("%(asctime)s %(levelname)-7s %(message)s")
    handler.setFormatter(formatter)
    return handler


class _Text(logging.Formatter):
    """For a person."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (a name of logging's)
        """Return a line, which also says whose it is and how many there were."""
        if camera := getattr(record, "camera", None):
            record.message = f"{camera}: {record.message}"
        if unsaid := getattr(record, "unsaid", 0):
            record.message += f" ({unsaid} more like this since)"
        return super().formatMessage(record)


class _Json(logging.Formatter):
    """For a program."""

    def format(self, record: logging.LogRecord) -> str:
        """Return an object in a line; what does not apply is left out."""
        says = {
            "time": datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "camera": getattr(record, "camera", None),
            "message": record.getMessage(),
            "unsaid": getattr(record, "unsaid", None) or None,
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return orjson.dumps({name: _clean(value) for name, value in says.items() if value is not None}).decode()


def _clean(value: object) -> object:
    """Return a value whose text, if it is one, can be written as UTF-8: that of a strange file name cannot."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
