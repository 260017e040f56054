"""A camera with a real RTSP server: GStreamer's, in a process of Debian's own Python."""

import signal
import subprocess
from functools import cache
from pathlib import Path

import av
import pytest

from tests.support.waiting import free_port

_SYSTEM_PYTHON = "/usr/bin/python3"
_LOOK = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@cache
def can_serve():
    try:
        return subprocess.run([_SYSTEM_PYTHON, "-c", _LOOK], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def needs_rtsp_server(test):
    """Mark a test that needs the server."""
    reason = (
        "no RTSP server here: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good "
        "gstreamer1.0-plugins-bad"
    )
    return pytest.mark.rtsp(pytest.mark.skipif(not can_serve(), reason=reason)(test))


def play(film):
    """Return the pipeline that plays an H.264 film once, with its timestamps."""
    return f"filesrc location={film} ! qtdemux ! h264parse ! rtph264pay name=pay0 config-interval=-1"


def repeat(film, directory):
    """Return the pipeline that repeats an H.264 film without an end. Its packets have no timestamps of use."""
    stream = Path(directory, "stream.h264")
    with av.open(str(film)) as whole, av.open(str(stream), "w", format="h264") as bare:
        video = bare.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream = video
                bare.mux(packet)
    parsed = f"multifilesrc location={stream} loop=true ! h264parse ! identity sync=true"
    return f"{parsed} ! rtph264pay name=pay0 config-interval=-1"


class RtspCamera:
    """A camera that can be frozen, or replaced by another one at the same address; a context manager.

    Args:
        pipeline: what it sends, for GStreamer.
        options: of `rtsp_server.py`.
        environment: the server's environment.
        within: a command that starts it.

    """

    def __init__(self, pipeline, *options, environment=None, within=()):
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        server = Path(__file__).with_name("rtsp_server.py")
        self._arguments = [*within, _SYSTEM_PYTHON, server, str(self.port), pipeline, *options]
        self._environment = environment

    def start(self):
        self.process = subprocess.Popen(
            self._arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        )
        assert self.process.stdout.readline() == "ready\n"

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
