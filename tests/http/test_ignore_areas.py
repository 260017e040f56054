"""An ignore area drawn over a false object: with the real daemon, a real browser and a real broker."""

import json

import pytest
import yaml

from tests.support.demo_page import TIMEOUT_MS, draw
from tests.support.waiting import free_port

pytestmark = [pytest.mark.browser, pytest.mark.mosquitto]
TOKEN = "0123456789abcdef0123456789abcdef"
POSTER = {"bbox": [8, 16, 24, 48], "label": "person", "score": 0.9}
"""Its anchor is at (0.25, 0.75) of the frame."""
PERSON = {"bbox": [40, 16, 56, 48], "label": "person", "score": 0.8}
AROUND_THE_FEET = (0.2, 0.7), (0.3, 0.7), (0.3, 0.8), (0.2, 0.8)
COUNT = "edgepub/test/cam/objects/person"


@pytest.fixture
def page(mosquitto, run_daemon, studio, browser_page, complaints, tmp_path):
    """The page of a camera that sees a person, and takes a poster for another one."""
    port = free_port()
    (tmp_path / "token").write_text(TOKEN)
    source = studio.video([[POSTER, PERSON]] * 50, size=(640, 480))
    settings = studio.settings(mosquitto.url, source, loop=True, realtime=True, tracking=True)
    settings["http"] = {"listen": port, "token_file": str(tmp_path / "token"), "allow_edit": True}
    daemon = run_daemon(settings)
    daemon.wait_for_log("online")
    browser_page.goto(f"http://127.0.0.1:{port}/cameras/cam#token={TOKEN}")
    wait_for_boxes(browser_page, 2)
    complaints[:] = [text for text in complaints if "401 (Unauthorized)" not in text]  # before the token was given
    return browser_page


def wait_for_boxes(page, number):
    count = "() => document.querySelectorAll('#boxes rect.box').length"
    page.wait_for_function(f"{count} === {number}", timeout=TIMEOUT_MS)


def test_a_false_object_vanishes_from_the_page_and_from_the_counts(page, mosquitto, subscribe):
    reader = subscribe(mosquitto.port)
    reader.wait_for(lambda r: r.last(COUNT) == b"2", "both")
    draw(page, "poster", *AROUND_THE_FEET, button="#new-ignore")
    drawn = yaml.safe_load(page.locator("#yaml").inner_text())["ignore"]["poster"]
    for corner, wanted in zip(drawn["polygon"], AROUND_THE_FEET, strict=True):
        assert corner == pytest.approx(wanted, abs=0.004)
    assert drawn.keys() == {"polygon"}
    page.click("#save")
    wait_for_boxes(page, 1)
    assert page.locator("#detections tr").count() == 1
    reader.wait_for(lambda r: r.last(COUNT) == b"1", "the count of the person alone")
    assert [one["score"] for one in reader.detections()[-1]["detections"]] == [0.8]
    reader.wait_for(lambda r: b'"left"' in (r.last("edgepub/test/cam/events") or b""), "the event of the poster")
    assert json.loads(reader.last("edgepub/test/cam/events"))["score"] == 0.9

    page.reload()
    page.wait_for_selector("polygon.ignore[data-name=poster]", state="attached", timeout=TIMEOUT_MS)
    page.click("#revert")
    wait_for_boxes(page, 2)
    page.wait_for_selector("polygon.ignore", state="detached", timeout=TIMEOUT_MS)
    reader.wait_for(lambda r: r.last(COUNT) == b"2", "both again")


def test_it_may_be_for_other_labels_only(page, mosquitto, subscribe):
    """Nothing vanishes, until the label is the object's."""
    reader = subscribe(mosquitto.port)
    draw(page, "poster", *AROUND_THE_FEET, button="#new-ignore")
    page.fill("#other-label", "flag")
    page.keyboard.press("Enter")
    page.click("#save")
    page.wait_for_selector("#revert", state="visible", timeout=TIMEOUT_MS)
    number = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > number + 5, "more detections")
    assert len(reader.detections()[-1]["detections"]) == 2
    page.locator("#editor .labels").get_by_label("person").check()
    page.click("#save")
    wait_for_boxes(page, 1)
