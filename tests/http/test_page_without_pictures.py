"""A camera's page while its pictures are switched off: with the real daemon and a real browser."""

import pytest

from tests.support.demo_page import TIMEOUT_MS
from tests.support.studio import BOX
from tests.support.waiting import free_port

pytestmark = [pytest.mark.browser, pytest.mark.mosquitto]
TOKEN = "0123456789abcdef0123456789abcdef"
IS_BLACK = """() => {
  const canvas = document.getElementById("picture");
  const { width, height } = canvas;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return data.every((value, at) => at % 4 === 3 || value === 0);
}"""
HAS_BOX = "() => document.querySelectorAll('#boxes rect.box').length === 1"


def test_the_boxes_are_shown_without_the_picture_and_a_line_says_why(
    mosquitto, subscribe, run_daemon, studio, browser_page, complaints, tmp_path
):
    port = free_port()
    (tmp_path / "token").write_text(TOKEN)
    source = studio.video([[BOX]] * 50, size=(640, 480))
    settings = studio.settings(mosquitto.url, source, loop=True, realtime=True, tracking=True, snapshot={})
    settings["http"] = {"listen": port, "token_file": str(tmp_path / "token")}
    run_daemon(settings).wait_for_log("online")
    reader = subscribe(mosquitto.port)
    page = browser_page
    page.goto(f"http://127.0.0.1:{port}/cameras/cam#token={TOKEN}")
    page.wait_for_function(HAS_BOX, timeout=TIMEOUT_MS)
    page.wait_for_function(f"() => !({IS_BLACK})()", timeout=TIMEOUT_MS)
    complaints[:] = [text for text in complaints if "401 (Unauthorized)" not in text]  # before the token was given
    assert page.locator("#no-picture").is_hidden()

    page.locator("#snapshot-enabled").uncheck()
    page.wait_for_function(IS_BLACK, timeout=TIMEOUT_MS)
    assert "No picture leaves this node" in page.locator("#no-picture").inner_text()
    page.wait_for_function(HAS_BOX, timeout=TIMEOUT_MS)
    reader.wait_for(lambda r: r.last("edgepub/test/cam/snapshot_enabled") == b"OFF", "the state on the broker")
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("text=Pictures are off.", timeout=TIMEOUT_MS)
    assert page.locator(".still img").count() == 0

    page.goto(f"http://127.0.0.1:{port}/cameras/cam")
    page.wait_for_function(HAS_BOX, timeout=TIMEOUT_MS)
    assert page.evaluate(IS_BLACK)
    page.locator("#snapshot-enabled").check()
    page.wait_for_function(f"() => !({IS_BLACK})()", timeout=TIMEOUT_MS)
    page.wait_for_selector("#no-picture", state="hidden", timeout=TIMEOUT_MS)
