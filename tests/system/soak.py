#!/usr/bin/env python3
"""A long run with repeated disturbances of everything: `python -m tests.system.soak [--minutes 20]`.

Cameras freeze, hang up, and are switched off and on. The broker is killed. The configuration is reloaded: cameras and
zones are added, changed and removed, and a wrong one is refused. HTTP requests come in between. A line per minute shows
memory, threads and open files of the daemon and its children. Exits with 1 if one of them grows, or an event is lost.
"""

import argparse
import copy
import itertools
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import mean

import psutil
import yaml

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.demo import assets
from tests.support.brokers import Mosquitto, Subscriber
from tests.support.daemon import Daemon
from tests.support.mill import Gate, Reader, ReceivedMessages, mill, until
from tests.support.service_manager import ServiceManager
from tests.support.studio import BOX, Studio
from tests.support.waiting import free_port

EVERY_S = 4.0
GROWTH = 1.03  # from the mean in the second quarter to that in the last; the allocator causes less
ROOM = {"memory MB": 4, "threads": 2, "files": 4}


class Soak:
    """A broker, a link to it, cameras, a daemon, and a subscriber of everything."""

    def __init__(self, directory):
        self.broker = Mosquitto(directory).start()
        self.gate = Gate(self.broker.port)
        self.gate.open()
        self.received = ReceivedMessages()
        self.reader = Reader(self.broker.port, self.received)
        studio, demo = Studio(directory), assets.fetch()
        video = directory / "live.avi"
        echo.make_video(video, [[{**BOX, "category_id": n}] for n in range(300)], fps=25)
        self.camera = LiveCamera(video, 25)
        self.http = free_port()
        self.settings = mill(studio, f"mqtt://127.0.0.1:{self.gate.port}")
        self.settings["models"]["faces"] = {
            "model_name": "blazeface",
            "zoo_url": str(demo.zoo),
            "inference_host_address": "@local",
        }
        self.face = {"source": str(demo.video), "model": "faces", "loop": True, "realtime": True, "max_fps": 5}
        watched = {"model": "echo", "stall_timeout_s": 2, "snapshot": {"min_interval_s": 1}}
        self.settings["cameras"] = {
            **self.settings["cameras"],
            "live": {"source": self.camera.url, **watched},
            "face": self.face,
        }
        self.settings["home_assistant"] = {"enabled": True}
        self.settings["http"] = {"listen": self.http}
        self.camera.__enter__()
        self.manager = ServiceManager(directory)
        environment = {"STATE_DIRECTORY": str(directory / "state"), "NOTIFY_SOCKET": self.manager.path}
        self.daemon = Daemon(directory, self.settings, **environment)
        self.process = psutil.Process(self.daemon.process.pid)
        self.guests = itertools.count(1)

    def disturbances(self):
        """Return the disturbances, in turn."""
        return [
            self.freeze,
            self.kill_broker,
            lambda: self.reload(
                lambda settings: settings["cameras"].update({f"guest{next(self.guests) % 5}": self.face})
            ),
            self.camera.disconnect_clients,
            self.ask,
            lambda: self.reload(lambda settings: settings["cameras"]["face"].update(max_fps=5 + next(self.guests) % 7)),
            self.switch,
            lambda: self.reload(self.draw, expected="north, south"),
            lambda: self.reload(
                lambda settings: settings["cameras"].update(live={"sauce": 0}), expected="cameras.live"
            ),
            lambda: self.reload(lambda settings: settings["stats"].update(interval_s=1 + next(self.guests) % 3)),
        ]

    def freeze(self):
        self.camera.paused.set()
        time.sleep(3)
        self.camera.paused.clear()

    def kill_broker(self):
        self.broker.stop()
        self.reader.wait_for_the_end()
        self.gate.close()
        time.sleep(1)
        self.broker.start()
        self.reader = Reader(self.broker.port, self.received)
        self.gate.open()

    def reload(self, change, expected="reloaded: "):
        settings = copy.deepcopy(self.settings)  # so that the next reload removes a guest
        change(settings)
        self.daemon.file.write_text(yaml.safe_dump(settings))
        result = self.manager.reload(self.daemon)
        assert expected in result, result

    def draw(self, settings):
        zone = {"polygon": [[0.2, 0], [0.8, 0], [0.8, 1], [0.2, 1]]}
        for camera in ("north", "south"):
            settings["cameras"][camera]["zones"] = {f"zone{next(self.guests) % 5}": zone}

    def switch(self):
        client = Subscriber(self.broker.port, "edgepub/test/face/status")
        for value, status in ((b"OFF", b"disabled"), (b"ON", b"online")):
            client.publish("edgepub/test/face/enabled/set", value)
            client.wait_for(lambda s, status=status: s.messages and s.messages[-1][1] == status, status)
        client.close()

    def ask(self):
        for path in ["healthz", "metrics"] * 10:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.http}/{path}", timeout=10).read()
            except urllib.error.HTTPError as error:  # 503
                error.read()

    def figures(self):
        """Return memory in MB, threads and open files, of the daemon and its children."""
        processes = [self.process, *self.process.children(recursive=True)]
        return {
            "memory MB": sum(process.memory_info().rss for process in processes) / 1e6,
            "threads": self.process.num_threads(),
            "files": self.process.num_fds(),
        }

    def stop(self):
        """Stop the daemon; return the problems."""
        seen = len(self.received.stats)
        self.received.wait_for(
            lambda: self.received.stats[seen:] and self.received.stats[-1]["outbox"]["durable"] < 5, "an empty outbox"
        )
        code = self.daemon.terminate()
        self.received.wait_for(lambda: self.received.statuses[-1] == "offline", "the last status")
        self.received.check()
        problems = [] if code == 0 else [f"it exited with {code}"]
        return problems + [line for line in self.daemon.log.splitlines() if "please report it" in line]

    def close(self):
        self.daemon.close()
        self.manager.close()
        self.gate.close()
        self.broker.stop()
        self.camera.__exit__()


def grows(curve):
    """Return which figures grow."""
    quarter = len(curve) // 4
    found = []
    for name, room in ROOM.items():
        before = mean(figures[name] for figures in curve[quarter : 2 * quarter])
        after = mean(figures[name] for figures in curve[-quarter:])
        if after > GROWTH * before + room:
            found.append(f"{name} grows: {before:.1f} in the second quarter, {after:.1f} in the last")
    return found


def soak(directory, minutes):
    """Run for this time, with every disturbance at least once; return the curve and all other problems."""
    running, curve = Soak(directory), []
    try:
        running.daemon.wait_for_log("face: online")
        started_s = time.monotonic()
        print(f"minute  {'  '.join(ROOM)}  events  disturbances", flush=True)
        for number, disturb in enumerate(itertools.cycle(running.disturbances())):
            disturb()
            until(started_s + EVERY_S * (number + 1))
            curve.append(running.figures())
            passed_min = (time.monotonic() - started_s) / 60
            if int(passed_min) > int(passed_min - EVERY_S / 60) or passed_min >= minutes:
                shown = "  ".join(f"{curve[-1][name]:{len(name)}.0f}" for name in ROOM)
                print(f"{passed_min:6.1f}  {shown}  {len(running.received.events):6}  {number + 1:12}", flush=True)
            if passed_min >= minutes and number + 1 >= len(running.disturbances()):
                break
        return curve, running.stop()
    finally:
        running.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    with tempfile.TemporaryDirectory(prefix="edgepub-soak-") as where:
        levels, faults = soak(Path(where), parser.parse_args().minutes)
    faults += grows(levels)
    print("\n".join(faults) or "stable, and no event was lost")
    sys.exit(bool(faults))
