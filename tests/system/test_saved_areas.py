"""Areas saved from a page: in force immediately, after a kill, in `check`, and reverted. All real."""

import contextlib
import http.client
import json
import threading
from pathlib import Path

import pytest
import yaml

from tests.support.service_manager import ServiceManager
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

SLOW_DISK = Path(__file__).parents[1] / "support" / "slow_disk"
TOKEN = "0123456789abcdef0123456789abcdef"
ALL = {"polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
CONFIGURED = {"polygon": [[0.9, 0.9], [1, 0.9], [1, 1]]}


class EditableDaemon:
    """A daemon with a page, and a client of it."""

    def __init__(self, studio, run_daemon, mosquitto, manager, tmp_path, **camera):
        token = tmp_path / "token"
        token.write_text(TOKEN + "\n")
        source = studio.video([[BOX]] * 50)
        self.settings = studio.settings(mosquitto.url, source, realtime=True, loop=True, tracking=True, **camera)
        self.settings["http"] = {"listen": free_port(), "token_file": str(token), "allow_edit": True}
        self.hanging = tmp_path / "hanging"
        self.run_daemon = run_daemon
        self.manager = manager

    def start(self):
        before = len(self.manager.messages())
        slow_disk = {"PYTHONPATH": str(SLOW_DISK), "DISK_HANGS_WHILE": str(self.hanging)}
        self.daemon = self.run_daemon(self.settings, NOTIFY_SOCKET=self.manager.path, **slow_disk)
        self.manager.wait_for("the end of the start", before, READY="1")
        wait_until(self.is_ready, "a camera that is online, and a page")
        return self

    def is_ready(self):
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def reload(self, settings):
        """Reload with these settings; return the status text with the result."""
        self.daemon.file.write_text(yaml.safe_dump(settings))
        return self.manager.reload(self.daemon)

    def ask(self, method, path, body=None):
        address = ("127.0.0.1", self.settings["http"]["listen"])
        with contextlib.closing(http.client.HTTPConnection(*address, timeout=30)) as connection:
            connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def save(self, **areas):
        return self.ask("PUT", "/cameras/cam/areas", json.dumps(areas))


def zones_of_last(reader):
    payloads = reader.detections()
    return payloads[-1]["detections"][0].get("zones") if payloads and payloads[-1]["detections"] else None


def last_objects(reader):
    """Return the tracks of the objects in the newest payload; None: there is none."""
    payloads = reader.detections()
    return [one.get("track_id") for one in payloads[-1]["detections"]] if payloads else None


@pytest.fixture
def box(studio, run_daemon, mosquitto, tmp_path):
    manager = ServiceManager(tmp_path)
    yield EditableDaemon(studio, run_daemon, mosquitto, manager, tmp_path, zones={"corner": CONFIGURED}).start()
    manager.close()


def test_saved_areas_apply_immediately_and_after_a_kill(box, mosquitto, subscribe, cli):
    reader = subscribe(mosquitto.port)
    reader.wait_for(lambda r: zones_of_last(r) == [], "a payload without a zone")
    status, answer = box.save(zones={"drive": {**ALL, "labels": ["person"]}}, lines={})
    assert (status, answer["saved"], list(answer["zones"])) == (200, True, ["drive"])
    before = reader.detections()[-1]
    reader.wait_for(lambda r: zones_of_last(r) == ["drive"], "a payload with the zone")
    reader.wait_for(lambda r: r.last("edgepub/test/cam/zones/drive/objects/person") == b"1", "the zone's count")
    reader.wait_for(lambda r: r.last("edgepub/test/cam/zones/drive/objects/person/occupancy") == b"ON", "occupancy")
    after = reader.detections()[-1]
    assert after["boot_id"] == before["boot_id"]
    assert after["detections"][0]["track_id"] == before["detections"][0]["track_id"], "its track was not lost"
    assert reader.payloads("edgepub/test/cam/status").count(b"offline") <= 1, "only that of the start"
    kept = subscribe(mosquitto.port).retained()
    assert not [topic for topic in kept if "zones/corner" in topic], "obsolete topics are cleared"

    shown = cli("check", "-c", box.daemon.file)
    assert shown.returncode == 0
    assert "cam: uses the zones and lines saved on its page" in shown.stdout
    assert "overrides.yaml" in shown.stdout

    box.daemon.close()
    box.start()
    assert "cam: uses the zones and lines saved on its page" in box.daemon.log
    boot_id = after["boot_id"]
    reader.wait_for(
        lambda r: r.detections()[-1]["boot_id"] != boot_id and zones_of_last(r) == ["drive"], "the zone after a kill"
    )

    status, answer = box.ask("DELETE", "/cameras/cam/areas")
    assert (status, answer["saved"], list(answer["zones"])) == (200, False, ["corner"])
    reader.wait_for(lambda r: zones_of_last(r) == [], "the configuration's zones")
    assert "saved on its page" not in cli("check", "-c", box.daemon.file).stdout
    wait_until(lambda: "zones/drive" not in str(subscribe(mosquitto.port).retained()), "the end of its topics")
    assert box.daemon.terminate() == 0


def test_a_saved_ignore_area_applies_immediately_and_its_object_leaves(box, mosquitto, subscribe, cli):
    reader = subscribe(mosquitto.port)
    count = "edgepub/test/cam/objects/person"
    reader.wait_for(lambda r: r.last(count) == b"1" and last_objects(r), "the person")
    boot_id = reader.detections()[-1]["boot_id"]
    status, answer = box.save(zones={"corner": CONFIGURED}, lines={}, ignore={"flag": {**ALL, "labels": ["person"]}})
    assert (status, answer["saved"], list(answer["ignore"])) == (200, True, ["flag"])
    reader.wait_for(lambda r: last_objects(r) == [], "a payload without the person")
    reader.wait_for(lambda r: r.last(count) == b"0", "the count")
    reader.wait_for(lambda r: r.last(f"{count}/occupancy") == b"OFF", "occupancy")
    reader.wait_for(lambda r: b'"left"' in (r.last("edgepub/test/cam/events") or b""), "the event")
    assert "uses the zones, lines and ignore areas saved on its page" in cli("check", "-c", box.daemon.file).stdout

    status, answer = box.ask("DELETE", "/cameras/cam/areas")
    assert (status, answer["saved"], answer["ignore"]) == (200, False, {})
    reader.wait_for(lambda r: r.last(count) == b"1", "the person again")
    assert reader.detections()[-1]["boot_id"] == boot_id
    assert reader.payloads("edgepub/test/cam/status").count(b"offline") <= 1, "only that of the start"


def test_a_reload_changes_ignore_areas_and_a_command_the_score_beside_them(box, mosquitto, subscribe):
    def configure(**camera):
        return box.reload({**box.settings, "cameras": {"cam": {**box.settings["cameras"]["cam"], **camera}}})

    reader = subscribe(mosquitto.port)
    reader.wait_for(last_objects, "the person")
    assert "cam with new zones, lines or ignore areas" in configure(ignore={"flag": ALL})
    reader.wait_for(lambda r: last_objects(r) == [], "a payload without the person")
    box.ask("PUT", "/cameras/cam/settings/min_score", "0.1")
    number = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > number + 3, "more payloads")
    assert last_objects(reader) == [], "a new score brings nothing back"
    box.ask("PUT", "/cameras/cam/settings/min_score", "0.95")
    configure(ignore={})
    number = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > number + 3, "more payloads")
    assert last_objects(reader) == [], "other areas do not change the score"
    box.ask("PUT", "/cameras/cam/settings/min_score", "")
    reader.wait_for(last_objects, "the person again")
    assert reader.payloads("edgepub/test/cam/status").count(b"offline") <= 1, "only that of the start"


