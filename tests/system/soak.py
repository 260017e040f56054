#!/usr/bin/env python3
"""A long run with repeated disturbances of everything: `python -m tests.system.soak [--minutes 20]`.

Most of the time one daemon runs. Cameras freeze, hang up, and are switched off and on. The broker is killed, ends
sessions, acknowledges nothing, and refuses subscriptions. The wall clock is wrong, and is set. The configuration is
reloaded: cameras and zones are added, changed and removed, and a wrong one is refused. HTTP requests come in between.
In the last sixth of the time, the daemon is killed again and again, and files of its state directory are damaged.

A line per minute shows memory, threads and open files of the daemon and its children. Exits with 1 if one of them grows
as long as the one daemon runs, or if an event is lost that was not in a damaged row or is not counted.
"""

import argparse
import copy
import itertools
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

import yaml

from tests.support import wall_clock
from tests.support.brokers import Subscriber
from tests.support.mill import until
from tests.support.mqtt_proxy import kind_of
from tests.support.soak_site import SoakSite
from tests.support.waiting import wait_until

EVERY_S = 4.0
WITH_ONE_DAEMON = 5 / 6  # of the time
GROWTH = 1.03  # from the mean in the second quarter to that in the last; the allocator causes less
ROOM = {"memory MB": 4, "threads": 2, "files": 4}
PUBACK, SUBACK = 4, 9


class Soak:
    """The disturbances of a site."""

    def __init__(self, site):
        self.site = site
        self._guests = itertools.count(1)

    def disturbances(self):
        """Return those that a daemon survives, in turn."""
        clock = {
            "the clock jumps forward": lambda: self.site.set_clock("+10d"),
            "the clock jumps back": lambda: self.site.set_clock("-3d"),
            "the clock is set right": lambda: self.site.set_clock("+0"),
        }
        steps = iter(clock.items() if self.site.clock else ())
        return {
            "a camera freezes": self.freeze,
            "the broker is killed": self.kill_broker,
            "a camera is added or removed": lambda: self.reload(self.add_guest),
            **dict(itertools.islice(steps, 1)),
            "a camera hangs up": self.site.camera.disconnect_clients,
            "HTTP requests": self.ask,
            "the broker acknowledges nothing": self.acknowledge_nothing,
            "a camera is changed": lambda: self.reload(self.change_face),
            "a camera is switched off and on": self.switch,
            **dict(itertools.islice(steps, 1)),
            "sessions are cut": self.cut_sessions,
            "zones are changed": lambda: self.reload(self.draw, expected="north, south"),
            "a wrong configuration": lambda: self.reload(self.make_a_mistake, expected="cameras.live"),
            "subscriptions are refused": self.refuse_subscriptions,
            **dict(steps),
            "stats are changed": lambda: self.reload(self.change_stats),
        }

    def crashes(self):
        """Return those that end the daemon, in turn."""
        return {
            "killed": lambda: self.site.crash(lambda _: None),
            "killed, rows of events.sqlite damaged": lambda: self.site.crash(self.site.damage_rows),
            "killed, state.json damaged": lambda: self.damage_file("state.json"),
            "killed, identity.json damaged": lambda: self.damage_file("identity.json", in_outage=False),
        }

    def freeze(self):
        self.site.camera.paused.set()
        time.sleep(3)
        self.site.camera.paused.clear()

    def kill_broker(self):
        self.site.stop_broker()
        time.sleep(1)
        self.site.start_broker()

    def acknowledge_nothing(self):
        """Until the daemon ends the session; the next session gets its acknowledgements from the first on."""
        proxy, sessions = self.site.proxy, self.site.proxy.sessions
        self.site.lie = lambda packet: b"" if kind_of(packet) == PUBACK and proxy.sessions == sessions else packet
        wait_until(lambda: proxy.sessions > sessions, "another session")
        self.site.lie = lambda packet: packet

    def refuse_subscriptions(self):
        """Until the daemon says so; then wait until it has asked again."""
        self.site.lie = lambda packet: packet[:-1] + b"\x87" if kind_of(packet) == SUBACK else packet
        self.site.proxy.cut()
        wait_until(lambda: any("subscription" in note for note in self.site.health()["notes"]), "that it is said")
        self.site.lie = lambda packet: packet
        wait_until(
            lambda: not any("subscription" in note for note in self.site.health()["notes"]), "that it is asked again"
        )

    def cut_sessions(self):
        for _ in range(3):
            sessions, events = self.site.proxy.sessions, len(self.site.received.events)
            self.site.proxy.cut()
            wait_until(lambda sessions=sessions: self.site.proxy.sessions > sessions, "another session")
            self.site.received.wait_for(lambda events=events: len(self.site.received.events) > events + 5, "events")

    def damage_file(self, name, **options):
        file = self.site.state / name
        self.site.crash(lambda _: file.write_bytes(bytes(file.stat().st_size)), **options)
        wait_until(lambda: list(file.parent.glob(f"{name}.damaged-*")), f"the old {name}")

    def reload(self, change, expected="reloaded: "):
        settings = copy.deepcopy(self.site.settings)  # so that the next reload removes a guest
        change(settings)
        self.site.daemon.file.write_text(yaml.safe_dump(settings))
        result = self.site.manager.reload(self.site.daemon)
        assert expected in result, result

    def add_guest(self, settings):
        settings["cameras"][f"guest{next(self._guests) % 5}"] = self.site.face

    def change_face(self, settings):
        settings["cameras"]["face"]["max_fps"] = 5 + next(self._guests) % 7

    def draw(self, settings):
        zone = {"polygon": [[0.2, 0], [0.8, 0], [0.8, 1], [0.2, 1]]}
        for camera in ("north", "south"):
            settings["cameras"][camera]["zones"] = {f"zone{next(self._guests) % 5}": zone}

    def make_a_mistake(self, settings):
        settings["cameras"]["live"] = {"sauce": 0}

    def change_stats(self, settings):
        settings["stats"]["interval_s"] = 1 + next(self._guests) % 3

    def switch(self):
        client = Subscriber(self.site.broker.port, "edgepub/test/face/status")
        for value, status in ((b"OFF", b"disabled"), (b"ON", b"online")):
            client.publish("edgepub/test/face/enabled/set", value)
            client.wait_for(lambda s, status=status: s.messages and s.messages[-1][1] == status, status)
        client.close()

    def ask(self):
        for path in ["healthz", "metrics"] * 10:
            self.site.get(path)


