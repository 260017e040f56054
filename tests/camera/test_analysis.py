"""What happens, from scripted paths through the real tracker: exact events, in order, and exact counts."""

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


def nobody(frames):
    return [[] for _ in range(frames)]


class Play:
    """What an analysis says of a script, one list of objects a frame; and then of the end.

    Other areas are in force from the frames on that `drawn` has.
    """

    def __init__(self, script, fps=FPS, end=True, drawn=None, **camera):
        analysis = Analysis("cam", CameraSettings(source="cam.mp4", model="m", **camera))
        self.objects = []
        self.happened = []  # (frame in which it was told, occurrence)
        self.numbers = []  # (frame, numbers) at each change
        frame = 0
        for frame, objects in enumerate(script, 1):
            if drawn and frame in drawn:
                areas = {"zones": {}, "lines": {}, **drawn[frame]}
                self._take(
                    frame, analysis.set_areas(CameraSettings(source="cam.mp4", model="m", **{**camera, **areas}))
                )
            self.objects.append([dict(each) for each in objects])
            self._take(frame, analysis.update(self.objects[-1], Frame(IMAGE, frame, 1e9 + frame, 0.0, frame / fps)))
        if end:
            self._take(frame + 1, analysis.reset())

    def _take(self, frame, findings):
        self.happened += [(frame, each) for each in findings.occurrences]
        if findings.counts is not None:
            self.numbers.append((frame, {key: n for key, n in findings.counts.items() if n}))

    @property
    def events(self):
        return [
            " ".join(filter(None, [o.event_type, str(o.key[1]), o.zone, o.line, o.direction])) for _, o in self.happened
        ]

    def counts(self, zone=None, label="person"):
        """Return each value of a count, with the frame that brought it."""
        steps = [(0, 0), *((frame, numbers.get((zone, label), 0)) for frame, numbers in self.numbers)]
        return [next(same) for _, same in groupby(steps, key=lambda step: step[1])][1:]


@pytest.mark.slow
def test_an_object_appears_and_leaves_once():
    play = Play([*nobody(10), *still(0.3, 50), *nobody(100)], end=False)
    assert play.events == ["appeared 1", "left 1"]
    (told, appeared), (told_left, left) = play.happened
    assert told == appeared.sighting.moment.frame == 14, "found in the 11th frame, tracked in three from the 12th on"
    assert left.sighting.moment.frame == 60, "the last frame with it"
    assert told_left == 60 + 2 * FPS, "two seconds without it"
    assert left.dwell_s == pytest.approx(48 / FPS)
    assert play.counts() == [(14, 1), (110, 0)]
    assert [o[0].get("track_id") for o in play.objects if o] == [None] + 49 * [1]


@pytest.mark.parametrize("found", ["110", "011", "1100", "10101011"])
def test_what_flickers_does_not_flap(found):
    """The detector misses some frames, again and again."""
    script = [[at(0.3)] if found[n % len(found)] == "1" else [] for n in range(300)]
    play = Play([*nobody(10), *script, *nobody(100)])
    assert play.events == ["appeared 1", "left 1"]
    assert [number for _, number in play.counts()] == [1, 0]


def test_one_frame_in_three_is_no_beginning_but_enough_to_stay():
    """A track begins with two frames running: what is never found so is never believed."""
    rare = [[at(0.3)] if n % 3 == 0 else [] for n in range(150)]
    assert Play([*nobody(5), *rare]).events == []
    play = Play([*still(0.3, 10), *rare, *nobody(60)], end=False)
    assert play.events == ["appeared 1", "left 1"]
    assert play.happened[1][1].sighting.moment.frame == 10 + 148


def test_false_alarms_do_not_count():
    blips = [frame for n in range(20) for frame in [*still(0.1 + 0.04 * n, 2), *nobody(5)]]
    play = Play(blips)
    assert play.events == []
    assert play.counts() == []


def test_a_gap_longer_than_the_hold_is_a_new_visit_of_the_same_track():
    script = [*still(0.3, 20), *nobody(60), *still(0.3, 20), *nobody(200), *still(0.3, 20)]
    play = Play(script)
    assert play.events == ["appeared 1", "left 1", "appeared 1", "left 1", "appeared 2", "left 2"]


