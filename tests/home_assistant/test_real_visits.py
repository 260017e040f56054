"""The blueprint with a real edgepub in a real Home Assistant: one notification for each visit, with its picture."""

import io
import itertools
import json
import time

import pytest
import yaml
from PIL import Image

from tests.support.brokers import Subscriber
from tests.support.studio import BOX
from tests.support.visit_blueprint import FILES, automation, tell
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.home_assistant, pytest.mark.mosquitto]
EVENTS = "edgepub/garage/porch/events"
FPS = 10  # few, so that none is left out on a busy computer
ZONES = {
    "driveway": {"polygon": [[0, 0], [0.4, 0], [0.4, 1], [0, 1]], "loitering_s": 0.6},
    "street": {"polygon": [[0.6, 0], [1, 0], [1, 1], [0.6, 1]]},
}


def walk(*places):
    """Return the places of somebody in each frame, who is at each of these at its second."""
    path = []
    for (from_s, start), (to_s, end) in itertools.pairwise(places):
        steps = round((to_s - from_s) * FPS)
        path += [start + (end - start) * step / steps for step in range(steps)]
    return [None] * round(places[0][0] * FPS) + path


def scene(seconds=9):
    """Return a film: the first visitor goes to the street and comes back; the second comes before the first leaves."""
    first = walk((0, 8), (1, 14), (1.8, 44), (2.6, 46), (3.4, 14), (4.2, 10))
    second = walk((3.6, 58), (4.6, 50), (5.6, 16), (6.6, 12))
    frames = [[] for _ in range(seconds * FPS)]
    for path in (first, second):
        for frame, x in zip(frames, path, strict=False):
            if x is not None:
                frame.append({**BOX, "bbox": [x - 6, 24, x + 6, 56]})
    return frames


class Phone(Subscriber):
    """Gets what the automations tell, and the picture of each message as soon as that comes."""

    def __init__(self, port):
        self.home, self.told = None, []
        super().__init__(port)

    def take(self, client, userdata, message):
        if message.topic.startswith("lab/") and self.home:
            told = json.loads(message.payload)
            picture = self.home.follow(told["image"]) if told["image"] else None
            self.told.append((message.topic.removeprefix("lab/"), told, picture))
        super().take(client, userdata, message)

    def messages_of(self, name, visit_id):
        """Return what an automation told about a visit: the first word of each text, and the visit in its picture."""
        told = [(one, picture) for teller, one, picture in self.told if teller == name]
        return [
            (one["message"].split()[0], comment(picture)["visit_id"] if picture else None)
            for one, picture in told
            if one["tag"] == visit_id
        ]

    def visits(self, since):
        """Return the events of each visit that began after so many messages, and that is over."""
        by_visit = {}
        for topic, payload, _ in self.messages[since:]:
            if topic == EVENTS:
                event = json.loads(payload)
                by_visit.setdefault(event["visit_id"], []).append(event)
        types = {visit_id: [event["event_type"] for event in events] for visit_id, events in by_visit.items()}
        return [by_visit[visit_id] for visit_id, what in types.items() if "appeared" in what and "left" in what]


def comment(picture):
    return json.loads(Image.open(io.BytesIO(picture)).info["comment"])


def entered(events):
    return [event["zone"] for event in events if event["event_type"] == "zone_entered"]


def expected(events, beginning):
    """Return what is to be told about a visit, as `Phone.messages_of` does."""
    first = {}
    for event in events:
        first.setdefault(event["event_type"], event)
    texts = {beginning: "Since", "loitering": "Still", "left": "Left"}
    return [
        (text, first[what]["visit_id"] if "picture" in first[what] else None)
        for what, text in texts.items()
        if what in first
    ]


@pytest.fixture
def phone(mosquitto):
    phone = Phone(mosquitto.port)
    yield phone
    phone.close()


def test_each_visit_is_one_notification_with_its_own_picture(mosquitto, studio, home, run_daemon, phone):
    hour = time.gmtime().tm_hour
    elsewhen = {"after": f"{(hour + 3) % 24:02}:00:00", "before": f"{(hour + 5) % 24:02}:00:00"}
    inputs = {
        "every": {"cooldown_s": 0},
        "whole": {"cooldown_s": 0, "picture": "image.porch_snapshot"},
        "driveway": {"cooldown_s": 0, "zones": ["driveway", "street"], "labels": ["person"]},
        "paused": {"cooldown_s": 3600},
        "elsewhen": {"cooldown_s": 0, **elsewhen},
    }
    automations = [
        {**automation(name, **given, notify=[tell(f"lab/{name}")]), "initial_state": False}
        for name, given in inputs.items()
    ]
    phone.home = home(mosquitto.port, more=yaml.safe_dump({"automation": automations}), files=FILES)
    quick = {"occupancy_off_s": 0.4, "track_lost_s": 0.4, "snapshot": {"min_interval_s": 0.2}}
    source = studio.video(scene(), fps=FPS)
    settings = studio.settings(mosquitto.url, source, loop=True, realtime=True, tracking=True, **quick)
    settings |= {"node": "garage", "home_assistant": {"enabled": True}}
    settings["cameras"] = {"porch": {**settings["cameras"]["cam"], "labels": ["person"], "zones": ZONES}}
    run_daemon(settings)
    wait_until(lambda: phone.home.state("image.porch_person") not in {None, "unknown"}, "the image of persons")

    phone.home.call("automation", "turn_on", entity_id=[f"automation.{name}" for name in inputs])
    since = len(phone.messages)

    def ended(_):
        """Return the visits if there is one that comes back into a zone, and another one has its picture by then."""
        visits = [events for events in phone.visits(since) if entered(events)]
        back = [events for events in visits if entered(events) == ["driveway", "street", "driveway"]]
        return len(visits) > 1 and any("picture" not in events[-1] for events in back) and visits

    visits = phone.wait_for(ended, "visits")
    for events in visits:
        visit_id, zone = events[0]["visit_id"], entered(events)[0]
        for name, beginning in (("every", "appeared"), ("driveway", "zone_entered")):
            told = lambda _: [text for text, _ in phone.messages_of(name, visit_id)][-1:] == ["Left"]  # noqa: B023, E731
            phone.wait_for(told, f"the end of a visit: {name}")
            assert phone.messages_of(name, visit_id) == expected(events, beginning), name
        titles = {told["title"] for name, told, _ in phone.told if name == "driveway" and told["tag"] == visit_id}
        assert titles == {f"Person: Porch, {zone}"}
        whole = next(picture for name, told, picture in phone.told if name == "whole" and told["tag"] == visit_id)
        assert events[0]["track_id"] in {thing["track_id"] for thing in comment(whole)["objects"]}
    assert len({told["tag"] for name, told, _ in phone.told if name == "paused"}) == 1
    assert not [told for name, told, _ in phone.told if name == "elsewhen"]
    assert phone.home.problems() == []
