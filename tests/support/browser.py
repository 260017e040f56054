"""A real headless browser, and the files of the web page in it without a server."""

import contextlib
import ctypes.util
import importlib.util
import shutil
from pathlib import Path

CHROMIUM = shutil.which("chromium")
SITE = Path(__file__).parents[2] / "edgepub" / "http" / "site"
ORIGIN = "http://page.test"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def missing_requirement():
    """Return what is missing to run a browser; None if nothing is."""
    if CHROMIUM is None:
        return "Chromium is missing: apt-get install chromium"
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is missing: pip install 'edgepub[test]'"
    if ctypes.util.find_library("atomic") is None:
        return "libatomic is missing, which Playwright's driver needs: apt-get install libatomic1"
    return None


@contextlib.contextmanager
def open_page(complaints, **context):
    """Start a browser and yield an empty page. Add the errors and warnings of its console to a list."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = chromium.new_context(**context).new_page()
            page.on(
                "console", lambda entry: complaints.append(entry.text) if entry.type in {"error", "warning"} else None
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            yield page
        finally:
            chromium.close()


def serve(page, html="<!doctype html><title>test</title>"):
    """Open a page at `ORIGIN`: with the site at /assets/, and the Content-Security-Policy of the real page."""

    def fulfill(route):
        name = route.request.url.removeprefix(f"{ORIGIN}/assets/")
        if name in {file.name for file in SITE.iterdir()}:
            body, kind = (SITE / name).read_text(), _TYPES[Path(name).suffix]
        else:
            body, kind = html, _TYPES[".html"]
        route.fulfill(body=body, content_type=kind, headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY})

    page.route(f"{ORIGIN}/**", fulfill)
    page.goto(ORIGIN)