def test_a_zone_is_entered_and_left():
    play = Play([*walk(0.2, 0.5, 30), *still(0.5, 50), *walk(0.5, 0.92, 40), *still(0.92, 60)], **MIDDLE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_left 1 middle", "left 1"]
    inside = [n for n, (o,) in enumerate(play.objects, 1) if o["zones"] == ["middle"]]
    assert inside == list(range(20, 91)), "its border included, and a little beyond it on the way out"
    (_, entered), (_, left) = play.happened[1:3]
    assert entered.sighting.moment.frame == 22
    assert left.sighting.moment.frame == 90
    assert left.dwell_s == pytest.approx(70 / FPS)
    assert play.counts("middle") == [(22, 1), (90 + 50, 0)]


def test_a_jump_over_a_zone_does_not_touch_it():
    play = Play([*still(0.42, 9), *still(0.58, 9), *still(0.42, 9)], fps=2, **NARROW, **GATE)
    assert play.events == ["appeared 1", "line_crossed 1 gate left", "line_crossed 1 gate right", "left 1"]


def test_who_disappears_in_a_zone_leaves_both():
    play = Play([*still(0.5, 20), *nobody(100)], end=False, **MIDDLE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_left 1 middle", "left 1"]
    assert {o.sighting.moment.frame for _, o in play.happened[2:]} == {20}


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
    assert play.numbers[-1][1] == {
        (None, "person"): 1, (None, "car"): 1, ("cars", "car"): 1, ("heads", "person"): 1, ("heads", "car"): 1
    }  # fmt: skip


def test_a_line_is_crossed_both_ways():
    there, back = walk(0.205, 0.805, 60), walk(0.805, 0.205, 60)
    play = Play([*there, *back, *there], **GATE)
    # From the top to the bottom: to the left is where x grows.
    assert play.events == [
        "appeared 1", "line_crossed 1 gate left", "line_crossed 1 gate right", "line_crossed 1 gate left", "left 1"
    ]  # fmt: skip
    frames = [o.sighting.moment.frame for _, o in play.happened[1:4]]
    assert frames == [31, 92, 151], "the first frame clearly on the other side"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([[at(0.5, 0.4 + 0.01 * n)] for n in range(60)], "walks on it"),
        ([[at(0.5 + (-1) ** n * 0.8 * MARGIN)] for n in range(60)], "stands on it, and the box trembles"),
        ([*walk(0.3, 0.505, 30), *still(0.505, 30), *walk(0.505, 0.3, 30)], "touches it and turns round"),
        (
            [*walk(0.3, 0.48, 20, y=0.4), *[[at(0.485 + (n % 2) * 0.005, 0.4 + 0.01 * n)] for n in range(50)]],
            "walks beside it",
        ),
    ],
)
def test_a_line_is_not_crossed_by_who(script, why):
    assert Play(script, **GATE).events == ["appeared 1", "left 1"], why


def test_a_line_has_ends():
    half = {"lines": {"gate": {"from": [0.5, 0], "to": [0.5, 0.5]}}}
    assert Play(walk(0.2, 0.8, 60, y=0.8), **half).events == ["appeared 1", "left 1"], "it passes below"
    assert Play(walk(0.2, 0.8, 60, y=0.45), **half).events[1] == "line_crossed 1 gate left"


def test_a_line_crossed_before_the_object_is_believed_is_told_with_it():
    play = Play([*walk(0.44, 0.6, 8), *still(0.6, 30)], occupancy_on_frames=6, **GATE)
    assert play.events == ["appeared 1", "line_crossed 1 gate left", "left 1"]


def test_a_slanted_line_counts_its_labels_only():
    lines = {"a": {"from": [0.8, 1.0], "to": [0.2, 0.2], "labels": ["car"], "anchor": "center"}}
    script = [[at(0.2 + 0.01 * n, 0.75), at(0.2 + 0.01 * n, 0.75, label="car")] for n in range(60)]
    play = Play(script, lines=lines)
    # From the bottom right to the top left: what goes to the right of the frame goes to the right.
    assert [e for e in play.events if e.startswith("line")] == ["line_crossed 2 a right"]


