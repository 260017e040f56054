"""A copied state directory, and several nodes with one name. Real daemons, a real Mosquitto."""

import contextlib
import json
import sqlite3
import subprocess
import time
from collections import Counter

import pytest
import yaml

from tests.support.brokers import Mosquitto
from tests.support.health import read_health
from tests.support.service_manager import ServiceManager
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.mosquitto

ONE, OTHER = "machine-id:1111", "machine-id:2222"
ZONE = {"polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}


class Site:
    """Nodes, each with a state directory, at one broker; and what a client sees of them."""

    def __init__(self, studio, run_daemon, broker, subscribe, tmp_path):
        self.studio, self._run, self.broker, self.path = studio, run_daemon, broker, tmp_path
        self.subscribe = lambda: subscribe(broker.port)
        self.reader = self.subscribe()
        self.video = studio.video([[BOX]] * 15 + [[]] * 60)

    def state(self, name):
        return self.path / f"state-{name}"

    def copy(self, of, to):
        subprocess.run(["cp", "-a", self.state(of), self.state(to)], check=True)

    def settings(self, node, **mqtt):
        settings = self.studio.settings(
            self.broker.url, self.video, realtime=True, loop=True, tracking=True, stationary_s=None, labels=["person"]
        )
        settings["mqtt"] |= mqtt
        return settings | {"node": node, "http": {"listen": free_port()}, "stats": {"interval_s": 1}}

    def start(self, settings, state=None, machine=None, **environment):
        directory = self.state(state or settings["node"])
        daemon = self._run(settings, machine=machine, STATE_DIRECTORY=str(directory), **environment)
        daemon.port = settings["http"]["listen"]
        return daemon

    def start_and_wait(self, settings, *args, **kwargs):
        seen = len(self.reader.messages)
        daemon = self.start(settings, *args, **kwargs)
        topic = f"edgepub/{settings['node']}/cam/detections"
        self.reader.wait_for(lambda r: any(t == topic for t, _, _ in r.messages[seen:]), "detections")
        return daemon

    def infos(self, node="garage"):
        return [json.loads(payload) for payload in self.reader.payloads(f"edgepub/{node}/info") if payload]

    def events(self, node="garage"):
        return [json.loads(payload) for payload in self.reader.payloads(f"edgepub/{node}/cam/events")]

    def boots(self, node="garage", since=0):
        """Return the runs that have published detections or events."""
        return {
            json.loads(payload)["boot_id"]
            for topic, payload, _ in self.reader.messages[since:]
            if topic in {f"edgepub/{node}/cam/detections", f"edgepub/{node}/cam/events"}
        }

    def cleared(self, node="garage"):
        """Return the topics that were cleared, but those of snapshots, which each start clears here."""
        topics = [
            topic for topic, payload, _ in self.reader.messages if not payload and not topic.endswith("/snapshot")
        ]
        return [topic for topic in topics if topic.startswith(f"edgepub/{node}/")]

    def wait_until_asked(self, *states):
        """Wait until each of the nodes with these state directories has asked twice whether another one runs."""
        asking, seen = {identity(self, state)["node_id"] for state in states}, len(self.reader.messages)

        def have_asked(reader):
            claims = [payload for topic, payload, _ in reader.messages[seen:] if topic == "edgepub/garage/info/claim"]
            numbers = Counter(json.loads(payload)["node_id"] for payload in claims)
            return all(numbers[node_id] >= 2 for node_id in asking)

        self.reader.wait_for(have_asked, "two questions of each", seconds=100)

    def set_min_score(self, node, value):
        """Send the command until it is applied: what comes before the node has subscribed is lost."""

        def is_applied():
            self.reader.publish(f"edgepub/{node}/cam/min_score/set", value)
            with contextlib.suppress(AssertionError):
                return self.reader.wait_for(
                    lambda r: r.last(f"edgepub/{node}/cam/min_score") == value.encode(), "the new value", seconds=2
                )

        wait_until(is_applied, "the new value")

    def retained(self, node="garage"):
        return {topic for topic in self.subscribe().retained() if topic.startswith(f"edgepub/{node}/")}


def complains_of(daemon, node_id):
    content = read_health(daemon.port)[1]
    return any(node_id in line for line in content["wrong"] + content["notes"])


def identity(site, state):
    return json.loads((site.state(state) / "identity.json").read_text())


def events_on_disk(site, state):
    with contextlib.closing(sqlite3.connect(f"file:{site.state(state)}/events.sqlite?mode=ro", uri=True)) as database:
        return database.execute("SELECT count(*) FROM events").fetchone()[0]


def foreign_files(site, state):
    return sorted({path.name.split(".foreign-")[0] for path in site.state(state).glob("*.foreign-*")})


@pytest.fixture
def site(studio, run_daemon, mosquitto, subscribe, tmp_path):
    return Site(studio, run_daemon, mosquitto, subscribe, tmp_path)


@pytest.fixture
def managers(tmp_path):
    made = []
    for name in "ab":
        (tmp_path / name).mkdir()
        made.append(ServiceManager(tmp_path / name))
    yield made
    for manager in made:
        manager.close()


def fill(site, node="garage", machine=None):
    """Run a node, set and save something, let an event wait on disk, and kill it."""
    daemon = site.start_and_wait(site.settings(node), machine=machine)
    site.set_min_score(node, "0.8")
    saved = {"cameras": {"cam": {"zones": {"drawn": ZONE}}}}
    wait_until(lambda: '"0.8"' in (site.state(node) / "state.json").read_text(), "it on disk")
    site.broker.pause()
    wait_until(lambda: events_on_disk(site, node), "events")
    daemon.process.kill()
    daemon.wait()
    site.broker.resume()
    (site.state(node) / "overrides.yaml").write_text(yaml.safe_dump(saved))
    site.reader.wait_for(lambda r: r.last(f"edgepub/{node}/status") == b"offline", "the last will")


def test_a_copied_directory_under_another_name_leaves_the_running_node_alone(site):
    """Also on the same machine. The copy uses nothing of it, publishes none of its events and clears nothing."""
    fill(site)
    site.copy("garage", "cellar")
    site.start_and_wait(site.settings("garage"))
    before, sent = site.retained(), len(site.events())
    assert "edgepub/garage/cam/zones/drawn/objects/person" in before
    cellar = site.start_and_wait(site.settings("cellar"))
    site.reader.wait_for(lambda r: r.last("edgepub/cellar/cam/min_score"), "its settings")
    assert site.reader.last("edgepub/cellar/cam/min_score") == b"0.5"
    assert not [topic for topic in site.retained("cellar") if "/zones/" in topic]
    assert foreign_files(site, "cellar") == ["events.sqlite", "identity.json", "overrides.yaml", "state.json"]
    assert len([line for line in cellar.log.splitlines() if ".foreign-" in line]) == 1
    assert site.infos("cellar")[-1]["node_id"] != site.infos("garage")[-1]["node_id"]
    assert cellar.terminate() == 0
    # The kill may have left some that were published, and come again.
    ids = [event["event_id"] for event in site.events()[sent:]]
    assert len(ids) == len(set(ids))
    assert site.cleared() == []
    assert site.retained() >= before
    assert site.reader.payloads("edgepub/garage/status")[-1] == b"online"


def test_a_node_renamed_on_its_machine_clears_its_old_topics_and_keeps_its_settings(site):
    fill(site, machine=ONE)
    waiting = len(site.events())
    node_id = identity(site, "garage")["node_id"]
    site.start_and_wait(site.settings("cellar"), "garage", machine=ONE)
    site.reader.wait_for(lambda r: r.last("edgepub/garage/status") == b"", "the old name is cleared")
    wait_until(lambda: site.retained() == set(), "all of it")
    assert site.reader.last("edgepub/cellar/cam/min_score") == b"0.8"
    assert "edgepub/cellar/cam/zones/drawn/objects/person" in site.retained("cellar")
    site.reader.wait_for(
        lambda _: len(site.events()) > waiting, "what waited, published under the name that it happened under"
    )
    assert (identity(site, "garage")["node_id"], identity(site, "garage")["node"]) == (node_id, "cellar")


@pytest.mark.parametrize("name", ["garage", "cellar"])
def test_a_directory_of_another_machine_is_set_aside_and_nothing_is_cleared(site, name):
    """Also while the node that it is of is off, and also under the same name."""
    fill(site, machine=ONE)
    site.copy("garage", "copy")
    before, events = site.retained(), len(site.events())
    settings = site.settings(name)
    site.start_and_wait(settings, "copy", machine=OTHER)
    site.reader.wait_for(lambda r: r.last(f"edgepub/{name}/cam/min_score") == b"0.5", "the configured value")
    assert foreign_files(site, "copy") == ["events.sqlite", "identity.json", "overrides.yaml", "state.json"]
    assert site.cleared() == []
    new = site.retained() - before
    assert all(topic.endswith("/checkpoint") for topic in new), "which comes after some seconds of a session"
    assert len({info["node_id"] for info in site.infos("garage") + site.infos(name)}) == 2
    assert {event["boot_id"] for event in site.events()[events:]} <= {info["boot_id"] for info in site.infos(name)[-1:]}


def test_a_directory_without_its_identity_is_moved_to_another_machine(site):
    """As upgrading.md says."""
    fill(site, machine=ONE)
    events = len(site.events())
    (site.state("garage") / "identity.json").unlink()
    site.start_and_wait(site.settings("garage"), machine=OTHER)
    assert site.reader.last("edgepub/garage/cam/min_score") == b"0.8"
    site.reader.wait_for(lambda _: len(site.events()) > events, "what waited")
    assert foreign_files(site, "garage") == []


def test_a_machine_that_cannot_be_told_keeps_its_state(site):
    """A container's id may be absent, or appear: an ordinary restart loses nothing."""
    fill(site, machine=ONE)
    node_id = identity(site, "garage")["node_id"]
    for machine in ("", ONE, "serial:1234", ""):
        daemon = site.start_and_wait(site.settings("garage"), machine=machine)
        assert site.reader.last("edgepub/garage/cam/min_score") == b"0.8"
        assert daemon.terminate() == 0
    assert identity(site, "garage")["node_id"] == node_id
    assert foreign_files(site, "garage") == []


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_of_two_nodes_with_one_name_the_second_waits_until_the_first_is_away(site, protocol, managers):
    first = site.start_and_wait(site.settings("garage", protocol=protocol), "a", NOTIFY_SOCKET=managers[0].path)
    seen = len(site.reader.messages)
    boots = site.boots()
    second = site.start(site.settings("garage", protocol=protocol), "b", NOTIFY_SOCKET=managers[1].path)
    wait_until((site.state("b") / "identity.json").exists, "its identity")
    ids = [identity(site, name)["node_id"] for name in "ab"]
    wait_until(lambda: complains_of(first, ids[1]) and complains_of(second, ids[0]), "what both say")
    assert [read_health(daemon.port)[0] for daemon in (first, second)] == [200, 503], "the first one works"
    for daemon, manager, other in ((first, managers[0], ids[1]), (second, managers[1], ids[0])):
        wait_until(lambda m=manager, o=other: o in m.messages()[-1].get("STATUS", ""), "the status line")
        assert other in daemon.log
    site.wait_until_asked("b")
    wait_until(lambda: events_on_disk(site, "b"), "events of its own")
    assert complains_of(first, ids[1])
    assert complains_of(second, ids[0])
    assert site.boots(since=seen) == boots, "the second publishes nothing"
    assert {info["node_id"] for info in site.infos()} == {ids[0]}
    assert b"offline" not in site.reader.payloads("edgepub/garage/status")
    assert first.log.count("connected") == 1

    assert first.terminate() == 0
    site.reader.wait_for(lambda _: site.infos()[-1]["node_id"] == ids[1], "the second one", seconds=100)
    site.reader.wait_for(lambda r: r.last("edgepub/garage/status") == b"online", "its status")
    wait_until(lambda: read_health(second.port)[0] == 200, "a ready node")
    boot = site.infos()[-1]["boot_id"]
    own = site.reader.wait_for(
        lambda _: (found := [e for e in site.events() if e["boot_id"] == boot]) and len(found) > 20 and found, "events"
    )
    assert [event["seq"] for event in own] == list(range(1, len(own) + 1)), "with those that happened meanwhile"


def test_a_node_that_waits_stops_when_told_to_and_keeps_its_events(site):
    site.start_and_wait(site.settings("garage"), "a")
    second = site.start(site.settings("garage"), "b")
    second.wait_for_log("another edgepub runs as node garage")
    wait_until(lambda: events_on_disk(site, "b"), "events")
    assert second.terminate() == 0
    assert "wait for the next start" in second.log
    assert b"offline" not in site.reader.payloads("edgepub/garage/status")


def test_a_first_node_that_restarts_keeps_its_name(site):
    first = site.start_and_wait(site.settings("garage"), "a")
    second = site.start(site.settings("garage"), "b")
    second.wait_for_log("another edgepub runs as node garage")
    assert first.terminate() == 0
    site.start_and_wait(site.settings("garage"), "a")
    site.wait_until_asked("b")
    assert len({info["node_id"] for info in site.infos()}) == 1
    assert complains_of(second, identity(site, "a")["node_id"])


@pytest.mark.parametrize("client_ids", [False, True])
def test_of_nodes_that_start_at_the_same_moment_one_wins(site, client_ids):
    daemons = {
        name: site.start(site.settings("garage", **({"client_id": name} if client_ids else {})), name) for name in "abc"
    }
    site.reader.wait_for(lambda r: r.payloads("edgepub/garage/cam/detections"), "one that runs")

    def settled():
        states = [read_health(daemon.port)[1] for daemon in daemons.values()]
        return sorted(state.get("broker", {}).get("status", "") for state in states) == ["offline", "offline", "online"]

    def winners():
        return [name for name, daemon in daemons.items() if read_health(daemon.port)[1]["broker"]["status"] == "online"]

    wait_until(settled, "one session")
    (name,), seen = winners(), len(site.reader.messages)
    site.wait_until_asked(*daemons.keys() - {name})
    assert winners() == [name]
    assert len(site.boots(since=seen)) == 1
    winner = identity(site, name)
    retained = site.subscribe().retained()
    assert json.loads(retained["edgepub/garage/info"])["node_id"] == winner["node_id"]
    assert retained["edgepub/garage/status"] == b"online"


def test_a_killed_node_starts_again_immediately(site):
    first = site.start_and_wait(site.settings("garage"))
    first.process.kill()
    first.wait()
    again = site.start_and_wait(site.settings("garage"))
    assert "another edgepub" not in again.log
    assert again.log.count("connected") == 1


@pytest.mark.parametrize(
    ("info", "longest_s"),
    [({"node_id": "f" * 32, "boot_id": "e" * 32}, 20), ({"boot_id": "e" * 32}, 35), (None, 35)],
)
def test_an_online_of_a_node_that_is_gone_does_not_block_for_ever(site, info, longest_s):
    """Its broker lost the last will; or it is of a version before node_id."""
    site.reader.publish("edgepub/garage/status", "online", retain=True)
    if info:
        site.reader.publish("edgepub/garage/info", json.dumps(info), retain=True)
    daemon = site.start(site.settings("garage"))
    wait_until(lambda: read_health(daemon.port)[0], "the page")
    began_s = time.monotonic()
    wait_until(lambda: any("garage" in line for line in read_health(daemon.port)[1]["wrong"]), "what it waits for")
    daemon.wait_for_log("connected")
    assert time.monotonic() - began_s < longest_s
    wait_until(lambda: not any("broker" in line for line in read_health(daemon.port)[1]["wrong"]), "that it is over")
    assert "another edgepub" not in daemon.log


def test_a_node_of_an_older_version_is_noticed_by_its_stats(site):
    """It does not answer."""
    site.reader.publish("edgepub/garage/status", "online", retain=True)
    site.reader.publish("edgepub/garage/info", json.dumps({"node": "garage", "boot_id": "e" * 32}), retain=True)
    daemon = site.start(site.settings("garage"))

    def is_noticed():
        site.reader.publish("edgepub/garage/stats", json.dumps({"node": "garage", "boot_id": "e" * 32}))
        return "another edgepub runs as node garage" in daemon.log

    wait_until(is_noticed, "the warning")
    assert "older version" in daemon.log
    assert "connected" not in daemon.log


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_forbids_the_question_is_used_as_before(studio, run_daemon, subscribe, tmp_path, protocol):
    acl = tmp_path / "acl"
    acl.write_text(
        "topic read #\nuser edge\ntopic write edgepub/garage/cam/#\ntopic write edgepub/garage/status\n"
        "topic read edgepub/garage/+/+/set\n"
    )
    acl.chmod(0o644)
    broker = Mosquitto(tmp_path, "listener {port} 127.0.0.1", "allow_anonymous true", f"acl_file {acl}").start()
    try:
        site = Site(studio, run_daemon, broker, subscribe, tmp_path)
        daemon = site.start_and_wait(site.settings("garage", protocol=protocol, username="edge"))
        wait_until(lambda: read_health(daemon.port)[0] == 200, "a ready node")
        assert daemon.log.count("connected") == 1
    finally:
        broker.stop()


def test_purge_clears_nothing_of_a_running_node_whose_state_was_copied(site, cli):
    site.start_and_wait(site.settings("garage"))
    site.copy("garage", "cellar")
    before = site.retained()
    settings = site.path / "cellar.yaml"
    settings.write_text(yaml.safe_dump(site.settings("cellar")))
    done = cli("discovery", "--purge", "-c", settings, STATE_DIRECTORY=str(site.state("cellar")))
    assert done.returncode == 0, done.stderr
    assert site.cleared() == []
    assert site.retained() >= before


@pytest.mark.parametrize("senders", [1, 3000])
def test_thousands_of_claims_get_few_answers_and_another_node_is_still_noticed(site, senders):
    daemon = site.start_and_wait(site.settings("garage"))
    (own,) = site.infos()
    topic, reader = "edgepub/garage/info/claim", site.reader
    reader.wait_for(lambda r: any(b'"running"' in payload for payload in r.payloads(topic)), "its announcement")
    began_s = time.monotonic()
    for n in range(3000):
        claim = {"state": "running", "node_id": f"node-{n % senders}", "boot_id": f"boot-{n % senders}", "to": None}
        reader.publish(topic, json.dumps(claim), qos=0)
    reader.publish(topic, "the last")
    reader.wait_for(lambda r: b"the last" in r.payloads(topic), "the last claim")

    def answers():
        claims = [json.loads(payload) for payload in reader.payloads(topic) if payload != b"the last"]
        return [claim for claim in claims if claim["boot_id"] == own["boot_id"] and claim["to"]]

    reader.wait_for(lambda _: answers(), "an answer")
    other = site.start(site.settings("garage"), state="other")
    wait_until(lambda: complains_of(other, own["node_id"]), "that the other one waits")
    wait_until(lambda: complains_of(daemon, identity(site, "other")["node_id"]), "that the first one notices it")
    seconds = time.monotonic() - began_s
    assert len(answers()) <= min(senders + 2, 32) * (seconds + 2)
    assert len(site.infos()) <= 3 + seconds / 5
    assert site.boots() == {own["boot_id"]}
