"""Scripted paths through the real tracker give exact events, in order, and exact counts."""

from collections import Counter
from itertools import groupby

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepub.camera.analysis.analysis import Analysis
from edgepub.camera.analysis.geometry import MARGIN
from edgepub.camera.frames import Frame
from edgepub.config.camera import CameraSettings

WIDTH, HEIGHT, FPS = 640, 480, 25
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
MIDDLE = {"zones": {"middle": {"polygon": [[0.4, 0], [0.6, 0], [0.6, 1], [0.4, 1]]}}}
NARROW = {"zones": {"narrow": {"polygon": [[0.45, 0], [0.55, 0], [0.55, 1], [0.45, 1]]}}}
GATE = {"lines": {"gate": {"from": [0.5, 0], "to": [0.5, 1]}}}


def at(x, y=0.8, label="person", score=0.9):
    """Return an object that stands at a point of the frame, 0.1 wide and 0.3 high."""
    left, top, right, bottom = x - 0.05, y - 0.3, x + 0.05, y
    pixels = (left * WIDTH, top * HEIGHT, right * WIDTH, bottom * HEIGHT)
    return {"label": label, "score": score, "bbox": pixels, "bbox_norm": (left, top, right, bottom)}


def still(x, frames, **more):
    return [[at(x, **more)] for _ in range(frames)]


def walk(start, end, frames, **more):
    return [[at(start + (end - start) * n / frames, **more)] for n in range(1, frames + 1)]


def empty(frames):
    return [[] for _ in range(frames)]


class Play:
    """The findings of an analysis for a script, one list of objects a frame, and for the end.

    `drawn` has other areas by the frame from which they are in force.
    """

    def __init__(self, script, fps=FPS, end=True, drawn=None, **camera):
        analysis = Analysis(CameraSettings(source="cam.mp4", model="m", **camera))
        self.objects = []
        self.occurrences = []  # (frame in which it was reported, occurrence)
        self.count_changes = []  # (frame, numbers) at each change
        frame = 0
        for frame, objects in enumerate(script, 1):
            if drawn and frame in drawn:
                areas = {"zones": {}, "lines": {}, **drawn[frame]}
                self._take(
                    frame, analysis.set_areas(CameraSettings(source="cam.mp4", model="m", **{**camera, **areas}))
                )
            self.objects.append([dict(occurrence) for occurrence in objects])
            self._take(frame, analysis.update(self.objects[-1], Frame(IMAGE, frame, 1e9 + frame, 0.0, frame / fps)))
        if end:
            self._take(frame + 1, analysis.reset())

    def _take(self, frame, findings):
        self.occurrences += [(frame, occurrence) for occurrence in findings.occurrences]
        if findings.counts is not None:
            self.count_changes.append(
                (frame, {key: tally.total for key, tally in findings.counts.items() if tally.total})
            )

    @property
    def events(self):
        return [
            " ".join(filter(None, [o.event_type, str(o.key[1]), o.zone, o.line, o.direction]))
            for _, o in self.occurrences
        ]

    def counts(self, zone=None, label="person"):
        """Return each value of a count, with the frame that brought it."""
        steps = [(0, 0), *((frame, numbers.get((zone, label), 0)) for frame, numbers in self.count_changes)]
        return [next(same) for _, same in groupby(steps, key=lambda step: step[1])][1:]


@pytest.mark.slow
def test_an_object_appears_and_leaves_once():
    play = Play([*empty(10), *still(0.3, 50), *empty(100)], end=False)
    assert play.events == ["appeared 1", "left 1"]
    (reported, appeared), (left_frame, left) = play.occurrences
    assert reported == appeared.sighting.moment.frame == 14, "found in the 11th frame, tracked from the 12th on"
    assert left.sighting.moment.frame == 60, "the last frame with it"
    assert left_frame == 60 + 2 * FPS, "two seconds without it"
    assert left.dwell_s == pytest.approx(48 / FPS)
    assert play.counts() == [(14, 1), (110, 0)]
    assert [o[0].get("track_id") for o in play.objects if o] == [None] + 49 * [1]


