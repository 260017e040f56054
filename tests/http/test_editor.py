"""The editor for zones, lines and ignore areas, by mouse, touch and keyboard, in a real browser, served by the test."""

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
  globalThis.editor = new Editor({svg, group, panel, showMessage: (text) => (message.textContent = text)});
  svg.setAttribute("viewBox", "0 0 400 300");
  editor.resize(400, 300);
  editor.setCamera({name: "porch", labels: null, may_edit: true, why_not: null, tracking: true, ...camera});
  editor.setAreas(areas, false);
}"""
SQUARE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
YARD = {"zones": {"yard": {"polygon": SQUARE, "labels": None, "anchor": "bottom_center"}}, "lines": {}, "ignore": {}}
NOTHING = {"zones": {}, "lines": {}, "ignore": {}}
TOUCH = {"has_touch": True, "is_mobile": True, "viewport": {"width": 420, "height": 700}}


class EditorPage:
    """The page with the editor, as a user operates it."""

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
def editor(browser_page):
    return EditorPage(browser_page)


def test_a_zone_is_drawn_by_clicks_and_named(editor):
    editor.start().page.click("#new-zone")
    editor.drag((0.09, 0.5), (0.1, 0.5))  # a hand that shakes
    editor.click((0.5, 0.2), (0.6, 0.6))
    editor.press("Backspace")
    editor.click((0.9, 0.5), (0.5, 0.99), (0.1, 0.5))
    editor.page.keyboard.type("Front yard")
    editor.page.fill("#other-label", "person")
    editor.press("Enter")
    polygon = [[0.1, 0.5], [0.5, 0.2], [0.9, 0.5], [0.5, 1]]
    assert editor.yaml == {"zones": {"front-yard": {"polygon": polygon, "labels": ["person"]}}}
    assert editor.page.locator("polygon.zone").get_attribute("data-name") == "front-yard"


def test_a_rectangle_is_drawn_by_a_drag(editor):
    editor.start().page.click("#new-zone")
    editor.drag((0.6, 0.99), (0.2, 0.3))
    assert editor.polygon("zone-1") == [[0.2, 0.3], [0.6, 0.3], [0.6, 1], [0.2, 1]]
    editor.press("Escape", "Control+z")
    assert editor.yaml == {}


def test_an_ignore_area_is_drawn_edited_and_deleted_like_a_zone(editor):
    page = editor.start(YARD).page
    page.click("#new-ignore")
    assert "corners of the ignore area" in editor.text("#editor-hint")
    editor.drag((0.3, 0.3), (0.6, 0.6))
    page.keyboard.type("Flag")
    page.fill("#other-label", "person")
    editor.press("Enter")
    page.select_option("#area-anchor", "center")
    square = [[0.3, 0.3], [0.6, 0.3], [0.6, 0.6], [0.3, 0.6]]
    area = {"polygon": square, "labels": ["person"], "anchor": "center"}
    assert editor.yaml == {"zones": {"yard": {"polygon": SQUARE}}, "ignore": {"flag": area}}
    assert "ignore area, 4 corners, person" in editor.text("#editor li[data-name=flag]")
    editor.drag((0.6, 0.45), (0.7, 0.45))
    assert editor.yaml["ignore"]["flag"]["polygon"] == [*square[:2], [0.7, 0.45], *square[2:]]
    page.click("#done")
    editor.click((0.45, 0.45))
    assert page.locator("#editor li.selected").get_attribute("data-name") == "flag", "it lies on the zone"
    page.focus("polygon.ignore")
    editor.press("ArrowLeft", "Tab", "+", "Delete", "Delete")
    assert len(editor.yaml["ignore"]["flag"]["polygon"]) == 4
    page.fill("#area-name", "yard")
    assert editor.text("#area-mistake") == "", "a zone may have this name, too"
    editor.press("Escape")
    page.click("#editor li[data-name=yard]:has-text('ignore area') .delete")
    assert editor.yaml == {"zones": {"yard": {"polygon": SQUARE}}}
    editor.press("Control+z")
    assert list(editor.yaml["ignore"]) == ["yard"]


def test_no_area_covers_the_name_of_another_one(editor):
    around = {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}
    page = editor.start(
        {**NOTHING, "zones": {"yard": {"polygon": SQUARE}, "all": around}, "ignore": {"it": around}}
    ).page
    topmost = """all => all.map((text) => {
      text.style.pointerEvents = "all";
      const {x, y, width, height} = text.getBoundingClientRect();
      return document.elementFromPoint(x + width / 2, y + height / 2) === text;
    })"""
    assert page.locator("#areas text.name", has_text="yard").evaluate_all(topmost) == [True]


def test_an_ignore_area_does_not_look_like_a_zone(editor):
    page = editor.start({**YARD, "ignore": YARD["zones"]}).page
    look = "element => ['stroke', 'strokeDasharray', 'fill'].map((key) => getComputedStyle(element)[key])"
    zone, ignored = (page.locator(f"polygon.{kind}").evaluate(look) for kind in ("zone", "ignore"))
    assert all(one != other for one, other in zip(zone, ignored, strict=True))
    assert page.locator("#hatching rect").count() == 2, "the pattern of its inside"


def test_the_loitering_of_a_zone_is_set_and_survives_other_changes(editor):
    zones = {"yard": {"polygon": SQUARE, "loitering_s": 30}}
    page = editor.start({**NOTHING, "zones": zones}).page
    assert editor.yaml["zones"]["yard"]["loitering_s"] == 30
    page.click("#editor li[data-name=yard] button")
    page.select_option("#area-anchor", "center")
    assert editor.yaml["zones"]["yard"]["loitering_s"] == 30
    page.fill("#area-loitering", "12.5")
    page.press("#area-loitering", "Enter")
    assert editor.yaml["zones"]["yard"]["loitering_s"] == 12.5
    page.fill("#area-loitering", "-1")
    page.press("#area-loitering", "Enter")
    assert "loitering_s" not in editor.yaml["zones"]["yard"]


def test_a_line_has_a_direction_that_can_be_reversed(editor):
    editor.start().page.click("#new-line")
    editor.click((0.5, 0.1), (0.5, 0.9))
    assert editor.yaml == {"lines": {"line-1": {"from": [0.5, 0.1], "to": [0.5, 0.9]}}}
    left, right = (editor.page.locator(".direction", has_text=side).get_attribute("x") for side in ("left", "right"))
    assert float(left) > 200 > float(right), "looking down the picture, right is at the left"
    editor.page.click("#reverse-line")
    assert editor.yaml == {"lines": {"line-1": {"from": [0.5, 0.9], "to": [0.5, 0.1]}}}


def test_corners_are_dragged_added_and_deleted_and_each_is_undone_as_a_whole(editor):
    editor.start(YARD).click((0.5, 0.5))
    editor.drag((0.25, 0.25), (0.1, 0.01))
    moved = [[0.1, 0], *SQUARE[1:]]
    assert editor.polygon() == moved
    editor.drag((0.75, 0.5), (0.9, 0.5))
    assert editor.polygon() == [*moved[:2], [0.9, 0.5], *moved[2:]]
    editor.page.mouse.dblclick(*editor.place(0.9, 0.5))
    assert editor.polygon() == moved
    editor.drag((0.5, 0.5), (0.5, 0.9))
    assert editor.polygon() == [[0.1, 0.25], [0.75, 0.5], [0.75, 1], [0.25, 1]], "not out of the frame"
    for expected in (moved, [*moved[:2], [0.9, 0.5], *moved[2:]], moved, SQUARE):
        editor.press("Control+z")
        assert editor.polygon() == expected


def test_everything_works_by_keyboard_alone(editor):
    editor.start().page.focus("#new-zone")
    editor.press(
        "Enter", "Space", *["ArrowRight"] * 20, "Space", *["ArrowDown"] * 20, "Shift+ArrowDown", "Space", "Enter"
    )
    editor.page.keyboard.type("yard")
    assert editor.polygon() == [[0.5, 0.5], [0.7, 0.5], [0.7, 0.701]]
    editor.page.focus("polygon.zone")
    editor.press("ArrowLeft", "Tab", "ArrowUp", "+", "Tab", "Delete")
    assert editor.polygon() == [[0.49, 0.49], [0.59, 0.495], [0.69, 0.701]]
    editor.page.focus("polygon.zone")
    editor.press("Delete")
    assert editor.yaml == {}
    editor.press("Control+z")
    assert list(editor.yaml["zones"]) == ["yard"]


@pytest.mark.parametrize("browser_page", [TOUCH], indirect=True)
def test_touch_draws_and_drags(editor):
    from playwright.sync_api import expect

    page = editor.start().page
    page.tap("#new-zone")
    page.wait_for_selector("#finish-draft:visible")  # a tap is a click a moment later
    for point in [*SQUARE, SQUARE[0]]:
        page.touchscreen.tap(*editor.place(*point))
    assert editor.polygon("zone-1") == SQUARE
    fingers = page.context.new_cdp_session(page)
    for kind, *at in (("touchStart", 0.27, 0.27), ("touchMove", 0.2, 0.2), ("touchMove", 0.15, 0.1), ("touchEnd",)):
        points = [dict(zip("xy", editor.place(*at), strict=True))] if at else []
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert editor.polygon("zone-1") == [[0.15, 0.1], *SQUARE[1:]]
    expect(page.locator("#overlay")).to_have_css("touch-action", "none")
    page.click("#done")  # no tap: Chromium makes no click of many that come 50 ms after a drag
    expect(page.locator("#overlay")).to_have_css("touch-action", "auto")  # touch scrolls the page again


def test_mistakes_are_shown_at_the_zone_and_cannot_be_saved(editor):
    editor.start(YARD).click((0.5, 0.5))
    editor.drag((0.25, 0.25), (0.9, 0.6))
    assert "crosses itself" in editor.text("#area-mistake")
    assert editor.is_off("#save")
    assert editor.is_off("#copy")
    editor.press("Control+z")
    assert editor.text("#area-mistake") == ""
    editor.page.fill("#area-name", "höf")
    assert "the name must have" in editor.text("#area-mistake")
    editor.page.fill("#area-name", "hof")
    assert not editor.is_off("#save")


def test_saving_sends_what_was_drawn_and_shows_the_servers_mistakes(editor, complaints):
    page = editor.start(YARD).page
    saved = []

    def answer(route):
        saved.append(json.loads(route.request.post_data or "null"))
        if len(saved) == 1:
            why = {"mistakes": [{"place": ["zones", "hof", "polygon"], "why": "not so"}]}
            route.fulfill(status=422, json=why)
        else:
            route.fulfill(json={**(saved[-1] or YARD), "saved": saved[-1] is not None})

    page.route(f"{ORIGIN}/cameras/porch/areas", answer)
    editor.click((0.5, 0.5))
    page.fill("#area-name", "hof")
    page.click("#save")
    page.wait_for_selector("#area-mistake:text-is('not so')")
    assert editor.is_off("#save"), "it would be refused again"
    page.select_option("#area-anchor", "center")
    page.click("#save")
    page.wait_for_selector("#revert:visible")
    hof = {"polygon": SQUARE, "labels": None, "anchor": "center"}
    assert saved[-1] == {"zones": {"hof": hof}, "lines": {}, "ignore": {}}
    page.click("#revert")
    page.wait_for_selector("#revert", state="hidden")
    assert page.evaluate("editor.areas") == YARD
    assert complaints.pop().startswith("Failed to load resource"), "the 422"


def test_a_mistake_in_an_ignore_area_that_the_server_finds_is_shown_there(editor, complaints):
    page = editor.start({**YARD, "ignore": YARD["zones"]}).page
    why = {"mistakes": [{"place": ["ignore", "yard", "labels"], "why": "not so"}]}
    page.route(f"{ORIGIN}/cameras/porch/areas", lambda route: route.fulfill(status=422, json=why))
    page.click("#editor li:has-text('ignore area') .item-button")
    page.select_option("#area-anchor", "center")
    page.click("#save")
    page.wait_for_selector("#area-mistake:text-is('not so')")
    assert page.locator("#editor li.invalid").count() == 1, "not the zone of the same name"
    assert complaints.pop().startswith("Failed to load resource"), "the 422"


def test_unsaved_changes_are_not_overwritten_and_leaving_asks_first(editor):
    page = editor.start(YARD).page
    editor.click((0.5, 0.5))
    page.fill("#area-name", "hof")
    page.evaluate("editor.setAreas({zones: {}, lines: {}, ignore: {}}, true)")
    assert list(editor.yaml["zones"]) == ["hof"]
    assert "Changed elsewhere" in editor.text("#editor-note")
    with page.expect_event("dialog") as dialog:
        page.evaluate("setTimeout(() => location.reload())")
    assert dialog.value.type == "beforeunload"
    dialog.value.dismiss()
    page.click("#discard")
    assert editor.yaml == {}


def test_discard_shows_the_newest_of_the_changes_made_elsewhere(editor):
    page = editor.start(YARD).page
    editor.click((0.5, 0.5))
    page.fill("#area-name", "hof")
    for name in ("first", "second"):
        areas = {**YARD, "zones": {name: YARD["zones"]["yard"]}}
        page.evaluate("(areas) => editor.setAreas(areas, true)", areas)
    page.click("#discard")
    assert list(editor.yaml["zones"]) == ["second"]


def test_changes_during_a_save_are_no_conflict(editor):
    page = editor.start(YARD).page
    under_way = []

    def hold(route):
        under_way.append(route)

    page.route(f"{ORIGIN}/cameras/porch/areas", hold)
    editor.click((0.5, 0.5))
    page.fill("#area-name", "hof")
    with page.expect_request("**/areas"):
        page.click("#save")
    page.fill("#area-name", "hof-2")
    for route in under_way:
        route.fulfill(json={**json.loads(route.request.post_data), "saved": True})
    page.wait_for_selector("#revert:visible")
    assert "elsewhere" not in editor.text("#editor-note")
    assert list(editor.yaml["zones"]) == ["hof-2"]
    assert not editor.is_off("#save")


def test_without_allow_edit_the_yaml_is_copied_and_leaving_asks_nothing_more(editor):
    page = editor.start(YARD, may_edit=False, why_not="set http.allow_edit", labels=["person"], tracking=False).page
    assert editor.text("#why-not") == "set http.allow_edit"
    assert not page.locator("#save").is_visible()
    assert editor.is_off("#new-line"), "lines need tracking"
    editor.click((0.5, 0.5))
    assert not page.locator("#other-label").is_visible(), "the camera has only those"
    page.get_by_label("person").check()
    assert editor.yaml["zones"]["yard"]["labels"] == ["person"]
    with page.expect_event("dialog") as dialog:
        page.evaluate("setTimeout(() => location.reload())")
    dialog.value.dismiss()
    page.click("#copy")
    page.wait_for_selector("#message:has-text('Copied')")
    page.reload()


def test_the_yaml_is_copied_without_the_clipboard_api_too(editor):
    page = editor.start(YARD).page
    assert page.evaluate("navigator.clipboard === undefined"), "the page came by plain HTTP"
    page.click("#copy")
    page.wait_for_selector("#message:text('Copied')")
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'pasted'}))")
    page.focus("#pasted")
    editor.press("Control+v")
    assert page.input_value("#pasted") == editor.text("#yaml")


def test_names_and_labels_are_text_and_never_markup(editor):
    label = "<img src=x onerror=alert(1)>"
    zone = {**YARD["zones"]["yard"], "labels": [label]}
    page = editor.start({"zones": {"__proto__": zone, "12": zone}, "lines": {}, "ignore": {}}).page
    editor.click((0.5, 0.5))
    assert page.locator("img").count() == 0
    assert page.get_by_label(label).is_checked()
