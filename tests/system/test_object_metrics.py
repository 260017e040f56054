"""What objects did, in `/metrics`: through the daemon, and the same as its events and visits say."""

import json
import urllib.request
from collections import Counter
from itertools import pairwise

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]
SECONDS = 25  # frames
RIGHT_HALF = [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]


def box(x, label, top):
    return {"bbox": [x, top, x + 12, top + 24], "label": label, "score": 0.9, "category_id": 0}


def walk(label, *turns, top=16):
    """Return the results of frames in which something walks between these columns, and then is gone."""
    frames = []
    for start, end in pairwise(turns):
        frames += [[box(start + (end - start) * n / SECONDS, label, top)] for n in range(SECONDS)]
    return [*frames, *[[]] * SECONDS]


def together(*walks):
    """Return the results of frames with all of these walks."""
    length = max(map(len, walks))
    return [[one for walk in walks if n < len(walk) for one in walk[n]] for n in range(length)]


def read_metrics(port):
    """Return the values of the page, of the camera `cam`, by name and its other labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        families = list(parse_text(response.read().decode()))
    samples = [sample for family in families for sample in family.samples if "camera" in sample.labels]
    return {
        (one.name, *(value for label, value in sorted(one.labels.items()) if label != "camera")): one.value
        for one in samples
        if one.labels["camera"] == "cam"
    }


def test_they_count_what_the_events_and_visits_say(mosquitto, subscribe, run_daemon, studio):
    """A person comes in and goes out again, a dog comes in, and a cat stays where no events are wanted."""
    film = together(walk("person", 4, 44, 4), walk("cat", 4, 14, top=38)) + walk("dog", 4, 44)
    areas = {
        "zones": {"right": {"polygon": RIGHT_HALF}},
        "lines": {"middle": {"from": [0.65, 0], "to": [0.65, 1]}},
        "events": {"zones": ["right"]},
    }
    source = studio.video(film)
    settings = studio.settings(mosquitto.url, source, realtime=True, tracking=True, occupancy_off_s=0.3, **areas)
    settings["cameras"]["other"] = {  # or the daemon would end with the film
        "source": source,
        "model": "echo",
        "loop": True,
        "realtime": True,
        "tracking": False,
        "snapshot": {"enabled": False},
    }
    port = free_port()
    settings["http"] = {"listen": port}
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: len(r.payloads("edgepub/test/cam/visits")) == 2, "two visits")
    wait_until(lambda: read_metrics(port).get(("edgepub_visits_published_total",)) == 2, "both are published")
    events, visits = (
        list(map(json.loads, reader.payloads(f"edgepub/test/cam/{name}"))) for name in ("events", "visits")
    )
    assert {event["label"] for event in events} == {"person", "dog"}
    counted = read_metrics(port)

    def of(name):
        return {key[1:]: value for key, value in counted.items() if key[0] == name}

    def expected(event_type, *keys):
        return Counter(tuple(one[key] for key in keys) for one in events if one["event_type"] == event_type)

    assert of("edgepub_zone_entered_total") == expected("zone_entered", "label", "zone")
    assert of("edgepub_zone_left_total") == expected("zone_left", "label", "zone")
    crossed = of("edgepub_line_crossed_total")
    assert crossed == expected("line_crossed", "direction", "label", "line")
    # Looking down along the line, who walks to the right of the picture crosses to the left.
    assert crossed == {("left", "person", "middle"): 1, ("right", "person", "middle"): 1, ("left", "dog", "middle"): 1}
    assert of("edgepub_visits_ended_total") == {("person",): 1, ("dog",): 1} == Counter((v["label"],) for v in visits)
    dwells = [event["dwell_s"] for event in events if event["event_type"] == "zone_left"]
    assert of("edgepub_zone_dwell_seconds_count") == {("right",): 2}
    assert of("edgepub_zone_dwell_seconds_sum")["right",] == pytest.approx(sum(dwells))
    for le in ("1.0", "5.0", "+Inf"):
        within = sum(dwell_s <= float(le) for dwell_s in dwells)
        assert of("edgepub_zone_dwell_seconds_bucket")[le, "right"] == within
    assert daemon.terminate() == 0
