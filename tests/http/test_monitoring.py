"""`/healthz` and `/metrics`, and what depends on them: the dashboard, the alerts, docs/monitoring.md."""

import json
import random
import re
import time
from pathlib import Path

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from edgepub.http.monitoring import DROPPED, SAMPLED, MetricsPage, health_response
from edgepub.mqtt.payloads import stats
from edgepub.mqtt.payloads.schema import json_schema
from edgepub.telemetry.histogram import Histogram, cumulative_counts
from edgepub.telemetry.metrics import STAGES, CameraMetrics
from edgepub.telemetry.status import CameraState, Limit, Status
from tests.support.http_server import FIGURES, OPEN_METRICS, ready


def work(counts, frames=10, stage_s=0.04):
    now_s = time.monotonic()
    for _ in range(frames):
        counts.count_captured()
        counts.count_inferred(now_s - 2 * stage_s, now_s - stage_s, now_s, {})
        counts.count_published(now_s - 2 * stage_s, now_s - stage_s, now_s)


def samples(page, accept=""):
    """Return the value of each series of a page, by its name and labels."""
    body, content_type = page.prepare(accept)()
    parse = parse_open_metrics if "openmetrics" in content_type else parse_text
    families = list(parse(body.decode()))
    assert len({family.name for family in families}) == len(families), "each family once"
    for family in families:
        assert family.documentation, family
        assert family.type in {"counter", "gauge", "histogram"}, family
    series = [(sample.name, frozenset(sample.labels.items())) for family in families for sample in family.samples]
    assert len(set(series)) == len(series), "each series once"
    for name, labels in series:
        assert re.fullmatch(r"[a-z_]+", name)
        assert all(re.fullmatch(r"[a-z_]+", label) for label, _ in labels)
    return dict(zip(series, [sample.value for family in families for sample in family.samples], strict=True))


def value(series, name, **labels):
    return series[name, frozenset(labels.items())]


def test_health_reports_problems_and_where_they_are():
    status = Status(["porch", "yard"])
    code, body = health_response("garage", status)
    assert code == 503
    starting = {"status": "offline", "fault": "is starting"}
    assert json.loads(body) == {
        "ready": False,
        "node": "garage",
        "wrong": ["broker: no session yet", "porch: is starting", "yard: is starting"],
        "notes": [],
        "limits": [],
        "broker": {"status": "offline", "fault": "no session yet"},
        "cameras": {"porch": starting, "yard": starting},
    }
    status = ready("porch", "yard", "film")
    status.cameras["yard"].status = "disabled"
    status.cameras["film"].status = "offline"  # a file that has ended
    status.broker.notes["subscriptions"] = "the broker refuses one"
    status.load.limits = [Limit("decoding", ["porch"], "decoding is the limit")]
    code, body = health_response("garage", status)
    assert (code, json.loads(body)["ready"], json.loads(body)["wrong"]) == (200, True, [])
    assert json.loads(body)["notes"] == ["broker: the broker refuses one"]
    assert json.loads(body)["limits"] == [
        {"resource": "decoding", "cameras": ["porch"], "text": "decoding is the limit"}
    ]
    assert json.loads(body)["cameras"]["yard"] == {"status": "disabled", "fault": None}


def test_health_is_json_whatever_a_problem_contains():
    status = ready("porch")
    status.cameras["porch"].problem = fault = 'no "file" \udcff\n\\ é'
    assert json.loads(health_response("garage", status)[1])["cameras"]["porch"]["fault"] == fault


