"""Frames from the standard output of a command: a vendor's grabber, GStreamer, ssh, rpicam-vid."""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import av

from edgepub.camera.frames import Shots
from edgepub.camera.sources.live_decoding import LiveDecoding, LiveParts
from edgepub.camera.sources.open_errors import describe_open_error
from edgepub.camera.sources.opening import open_stream
from edgepub.core.errors import SourceError
from edgepub.core.redaction import redact_line
from edgepub.telemetry.logs import CameraLogger

_OWN_VARIABLES = "EDGEPUB_"  # they may contain passwords
_POLL_S = 0.25
_STOP_TIMEOUT_S = 0.5
_MAX_LINES = 10  # in the log, a minute
_LINES_PERIOD_S = 60.0
_MAX_LINE_BYTES = 4096


class CommandSource:
    """A command that writes a video to its standard output. It is started for each opening, and stopped at its end.

    Args:
        command: the program and its arguments.
        title: what to call it; it must not contain the arguments, which may be secret.
        form: FFmpeg's name of the format that it writes; None: look for it.
        options: FFmpeg's options for the format.
        parts: the camera's parts.
        given: what to write to its standard input.

    """

    def __init__(
        self,
        command: Sequence[str],
        title: str,
        form: str | None,
        options: dict[str, str],
        parts: LiveParts,
        given: bytes = b"",
    ) -> None:
        self._given = given
        self._command = command
        self._title = title
        self._form = form
        self._options = {"protocol_whitelist": "pipe", "fpsprobesize": "0", **options}
        self._parts = parts

    def __str__(self) -> str:
        return self._title

    def shots(self, stopping: threading.Event) -> Shots:
        """Yield the command's frames as they come; None for a frame that is not used.

        Raises:
            SourceError: it cannot be started, has ended, or what it writes is no video.

        """
        self._parts.gate.reset()
        with self._started(stopping) as running:
            try:
                address = running.address
                explain = partial(describe_open_error, address)
                with open_stream(address, str(self), self._options, self._form, explain) as stream:
                    yield from LiveDecoding(stream, str(self), self._parts).shots(stopping)
            except (SourceError, av.FFmpegError) as error:
                own = str(error).removeprefix(f"{self}: ") if isinstance(error, SourceError) else "its video is damaged"
                raise SourceError(f"{self}: {running.failure() or own}") from None
            if not stopping.is_set():
                raise SourceError(f"{self}: {running.failure() or 'the video has ended'}")

    @contextmanager
    def _started(self, stopping: threading.Event) -> Iterator["_Running"]:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # so that all it starts can be stopped with it
                env={name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)},
            )
        except FileNotFoundError:
            raise SourceError(f"{self}: no such program: {self._command[0]}") from None
        except OSError as error:
            raise SourceError(f"{self}: cannot be run: {error.strerror}: {self._command[0]}") from None
        if process.stdin:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(self._given)
        running = _Running(process, str(self), self._parts.log)
        thread = threading.Thread(target=running.watch, args=(stopping,), name=f"{self}-errors", daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.stop()
            thread.join(_STOP_TIMEOUT_S)
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()


class _Running:
    """A running command."""

    def __init__(self, process: "subprocess.Popen[bytes]", title: str, log: CameraLogger) -> None:
        self._process = process
        self._title = title
        self._log = log
        self._last_line = ""
        self._lines, self._lines_since_s = 0, time.monotonic()
        self._is_read = threading.Event()
        self._stopped = False

    @property
    def address(self) -> str:
        """FFmpeg's name of the command's output."""
        return f"pipe:{self._process.stdout.fileno()}" if self._process.stdout else ""

    def failure(self) -> str:
        """Return how the command has failed, in its own words if it wrote any; empty if it has not."""
        try:
            code = self._process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            return ""
        if code == 0:
            return ""
        self._is_read.wait(_POLL_S)
        how = f"was ended by {signal.strsignal(-code) or -code}" if code < 0 else f"has ended with exit code {code}"
        return f"{how}: {self._last_line}" if self._last_line else how

    def watch(self, stopping: threading.Event) -> None:
        """Log what the command writes to its standard error, until it ends; stop it when `stopping` is set."""
        errors, rest = self._process.stderr, b""
        if errors is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(errors, selectors.EVENT_READ)
            while not (stopping.is_set() or self._stopped):
                if not selector.select(_POLL_S):
                    continue
                content = os.read(errors.fileno(), _MAX_LINE_BYTES)
                *lines, rest = (rest + content).split(b"\n")
                if not content or len(rest) > _MAX_LINE_BYTES:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._write(redact_line(line.decode(errors="replace")))
                if not content:
                    self._is_read.set()
                    break
        while not stopping.wait(_POLL_S) and not self._stopped:
            pass
        self.stop()

    def _write(self, line: str) -> None:
        if not line:
            return
        self._last_line = line
        if time.monotonic() - self._lines_since_s > _LINES_PERIOD_S:
            self._lines, self._lines_since_s = 0, time.monotonic()
        self._lines += 1
        if self._lines <= _MAX_LINES:
            self._log.warning("%s: %s", self._title, line)

    def stop(self) -> None:
        """Stop the command and all that it has started."""
        self._stopped = True
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_S)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
