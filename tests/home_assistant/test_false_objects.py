"""A false object is drawn away on the page: it vanishes from Home Assistant, and stays away. All real."""

import json
import signal

import pytest
import yaml

from tests.support.demo_page import TIMEOUT_MS, draw
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.home_assistant, pytest.mark.mosquitto]
TOKEN = "0123456789abcdef0123456789abcdef"
CAMERA = "edgepub/garage/porch/"
COUNT, EVENTS, VISITS = CAMERA + "objects/person", CAMERA + "events", CAMERA + "visits"
STATUE = {"bbox": [8, 16, 24, 48], "label": "person", "score": 0.9}
AROUND_ITS_FEET = (0.2, 0.7), (0.3, 0.7), (0.3, 0.8), (0.2, 0.8)
LEFT_HALF = {"polygon": [[0, 0], [0.48, 0], [0.48, 1], [0, 1]]}
FPS = 25


def scene():
    """Return a film: a statue on the left, and for the first half of it a visitor who passes on the right."""
    passing = [[{**STATUE, "bbox": [32 + n / 4, 16, 44 + n / 4, 48], "score": 0.8}] for n in range(2 * FPS)]
    return [[STATUE, *visitor] for visitor in [*passing, *[[]] * 2 * FPS]]


class Porch:
    """A camera that takes a statue for a person, as the broker and Home Assistant show it."""

    def __init__(self, home, reader, run_daemon, settings):
        self.home, self.reader, self.settings = home, reader, settings
        self._run_daemon = run_daemon
        self._start()

    def events(self, since=0):
        """Return the events after the first `since` messages: those of the statue, and the others."""
        events = [json.loads(payload) for topic, payload, _ in self.reader.messages[since:] if topic == EVENTS]
        is_of_statue = [event["score"] == STATUE["score"] for event in events]
        return tuple(
            [event for event, is_its in zip(events, is_of_statue, strict=True) if is_its == wanted]
            for wanted in (True, False)
        )

    def wait_for_states(self, *expected):
        """Wait until the count of persons, the occupancy, and that of the lawn are so in Home Assistant."""

        def now():
            states = self.home.states()
            entities = "sensor.porch_person_count", "binary_sensor.porch_person", "binary_sensor.porch_lawn_person"
            return tuple(states.get(entity, {}).get("state") for entity in entities)

        wait_until(lambda: now() == expected, f"{expected} in Home Assistant")

    def wait_for_a_visitor_alone(self):
        """Wait until a visitor has come and gone; check that nothing shows the statue meanwhile."""
        since = len(self.reader.messages)

        def is_over(_):
            types = [event["event_type"] for event in self.events(since)[1]]
            return "appeared" in types and "left" in types[types.index("appeared") :]

        self.wait_for_states("1", "on", "off")
        self.wait_for_states("0", "off", "off")
        self.reader.wait_for(is_over, "a visitor")
        assert self.events(since)[0] == []
        assert {payload for topic, payload, _ in self.reader.messages[since:] if topic == COUNT} <= {b"0", b"1"}
        assert self.home.attributes("event.porch_events")["score"] != STATUE["score"]

    def reload(self, **camera):
        """Restart the camera with these settings besides those that it has."""
        self.settings["cameras"]["porch"] |= camera
        self._daemon.file.write_text(yaml.safe_dump(self.settings))
        self._daemon.process.send_signal(signal.SIGHUP)
        self._daemon.wait_for_log("reloaded: porch restarted")

    def restart(self):
        """Restart the daemon."""
        assert self._daemon.terminate() == 0
        self._start()

    def _start(self):
        self._daemon = self._run_daemon(self.settings)
        self._daemon.wait_for_log("porch: online")


@pytest.fixture
def porch(mosquitto, studio, home, run_daemon, subscribe, tmp_path):
    """The camera and Home Assistant. A browser comes after it: where one runs, a Home Assistant cannot be started."""
    (tmp_path / "token").write_text(TOKEN)
    source = studio.video(scene(), fps=FPS)
    quick = {"stationary_s": 2, "occupancy_off_s": 0.5, "track_lost_s": 0.5}
    settings = studio.settings(mosquitto.url, source, loop=True, realtime=True, tracking=True, **quick)
    settings |= {"node": "garage", "home_assistant": {"enabled": True}}
    settings["http"] = {"listen": free_port(), "token_file": str(tmp_path / "token"), "allow_edit": True}
    zones = {"lawn": LEFT_HALF}
    settings["cameras"] = {"porch": {**settings["cameras"]["cam"], "labels": ["person"], "zones": zones}}
    assistant, reader = home(mosquitto.port), subscribe(mosquitto.port)
    return Porch(assistant, reader, run_daemon, settings)


def test_a_false_object_that_is_drawn_away_stays_away(porch, browser_page, complaints):
    page, reader = browser_page, porch.reader
    address = f"http://127.0.0.1:{porch.settings['http']['listen']}/cameras/porch"
    page.goto(f"{address}#token={TOKEN}")
    page.wait_for_selector("#boxes rect.box", state="attached", timeout=TIMEOUT_MS)
    complaints[:] = [text for text in complaints if "401 (Unauthorized)" not in text]  # before the token was given
    reader.wait_for(lambda _: "stopped" in [event["event_type"] for event in porch.events()[0]], "a statue that stands")
    porch.wait_for_states("2", "on", "on")
    (visit_id,) = {event["visit_id"] for event in porch.events()[0]}

    draw(page, "statue", *AROUND_ITS_FEET, button="#new-ignore")
    saved_at = len(reader.messages)
    page.click("#save")
    page.wait_for_selector("#revert", state="visible", timeout=TIMEOUT_MS)
    reader.wait_for(lambda r: r.last(f"{COUNT}/occupancy") == b"OFF", "nobody, when the visitor has gone")
    porch.wait_for_states("0", "off", "off")
    about_it = lambda r: [visit for visit in map(json.loads, r.payloads(VISITS)) if visit["visit_id"] == visit_id]  # noqa: E731
    assert reader.wait_for(about_it, "the end of its visit")[0]["stationary_s"] > 0
    assert [event["event_type"] for event in porch.events(saved_at)[0]] == ["zone_left", "left"]
    assert reader.last(f"{CAMERA}zones/lawn/objects/person") == b"0"
    porch.wait_for_a_visitor_alone()

    porch.reload(min_score=0.4)
    porch.wait_for_a_visitor_alone()
    page.goto("about:blank")
    porch.restart()
    porch.wait_for_a_visitor_alone()
    assert len(about_it(reader)) == 1

    page.goto(address)
    page.wait_for_selector("polygon.ignore[data-name=statue]", state="attached", timeout=TIMEOUT_MS)
    page.wait_for_selector("#boxes rect.box", state="attached", timeout=TIMEOUT_MS)
    assert page.locator("#boxes rect.box").count() == 1
    assert porch.home.problems() == []