def test_an_object_that_jumps_near_keeps_its_track_and_one_that_jumps_far_does_not():
    near = [*still(0.3, 20), *nobody(10), *still(0.45, 20)]
    assert Play(near).events == ["appeared 1", "left 1"]
    far = Play([*still(0.2, 20), *still(0.8, 60)], end=False)
    assert far.events == ["appeared 1", "appeared 2", "left 1"]
    assert far.counts() == [(4, 1), (24, 2), (20 + 50, 1)]


@pytest.mark.parametrize("new_one_first", [False, True])
def test_one_who_was_missed_for_a_frame_is_not_taken_for_a_new_one_beside_it(new_one_first):
    old, new = at(0.3), at(0.41)
    both = [new, old] if new_one_first else [old, new]
    play = Play([*[[old]] * 10, [new], *[both] * 10], end=False)
    tracks = [{round(o["bbox_norm"][0], 2): o.get("track_id") for o in objects} for objects in play.objects[11:]]
    assert tracks == [{0.25: 1, 0.36: 2}] * 10
    assert play.events == ["appeared 1", "appeared 2"]


def test_two_who_were_seen_at_once_are_two():
    script = [[at(0.3), at(0.45)] for _ in range(20)]
    script += [[at(0.3)] for _ in range(10)] + [[at(0.3), at(0.45)] for _ in range(20)]
    play = Play(script)
    assert play.events == ["appeared 1", "appeared 2", "left 1", "left 2"]


def test_labels_are_apart_even_in_the_same_place():
    script = [[at(0.3), at(0.3, label="bicycle")] for _ in range(20)]
    script += [[at(0.3, label="bicycle")] for _ in range(80)]
    play = Play(script, end=False)
    assert [(o.event_type, *o.key) for _, o in play.happened] == [
        ("appeared", "person", 1), ("appeared", "bicycle", 2), ("left", "person", 1)
    ]  # fmt: skip


@pytest.mark.parametrize("fps", [2, 3, 5, 10, 25, 60])
def test_a_walking_person_is_one_at_every_rate(fps):
    """It walks 2.8 of its own widths a second, through the whole frame."""
    seconds = 6.0
    path = [[at(0.1 + 0.14 * n / fps)] for n in range(int(seconds * fps))]
    play = Play([*nobody(3), *path], fps=fps, **GATE, occupancy_on_frames=2)
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
    assert Counter(o.event_type for _, o in play.happened) == {"appeared": 20}
    assert max(number for _, number in play.counts()) == 20


def test_without_tracking_there_are_counts_alone():
    script = [*nobody(5), *[[at(0.3), at(0.5)][: 1 + (n % 3 > 0)] for n in range(90)], *nobody(60)]
    play = Play(script, end=False, tracking=False, **MIDDLE)
    assert play.events == []
    assert [number for _, number in play.counts()] == [1, 2, 1, 0] or [n for _, n in play.counts()] == [1, 2, 0]
    assert [number for _, number in play.counts("middle")] == [1, 0]
    assert not any("track_id" in each for frame in play.objects for each in frame)


@pytest.mark.parametrize("moving", [False, True])
def test_frames_that_come_seldom_are_frames_all_the_same(moving):
    """One frame in 5 s: nobody was lost between two of them, however long that was."""
    script = [[at(0.3 + 0.02 * n * moving)] for n in range(20)]
    assert Play(script, fps=0.2, **MIDDLE).events[0] == "appeared 1"
    assert [e for e in Play(script, fps=0.2).events if "appeared" in e or "left" in e] == ["appeared 1", "left 1"]


@pytest.mark.parametrize("moved", [0.0, 0.02])
def test_a_pause_of_the_camera_is_no_change(moved):
    analysis = Analysis("cam", CameraSettings(source="cam.mp4", model="m"))
    events = []
    for frame in range(1, 101):
        now_s = frame / FPS + (6.0 if frame > 50 else 0.0)
        findings = analysis.update([at(0.3 + moved * (frame > 50))], Frame(IMAGE, frame, 0.0, 0.0, now_s))
        events += [each.event_type for each in findings.occurrences]
    assert events == ["appeared"]