@pytest.mark.parametrize("found", ["110", "011", "1100", "10101011"])
def test_flickering_detections_change_nothing(found):
    """The detector misses some frames, again and again."""
    script = [[at(0.3)] if found[n % len(found)] == "1" else [] for n in range(300)]
    play = Play([*empty(10), *script, *empty(400)])
    assert play.events == ["appeared 1", "stopped 1", "left 1"]
    assert [number for _, number in play.counts()] == [1, 0]


def test_one_frame_in_three_does_not_start_a_presence_but_keeps_one():
    """A track needs two frames in a row: an object that is never found so is never present."""
    rare = [[at(0.3)] if n % 3 == 0 else [] for n in range(150)]
    assert Play([*empty(5), *rare]).events == []
    play = Play([*still(0.3, 10), *rare, *empty(60)], end=False)
    assert play.events == ["appeared 1", "left 1"]
    assert play.occurrences[1][1].sighting.moment.frame == 10 + 148


def test_false_alarms_do_not_count():
    blips = [frame for n in range(20) for frame in [*still(0.1 + 0.04 * n, 2), *empty(5)]]
    play = Play(blips)
    assert play.events == []
    assert play.counts() == []


def test_a_gap_longer_than_the_hold_time_starts_a_new_visit_of_the_same_track():
    script = [*still(0.3, 20), *empty(60), *still(0.3, 20), *empty(200), *still(0.3, 20)]
    play = Play(script)
    assert play.events == ["appeared 1", "left 1", "appeared 1", "left 1", "appeared 2", "stopped 2", "left 2"]


def test_a_zone_is_entered_and_left():
    play = Play([*walk(0.2, 0.5, 30), *still(0.5, 50), *walk(0.5, 0.92, 40), *still(0.92, 60)], **MIDDLE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_left 1 middle", "left 1"]
    inside = [n for n, (o,) in enumerate(play.objects, 1) if o["zones"] == ["middle"]]
    assert inside == list(range(20, 91)), "its border included, and a little beyond it on the way out"
    (_, entered), (_, left) = play.occurrences[1:3]
    assert entered.sighting.moment.frame == 22
    assert left.sighting.moment.frame == 90
    assert left.dwell_s == pytest.approx(70 / FPS)
    assert play.counts("middle") == [(22, 1), (90 + 50, 0)]


def test_a_jump_over_a_zone_does_not_touch_it():
    play = Play([*still(0.42, 9), *still(0.58, 9), *still(0.42, 9)], fps=2, **NARROW, **GATE)
    assert play.events == ["appeared 1", "line_crossed 1 gate left", "line_crossed 1 gate right", "left 1"]


def test_an_object_that_disappears_in_a_zone_leaves_the_zone_and_the_frame():
    play = Play([*still(0.5, 20), *empty(100)], end=False, **MIDDLE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_left 1 middle", "left 1"]
    assert {o.sighting.moment.frame for _, o in play.occurrences[2:]} == {20}


def test_zones_count_only_their_labels_at_their_anchor():
    zone = {"polygon": [[0, 0], [1, 0], [1, 0.6], [0, 0.6]]}
    zones = {
        "low": zone,
        "cars": {**zone, "labels": ["car"], "anchor": "center"},
        "heads": {**zone, "anchor": "top_left"},
    }
    script = [[at(0.3, 0.7), at(0.7, 0.7, label="car")] for _ in range(20)]
    play = Play(script, end=False, zones=zones)
    assert [o["zones"] for o in play.objects[-1]] == [["heads"], ["cars", "heads"]]
    assert play.count_changes[-1][1] == {
        (None, "person"): 1, (None, "car"): 1, ("cars", "car"): 1, ("heads", "person"): 1, ("heads", "car"): 1
    }  # fmt: skip


def test_a_line_is_crossed_both_ways():
    there, back = walk(0.205, 0.805, 60), walk(0.805, 0.205, 60)
    play = Play([*there, *back, *there], **GATE)
    # The line goes from top to bottom: its left side is where x grows.
    assert play.events == [
        "appeared 1", "line_crossed 1 gate left", "line_crossed 1 gate right", "line_crossed 1 gate left", "left 1"
    ]  # fmt: skip
    frames = [o.sighting.moment.frame for _, o in play.occurrences[1:4]]
    assert frames == [31, 92, 151], "the first frame clearly on the other side"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([[at(0.5, 0.4 + 0.01 * n)] for n in range(60)], "walks on it"),
        ([[at(0.5 + (-1) ** n * 0.8 * MARGIN)] for n in range(60)], "stands on it, and the box trembles"),
        ([*walk(0.3, 0.505, 30), *still(0.505, 30), *walk(0.505, 0.3, 30)], "touches it and turns round"),
        (
            [*walk(0.3, 0.48, 20, y=0.4), *[[at(0.485 + (n % 2) * 0.005, 0.4 + 0.01 * n)] for n in range(50)]],
            "walks next to it",
        ),
    ],
)
def test_objects_that_do_not_cross_a_line(script, why):
    assert Play(script, **GATE).events == ["appeared 1", "left 1"], why