@pytest.mark.parametrize("accept", ["", "text/plain;version=1.0.0;escaping=allow-utf-8", OPEN_METRICS])
def test_metrics_of_the_node_and_of_each_camera(accept):
    status, cameras = ready("porch", "yard"), {"porch": CameraMetrics(), "yard": CameraMetrics()}
    status.broker.sessions = 5
    status.cameras["yard"].status = "disabled"
    work(cameras["porch"])
    cameras["porch"].count_dropped("queue_full", 2)
    cameras["porch"].count_sampled("busy")
    cameras["porch"].count_reconnect()
    cameras["porch"].count_event()
    cameras["porch"].count_snapshot()
    series = samples(MetricsPage("garage", status, cameras, lambda: FIGURES), accept)
    build = {name: dict(labels) for name, labels in series if name == "edgepub_build_info"}["edgepub_build_info"]
    assert set(build) == {"version", "pysdk", "python", "node"}
    assert build["node"] == "garage"
    assert value(series, "edgepub_ready") == value(series, "edgepub_broker_up") == 1
    assert value(series, "edgepub_broker_reconnects_total") == 4
    sizes = FIGURES.sizes
    assert {lane: value(series, "edgepub_outbox_messages", lane=lane) for lane in sizes} == sizes
    assert (value(series, "edgepub_broker_under_way"), value(series, "edgepub_broker_held_back")) == (12, 4)
    for name, porch, yard in [
        ("edgepub_camera_up", 1, 0),
        ("edgepub_camera_enabled", 1, 0),
        ("edgepub_camera_reconnects_total", 1, 0),
        ("edgepub_frames_captured_total", 10, 0),
        ("edgepub_frames_inferred_total", 10, 0),
        ("edgepub_detections_published_total", 10, 0),
        ("edgepub_events_published_total", 1, 0),
        ("edgepub_snapshots_total", 1, 0),
    ]:
        assert (value(series, name, camera="porch"), value(series, name, camera="yard")) == (porch, yard), name
    assert value(series, "edgepub_dropped_total", camera="porch", reason="queue_full") == 2
    assert value(series, "edgepub_dropped_total", camera="yard", reason="event_expired") == 0
    assert value(series, "edgepub_sampled_total", camera="porch", reason="busy") == 1
    inference = {"camera": "porch", "stage": "inference"}
    assert value(series, "edgepub_latency_seconds_count", **inference) == 10
    assert value(series, "edgepub_latency_seconds_sum", **inference) == pytest.approx(0.4, rel=0.021)
    assert value(series, "edgepub_latency_seconds_bucket", **inference, le="0.03") == 0
    assert value(series, "edgepub_latency_seconds_bucket", **inference, le="0.05") == 10
    assert value(series, "edgepub_latency_seconds_bucket", **inference, le="+Inf") == 10
    assert {dict(labels)["stage"] for name, labels in series if name == "edgepub_latency_seconds_sum"} == set(STAGES)
    assert value(series, "process_resident_memory_bytes") > 1e6
    assert value(series, "process_cpu_seconds_total") > 0
    assert abs(value(series, "process_start_time_seconds") - time.time()) < 86_400


@pytest.mark.parametrize("accept", ["", OPEN_METRICS])
def test_what_objects_did_is_counted_by_zone_line_and_label(accept):
    cameras = {"porch": CameraMetrics(), "yard": CameraMetrics()}
    page = MetricsPage("garage", ready("porch", "yard"), cameras, lambda: FIGURES)
    assert not any("zone" in dict(labels) for _, labels in samples(page, accept)), "nothing has occurred"
    objects = cameras["porch"].objects
    for dwell_s in (0.4, 1.0, 14.5, 4000.0):
        objects.count_entered("drive", 'a "big"\ndog')
        objects.count_left("drive", 'a "big"\ndog', dwell_s)
    objects.count_crossed("gate", "left", "person")
    objects.count_visit("person")
    series = samples(page, accept)
    place = {"camera": "porch", "zone": "drive"}
    assert value(series, "edgepub_zone_entered_total", **place, label='a "big"\ndog') == 4
    assert value(series, "edgepub_zone_left_total", **place, label='a "big"\ndog') == 4
    assert (
        value(series, "edgepub_line_crossed_total", camera="porch", line="gate", direction="left", label="person") == 1
    )
    assert value(series, "edgepub_visits_ended_total", camera="porch", label="person") == 1
    buckets = {"1.0": 2, "5.0": 2, "15.0": 3, "30.0": 3, "60.0": 3, "300.0": 3, "900.0": 3, "3600.0": 3, "+Inf": 4}
    assert {le: value(series, "edgepub_zone_dwell_seconds_bucket", **place, le=le) for le in buckets} == buckets
    assert value(series, "edgepub_zone_dwell_seconds_count", **place) == 4
    assert value(series, "edgepub_zone_dwell_seconds_sum", **place) == 4015.9
    assert not any("zone" in dict(labels) and dict(labels)["camera"] == "yard" for _, labels in series)