def test_what_was_saved_before_there_were_ignore_areas_keeps_the_configured_ones(
    box, mosquitto, subscribe, cli, tmp_path
):
    box.daemon.close()
    box.settings["cameras"]["cam"]["ignore"] = {"flag": ALL}
    (tmp_path / "state" / "overrides.yaml").write_text("cameras: {cam: {zones: {}}}")
    box.start()
    status, answer = box.save(zones={})
    assert (status, list(answer["ignore"])) == (200, ["flag"]), "nor does a program lose them that saves only zones"
    reader = subscribe(mosquitto.port)
    reader.wait_for(lambda r: last_objects(r) == [], "a payload without the person")
    assert "cam: uses the zones and lines saved on its page" in cli("check", "-c", box.daemon.file).stdout
    assert box.save(zones={}, ignore={})[1]["ignore"] == {}
    reader.wait_for(last_objects, "the person")


def test_areas_that_cannot_be_saved_change_nothing_and_get_the_reason(box, mosquitto, subscribe, tmp_path):
    status, answer = box.save(zones={"drive": {"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}})
    assert status == 422
    assert "crosses itself" in answer["mistakes"][0]["why"]
    state = tmp_path / "state"
    state.rename(tmp_path / "away")
    state.touch()  # nothing can be written there, not even by root
    status, answer = box.save(zones={"drive": ALL})
    assert status == 422
    (mistake,) = answer["mistakes"]
    assert mistake["why"].startswith(f"not saved, nothing has changed: {state}")
    reader = subscribe(mosquitto.port)
    reader.wait_for(lambda r: zones_of_last(r) == [], "a payload without the zone")
    state.unlink()
    (tmp_path / "away").rename(state)
    assert box.save(zones={"drive": ALL})[0] == 200
    by_hand = "cameras: {cam: {zones: {mine: {polygon: [[0, 0], [1, 0], [1, 1]]}}}}"
    (state / "overrides.yaml").write_text(by_hand)
    status, answer = box.save(zones={"other": ALL})
    assert status == 422
    assert "overrides.yaml: was changed by hand, which would be lost: reload edgepub first" in str(answer)
    assert (state / "overrides.yaml").read_text() == by_hand
    assert "cam" in box.reload(box.settings)
    assert box.save(zones={"other": ALL})[0] == 200


def test_a_disk_that_hangs_delays_nothing_else(box, mosquitto, subscribe):
    reader = subscribe(mosquitto.port)
    box.hanging.touch()
    status, answer = box.save(zones={"drive": ALL})
    assert status == 422
    assert "does not answer" in answer["mistakes"][0]["why"]
    assert "does not answer" in box.save(zones={"drive": ALL})[1]["mistakes"][0]["why"], "immediately"
    assert "cam:" not in box.reload(box.settings)
    number = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > number, "detections")
    assert zones_of_last(reader) == []
    assert box.daemon.terminate() == 0
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the goodbye")


def test_confirmed_areas_are_saved_despite_concurrent_reloads(box, mosquitto, subscribe, tmp_path):
    saved, over = [], threading.Event()

    def save():
        number = 0
        while not over.is_set():
            number += 1
            with contextlib.suppress(OSError, http.client.HTTPException):  # while it restarts
                if box.save(zones={f"z-{number}": ALL})[0] == 200:
                    saved.append(f"z-{number}")

    saver = threading.Thread(target=save)
    saver.start()
    for size in (100, 200, 300):
        number = len(saved)
        wait_until(lambda n=number: len(saved) > n + 2, "some saves")
        box.reload({**box.settings, "outbox": {"stream": {"size": size}}})
    number = len(saved)
    wait_until(lambda: len(saved) > number + 2, "some saves")
    over.set()
    saver.join()
    assert list(yaml.safe_load((tmp_path / "state" / "overrides.yaml").read_text())["cameras"]["cam"]["zones"]) == [
        saved[-1]
    ]
    reader = subscribe(mosquitto.port)
    reader.wait_for(lambda r: zones_of_last(r) == [saved[-1]], "the last zone")


def test_a_reload_keeps_saved_areas_and_refuses_a_configuration_they_do_not_fit(box, mosquitto, subscribe):
    assert box.save(zones={"drive": {**ALL, "labels": ["person"]}})[0] == 200
    reader = subscribe(mosquitto.port)
    reader.wait_for(lambda r: zones_of_last(r) == ["drive"], "the zone")

    def reload(**camera):
        return box.reload({**box.settings, "cameras": {"cam": {**box.settings["cameras"]["cam"], **camera}}})

    mistake = "overrides.yaml: cameras.cam: zones.drive.labels: 'person' is not one of the camera's labels"
    assert mistake in reload(labels=["car"])
    assert mistake not in reload(zones={"other": ALL})
    assert box.ask("DELETE", "/cameras/cam/areas")[1]["zones"].keys() == {"other"}
    reader.wait_for(lambda r: zones_of_last(r) == ["other"], "the configuration's new zone")


def test_the_sliders_work_like_commands(box, mosquitto, subscribe):
    reader = subscribe(mosquitto.port)
    topic = "edgepub/test/cam/min_score"
    assert box.ask("PUT", "/cameras/cam/settings/min_score", "0.95") == (
        200,
        {"enabled": True, "snapshot_enabled": False, "min_score": 0.95, "max_fps": None},
    )
    reader.wait_for(lambda r: r.last(topic) == b"0.95", "the state")
    reader.wait_for(lambda r: r.detections() and not r.detections()[-1]["detections"], "nothing that is so sure")
    status, why = box.ask("PUT", "/cameras/cam/settings/max_fps", "fast")
    assert (status, why) == (
        422,
        "max_fps cannot be set to 'fast': must be a number from 0.001 to 1000, or None for no limit\n",
    )
    assert box.ask("PUT", "/cameras/cam/settings/min_score", "")[1]["min_score"] == 0.5
    reader.wait_for(lambda r: r.last(topic) == b"0.5", "the configuration's")