def test_a_line_has_ends():
    half = {"lines": {"gate": {"from": [0.5, 0], "to": [0.5, 0.5]}}}
    assert Play(walk(0.2, 0.8, 60, y=0.8), **half).events == ["appeared 1", "left 1"], "it passes below"
    assert Play(walk(0.2, 0.8, 60, y=0.45), **half).events[1] == "line_crossed 1 gate left"


def test_a_line_crossed_before_the_object_is_present_is_reported_with_it():
    play = Play([*walk(0.44, 0.6, 8), *still(0.6, 30)], occupancy_on_frames=6, **GATE)
    assert play.events == ["appeared 1", "line_crossed 1 gate left", "left 1"]


def test_a_slanted_line_counts_its_labels_only():
    lines = {"a": {"from": [0.8, 1.0], "to": [0.2, 0.2], "labels": ["car"], "anchor": "center"}}
    script = [[at(0.2 + 0.01 * n, 0.75), at(0.2 + 0.01 * n, 0.75, label="car")] for n in range(60)]
    play = Play(script, lines=lines)
    # The line goes from the bottom right to the top left: its right side is the right of the frame.
    assert [e for e in play.events if e.startswith("line")] == ["line_crossed 2 a right"]


def test_an_object_that_jumps_near_keeps_its_track_and_one_that_jumps_far_does_not():
    near = [*still(0.3, 20), *empty(10), *still(0.45, 20)]
    assert Play(near).events == ["appeared 1", "left 1"]
    far = Play([*still(0.2, 20), *still(0.8, 60)], end=False)
    assert far.events == ["appeared 1", "appeared 2", "left 1"]
    assert far.counts() == [(4, 1), (24, 2), (20 + 50, 1)]


@pytest.mark.parametrize("new_one_first", [False, True])
def test_an_object_missed_for_a_frame_is_not_confused_with_a_new_one_next_to_it(new_one_first):
    old, new = at(0.3), at(0.41)
    both = [new, old] if new_one_first else [old, new]
    play = Play([*[[old]] * 10, [new], *[both] * 10], end=False)
    tracks = [{round(o["bbox_norm"][0], 2): o.get("track_id") for o in objects} for objects in play.objects[11:]]
    assert tracks == [{0.25: 1, 0.36: 2}] * 10
    assert play.events == ["appeared 1", "appeared 2"]


def test_two_objects_in_one_frame_keep_two_tracks():
    script = [[at(0.3), at(0.45)] for _ in range(20)]
    script += [[at(0.3)] for _ in range(10)] + [[at(0.3), at(0.45)] for _ in range(20)]
    play = Play(script)
    assert play.events == ["appeared 1", "appeared 2", "left 1", "left 2"]


