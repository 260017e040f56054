"""The blueprint in the documentation, in a real Home Assistant: one notification for each visit."""

import itertools
import json
import re
import time

import pytest
import yaml

from edgepub.config.settings import Settings
from edgepub.home_assistant.discovery import build
from edgepub.mqtt.payloads import event as event_payload
from tests.support.visit_blueprint import DOCS, FILES, PATH, automation, tell
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.home_assistant]
PAGE = (DOCS / "home-assistant.md").read_text()
WHOLE = {"polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
SETTINGS = Settings.model_validate(
    {
        "node": "garage",
        "models": {"m": {"model_name": "yolo", "zoo_url": "/zoo", "inference_host_address": "@local"}},
        "cameras": {
            "porch": {
                "source": "a.mp4",
                "model": "m",
                "labels": ["person", "dog"],
                "zones": {"driveway": {**WHOLE, "loitering_s": 10}, "street": WHOLE},
            }
        },
    }
)
IN_DRIVEWAY = {"zones": ["driveway"], "labels": ["person"], "picture": "image.porch_snapshot"}


class Porch:
    """A camera whose messages are made by hand, and what the automations tell about it."""

    def __init__(self, client):
        self.client = client
        self._numbers = itertools.count(1)
        for topic, payload in build(SETTINGS, []).messages.items():
            client.publish(topic, json.dumps(payload), retain=True)
        for topic in ("status", "porch/status"):
            client.publish(f"edgepub/garage/{topic}", "online", retain=True)
        client.publish("edgepub/garage/porch/snapshot", b"\xff\xd8\xff\xd9", retain=True)

    def happens(self, visit, event_type, label="person", ago_s=0, **more):
        """Publish an event of a visit, as edgepub does."""
        number = next(self._numbers)
        event = {
            "event_type": event_type,
            "event_id": f"01a20426-1ca9-74bc-b773-{number:012x}",
            "timestamp": time.time() - ago_s,
            "label": label,
            "track_id": visit,
            "visit_id": visit_id(visit),
            "score": 0.9,
            "bbox": [1.0, 2.0, 3.0, 4.0],
            "bbox_norm": [0.1, 0.2, 0.3, 0.4],
            "frame": number,
            "width": 64,
            "height": 64,
            "schema": event_payload.SCHEMA,
            "node": "garage",
            "camera": "porch",
            "boot_id": "4a304c38450c4f06a9dfb6fab7cc6145",
            **more,
        }
        payload = event_payload.encode(event, number)
        event_payload.VALIDATOR.validate_json(payload)
        self.client.publish("edgepub/garage/porch/events", payload)

    def enters(self, visit, zone="driveway", **more):
        """Publish what happens when an object comes into a zone."""
        self.happens(visit, "appeared", **more)
        self.happens(visit, "zone_entered", zone=zone, **more)

    def leaves(self, visit, dwell_s, zone="driveway"):
        """Publish what happens, at once, when an object goes."""
        self.happens(visit, "zone_left", zone=zone, dwell_s=dwell_s)
        self.happens(visit, "left", dwell_s=dwell_s)

    def told(self):
        """Return what the automations told."""
        return [json.loads(payload) for payload in self.client.payloads("lab/told")]

    def wait_for_told(self, visit, text):
        """Wait for a message about a visit, and return it."""
        found = lambda: [one for one in self.told() if one["tag"] == visit_id(visit) and text in one["message"]]  # noqa: E731
        return wait_until(found, f"{text} of visit {visit}")[-1]


def visit_id(visit):
    """Return the id of a visit."""
    return f"01a20426-1ca9-74bc-a773-{visit:012x}"


@pytest.fixture
def porch(mosquitto, home, subscribe):
    """Return a function that starts a Home Assistant with these automations, and a camera."""

    def start(*automations, **more):
        porch = Porch(subscribe(mosquitto.port))
        more = yaml.safe_dump({"automation": list(automations), **more})
        porch.home = home(mosquitto.port, more=more, files=FILES)
        wait_until(lambda: porch.home.state("event.porch_events") == "unknown", "the entity of events")
        (listed,) = porch.home.ask({"type": "blueprint/list", "domain": "automation"})
        assert listed[PATH]["metadata"]["name"] == "edgepub visit"
        states = porch.home.states()
        names = [entity for entity in states if entity.startswith("automation.")]
        assert [states[name]["state"] for name in names] == ["on"] * len(automations)
        return porch

    return start


def test_one_notification_a_visit_which_is_updated(porch):
    porch = porch(automation("told", **IN_DRIVEWAY, cooldown_s=0, notify=[tell("lab/told")]))
    porch.enters(1)
    first = porch.wait_for_told(1, "Since ")
    assert first["title"] == "Person: Porch, driveway"
    assert (first["is_update"], first["image"][:40]) == (False, "/api/image_proxy/image.porch_snapshot?to")
    porch.enters(2)  # while the first is there
    porch.wait_for_told(2, "Since ")
    porch.happens(1, "loitering", zone="street", dwell_s=20)  # not one of its zones
    porch.happens(1, "loitering", zone="driveway", dwell_s=10.2)
    assert porch.wait_for_told(1, "Still there after 10 s")["is_update"]
    porch.leaves(2, dwell_s=3)
    porch.leaves(1, dwell_s=34.4)
    assert porch.wait_for_told(1, "Left after 34 s")["is_update"]
    porch.wait_for_told(2, "Left after 3 s")
    told = [(one["tag"], one["message"].split(",")[0].partition(" after")[0][:5]) for one in porch.told()]
    one, two = visit_id(1), visit_id(2)
    assert [text for tag, text in told if tag == one] == ["Since", "Still", "Left"]
    assert [text for tag, text in told if tag == two] == ["Since", "Left"]
    assert porch.home.problems() == []


def test_other_visits_are_not_notified(porch):
    """Other zones and labels, old events, other times, and those in the pause after a notification."""
    hour = time.gmtime().tm_hour
    elsewhen = {"after": f"{(hour + 3) % 24:02}:00:00", "before": f"{(hour + 5) % 24:02}:00:00"}
    porch = porch(
        automation("told", **IN_DRIVEWAY, cooldown_s=3600, notify=[tell("lab/told")]),
        automation("never", **IN_DRIVEWAY, **elsewhen, cooldown_s=0, notify=[tell("lab/never")]),
    )
    porch.enters(1, zone="street")
    porch.enters(2, label="dog")
    porch.enters(3, ago_s=120)
    porch.enters(4)
    porch.wait_for_told(4, "Since ")
    porch.enters(5)
    porch.leaves(5, dwell_s=3)
    porch.leaves(4, dwell_s=9)
    porch.wait_for_told(4, "Left after 9 s")
    assert {one["tag"] for one in porch.told()} == {visit_id(4)}
    assert porch.client.payloads("lab/never") == []
    assert porch.home.problems() == []


def test_it_notifies_in_home_assistant_and_on_a_phone_as_documented(porch):
    (documented,) = re.findall(r"```yaml\n(action: .*?)```", PAGE, re.DOTALL)
    phone = {"platform": "group", "name": "mobile_app_phone", "services": [{"action": "persistent_notification"}]}
    porch = porch(automation("plain"), automation("phone", notify=[yaml.safe_load(documented)]), notify=[phone])
    porch.happens(1, "appeared")

    def notes(of_plain):
        (listed,) = porch.home.ask({"type": "persistent_notification/get"})
        return [note for note in listed if (note["notification_id"] == visit_id(1)) == of_plain]

    for of_plain in (True, False):
        (note,) = wait_until(lambda: notes(of_plain), "the notification")  # noqa: B023
        assert (note["title"], note["message"][:6]) == ("Person: Porch", "Since ")
    porch.happens(1, "left", dwell_s=8)
    wait_until(lambda: notes(True)[0]["message"].startswith("Left after 8 s"), "the update")
    assert len(notes(True)) == 1
    assert porch.home.problems() == []
