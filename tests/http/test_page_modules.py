"""What the page reckons for itself is what the daemon reckons: the checks of zones and lines, and their YAML."""

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
    """As JSON, as the daemon gives it: Playwright's own way loses a key `__proto__`."""
    make = "async (areas) => (await import('/assets/yaml.js')).areasYaml(JSON.parse(areas))"
    return page.evaluate(make, json.dumps(areas))


def read(text):
    return yaml.safe_load("cameras:\n  porch:\n" + text)["cameras"]["porch"]


def test_the_yaml_is_as_one_would_write_it(browser_page):
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
    )
    assert yaml_of(browser_page, {"zones": {}, "lines": {}}) == ""


def test_yaml_is_read_as_the_very_same_names_labels_and_numbers(browser_page):
    serve(browser_page)
    chance = random.Random(8)
    signs = "".join(map(chr, range(0x2100))) + "aaabc019 -_.:#'\"\\,[]{}&*!|>%@`?~=\n\t" * 60
    labels = LABELS + ["".join(chance.choices(signs, k=chance.randint(1, 12))) for _ in range(3000)]
    names = NAMES + ["".join(chance.choices("abeonxy0123456789_-", k=chance.randint(1, 6))) for _ in range(1000)]
    points = [[chance.random() * 10 ** -chance.randint(0, 12), round(chance.random(), 3)] for _ in names]
    zones = {
        name: {"polygon": [point, [0, 1], [1, 0.25]], "labels": chance.choices(labels, k=3), "anchor": "top_left"}
        for name, point in zip(names, points, strict=True)
    }
    lines = {"gate": {"from": [1e-7, 0], "to": [1, 5e-324], "labels": labels, "anchor": "center"}}
    assert read(yaml_of(browser_page, {"zones": zones, "lines": lines})) == {"zones": zones, "lines": lines}


def polygons():
    """Yield corners of all kinds: anywhere, on a grid (they touch, and lie on lines), tiny ones, and outside."""
    chance = random.Random(9)
    for _ in range(1500):
        yield [[chance.random(), chance.random()] for _ in range(chance.randint(3, 7))]
        yield [[chance.randint(0, 4) / 4, chance.randint(0, 4) / 4] for _ in range(chance.randint(1, 6))]
        x, y = chance.random() * 0.98, chance.random() * 0.98
        yield [[x + chance.random() * 0.02, y + chance.random() * 0.02] for _ in range(chance.randint(3, 5))]
        yield [[round(chance.uniform(-0.05, 1.05), 3), round(chance.random(), 3)] for _ in range(chance.randint(2, 5))]


def why(settings, value):
    """Return what the daemon has against it: its own words, or pydantic's kind of error; None if nothing."""
    try:
        settings.model_validate(value)
    except ValidationError as error:
        detail = error.errors()[0]
        return str(detail["ctx"]["error"]) if detail["type"] == "value_error" else detail["type"]
    return None


def is_on_the_edge(polygon):
    """Whether its area is the least one but for the last digits: Pythons differ in how they add them up."""
    corners = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in corners)) / 2 - 1e-4) < 1e-12


def test_a_zone_that_the_page_takes_is_one_that_the_daemon_takes(browser_page):
    serve(browser_page)
    given = [each for each in polygons() if not is_on_the_edge(each)]
    check = "async (given) => { const {polygonMistake: f} = await import('/assets/geometry.js'); return given.map(f); }"
    said = browser_page.evaluate(check, given)
    expected = [why(ZoneSettings, {"polygon": each}) for each in given]
    words = {"too_short": "polygon needs at least 3 corners"}
    differing = [each for each in zip(given, said, expected, strict=True) if each[1] != words.get(each[2], each[2])]
    assert differing == []
    assert {expected.count(each) > 100 for each in set(expected)} == {True}, "all kinds of mistakes, and none"
    assert len(set(expected)) == 5


def test_a_line_that_the_page_takes_is_one_that_the_daemon_takes(browser_page):
    serve(browser_page)
    chance = random.Random(10)
    given = [[[chance.randint(-1, 5) / 4, chance.randint(0, 4) / 4] for _ in range(2)] for _ in range(1000)]
    check = (
        "async (all) => { const m = await import('/assets/geometry.js'); return all.map((a) => m.lineMistake(...a)); }"
    )
    said = browser_page.evaluate(check, given)
    assert said == [why(LineSettings, {"from": start, "to": end}) for start, end in given]
    assert len(set(said)) == 3