def test_labels_have_separate_tracks_even_in_the_same_place():
    script = [[at(0.3), at(0.3, label="bicycle")] for _ in range(20)]
    script += [[at(0.3, label="bicycle")] for _ in range(80)]
    play = Play(script, end=False)
    assert [(o.event_type, *o.key) for _, o in play.occurrences] == [
        ("appeared", "person", 1), ("appeared", "bicycle", 2), ("left", "person", 1)
    ]  # fmt: skip


@pytest.mark.parametrize("fps", [2, 3, 5, 10, 25, 60])
def test_a_walking_person_is_one_track_at_every_frame_rate(fps):
    """It walks 2.8 of its own widths a second, through the whole frame."""
    seconds = 6.0
    path = [[at(0.1 + 0.14 * n / fps)] for n in range(int(seconds * fps))]
    play = Play([*empty(3), *path], fps=fps, **GATE, occupancy_on_frames=2)
    assert play.events == ["appeared 1", "line_crossed 1 gate left", "left 1"]


def test_twenty_objects_keep_their_tracks_though_some_frames_miss_some():
    rng = np.random.default_rng(1)
    places = [(0.1 + 0.2 * (n % 5), 0.4 + 0.18 * (n // 5)) for n in range(20)]
    speeds = rng.normal(0, 0.0006, (20, 2))
    script = [
        [at(x + dx * n, y + dy * n) for (x, y), (dx, dy) in zip(places, speeds, strict=True) if rng.random() > 0.1]
        for n in range(100)
    ]
    play = Play(script, end=False)
    assert Counter(o.event_type for _, o in play.occurrences) == {"appeared": 20}
    assert max(number for _, number in play.counts()) == 20


def test_without_tracking_there_are_only_counts():
    script = [*empty(5), *[[at(0.3), at(0.5)][: 1 + (n % 3 > 0)] for n in range(90)], *empty(60)]
    play = Play(script, end=False, tracking=False, **MIDDLE)
    assert play.events == []
    assert [number for _, number in play.counts()] == [1, 2, 1, 0] or [n for _, n in play.counts()] == [1, 2, 0]
    assert [number for _, number in play.counts("middle")] == [1, 0]
    assert not any("track_id" in occurrence for frame in play.objects for occurrence in frame)


@pytest.mark.parametrize("moving", [False, True])
def test_rare_frames_lose_no_track(moving):
    """One frame in 5 s: no object is lost between two of them, however long that takes."""
    script = [[at(0.3 + 0.02 * n * moving)] for n in range(20)]
    assert Play(script, fps=0.2, **MIDDLE).events[0] == "appeared 1"
    assert [e for e in Play(script, fps=0.2).events if "appeared" in e or "left" in e] == ["appeared 1", "left 1"]


@pytest.mark.parametrize("moved", [0.0, 0.02])
def test_a_pause_of_the_camera_changes_nothing(moved):
    analysis = Analysis(CameraSettings(source="cam.mp4", model="m"))
    events = []
    for frame in range(1, 101):
        now_s = frame / FPS + (6.0 if frame > 50 else 0.0)
        findings = analysis.update([at(0.3 + moved * (frame > 50))], Frame(IMAGE, frame, 0.0, 0.0, now_s))
        events += [occurrence.event_type for occurrence in findings.occurrences]
    assert events == ["appeared"]


def test_an_object_on_the_border_of_a_zone_does_not_flicker():
    rng = np.random.default_rng(1)
    play = Play([[at(0.4 + float(rng.normal(0, 0.003)))] for _ in range(250)], end=False, **MIDDLE)
    inside = [bool(o["zones"]) for (o,) in play.objects]
    assert len(list(groupby(inside))) <= 4
    assert play.events == ["appeared 1", "zone_entered 1 middle"]
    gone = Play([*still(0.41, 20), *walk(0.41, 0.3, 20)], end=False, **MIDDLE)
    assert not gone.objects[-10][0]["zones"], "beyond the border it has left"


def test_labels_with_the_same_topic_are_counted_separately_here():
    play = Play([[at(0.3, label="Traffic light"), at(0.7, label="traffic-light")]] * 10, end=False)
    assert play.count_changes[-1][1] == {(None, "Traffic light"): 1, (None, "traffic-light"): 1}


def test_objects_in_a_removed_zone_have_left_it_and_nothing_else():
    play = Play(still(0.5, 60), end=False, drawn={31: GATE}, **MIDDLE, **GATE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_left 1 middle"]
    reported, left = play.occurrences[-1]
    assert (reported, left.sighting.moment.frame) == (31, 30)
    assert left.dwell_s == pytest.approx(28 / FPS), "as long as it had its track"
    assert play.counts("middle") == [(4, 1), (31, 0)]
    assert play.counts() == [(4, 1)]
    assert [o[0].get("track_id") for o in play.objects] == [None] + 59 * [1]
    assert "zones" in play.objects[29][0]
    assert "zones" not in play.objects[30][0]


def test_a_new_zone_is_entered_by_the_objects_in_it():
    play = Play(still(0.5, 60), end=False, drawn={31: {"zones": {**NARROW["zones"], **MIDDLE["zones"]}}}, **MIDDLE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_entered 1 narrow"]
    assert play.counts("narrow") == [(33, 1)], "found there in three frames"
    assert play.counts("middle") == [(4, 1)]
    assert [o[0]["zones"] for o in play.objects[29:31]] == [["middle"], ["narrow", "middle"]], "in settings order"


@pytest.mark.parametrize("other", [{"anchor": "top_center"}, {"labels": ["person"]}, NARROW["zones"]["narrow"]])
def test_a_changed_zone_starts_empty(other):
    zones = {"middle": {**MIDDLE["zones"]["middle"], **other}}
    play = Play(still(0.5, 60), end=False, drawn={31: {"zones": zones}}, **MIDDLE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_left 1 middle", "zone_entered 1 middle"]
    assert play.counts("middle") == [(4, 1), (31, 0), (33, 1)]


def test_an_unchanged_line_keeps_its_state_and_a_new_one_has_none():
    script = [*still(0.47, 30), *still(0.53, 30)]
    assert "line_crossed 1 gate left" in Play(script, drawn={31: {**MIDDLE, **GATE}}, **GATE).events
    moved = {"lines": {"gate": {"from": [0.501, 0], "to": [0.501, 1]}}}
    for drawn in (moved, {}):
        assert Play(script, drawn={31: drawn}, **GATE).events == ["appeared 1", "left 1"], (
            "by being drawn none is crossed"
        )


def test_zones_can_change_without_tracking():
    play = Play(still(0.5, 60), end=False, drawn={21: {}, 41: MIDDLE}, tracking=False, **MIDDLE)
    assert play.events == []
    assert play.counts("middle") == [(3, 1), (21, 0), (43, 1)]
    assert play.counts() == [(3, 1)]


@st.composite
def scripts(draw):
    """Some objects that stand, walk, jump, vanish and come back, as their detector sees them."""
    length = draw(st.integers(20, 120))
    script = empty(length)
    for _ in range(draw(st.integers(1, 3))):
        label = draw(st.sampled_from(["person", "car"]))
        x, y = draw(st.floats(0.06, 0.94)), draw(st.floats(0.31, 0.99))
        for frame in script:
            step = draw(st.sampled_from(["stay", "stay", "left", "right", "right", "jump", "vanish"]))
            x = {"left": max(0.06, x - 0.02), "right": min(0.94, x + 0.02), "jump": 1 - x}.get(step, x)
            if step != "vanish":
                frame.append(at(x, y, label=label))
    return script


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts(), st.booleans(), st.integers(1, 4), st.sampled_from([0, 0.2, 2]))
def test_events_and_counts_agree(script, end, on_frames, off_s):
    """Each visit begins and ends once, in order, and the counts are the current visits."""
    more = {"occupancy_on_frames": on_frames, "occupancy_off_s": off_s, **MIDDLE, **GATE}
    play = Play(script, end=end, **more)
    numbers, shown = dict(play.count_changes), Counter()
    visits = Visits()
    for frame in range(1, len(script) + 2):
        for occurrence in (occurrence for at_frame, occurrence in play.occurrences if at_frame == frame):
            assert occurrence.sighting.moment.frame <= frame
            assert occurrence.sighting.object in play.objects[occurrence.sighting.moment.frame - 1], (
                "from the frame that it names"
            )
            visits.add(occurrence)
        shown = numbers.get(frame, shown)
        assert shown == visits.counts(), "a change is reported immediately"
    assert not end or not visits.counts()


AREAS = [{**MIDDLE, **GATE}, MIDDLE, GATE, {"zones": {**NARROW["zones"], **MIDDLE["zones"]}, **GATE}, {}]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts(), st.dictionaries(st.integers(1, 120), st.sampled_from(AREAS), max_size=6), st.integers(1, 4))
def test_new_areas_change_nothing_else(script, drawn, on_frames):
    """New areas at any time change neither the camera's events nor those of a zone that stays."""
    more = {"occupancy_on_frames": on_frames, "occupancy_off_s": 0.2, **MIDDLE, **GATE}
    kept = {frame: {**areas, "zones": {**areas.get("zones", {}), **MIDDLE["zones"]}} for frame, areas in drawn.items()}
    calm, redrawn, half = Play(script, **more), Play(script, drawn=drawn, **more), Play(script, drawn=kept, **more)
    assert events_in(redrawn, None) == events_in(calm, None)
    assert events_in(half, None, "middle") == events_in(calm, None, "middle")
    assert half.counts("middle") == calm.counts("middle")
    for play in (redrawn, half):
        assert tracks(play) == tracks(calm)
        assert play.counts() == calm.counts()
        visits = Counter(), Counter()
        for _, occurrence in play.occurrences:
            if occurrence.zone:
                visits[occurrence.event_type == "zone_left"][occurrence.zone] += 1
        assert visits[0] == visits[1], "each visit ends"


def events_in(play, *zones):
    return [
        (frame, o.event_type, o.key, o.sighting.moment, o.dwell_s)
        for frame, o in play.occurrences
        if o.zone in zones and not o.line
    ]


def tracks(play):
    return [[occurrence.get("track_id") for occurrence in objects] for objects in play.objects]


class Visits:
    """The objects that are present according to the events; an event that does not fit fails."""

    def __init__(self):
        self.present, self.inside = set(), set()

    def add(self, occurrence):
        getattr(self, occurrence.event_type)(occurrence.key)

    def appeared(self, key):
        assert key not in self.present
        self.present.add(key)

    def left(self, key):
        assert key not in self.inside
        self.present.remove(key)

    def zone_entered(self, key):
        assert key in self.present
        assert key not in self.inside
        self.inside.add(key)

    def zone_left(self, key):
        self.inside.remove(key)

    def line_crossed(self, key):
        assert key in self.present

    def counts(self):
        return Counter([(None, label) for label, _ in self.present] + [("middle", label) for label, _ in self.inside])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.1, 0.9).filter(lambda x: abs(x - 0.5) > 2 * MARGIN), min_size=1, max_size=6))
def test_a_line_is_crossed_as_often_as_its_side_changes(stops):
    """Someone walks from one place to the next, and stays at occurrence for a while."""
    script, x = still(0.2, 10), 0.2
    for stop in stops:
        script += [*walk(x, stop, 25), *still(stop, 3)]
        x = stop
    sides = [side for side, _ in groupby(x > 0.5 for x in [0.2, *stops])]
    expected = [f"line_crossed 1 gate {'left' if right else 'right'}" for right in sides[1:]]
    assert Play(script, **GATE).events == ["appeared 1", *expected, "left 1"]
