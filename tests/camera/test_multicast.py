"""RTSP over multicast, in a network namespace of its own: nothing of it reaches a real network."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.support import films
from tests.support.rtsp import needs_rtsp_server

# The camera is a computer of its own: two programs of one computer cannot receive at the same port.
IN_NAMESPACE = """
set -e
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
ip netns add camera
ip link add here type veth peer name there netns camera
ip link set lo up
ip addr add 10.9.0.2/24 dev here
ip link set here up
ip route add 224.0.0.0/4 dev here
ip -n camera link set lo up
ip -n camera addr add 10.9.0.1/24 dev there
ip -n camera link set there up
ip -n camera route add 224.0.0.0/4 dev there
exec "$@"
"""
READ = """
import json, sys, threading
from contextlib import closing
from itertools import islice
from tests.support import films
from tests.support.rtsp import RtspCamera, play
from tests.support.sources import open_source
with RtspCamera(play(sys.argv[1]), "multicast", "address=10.9.0.1", within=("ip", "netns", "exec", "camera")) as camera:
    url = camera.url.replace("127.0.0.1", "10.9.0.1")
    for transport in ("multicast", "auto"):
        source = open_source(url, transport=transport)
        with closing(source.frames(threading.Event())) as frames:
            print(json.dumps([films.read_number(frame.image) for frame in islice(frames, 25)]))
"""


@needs_rtsp_server
@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
@pytest.mark.skipif(not shutil.which("ip"), reason="no ip here: apt-get install iproute2")
def test_a_camera_that_only_does_multicast(tmp_path):
    film = films.encode(tmp_path / "film.mp4", range(200))
    command = ["unshare", "--net", "--mount", "sh", "-c", IN_NAMESPACE, "sh", sys.executable, "-c", READ, str(film)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked_for, found_out = map(json.loads, done.stdout.splitlines())
    for numbers in (asked_for, found_out):
        assert len(numbers) == 25
        assert numbers == sorted(set(numbers))
