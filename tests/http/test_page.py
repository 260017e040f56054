"""The web page as a user sees it: the demo's page in a real browser, with a real broker."""

import json
import re

import pytest
import yaml

from tests.support.demo_page import PREFIX, TIMEOUT_MS, Demo, draw
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.mosquitto]


@pytest.fixture
def demo(request, mosquitto, tmp_path, monkeypatch):
    request.getfixturevalue("demo_assets")
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    demo = Demo(mosquitto.url, tmp_path)
    yield demo
    demo.close()


@pytest.fixture
def page(demo, browser_page, complaints):
    """The demo's page in the browser, as soon as it shows a face."""
    requested = []
    browser_page.on("request", lambda request: requested.append(request.url))
    browser_page.goto(demo.link)
    browser_page.wait_for_selector("#boxes rect.box", state="attached", timeout=TIMEOUT_MS)
    complaints[:] = [text for text in complaints if "401 (Unauthorized)" not in text]  # before the token was given
    yield browser_page
    own = (demo.root, demo.root.replace("http://", "ws://"), "blob:", "data:")
    assert [url for url in requested if not url.startswith(own)] == [], "no requests to other servers"


def pixels(page):
    """Return the pixels of the picture as text."""
    return page.evaluate("() => document.querySelector('#picture').toDataURL()")


def box(page):
    """Return the first box in fractions of the frame: as in the payload, and as drawn on the screen."""
    return page.evaluate("""() => {
        const box = document.querySelector("#boxes rect.box");
        if (!box) return null;
        const drawn = box.getBoundingClientRect();
        const frame = document.querySelector("#overlay").getBoundingClientRect();
        return {
            payload: [box.dataset.x1, box.dataset.y1, box.dataset.x2, box.dataset.y2].map(Number),
            drawn: [
                (drawn.left - frame.left) / frame.width, (drawn.top - frame.top) / frame.height,
                (drawn.right - frame.left) / frame.width, (drawn.bottom - frame.top) / frame.height,
            ],
            label: box.dataset.label, track: box.dataset.track,
        };
    }""")


def test_the_page_shows_a_moving_face_with_the_box_of_the_payload(page, demo, mosquitto, subscribe):
    reader = subscribe(mosquitto.port)
    first = pixels(page)
    wait_until(lambda: pixels(page) != first, "another picture")
    shown = []
    while len(shown) < 10:
        face = box(page)
        if face and face["payload"] not in shown:
            shown.append(face["payload"])
            assert face["label"] == "face"
            assert face["drawn"] == pytest.approx(face["payload"], abs=0.02), "drawn where the payload says"
        page.wait_for_timeout(100)
    topic = f"{PREFIX}/detections"

    def published(reader):
        boxes = [d["bbox_norm"] for p in reader.payloads(topic) for d in json.loads(p)["detections"]]
        return all(bbox in boxes for bbox in shown[5:])  # the first ones may be of before it subscribed

    reader.wait_for(published, f"payloads with the boxes {shown}")
    assert page.locator("#status").inner_text() == "online"
    assert float(page.locator("#fps-in").inner_text()) > 1
    assert page.locator("#detections").get_by_text("face").count() >= 1
    page.wait_for_selector("#events :text('face')", timeout=TIMEOUT_MS)
    page.wait_for_function("() => document.querySelector('#plot path, #plot polyline')", timeout=TIMEOUT_MS)
    text = page.content()
    assert ".mp4" not in text, "the page does not reveal the source"
    assert demo.token not in text
    assert demo.token not in page.url


