"""Makes the source of a camera as the daemon does, with settings that most tests share."""

import socket
import threading
from contextlib import contextmanager, suppress

from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.config.camera import CameraSettings
from edgepub.config.capture import CaptureSettings
from edgepub.telemetry.metrics import CameraMetrics

PACED = """
import sys, time
film = open(sys.argv[1], "rb").read()
for place in range(100):
    sys.stdout.buffer.write(film[len(film) * place // 100 : len(film) * (place + 1) // 100])
    sys.stdout.flush()
    time.sleep(0.02)
"""
"""A program that writes a file to its standard output as slowly as a camera would."""


def open_source(source, *, loop=False, realtime=False, metrics=None, max_fps=None, stall_timeout_s=5, **capture):
    """Return a source; `capture` are settings of how its pictures are received."""
    metrics = metrics or CameraMetrics()
    return make_source(
        "cam",
        source,
        Gate(max_fps, metrics),
        loop=loop,
        realtime=realtime,
        capture=CaptureSettings(**capture),
        stall_timeout_s=stall_timeout_s,
        metrics=metrics,
    )


def open_camera(**settings):
    """Return the source of a camera with these settings, as they stand in a configuration."""
    camera = CameraSettings.model_validate({"model": "m", **settings})
    return open_source(
        camera.resolved_source,
        loop=camera.loop,
        realtime=camera.realtime,
        max_fps=camera.max_fps,
        stall_timeout_s=camera.stall_timeout_s,
        **camera.capture.model_dump(),
    )


@contextmanager
def listening(answer):
    """Serve on loopback; `answer` gets each connection. Gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with connection, suppress(OSError):  # a client that refuses the certificate, or has gone
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
