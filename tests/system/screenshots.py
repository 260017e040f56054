"""Make the pictures for docs/page.md from the demo's page in a real browser: `python -m tests.system.screenshots`."""

import tempfile
from pathlib import Path

from tests.support import browser
from tests.support.brokers import Mosquitto
from tests.support.demo_page import TIMEOUT_MS, Demo, draw

DOCS = Path(__file__).parents[2] / "docs"
DESKTOP = {"viewport": {"width": 1280, "height": 1480}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        broker = Mosquitto(directory).start()
        demo = Demo(broker.url, directory)
        try:
            for options, picture in ((DESKTOP, "page.png"), (PHONE, "page-phone.png")):
                with browser.open_page([], **options) as page:
                    page.goto(demo.link)
                    page.wait_for_selector("#boxes rect.box", state="attached", timeout=TIMEOUT_MS)
                    if options is DESKTOP:
                        page.wait_for_timeout(90_000)  # until the plot has some points
                        draw(page, "poster", (0.02, 0.32), (0.2, 0.3), (0.2, 0.72), (0.02, 0.74), button="#new-ignore")
                        page.click("#done")
                        draw(page, "seat", (0.3, 0.62), (0.95, 0.6), (0.97, 0.97), (0.25, 0.97))
                        page.fill("#area-loitering", "30")
                        page.press("#area-loitering", "Enter")
                        page.evaluate("document.querySelector('.side').scrollTo(0, 0)")
                    page.evaluate("window.scrollTo(0, 0)")
                    page.screenshot(path=DOCS / picture)
        finally:
            demo.close()
            broker.stop()


if __name__ == "__main__":
    main()