def test_a_zone_that_is_drawn_is_saved_and_published(page, mosquitto, subscribe):
    reader = subscribe(mosquitto.port)
    draw(page, "driveway", (0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
    text = page.locator("#yaml").inner_text()
    shown = yaml.safe_load(text)
    drawn = shown["zones"]["driveway"]["polygon"]
    for corner, wanted in zip(drawn, [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)], strict=True):
        assert corner == pytest.approx(wanted, abs=0.004)
    configured = {"polygon": [[0, 0], [0.43, 0], [0.43, 1], [0, 1]]}
    assert shown == {
        "zones": {"window": configured, "driveway": {"polygon": drawn}},
        "lines": {"middle": {"from": [0.43, 1], "to": [0.43, 0]}},
    }
    assert text.startswith("    zones:\n      window:\n        polygon: [[0, 0], [0.43, 0], [0.43, 1], [0, 1]]\n")
    page.click("#save")
    topic = f"{PREFIX}/zones/driveway/objects/face"
    reader.wait_for(lambda r: r.last(topic) == b"1", "the zone's count")
    reader.wait_for(lambda r: r.last(f"{topic}/occupancy") == b"ON", "its occupancy")

    def is_in_zone(reader):
        last = reader.last(f"{PREFIX}/detections")
        return last and any("driveway" in d["zones"] for d in json.loads(last)["detections"])

    reader.wait_for(is_in_zone, "a payload with the zone")
    page.wait_for_selector("#revert", state="visible", timeout=TIMEOUT_MS)
    page.reload()
    page.wait_for_selector("polygon.zone[data-name=driveway]", state="attached", timeout=TIMEOUT_MS)
    assert yaml.safe_load(page.locator("#yaml").inner_text()) == shown
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#revert")
    page.wait_for_selector("polygon.zone[data-name=driveway]", state="detached", timeout=TIMEOUT_MS)
    wait_until(lambda: topic not in subscribe(mosquitto.port).retained(), "the end of the zone's topics")


def test_a_zone_that_crosses_itself_cannot_be_saved(page):
    draw(page, "bow-tie", (0.2, 0.2), (0.8, 0.8), (0.8, 0.2), (0.2, 0.8))
    page.wait_for_selector("#editor :text('crosses itself')", timeout=TIMEOUT_MS)
    assert page.locator("#save").is_disabled()


def test_the_sliders_work_like_the_commands(page, mosquitto, subscribe):
    reader = subscribe(mosquitto.port)
    page.locator("#min-score").fill("1")
    reader.wait_for(lambda r: r.last(f"{PREFIX}/min_score") == b"1", "the state on the broker")
    page.wait_for_selector("#boxes rect.box", state="detached", timeout=TIMEOUT_MS)
    reader.publish(f"{PREFIX}/min_score/set", "0.25")
    page.wait_for_function("() => document.querySelector('#min-score').value === '0.25'", timeout=TIMEOUT_MS)
    page.wait_for_selector("#boxes rect.box", state="attached", timeout=TIMEOUT_MS)
    page.locator("#max-fps").fill("3")
    reader.wait_for(lambda r: r.last(f"{PREFIX}/max_fps") == b"3", "the state on the broker")
    rate = "() => parseFloat(document.querySelector('#fps-inferred').innerText)"
    page.wait_for_function(f"{rate} < 4", timeout=TIMEOUT_MS)


def test_the_token_is_asked_for_refused_and_accepted(demo, browser_page, complaints):
    browser_page.goto(demo.address)
    field = browser_page.locator("input[type=password]")
    field.fill("0" * 32)
    field.press("Enter")
    browser_page.wait_for_selector("#message:text('wrong token')", timeout=TIMEOUT_MS)
    assert browser_page.locator("#picture").count() == 0
    field.fill(demo.token)
    field.press("Enter")
    browser_page.wait_for_selector("#boxes rect.box", state="attached", timeout=TIMEOUT_MS)
    complaints[:] = [text for text in complaints if not re.search(r"40[13] \(", text)]


@pytest.mark.parametrize(
    "browser_page",
    [
        {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"},
        {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    ],
    ids=["phone, dark", "desktop, light"],
    indirect=True,
)
def test_it_fits_and_can_be_read(page, demo, tmp_path):
    wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1], "no scrolling sideways"
    assert page.locator("#overlay").bounding_box()["width"] > 0.5 * min(wide[1], 700)
    weak = page.evaluate(CONTRAST)
    assert weak == [], "text that is hard to read"
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.goto(demo.root + "/")
    page.wait_for_function("() => document.querySelector('img')?.naturalWidth > 0", timeout=TIMEOUT_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(CONTRAST) == []
    assert re.search(r" · \d+ entities in Home Assistant, \d+ of them enabled$", page.locator("footer").inner_text())
    page.get_by_role("link", name=re.compile("face")).first.click()
    page.wait_for_selector("#boxes rect.box", state="attached", timeout=TIMEOUT_MS)


# The contrast of each text outside the picture with the nearest coloured background: WCAG 2.2, 1.4.3.
CONTRAST = """() => {
    const parse = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
    const light = (colour) => parse(colour).slice(0, 3)
        .map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
        for (let parent = element; parent; parent = parent.parentElement) {
            const colour = parse(getComputedStyle(parent).backgroundColor);
            if (colour.length === 3 || colour[3] > 0.95) return getComputedStyle(parent).backgroundColor;
        }
        return "rgb(255, 255, 255)";
    };
    const weak = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || element.closest("svg, :disabled, [aria-disabled=true]") || !element.checkVisibility()) continue;
        const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) weak.push(`${element.tagName} ${element.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
    }
    return weak;
}"""


def test_the_page_shows_that_the_daemon_is_gone(page, demo, complaints):
    demo.close()
    page.wait_for_selector("#status:text('not connected')", timeout=TIMEOUT_MS)
    complaints.clear()  # about the missing server
