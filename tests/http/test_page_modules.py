"""The page checks zones, lines and ignore areas as the daemon does, and writes them as YAML that the daemon reads."""

import json
import random

import pytest
import yaml
from pydantic import ValidationError

from edgepub.config.areas import LineSettings, ZoneSettings
from tests.support.browser import serve

pytestmark = pytest.mark.browser

LABELS = [
    *(
        "person",
        "traffic light",
        "Person_1",
        "größe",
        "人",
        "🚗",
        "ünïcode",
        "a-b",
        "a - b",
        "two  spaces",
        "-",
        "- a",
        "--",
    ),
    *(
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "n",
        "true",
        "False",
        "null",
        "Null",
        "~",
        "nan",
        ".nan",
        ".inf",
        "inf",
        "=",
        "<<",
    ),
    *(
        "1",
        "-1",
        "+1",
        "007",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        "1e3",
        "1.5",
        ".5",
        "1.",
        "1:30",
        "12:30:45",
        "190:20:30",
    ),
    *(
        "2024-01-01",
        "2024-01-01T10:00:00Z",
        "it's",
        '"quoted"',
        "back\\slash",
        "\\n",
        "a: b",
        "a:b",
        ":",
        "a #b",
        "#",
        "a#b",
    ),
    *(
        " leading",
        "trailing ",
        " ",
        "a,b",
        "[a]",
        "{a}",
        "a]",
        "&a",
        "*a",
        "!a",
        "!!str a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "?",
        "? a",
    ),
    *(
        "tab\there",
        "line\nbreak",
        "cr\rhere",
        "\x00",
        "\x7f",
        "\x85",
        "\u00a0",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\u200d",
        "\u202e",
    ),
    *("---", "...", "--- a", "é\u0301", "\U0010ffff", "\ue000", "\ufffe", "x" * 300, "two " * 60 + "."),
]
NAMES = [
    *(
        "driveway",
        "zone-1",
        "12",
        "0",
        "007",
        "0x1f",
        "0b1",
        "0o7",
        "1_000",
        "1e3",
        "1-2",
        "2024-01-01",
        "-",
        "--",
        "---",
        "_",
    ),
    *("-1", "-a", "a-", "on", "off", "yes", "no", "y", "n", "true", "false", "null", "nan", "inf", "_1", "x" * 64),
    *("__proto__", "constructor", "tostring", "zones", "from"),
]


def yaml_of(page, areas):
    """Pass the areas as JSON, as the daemon does: Playwright's own encoding loses a key `__proto__`."""
    make = "async (areas) => (await import('/assets/yaml.js')).areasYaml(JSON.parse(areas))"
    return page.evaluate(make, json.dumps(areas))


def read(text):
    return yaml.safe_load("cameras:\n  porch:\n" + text)["cameras"]["porch"]


def test_the_yaml_is_as_a_person_would_write_it(browser_page):
    serve(browser_page)
    areas = {
        "zones": {
            "driveway": {
                "polygon": [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]],
                "labels": ["person"],
                "anchor": "center",
            },
            "all": {"polygon": [[0, 0], [1, 0], [1, 1]], "labels": None, "anchor": "bottom_center"},
        },
        "lines": {"gate": {"from": [0.5, 0], "to": [0.5, 1], "labels": None, "anchor": "bottom_center"}},
        "ignore": {"flag": {"polygon": [[0, 0], [1, 0], [1, 1]], "labels": ["on"], "anchor": "bottom_center"}},
    }
    assert yaml_of(browser_page, areas) == (
        "    zones:\n"
        "      driveway:\n"
        "        polygon: [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]]\n"
        "        labels: [person]\n"
        "        anchor: center\n"
        "      all:\n"
        "        polygon: [[0, 0], [1, 0], [1, 1]]\n"
        "    lines:\n"
        "      gate:\n"
        "        from: [0.5, 0]\n"
        "        to: [0.5, 1]\n"
        "    ignore:\n"
        "      flag:\n"
        "        polygon: [[0, 0], [1, 0], [1, 1]]\n"
        '        labels: ["on"]\n'
    )
    assert yaml_of(browser_page, {"zones": {}, "lines": {}, "ignore": {}}) == ""


