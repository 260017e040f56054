"""The demo with its page, and what a hand does there."""

import re
import subprocess
import sys

from tests.support.waiting import WAIT_S, wait_until

PREFIX = "edgepub/demo/face"


SEEN_WITHIN_MS = 1000 * WAIT_S


class Demo:
    """`edgepub demo` on a broker."""

    def __init__(self, url, folder):
        self.said = folder / "demo.txt"
        self._log = self.said.open("wb")
        command = [sys.executable, "-m", "edgepub", "demo", "--broker", url]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, start_new_session=True)
        self.link = wait_until(self._find_link, "the page's address")
        self.address, self.token = self.link.split("#token=")
        self.root = self.address.removesuffix("/cameras/face")

    def _find_link(self):
        assert self._process.poll() is None, self.said.read_text()
        found = re.search(r"http://127\.0\.0\.1:\d+/cameras/face#token=[0-9a-f]{32}", self.said.read_text())
        return found and found[0]

    def close(self):
        self._process.terminate()
        self._process.wait(WAIT_S)
        self._log.close()


def at(page, x, y):
    """Return where a fraction of the picture is on the screen."""
    its = page.locator("#overlay").bounding_box()
    return its["x"] + x * its["width"], its["y"] + y * its["height"]


def draw(page, name, *corners):
    """Draw a zone with the mouse."""
    page.locator("#overlay").scroll_into_view_if_needed()
    page.click("#new-zone")
    for corner in (*corners, corners[0]):
        page.mouse.click(*at(page, *corner))
        page.wait_for_timeout(400)  # or two clicks would be a double one
    page.locator("#editor input[type=text]").first.fill(name)
    page.keyboard.press("Enter")