def test_a_camera_that_reads_texts_has_no_end_of_labels_and_a_bounded_number_of_series():
    cameras = {"porch": CameraMetrics()}
    for number in range(1000):
        cameras["porch"].objects.count_visit(f"B-AB {number}")
        cameras["porch"].objects.count_crossed("gate", "left", f"B-AB {number}")
    series = samples(MetricsPage("garage", ready("porch"), cameras, lambda: FIGURES))
    visits = {dict(labels)["label"]: n for (name, labels), n in series.items() if name == "edgepub_visits_ended_total"}
    assert len(visits) == 101
    assert (visits["B-AB 99"], visits["other"]) == (1, 900)
    crossing = {"camera": "porch", "line": "gate", "direction": "left", "label": "other"}
    assert value(series, "edgepub_line_crossed_total", **crossing) == 900


def test_limits_show_in_the_metrics():
    status = ready("porch")
    page = MetricsPage("garage", status, {}, lambda: FIGURES)
    resources = ("decoding", "model", "python", "broker")
    assert [value(samples(page), "edgepub_limit", resource=resource) for resource in resources] == [0, 0, 0, 0]
    status.load.limits = [Limit("python", [], "Python is the limit")]
    status.load.loop_late_ms.add(40.0)
    series = samples(page)
    assert [value(series, "edgepub_limit", resource=resource) for resource in resources] == [0, 0, 1, 0]
    assert value(series, "edgepub_event_loop_late_seconds_sum") == pytest.approx(0.04, rel=0.02)


def test_problems_show_in_the_metrics_and_an_ended_file_does_not():
    status = ready("porch")
    page = MetricsPage("garage", status, {}, lambda: FIGURES)
    status.cameras["porch"].status, status.cameras["porch"].problem = "offline", "source: silent"
    series = samples(page)
    assert (value(series, "edgepub_ready"), value(series, "edgepub_camera_up", camera="porch")) == (0, 0)
    assert value(series, "edgepub_camera_enabled", camera="porch") == 1
    status.cameras["porch"].problem = None  # a file that has ended
    assert value(samples(page), "edgepub_ready") == 1
    status.broker.problem = "refused"
    series = samples(page)
    assert (value(series, "edgepub_ready"), value(series, "edgepub_broker_up")) == (0, 0)


def test_cameras_come_and_go_with_a_reload():
    status, cameras = ready("porch"), {"porch": CameraMetrics()}
    page = MetricsPage("garage", status, cameras, lambda: FIGURES)
    samples(page)
    cameras["yard"] = CameraMetrics()
    status.cameras["yard"] = CameraState()
    del cameras["porch"], status.cameras["porch"]
    assert {dict(labels).get("camera") for _, labels in samples(page)} == {None, "yard"}


def test_counts_and_histograms_never_go_down():
    rng = random.Random(5)
    cameras = {"porch": CameraMetrics()}
    page = MetricsPage("garage", ready("porch"), cameras, lambda: FIGURES)
    before = samples(page)
    for _ in range(30):
        work(cameras["porch"], rng.randrange(3), rng.lognormvariate(-4, 2))
        cameras["porch"].count_dropped(rng.choice(["queue_full", "invalid", "new"]))
        now = samples(page)
        grows = [key for key in before if key[0].endswith(("_total", "_bucket", "_count", "_sum"))]
        assert grows
        assert all(now[key] >= before[key] for key in grows)
        before = now