class Curve:
    """Prints and keeps the figures."""

    def __init__(self, site):
        self.with_one_daemon = []
        self.site = site
        self.faults = []
        self._started_s = time.monotonic()
        self._shown_min = 0
        print(f"minute  {'  '.join(ROOM)}  events  faults  newest fault", flush=True)

    @property
    def minutes(self):
        return (time.monotonic() - self._started_s) / 60

    def add(self, fault, is_one_daemon):
        self.faults.append(fault)
        figures = self.site.figures()
        if is_one_daemon:
            self.with_one_daemon.append(figures)
        if int(self.minutes) > self._shown_min:
            self._shown_min = int(self.minutes)
            self.show(figures, fault)

    def show(self, figures, fault):
        shown = "  ".join(f"{figures[name]:{len(name)}.0f}" for name in ROOM)
        events = len(self.site.received.events)
        print(f"{self.minutes:6.1f}  {shown}  {events:6}  {len(self.faults):6}  {fault}", flush=True)


def levels(curve):
    """Return the mean of each figure in the second quarter of the curve, and in the last."""
    quarter = len(curve) // 4
    parts = curve[quarter : 2 * quarter], curve[-quarter:]
    return {name: [mean(figures[name] for figures in part) for part in parts] for name in ROOM}


def grows(curve):
    """Return which figures grow."""
    return [
        f"{name} grows: {before:.1f} in the second quarter, {after:.1f} in the last"
        for name, (before, after) in levels(curve).items()
        if after > GROWTH * before + ROOM[name]
    ]


def summary(curve):
    """Return the result in figures, a line each."""
    site, figures, faults = curve.site, curve.with_one_daemon, curve.faults
    types, minutes = len(set(faults)), round(curve.minutes)
    yield f"{len(faults)} faults of {types} types in {minutes} minutes; {site.proxy.sessions} sessions"
    arrived = len(site.received.events) - site.received.duplicates()
    yield f"{arrived} events arrived, {site.received.duplicates()} of them again"
    yield f"{len(site.lost)} events were in damaged rows; counted as lost: {site.counted().total()}"
    for name, (before, after) in levels(figures).items():
        low, high = (choose(each[name] for each in figures) for choose in (min, max))
        means = f"{before:.0f} in the second quarter, {after:.0f} in the last"
        yield f"{name} of one daemon in {len(figures)} faults: {low:.0f} to {high:.0f}; {means}"
    if reason := wall_clock.why_not():
        yield f"without a wrong clock ({reason})"


def soak(directory, minutes):
    """Run for this time, with every disturbance at least once; return the curve and all problems but growth."""
    site = SoakSite(directory)
    try:
        curve, tables = Curve(site), (Soak(site).disturbances(), Soak(site).crashes())
        for table, until_min in zip(tables, (WITH_ONE_DAEMON * minutes, minutes), strict=True):
            for number, (fault, cause) in enumerate(itertools.cycle(table.items())):
                if curve.minutes >= until_min and number >= len(table):
                    break
                began_s = time.monotonic()
                cause()
                # What is sent to a daemon without a session does not reach it.
                wait_until(lambda: site.health()["broker"]["status"] == "online", "a session")
                until(began_s + EVERY_S)
                curve.add(fault, is_one_daemon=table is tables[0])
        return curve, site.stop()
    except Exception:
        print(site.daemon.log[-10_000:], file=sys.stderr)
        raise
    finally:
        site.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    with tempfile.TemporaryDirectory(prefix="edgepub-soak-") as where:
        result, problems = soak(Path(where), parser.parse_args().minutes)
    problems += grows(result.with_one_daemon)
    print("\n".join([*summary(result), *(problems or ["stable, and no other event was lost"])]))
    sys.exit(bool(problems))
