"""A browser on the built pages; `make test-site` builds them first."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

SITE = Path(__file__).parents[3] / "build" / "site"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="session")
def address():
    assert (SITE / "index.html").is_file(), "make site comes first"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """A page that is open, with what it asked for and what it complained about."""

    def __init__(self, browser, address, width=1400, theme="light"):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        self.page = self.context.new_page()
        self.errors, self.away = [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.errors.append(m.text))
        self.page.on("request", lambda r: r.url.startswith((address, "data:", "blob:")) or self.away.append(r.url))
        self.page.on("response", self._answered)

    def _answered(self, response):
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.url}")

    def open(self, url):
        self.page.goto(url, wait_until="networkidle")
        return self.page

    def bytes(self):
        """Size of the page and of all that it has loaded so far."""
        kinds = "['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))"
        return self.page.evaluate(f"{kinds}.reduce((sum, entry) => sum + entry.encodedBodySize, 0)")


@pytest.fixture
def visit(browser, address):
    opened = []

    def start(page, **options):
        opened.append(Visit(browser, address, **options))
        opened[-1].open(address + page)
        return opened[-1]

    yield start
    for one in opened:
        one.context.close()
