"""What is true of the events, visits and counts of any camera, whatever it sees."""

import uuid
from collections import defaultdict

import pytest

ACTIVE = "/active"


def check_whole(recording, *, clock_s=None, in_order=True, is_filtered=False):
    """Check the messages of a camera from its first start to the end of all visits.

    Args:
        recording: its messages; see `tests.support.recorder.Recording`.
        clock_s: how much times may differ; None: the frames of a film have other times than the clock, so do not
            compare them.
        in_order: whether the counts are in the order in which they were made; a broker's subscriber may get the newest
            value of one before that of another.
        is_filtered: whether a visit may tell of more than its events do: those only begin in one of `events.zones`.

    """
    by_visit = defaultdict(list)
    for event in recording.events:
        by_visit[event["visit_id"]].append(event)
    seqs = [event["seq"] for event in recording.events]
    assert seqs == list(range(1, len(seqs) + 1)), "no event is missing"
    visits = {visit["visit_id"]: visit for visit in recording.visits}
    assert [visit["seq"] for visit in recording.visits] == list(range(1, len(recording.visits) + 1))
    assert len(visits) == len(recording.visits), "one message for each visit"
    assert visits.keys() == by_visit.keys()
    for visit_id, events in by_visit.items():
        _check_visit(visits[visit_id], events, clock_s, is_filtered=is_filtered)
    if in_order:
        check_counts(recording)
    for topic, value in recording.last_values().items():
        if topic.endswith(("/occupancy", "/loitering")):
            assert value == "OFF", topic
        elif "objects/" in topic:
            assert value == 0, f"{topic} at the end"


def check_counts(recording):
    """Check that after each frame the counts fit together, and that no count is negative."""
    counts = defaultdict(int)
    for states in recording.batches():
        counts.update((topic, value) for topic, value in states if isinstance(value, int))
        for topic in counts.keys() & dict(states).keys():
            counted = topic.removesuffix(ACTIVE)
            assert 0 <= counts[counted + ACTIVE] <= counts[counted], f"active are at most as many as there are: {topic}"


def _check_visit(visit, events, clock_s, *, is_filtered):
    assert uuid.UUID(visit["visit_id"]).version == 7
    types = [event["event_type"] for event in events]
    assert types.count("appeared") == types.count("left") == 1, types
    assert (types[0], types[-1]) == ("appeared", "left"), types
    first, last = events[0], events[-1]
    assert {event["label"] for event in events} == {visit["label"]}
    assert visit["track_id"] in {event["track_id"] for event in events}
    assert visit["schema"] == "edgepub.visit/1"
    duration_s = visit["duration_s"]
    assert 0 <= visit["stationary_s"] <= duration_s + 0.002
    assert last["dwell_s"] == pytest.approx(duration_s, abs=0.002)
    for zone, dwell_s in visit["zones"].items():
        assert 0 <= dwell_s <= duration_s + 0.002, zone
    assert visit["zones"].keys() >= {event["zone"] for event in events if event["event_type"] == "zone_entered"}
    entries = [event for event in events if event["event_type"] == "zone_entered"]
    for number, event in enumerate(entries):
        before = list(dict.fromkeys(entry["zone"] for entry in entries[:number]))
        assert event.get("zones_before", []) == before, event
    crossings = [(e["line"], e["direction"]) for e in events if e["event_type"] == "line_crossed"]
    lines = [(line["line"], line["direction"]) for line in visit["lines"]]
    assert lines[len(lines) - len(crossings) if is_filtered else 0 :] == crossings
    assert visit["began"] <= first["timestamp"] <= visit["ended"] == last["timestamp"]
    if clock_s is not None:
        assert visit["ended"] - visit["began"] == pytest.approx(duration_s, abs=clock_s)
    _check_path(visit)
    if not is_filtered:
        _check_turns(types)


def _check_path(visit):
    path = visit["path"]
    assert 1 <= len(path) <= 50
    times = [point[0] for point in path]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= visit["duration_s"] + 0.006  # it is rounded
    assert all(0 <= part <= 1 for point in path for part in point[1:])
    best = visit["best"]
    assert best.keys() >= {"frame", "score", "bbox", "bbox_norm"}
    assert all(0 <= part <= 1 for part in best["bbox_norm"])


def _check_turns(types):
    """An object stops, moves, stops again."""
    turns = [what for what in types if what in {"stopped", "moved"}]
    assert turns == (["stopped", "moved"] * len(turns))[: len(turns)], turns