def test_who_stands_on_the_border_of_a_zone_does_not_flicker():
    rng = np.random.default_rng(1)
    play = Play([[at(0.4 + float(rng.normal(0, 0.003)))] for _ in range(250)], end=False, **MIDDLE)
    inside = [bool(o["zones"]) for (o,) in play.objects]
    assert len(list(groupby(inside))) <= 4
    assert play.events == ["appeared 1", "zone_entered 1 middle"]
    gone = Play([*still(0.41, 20), *walk(0.41, 0.3, 20)], end=False, **MIDDLE)
    assert not gone.objects[-10][0]["zones"], "beyond the border it has left"


def test_a_model_that_reads_texts_does_not_fill_the_memory(caplog):
    play = Play([[at(0.3, label=f"text {n}")] for n in range(1500)], tracking=False, occupancy_on_frames=1)
    assert len({label for _, numbers in play.numbers for _, label in numbers}) == 1000
    assert [m for m in caplog.messages if "1000 labels" in m] != []


def test_labels_that_are_one_topic_are_counted_apart_here():
    play = Play([[at(0.3, label="Traffic light"), at(0.7, label="traffic-light")]] * 10, end=False)
    assert play.numbers[-1][1] == {(None, "Traffic light"): 1, (None, "traffic-light"): 1}


