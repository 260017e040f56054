"""The demo with its web page, and actions of a user there."""

import re
import subprocess
import sys

from tests.support.waiting import WAIT_S, wait_until

PREFIX = "edgepub/demo/face"

TIMEOUT_MS = 1000 * WAIT_S


class Demo:
    """`edgepub demo` with a broker."""

    def __init__(self, url, directory):
        self.output = directory / "demo.txt"
        self._log = self.output.open("wb")
        command = [sys.executable, "-m", "edgepub", "demo", "--broker", url]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, start_new_session=True)
        self.link = wait_until(self._find_link, "the page's address")
        self.address, self.token = self.link.split("#token=")
        self.root = self.address.removesuffix("/cameras/face")

    def _find_link(self):
        assert self._process.poll() is None, self.output.read_text()
        match = re.search(r"http://127\.0\.0\.1:\d+/cameras/face#token=[0-9a-f]{32}", self.output.read_text())
        return match and match[0]

    def close(self):
        self._process.terminate()
        self._process.wait(WAIT_S)
        self._log.close()


def at(page, x, y):
    """Convert fractions of the picture to coordinates on the screen."""
    box = page.locator("#overlay").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(page, name, *corners, button="#new-zone"):
    """Draw a zone, or what this button is for, with the mouse."""
    page.locator("#overlay").scroll_into_view_if_needed()
    page.click(button)
    for corner in (*corners, corners[0]):
        page.mouse.click(*at(page, *corner))
        page.wait_for_timeout(400)  # else two clicks would be a double click
    page.locator("#editor input[type=text]").first.fill(name)
    page.keyboard.press("Enter")