def test_the_yaml_keeps_names_labels_and_numbers_exactly(browser_page):
    serve(browser_page)
    rng = random.Random(8)
    characters = "".join(map(chr, range(0x2100))) + "aaabc019 -_.:#'\"\\,[]{}&*!|>%@`?~=\n\t" * 60
    labels = LABELS + ["".join(rng.choices(characters, k=rng.randint(1, 12))) for _ in range(3000)]
    names = NAMES + ["".join(rng.choices("abeonxy0123456789_-", k=rng.randint(1, 6))) for _ in range(1000)]
    points = [[rng.random() * 10 ** -rng.randint(0, 12), round(rng.random(), 3)] for _ in names]
    zones = {
        name: {"polygon": [point, [0, 1], [1, 0.25]], "labels": rng.choices(labels, k=3), "anchor": "top_left"}
        for name, point in zip(names, points, strict=True)
    }
    lines = {"gate": {"from": [1e-7, 0], "to": [1, 5e-324], "labels": labels, "anchor": "center"}}
    areas = {"zones": zones, "lines": lines, "ignore": zones}
    assert read(yaml_of(browser_page, areas)) == areas


def polygons():
    """Yield polygons of all kinds: anywhere, on a grid (touching sides), tiny, and outside the frame."""
    rng = random.Random(9)
    for _ in range(1500):
        yield [[rng.random(), rng.random()] for _ in range(rng.randint(3, 7))]
        yield [[rng.randint(0, 4) / 4, rng.randint(0, 4) / 4] for _ in range(rng.randint(1, 6))]
        x, y = rng.random() * 0.98, rng.random() * 0.98
        yield [[x + rng.random() * 0.02, y + rng.random() * 0.02] for _ in range(rng.randint(3, 5))]
        yield [[round(rng.uniform(-0.05, 1.05), 3), round(rng.random(), 3)] for _ in range(rng.randint(2, 5))]


def mistake(settings, value):
    """Return the daemon's error: its message, or the type of pydantic's error; None if there is none."""
    try:
        settings.model_validate(value)
    except ValidationError as error:
        detail = error.errors()[0]
        return str(detail["ctx"]["error"]) if detail["type"] == "value_error" else detail["type"]
    return None


def is_near_minimum(polygon):
    """Return whether the area is the minimum up to rounding: Python versions differ in how they sum."""
    corners = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in corners)) / 2 - 1e-4) < 1e-12


def test_the_page_accepts_the_zones_that_the_daemon_accepts(browser_page):
    serve(browser_page)
    given = [polygon for polygon in polygons() if not is_near_minimum(polygon)]
    check = "async (given) => { const {polygonMistake: f} = await import('/assets/geometry.js'); return given.map(f); }"
    found = browser_page.evaluate(check, given)
    expected = [mistake(ZoneSettings, {"polygon": polygon}) for polygon in given]
    messages = {"too_short": "polygon needs at least 3 corners"}
    differing = [row for row in zip(given, found, expected, strict=True) if row[1] != messages.get(row[2], row[2])]
    assert differing == []
    assert {expected.count(message) > 100 for message in set(expected)} == {True}, "all kinds of mistakes, and none"
    assert len(set(expected)) == 5


def test_the_page_accepts_the_lines_that_the_daemon_accepts(browser_page):
    serve(browser_page)
    rng = random.Random(10)
    given = [[[rng.randint(-1, 5) / 4, rng.randint(0, 4) / 4] for _ in range(2)] for _ in range(1000)]
    check = (
        "async (all) => { const m = await import('/assets/geometry.js'); return all.map((a) => m.lineMistake(...a)); }"
    )
    found = browser_page.evaluate(check, given)
    assert found == [mistake(LineSettings, {"from": start, "to": end}) for start, end in given]
    assert len(set(found)) == 3


def test_attributes_are_written_in_words_and_as_numbers_with_their_name(browser_page):
    serve(browser_page)
    attributes = {"text": {"label": "B-AB 123", "score": 0.9}, "age": {"value": 34.1834, "settled": True}}
    write = "async (one) => { const m = await import('/assets/formatting.js'); return m.textsOf(one); }"
    assert browser_page.evaluate(write, {"attributes": attributes}) == ["B-AB 123", "age 34.18"]


@pytest.mark.parametrize("highest_ms", [8, 600, 1600, 12_000, 190_000])
def test_the_labels_of_the_plot_fit_whatever_the_latency_is(browser_page, highest_ms):
    style = '<link rel="stylesheet" href="/assets/camera.css">'
    page = '<svg id="plot" width="400" height="200"></svg><p id="text"></p>'
    serve(browser_page, f"<!doctype html><title>test</title>{style}{page}")
    draw = """async (ms) => {
      const {Plot} = await import("/assets/plot.js");
      const plot = new Plot(document.getElementById("plot"), document.getElementById("text"));
      plot.add([0, 5, 10].map((at) => ({at, p50_ms: ms / 2, p95_ms: ms, dropped: 0})), true);
    }"""
    browser_page.evaluate(draw, highest_ms)
    browser_page.wait_for_selector("#plot text", state="attached")
    boxes = browser_page.locator("#plot text").evaluate_all("all => all.map((one) => one.getBBox().x)")
    assert len(boxes) > 4
    assert min(boxes) >= 0