def test_who_is_in_a_zone_that_is_taken_away_has_left_it_and_nothing_else():
    play = Play(still(0.5, 60), end=False, drawn={31: GATE}, **MIDDLE, **GATE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_left 1 middle"]
    told, left = play.happened[-1]
    assert (told, left.sighting.moment.frame) == (31, 30)
    assert left.dwell_s == pytest.approx(28 / FPS), "as long as it had its track"
    assert play.counts("middle") == [(4, 1), (31, 0)]
    assert play.counts() == [(4, 1)]
    assert [o[0].get("track_id") for o in play.objects] == [None] + 59 * [1]
    assert "zones" in play.objects[29][0]
    assert "zones" not in play.objects[30][0]


def test_a_new_zone_is_entered_by_who_is_there():
    play = Play(still(0.5, 60), end=False, drawn={31: {"zones": {**NARROW["zones"], **MIDDLE["zones"]}}}, **MIDDLE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_entered 1 narrow"]
    assert play.counts("narrow") == [(33, 1)], "found there in three frames"
    assert play.counts("middle") == [(4, 1)]
    assert [o[0]["zones"] for o in play.objects[29:31]] == [["middle"], ["narrow", "middle"]], "in their order"


@pytest.mark.parametrize("other", [{"anchor": "top_center"}, {"labels": ["person"]}, NARROW["zones"]["narrow"]])
def test_a_zone_that_is_another_one_now_begins_empty(other):
    zones = {"middle": {**MIDDLE["zones"]["middle"], **other}}
    play = Play(still(0.5, 60), end=False, drawn={31: {"zones": zones}}, **MIDDLE)
    assert play.events == ["appeared 1", "zone_entered 1 middle", "zone_left 1 middle", "zone_entered 1 middle"]
    assert play.counts("middle") == [(4, 1), (31, 0), (33, 1)]


def test_a_line_that_is_as_before_remembers_where_each_was_and_a_new_one_does_not():
    script = [*still(0.47, 30), *still(0.53, 30)]
    assert "line_crossed 1 gate left" in Play(script, drawn={31: {**MIDDLE, **GATE}}, **GATE).events
    moved = {"lines": {"gate": {"from": [0.501, 0], "to": [0.501, 1]}}}
    for drawn in (moved, {}):
        assert Play(script, drawn={31: drawn}, **GATE).events == ["appeared 1", "left 1"], (
            "by being drawn none is crossed"
        )


def test_zones_are_drawn_without_tracking_too():
    play = Play(still(0.5, 60), end=False, drawn={21: {}, 41: MIDDLE}, tracking=False, **MIDDLE)
    assert play.events == []
    assert play.counts("middle") == [(3, 1), (21, 0), (43, 1)]
    assert play.counts() == [(3, 1)]


@st.composite
def scripts(draw):
    """Some objects that stand, walk, jump, vanish and come back, as their detector sees them."""
    length = draw(st.integers(20, 120))
    script = nobody(length)
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
def test_events_and_counts_are_one_story(script, end, on_frames, off_s):
    """Whatever happens: each visit begins and ends once, in its order, and the counts are the visits under way."""
    more = {"occupancy_on_frames": on_frames, "occupancy_off_s": off_s, **MIDDLE, **GATE}
    play = Play(script, end=end, **more)
    numbers, shown = dict(play.numbers), Counter()
    visits = Visits()
    for frame in range(1, len(script) + 2):
        for each in (occurrence for told, occurrence in play.happened if told == frame):
            assert each.sighting.moment.frame <= frame
            assert each.sighting.object in play.objects[each.sighting.moment.frame - 1], "of the frame that it names"
            visits.take(each)
        shown = numbers.get(frame, shown)
        assert shown == visits.numbers(), "a change is told at once"
    assert not end or not visits.numbers()


AREAS = [{**MIDDLE, **GATE}, MIDDLE, GATE, {"zones": {**NARROW["zones"], **MIDDLE["zones"]}, **GATE}, {}]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts(), st.dictionaries(st.integers(1, 120), st.sampled_from(AREAS), max_size=6), st.integers(1, 4))
def test_other_areas_change_nothing_but_themselves(script, drawn, on_frames):
    """Whatever is drawn and when: what the camera says is the same, and so is what a zone says that stays."""
    more = {"occupancy_on_frames": on_frames, "occupancy_off_s": 0.2, **MIDDLE, **GATE}
    kept = {frame: {**areas, "zones": {**areas.get("zones", {}), **MIDDLE["zones"]}} for frame, areas in drawn.items()}
    calm, redrawn, half = Play(script, **more), Play(script, drawn=drawn, **more), Play(script, drawn=kept, **more)
    assert said(redrawn, None) == said(calm, None)
    assert said(half, None, "middle") == said(calm, None, "middle")
    assert half.counts("middle") == calm.counts("middle")
    for play in (redrawn, half):
        assert tracks(play) == tracks(calm)
        assert play.counts() == calm.counts()
        visits = Counter(), Counter()
        for _, each in play.happened:
            if each.zone:
                visits[each.event_type == "zone_left"][each.zone] += 1
        assert visits[0] == visits[1], "each visit ends"


def said(play, *zones):
    return [
        (frame, o.event_type, o.key, o.sighting.moment, o.dwell_s)
        for frame, o in play.happened
        if o.zone in zones and not o.line
    ]


def tracks(play):
    return [[each.get("track_id") for each in objects] for objects in play.objects]


class Visits:
    """Who is there by the events alone; an event that does not fit in fails."""

    def __init__(self):
        self.here, self.inside = set(), set()

    def take(self, each):
        getattr(self, each.event_type)(each.key)

    def appeared(self, key):
        assert key not in self.here
        self.here.add(key)

    def left(self, key):
        assert key not in self.inside
        self.here.remove(key)

    def zone_entered(self, key):
        assert key in self.here
        assert key not in self.inside
        self.inside.add(key)

    def zone_left(self, key):
        self.inside.remove(key)

    def line_crossed(self, key):
        assert key in self.here

    def numbers(self):
        return Counter([(None, label) for label, _ in self.here] + [("middle", label) for label, _ in self.inside])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.1, 0.9).filter(lambda x: abs(x - 0.5) > 2 * MARGIN), min_size=1, max_size=6))
def test_a_line_is_crossed_as_often_as_its_side_changes(stops):
    """Someone walks from one place to the next, and stays at each for a while."""
    script, x = still(0.2, 10), 0.2
    for stop in stops:
        script += [*walk(x, stop, 25), *still(stop, 3)]
        x = stop
    sides = [side for side, _ in groupby(x > 0.5 for x in [0.2, *stops])]
    expected = [f"line_crossed 1 gate {'left' if right else 'right'}" for right in sides[1:]]
    assert Play(script, **GATE).events == ["appeared 1", *expected, "left 1"]
