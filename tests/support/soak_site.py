"""What the soak disturbs: a broker and a link to it, cameras, a wall clock, and one daemon after the other."""

import contextlib
import itertools
import json
import sqlite3
import urllib.error
import urllib.request
from collections import Counter

import psutil

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.demo import assets
from tests.support import wall_clock
from tests.support.brokers import Mosquitto
from tests.support.daemon import Daemon
from tests.support.mill import Reader, ReceivedMessages, mill
from tests.support.mqtt_proxy import MqttProxy
from tests.support.service_manager import ServiceManager
from tests.support.studio import BOX, Studio
from tests.support.waiting import free_port, wait_until
from tests.support.wall_clock import WallClock

ROW_DAMAGES = (
    *("payload = zeroblob(length(payload))", "payload = 7", "created_s = 1e20", "created_s = 'x'", "schema = ''"),
    "topic = CAST(topic AS BLOB)",
)


class SoakSite:
    """A broker, a proxy before it, cameras, a wall clock, a daemon, and a subscriber of everything."""

    def __init__(self, directory):
        self.state = directory / "state"
        self.broker = Mosquitto(directory).start()
        self.lie = lambda packet: packet  # what the broker's packets become on their way
        self.proxy = MqttProxy(self.broker.port, from_broker=self._change).__enter__()
        self.received = ReceivedMessages()
        self._reader = Reader(self.broker.port, self.received)
        studio, demo = Studio(directory), assets.fetch()
        video = directory / "live.avi"
        echo.make_video(video, [[{**BOX, "category_id": n}] for n in range(300)], fps=25)
        self.camera = LiveCamera(video, 25)
        self.settings = mill(studio, self.proxy.url)
        faces = {"model_name": "blazeface", "zoo_url": str(demo.zoo), "inference_host_address": "@local"}
        self.settings["models"]["faces"] = faces
        self.face = {"source": str(demo.video), "model": "faces", "loop": True, "realtime": True, "max_fps": 5}
        watched = {"model": "echo", "stall_timeout_s": 2, "snapshot": {"min_interval_s": 1}}
        self.settings["cameras"] |= {"live": {"source": self.camera.url, **watched}, "face": self.face}
        self.settings["home_assistant"] = {"enabled": True}
        self.settings["http"] = {"listen": free_port()}
        self.camera.__enter__()
        self.manager = ServiceManager(directory)
        self.clock = None if wall_clock.why_not() else WallClock(directory)
        self._clocks = itertools.cycle(["-3d", "+0", "+174y"])
        self.lost = set()  # (camera, seq)
        self._to_be_counted = Counter()  # by camera
        self.problems = []
        self._directory = directory
        self.start_daemon()

    def start_daemon(self):
        """Start it, each time with another wrong clock."""
        self.set_clock(next(self._clocks))
        environment = {"STATE_DIRECTORY": str(self.state), "NOTIFY_SOCKET": self.manager.path}
        before = len(self.manager.messages())
        self.daemon = Daemon(
            self._directory, self.settings, **environment, **(self.clock.environment if self.clock else {})
        )
        self._process = psutil.Process(self.daemon.process.pid)
        self.manager.wait_for("the end of the start", before, READY="1")
        self.daemon.wait_for_log("face: online")

    def set_clock(self, offset):
        if self.clock:
            self.clock.set(offset)

    def stop_broker(self):
        self.broker.stop()
        self._reader.wait_for_the_end()

    def start_broker(self):
        self.broker.start()
        self._reader = Reader(self.broker.port, self.received)

    def crash(self, damage, in_outage=True):
        """Kill the daemon, damage files of its state directory, and start it again.

        Args:
            damage: called with the rows of events that wait.
            in_outage: kill it while the broker is away and events wait.

        """
        rows = self._wait_in_outage() if in_outage else []
        self._kill_daemon()
        damage(rows)
        started = {stats["boot_id"] for stats in self.received.stats}
        if in_outage:
            self.start_broker()
        self.start_daemon()
        self.received.wait_for(lambda: self.received.stats[-1]["boot_id"] not in started, "stats of the new daemon")
        self.received.wait_for(
            lambda: self.counted() == {(camera, "event_damaged"): n for camera, n in self._to_be_counted.items()},
            "the count of damaged events",
        )

    def damage_rows(self, rows):
        """Damage some of these rows of the events file; each is lost then."""
        for change, (row, payload) in zip(ROW_DAMAGES, rows[1 :: len(rows) // len(ROW_DAMAGES)], strict=False):
            self._query(f"UPDATE events SET {change} WHERE id = {row}")
            event = json.loads(payload)
            self.lost.add((event["camera"], event["seq"]))
            self._to_be_counted["?" if change.startswith("topic") else event["camera"]] += 1

    def counted(self):
        """Return how many events all daemons have counted as lost, by camera and reason."""
        last = {stats["boot_id"]: stats["cameras"] for stats in self.received.stats}
        found = Counter()
        for name, camera in itertools.chain.from_iterable(cameras.items() for cameras in last.values()):
            for reason, number in camera["dropped"].items():
                if reason.startswith("event_"):
                    found[name, reason] += number
        return found

    def get(self, path):
        """Return the page at a path of the daemon's HTTP server."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.settings['http']['listen']}/{path}", timeout=10
            ) as page:
                return page.read()
        except urllib.error.HTTPError as error:  # 503
            with error:
                return error.read()

    def health(self):
        return json.loads(self.get("healthz"))

    def figures(self):
        """Return memory in MB, threads and open files: memory with the daemon's children."""
        processes = [self._process, *self._process.children(recursive=True)]
        return {
            "memory MB": sum(process.memory_info().rss for process in processes) / 1e6,
            "threads": self._process.num_threads(),
            "files": self._process.num_fds(),
        }

    def stop(self):
        """Stop the daemon; return all problems."""
        seen = len(self.received.stats)
        self.received.wait_for(
            lambda: self.received.stats[seen:] and self.received.stats[-1]["outbox"]["durable"] < 5, "an empty outbox"
        )
        code = self.daemon.terminate()
        if code:
            self.problems.append(f"it exited with {code}")
        self.received.wait_for(lambda: self.received.statuses[-1] == "offline", "the last status")
        self._read_log()
        self.received.check(self.lost)
        arrived = {(camera, seq) for camera, seq, _ in self.received.events} & self.lost
        if arrived:
            self.problems.append(f"events arrived that were damaged: {sorted(arrived)}")
        if self.counted().total() != len(self.lost):
            self.problems.append(f"{len(self.lost)} events are lost, and these counted: {dict(self.counted())}")
        return self.problems

    def close(self):
        self.daemon.close()
        self.manager.close()
        self.proxy.__exit__()
        self.broker.stop()
        self.camera.__exit__()

    def _change(self, packet):
        return self.lie(packet)

    def _wait_in_outage(self):
        """Stop the broker; return the rows of events that wait and that it has never seen."""
        self.stop_broker()
        (newest,) = self._query("SELECT max(id) FROM events")[0]
        waiting = f"SELECT id, payload FROM events WHERE topic LIKE '%/events' AND id > {newest or 0} ORDER BY id"
        return wait_until(lambda: len(found := self._query(waiting)) >= 50 and found, "events that wait")

    def _kill_daemon(self):
        children = self._process.children(recursive=True)
        self.daemon.close()
        _, left = psutil.wait_procs(children, timeout=30)
        for process in left:
            self.problems.append(f"the daemon was killed, and this process of it stayed: {process}")
            process.kill()
        self._read_log()

    def _read_log(self):
        self.problems += [
            line for line in self.daemon.log.splitlines() if "please report" in line or "Traceback" in line
        ]

    def _query(self, statement):
        with contextlib.closing(sqlite3.connect(self.state / "events.sqlite", timeout=30)) as database, database:
            return database.execute(statement).fetchall()
