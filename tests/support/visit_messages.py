"""Messages about visits, made by hand, and what Telegraf makes of them with the configuration in docs/visits.md."""

import tomllib
from typing import NamedTuple

from tests.support.pages import blocks

HOUR_S = 3600


class Point(NamedTuple):
    """What Telegraf writes into InfluxDB."""

    measurement: str
    time_s: float
    tags: dict
    fields: dict


def visit(number, ended, lines=(), zones=None, **more):
    """Return a message; `lines` are pairs of a line and a direction, crossed two seconds before the end."""
    began = ended - 10
    return {
        "visit_id": f"01a20426-1ca9-74bc-a773-{number:012x}",
        "seq": number,
        "timestamp": ended,
        "time": "2026-11-30T12:34:56.789Z",
        "label": "person",
        "track_id": number,
        "began": began,
        "ended": ended,
        "duration_s": 10.0,
        "stationary_s": 3.5,
        "best": {
            "frame": 7,
            "timestamp": began,
            "score": 0.9,
            "width": 10,
            "height": 10,
            "bbox": [1.0, 2.0, 3.0, 4.0],
            "bbox_norm": [0.1, 0.2, 0.3, 0.4],
        },
        "zones": zones or {},
        "lines": [{"line": line, "direction": to, "timestamp": ended - 2} for line, to in lines],
        "path": [[0.0, 0.1, 0.2], [10.0, 0.3, 0.4]],
        "attributes": {},
        "schema": "edgepub.visit/1",
        "node": "garage",
        "camera": "porch",
        "boot_id": "4a304c38450c4f06a9dfb6fab7cc6145",
        **more,
    }


def telegraf_config():
    """Return the input and the processor on the page."""
    (block,) = (block for block in blocks("toml") if block.page == "docs/visits.md")
    config = tomllib.loads(block.text)
    (reader,), (processor,) = config["inputs"]["mqtt_consumer"], config["processors"]["starlark"]
    return reader, processor


def points(message):
    """Return what Telegraf makes of a message: its parser `xpath_json`, as far as the page uses it, and Starlark."""
    reader, processor = telegraf_config()
    environment = {}
    exec(processor["source"], environment)  # Starlark is a part of Python
    made = []
    for section in reader["xpath"]:
        for name, item in _select(message, section.get("metric_selection", "/")):
            tags = {tag: _query(message, name, item, query) for tag, query in section["tags"].items()}
            fields = {field: int(_query(message, name, item, query)) for field, query in section["fields_int"].items()}
            fields |= {field: _query(message, name, item, query) for field, query in section.get("fields", {}).items()}
            metric = type("Metric", (), {"fields": fields})()
            metric.time = int(1e9 * _query(message, name, item, section["timestamp"]))
            point = environment["apply"](metric)
            made.append(Point(section["metric_name"].strip("'"), point.time / 1e9, tags, fields))
    return made


def _select(message, selection):
    if selection == "/":
        return [("", message)]
    key = selection.removeprefix("/").removesuffix("/*")
    assert selection == f"/{key}/*", selection
    nodes = message[key]
    return nodes.items() if isinstance(nodes, dict) else [("", node) for node in nodes]


def _query(message, name, item, query):
    if query == "name()":
        return name
    if query == "number(.)":
        return item
    return message[query[1:]] if query.startswith("/") else item[query]
