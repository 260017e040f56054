"""Zones and lines are drawn by hand and by keyboard, in a real browser; the server is the test."""

import json

import pytest
import yaml

from tests.support.browser import ORIGIN, serve

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>test</title><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="/assets/editor.css">
<svg id="overlay" width="400" height="300"><g id="areas"></g></svg><section id="editor"></section>
<p id="message"></p>"""
START = """async ({camera, areas}) => {
  const {Editor} = await import("/assets/editor.js");
  const ids = ["overlay", "areas", "editor", "message"];
  const [svg, group, panel, message] = ids.map((id) => document.getElementById(id));
  globalThis.editor = new Editor({svg, group, panel, say: (text) => (message.textContent = text)});
  svg.setAttribute("viewBox", "0 0 400 300");
  editor.resize(400, 300);
  editor.setCamera({name: "porch", labels: null, may_edit: true, why_not: null, tracking: true, ...camera});
  editor.setAreas(areas, false);
}"""
SQUARE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
YARD = {"zones": {"yard": {"polygon": SQUARE, "labels": None, "anchor": "bottom_center"}}, "lines": {}}
NOTHING = {"zones": {}, "lines": {}}
TOUCH = {"has_touch": True, "is_mobile": True, "viewport": {"width": 420, "height": 700}}


class Table:
    """The page with the editor, as the one who sits before it has it."""

    def __init__(self, page):
        self.page = page

    def start(self, areas=NOTHING, **camera):
        serve(self.page, PAGE)
        self.page.evaluate(START, {"camera": camera, "areas": areas})
        return self

    def place(self, x, y):
        box = self.page.locator("#overlay").bounding_box()
        return box["x"] + x * 400, box["y"] + y * 300

    def click(self, *points):
        for point in points:
            self.page.mouse.click(*self.place(*point))

    def drag(self, start, end):
        self.page.mouse.move(*self.place(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.place(*end), steps=3)
        self.page.mouse.up()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, place):
        return self.page.locator(place).text_content()

    @property
    def yaml(self):
        return yaml.safe_load(self.text("#yaml")) or {}

    def polygon(self, name="yard"):
        return self.yaml["zones"][name]["polygon"]

    def is_off(self, button):
        return self.page.locator(button).is_disabled()


@pytest.fixture
def table(browser_page):
    return Table(browser_page)


def test_a_zone_is_drawn_by_clicks_and_named(table):
    table.start().page.click("#new-zone")
    table.drag((0.09, 0.5), (0.1, 0.5))  # a hand that shakes
    table.click((0.5, 0.2), (0.6, 0.6))
    table.press("Backspace")
    table.click((0.9, 0.5), (0.5, 0.99), (0.1, 0.5))
    table.page.keyboard.type("Front yard")
    table.page.fill("#other-label", "person")
    table.press("Enter")
    polygon = [[0.1, 0.5], [0.5, 0.2], [0.9, 0.5], [0.5, 1]]
    assert table.yaml == {"zones": {"front-yard": {"polygon": polygon, "labels": ["person"]}}}
    assert table.page.locator("polygon.zone").get_attribute("data-name") == "front-yard"


def test_a_rectangle_is_drawn_by_a_drag(table):
    table.start().page.click("#new-zone")
    table.drag((0.6, 0.99), (0.2, 0.3))
    assert table.polygon("zone-1") == [[0.2, 0.3], [0.6, 0.3], [0.6, 1], [0.2, 1]]
    table.press("Escape", "Control+z")
    assert table.yaml == {}


def test_a_line_has_a_direction_which_can_be_turned(table):
    table.start().page.click("#new-line")
    table.click((0.5, 0.1), (0.5, 0.9))
    assert table.yaml == {"lines": {"line-1": {"from": [0.5, 0.1], "to": [0.5, 0.9]}}}
    left, right = (table.page.locator(".way", has_text=side).get_attribute("x") for side in ("left", "right"))
    assert float(left) > 200 > float(right), "who looks down the picture has its right side at the left"
    table.page.click("#turn-line")
    assert table.yaml == {"lines": {"line-1": {"from": [0.5, 0.9], "to": [0.5, 0.1]}}}


def test_corners_are_dragged_added_and_deleted_and_each_is_undone_as_a_whole(table):
    table.start(YARD).click((0.5, 0.5))
    table.drag((0.25, 0.25), (0.1, 0.01))
    moved = [[0.1, 0], *SQUARE[1:]]
    assert table.polygon() == moved
    table.drag((0.75, 0.5), (0.9, 0.5))
    assert table.polygon() == [*moved[:2], [0.9, 0.5], *moved[2:]]
    table.page.mouse.dblclick(*table.place(0.9, 0.5))
    assert table.polygon() == moved
    table.drag((0.5, 0.5), (0.5, 0.9))
    assert table.polygon() == [[0.1, 0.25], [0.75, 0.5], [0.75, 1], [0.25, 1]], "not out of the frame"
    for expected in (moved, [*moved[:2], [0.9, 0.5], *moved[2:]], moved, SQUARE):
        table.press("Control+z")
        assert table.polygon() == expected


def test_all_of_it_goes_by_keyboard_alone(table):
    table.start().page.focus("#new-zone")
    table.press(
        "Enter", "Space", *["ArrowRight"] * 20, "Space", *["ArrowDown"] * 20, "Shift+ArrowDown", "Space", "Enter"
    )
    table.page.keyboard.type("yard")
    assert table.polygon() == [[0.5, 0.5], [0.7, 0.5], [0.7, 0.701]]
    table.page.focus("polygon.zone")
    table.press("ArrowLeft", "Tab", "ArrowUp", "+", "Tab", "Delete")
    assert table.polygon() == [[0.49, 0.49], [0.59, 0.495], [0.69, 0.701]]
    table.page.focus("polygon.zone")
    table.press("Delete")
    assert table.yaml == {}
    table.press("Control+z")
    assert list(table.yaml["zones"]) == ["yard"]


@pytest.mark.parametrize("browser_page", [TOUCH], indirect=True)
def test_fingers_draw_and_drag(table):
    from playwright.sync_api import expect

    page = table.start().page
    page.tap("#new-zone")
    page.wait_for_selector("#close-draft:visible")  # a tap is a click a moment later
    for point in [*SQUARE, SQUARE[0]]:
        page.touchscreen.tap(*table.place(*point))
    assert table.polygon("zone-1") == SQUARE
    fingers = page.context.new_cdp_session(page)
    for kind, *at in (("touchStart", 0.27, 0.27), ("touchMove", 0.2, 0.2), ("touchMove", 0.15, 0.1), ("touchEnd",)):
        points = [dict(zip("xy", table.place(*at), strict=True))] if at else []
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert table.polygon("zone-1") == [[0.15, 0.1], *SQUARE[1:]]
    expect(page.locator("#overlay")).to_have_css("touch-action", "none")
    page.click("#done")  # no tap: Chromium makes no click of many that come 50 ms after a drag
    expect(page.locator("#overlay")).to_have_css("touch-action", "auto")  # a finger scrolls the page again


def test_what_is_wrong_stands_at_the_zone_and_is_not_saved(table):
    table.start(YARD).click((0.5, 0.5))
    table.drag((0.25, 0.25), (0.9, 0.6))
    assert "crosses itself" in table.text("#area-mistake")
    assert table.is_off("#save")
    assert table.is_off("#copy")
    table.press("Control+z")
    assert table.text("#area-mistake") == ""
    table.page.fill("#area-name", "höf")
    assert "a name has" in table.text("#area-mistake")
    table.page.fill("#area-name", "hof")
    assert not table.is_off("#save")


def test_saved_is_what_was_drawn_and_what_the_server_refuses_is_said(table, complaints):
    page = table.start(YARD).page
    asked = []

    def answer(route):
        asked.append(json.loads(route.request.post_data or "null"))
        if len(asked) == 1:
            why = {"mistakes": [{"place": ["zones", "hof", "polygon"], "why": "not so"}]}
            route.fulfill(status=422, json=why)
        else:
            route.fulfill(json={**(asked[-1] or YARD), "saved": asked[-1] is not None})

    page.route(f"{ORIGIN}/cameras/porch/areas", answer)
    table.click((0.5, 0.5))
    page.fill("#area-name", "hof")
    page.click("#save")
    page.wait_for_selector("#area-mistake:text-is('not so')")
    assert table.is_off("#save"), "it would be refused again"
    page.select_option("#area-anchor", "center")
    page.click("#save")
    page.wait_for_selector("#revert:visible")
    assert asked[-1] == {"zones": {"hof": {"polygon": SQUARE, "labels": None, "anchor": "center"}}, "lines": {}}
    page.click("#revert")
    page.wait_for_selector("#revert", state="hidden")
    assert page.evaluate("editor.areas") == YARD
    assert complaints.pop().startswith("Failed to load resource"), "the 422"


def test_what_is_not_saved_is_neither_overwritten_nor_left_unasked(table):
    page = table.start(YARD).page
    table.click((0.5, 0.5))
    page.fill("#area-name", "hof")
    page.evaluate("editor.setAreas({zones: {}, lines: {}}, true)")
    assert list(table.yaml["zones"]) == ["hof"]
    assert "changed elsewhere" in table.text("#editor-note")
    with page.expect_event("dialog") as dialog:
        page.evaluate("setTimeout(() => location.reload())")
    assert dialog.value.type == "beforeunload"
    dialog.value.dismiss()
    page.click("#discard")
    assert table.yaml == {}


def test_the_newest_of_what_others_save_is_what_discard_shows(table):
    page = table.start(YARD).page
    table.click((0.5, 0.5))
    page.fill("#area-name", "hof")
    for name in ("first", "second"):
        areas = {**YARD, "zones": {name: YARD["zones"]["yard"]}}
        page.evaluate("(areas) => editor.setAreas(areas, true)", areas)
    page.click("#discard")
    assert list(table.yaml["zones"]) == ["second"]


def test_who_goes_on_while_it_is_saved_has_nobody_elsewhere_to_reckon_with(table):
    page = table.start(YARD).page
    under_way = []

    def hold(route):
        under_way.append(route)

    page.route(f"{ORIGIN}/cameras/porch/areas", hold)
    table.click((0.5, 0.5))
    page.fill("#area-name", "hof")
    with page.expect_request("**/areas"):
        page.click("#save")
    page.fill("#area-name", "hof-2")
    for route in under_way:
        route.fulfill(json={**json.loads(route.request.post_data), "saved": True})
    page.wait_for_selector("#revert:visible")
    assert "elsewhere" not in table.text("#editor-note")
    assert list(table.yaml["zones"]) == ["hof-2"]
    assert not table.is_off("#save")


def test_who_may_not_save_is_told_how_and_asked_nothing_on_leaving(table):
    page = table.start(YARD, may_edit=False, why_not="set http.allow_edit", labels=["person"], tracking=False).page
    assert table.text("#why-not") == "set http.allow_edit"
    assert not page.locator("#save").is_visible()
    assert table.is_off("#new-line"), "which needs tracking"
    table.click((0.5, 0.5))
    assert not page.locator("#other-label").is_visible(), "the camera has only those"
    page.get_by_label("person").check()
    assert table.yaml["zones"]["yard"]["labels"] == ["person"]
    with page.expect_event("dialog") as dialog:
        page.evaluate("setTimeout(() => location.reload())")
    dialog.value.dismiss()
    page.click("#copy")
    page.wait_for_selector("#message:has-text('Copied')")
    page.reload()


def test_the_yaml_is_copied_where_there_is_no_clipboard_api_too(table):
    page = table.start(YARD).page
    assert page.evaluate("navigator.clipboard === undefined"), "the page came by plain HTTP"
    page.click("#copy")
    page.wait_for_selector("#message:text('Copied')")
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'pasted'}))")
    page.focus("#pasted")
    table.press("Control+v")
    assert page.input_value("#pasted") == table.text("#yaml")


def test_names_and_labels_are_text_and_never_markup(table):
    label = "<img src=x onerror=alert(1)>"
    zone = {**YARD["zones"]["yard"], "labels": [label]}
    page = table.start({"zones": {"__proto__": zone, "12": zone}, "lines": {}}).page
    table.click((0.5, 0.5))
    assert page.locator("img").count() == 0
    assert page.get_by_label(label).is_checked()