def test_a_histogram_agrees_with_its_values_to_two_percent():
    rng = random.Random(3)
    values = [rng.lognormvariate(3, 1.5) for _ in range(5000)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    bounds = [1.0, 5.0, 20.0, 100.0, 1000.0]
    numbers, total = cumulative_counts(histogram.copy(), bounds)
    assert numbers == sorted(numbers)
    assert numbers[-1] == len(values)
    assert total == pytest.approx(sum(values), rel=0.02)
    for bound, number in zip(bounds, numbers, strict=False):
        assert sum(v <= 0.98 * bound for v in values) <= number <= sum(v <= 1.02 * bound for v in values)
    assert cumulative_counts({}, bounds) == ([0] * 6, 0)


def test_the_reasons_exported_from_the_start_are_those_of_the_stats():
    words = json_schema(stats.VALIDATOR)["$defs"]["CameraStats"]["properties"]["dropped"]["description"]
    assert set(DROPPED) == set(re.findall(r"`(\w+)`", words)) - {"max_age_s"}
    words = json_schema(stats.VALIDATOR)["$defs"]["CameraStats"]["properties"]["sampled"]["description"]
    assert set(SAMPLED) == set(re.findall(r"`(\w+)`", words))


# What depends on the metrics

DOCS = Path(__file__).parents[2] / "docs"
TARGET = {"job", "instance"}  # which Prometheus adds


def exported():
    """Return the labels of each metric."""
    cameras = {"porch": CameraMetrics()}
    cameras["porch"].count_sampled("busy")
    cameras["porch"].set_behind(0.1, time.monotonic())
    cameras["porch"].set_clock_offset(0.1)
    objects = cameras["porch"].objects
    objects.count_entered("drive", "person")
    objects.count_left("drive", "person", 3.0)
    objects.count_crossed("gate", "left", "person")
    objects.count_visit("person")
    names = {}
    for name, labels in samples(MetricsPage("garage", ready("porch"), cameras, lambda: FIGURES)):
        names.setdefault(name, set(TARGET)).update(label for label, _ in labels)
    return names


def dashboard():
    """Return each query of the dashboard with its legend."""
    board = json.loads((DOCS / "grafana.json").read_text())
    targets = [(target["expr"], target["legendFormat"]) for panel in board["panels"] for target in panel["targets"]]
    return targets + [(var["query"]["query"], "") for var in board["templating"]["list"] if var["type"] == "query"]


def alerts():
    """Return each query of the alerts with its labels and annotations."""
    (group,) = yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]
    return [(rule["expr"], json.dumps([rule["labels"], rule["annotations"]])) for rule in group["rules"]]


def examples():
    """Return each query of the page about counting."""
    return [(query, "") for query in re.findall(r"```promql\n(.*)\n```", (DOCS / "visits.md").read_text())]


@pytest.mark.parametrize(("query", "words"), dashboard() + alerts() + examples())
def test_dashboards_alerts_and_examples_query_existing_metrics(query, words):
    metrics = {**exported(), "up": TARGET}
    any_label = set().union(*metrics.values())
    queried = set(re.findall(r"\b(?:edgepub|process)_[a-z_]+|\bup\b", query))
    assert queried, query
    assert queried <= set(metrics)
    assert set(re.findall(r"\bedgepub_[a-z_]+", words)) <= set(metrics)
    for metric, matchers in re.findall(r"\b([a-z_]+){(.*?)}", query):
        assert set(re.findall(r"([a-z_]+)\s*[=!]", matchers)) <= metrics[metric], query
    for given in re.findall(r"\b(?:by|on|group_left) ?\(([a-z_, ]*)\)", query):
        assert set(re.findall(r"[a-z_]+", given)) <= any_label, query
    assert set(re.findall(r"{{ ?\$labels\.([a-z]+)|{{([a-z]+)}}", words)) <= {
        pair for label in any_label for pair in ((label, ""), ("", label))
    }
    assert query.count("(") == query.count(")")


def test_the_dashboard_can_be_imported_anywhere():
    board = json.loads((DOCS / "grafana.json").read_text())
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert variables == {"datasource", "node", "camera"}
    assert set(re.findall(r"\$\{?([a-z]+)", json.dumps(board))) <= variables
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}


def test_there_are_three_alerts_and_each_says_what_to_do():
    (group,) = yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]
    assert [rule["alert"] for rule in group["rules"]] == ["EdgepubDown", "EdgepubNotReady", "EdgepubLosesMessages"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"]
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_the_docs_describe_every_metric_and_every_reason():
    page = (DOCS / "monitoring.md").read_text()
    rows = dict(re.findall(r"^\| `(edgepub_[a-z_]+)(?:\{([a-z,]+)\})?` \|", page, re.MULTILINE))
    described = {name: set(labels.split(",")) - {""} | TARGET for name, labels in rows.items()}
    for histogram in ("edgepub_latency_seconds", "edgepub_event_loop_late_seconds", "edgepub_zone_dwell_seconds"):
        labels = described.pop(histogram)
        described.update({f"{histogram}_{part}": labels for part in ("sum", "count")})
        described[f"{histogram}_bucket"] = labels | {"le"}
    assert described == {name: labels for name, labels in exported().items() if name.startswith("edgepub")}
    reasons = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| ", page.partition("what was lost")[2], re.MULTILINE)
    assert set(re.findall(r"\w+", " ".join(reasons))) >= set(DROPPED)
