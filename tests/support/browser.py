"""A real browser without a screen, and the files of the page in it without a server."""

import contextlib
import ctypes.util
import importlib.util
import shutil
from pathlib import Path

CHROMIUM = shutil.which("chromium")
SITE = Path(__file__).parents[2] / "edgepub" / "http" / "site"
ORIGIN = "http://page.test"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def why_not():
    """Return why there is no browser here; None when there is one."""
    if CHROMIUM is None:
        return "no Chromium here: apt-get install chromium"
    if importlib.util.find_spec("playwright") is None:
        return "no Playwright here: pip install 'edgepub[test]'"
    if ctypes.util.find_library("atomic") is None:
        return "no libatomic here, which Playwright's driver needs: apt-get install libatomic1"
    return None


@contextlib.contextmanager
def opened(complaints, **context):
    """Give an empty page of a browser of its own; what it complains of in its console is put into a list."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = chromium.new_context(**context).new_page()
            page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            yield page
        finally:
            chromium.close()


def serve(page, html="<!doctype html><title>test</title>"):
    """Go to a page at `ORIGIN`, which has the site's files at /assets/, under the policy of the real one."""

    def answer(route):
        name = route.request.url.removeprefix(f"{ORIGIN}/assets/")
        if name in {file.name for file in SITE.iterdir()}:
            body, kind = (SITE / name).read_text(), _TYPES[Path(name).suffix]
        else:
            body, kind = html, _TYPES[".html"]
        route.fulfill(body=body, content_type=kind, headers={"Content-Security-Policy": _POLICY})

    page.route(f"{ORIGIN}/**", answer)
    page.goto(ORIGIN)
