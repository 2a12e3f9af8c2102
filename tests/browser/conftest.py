"""A real browser: Chromium of the system, without a screen and without a network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from convcost import analyze, load
from convcost.pages import Subject, page_text

SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync",
    "--disable-component-update",
]  # fmt: skip
SCREENSHOTS = os.environ.get("CONVCOST_SCREENSHOTS")


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    pytest.importorskip("plotly", reason="pages need plotly")
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    path = os.environ.get("CONVCOST_CHROMIUM") or next(found, None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        browser.close()


class Opened:
    """A page in a tab that has no network: what it logged, what it asked for."""

    def __init__(self, tab):
        self.tab = tab
        self.errors = []
        self.requests = []
        tab.on("console", lambda message: message.type in ("error", "warning") and self.errors.append(message.text))
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("dialog", lambda dialog: (self.errors.append(f"dialog {dialog.message}"), dialog.dismiss()))

    def go(self, path: Path, charts: bool):
        self.tab.goto(path.as_uri())
        self.tab.wait_for_selector("html[data-ready=charts]" if charts else "html[data-ready]", timeout=60_000)
        return self


@pytest.fixture
def visit(browser):
    """``visit(path, width=390, dark=True)`` opens a page in a fresh tab and waits until its charts are drawn."""
    contexts = []

    def visit(path: Path, width: int = 1400, dark: bool = False, charts: bool = True) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 1000 if width > 800 else 844},
            color_scheme="dark" if dark else "light",
            offline=True,
        )
        context.set_default_timeout(8000)
        contexts.append(context)
        return Opened(context.new_page()).go(path, charts)

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def page_of(tmp_path_factory):
    """The page about shipped networks as a file; each is made once."""
    folder = tmp_path_factory.mktemp("pages")

    def page_of(*names: str) -> Path:
        path = folder / f"{'-'.join(names)}.html"
        if not path.exists():
            path.write_text(page_text([Subject(name, analyze(load(name))) for name in names], []), "utf-8")
        return path

    return page_of


@pytest.fixture
def keep(request):
    """Keeps a screenshot where CI collects them."""

    def keep(opened: Opened, name: str) -> bytes:
        path = Path(SCREENSHOTS) / f"{name}.png" if SCREENSHOTS else None
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        # A full page is taken without scrolling: rows out of view would be left blank.
        opened.tab.add_style_tag(content="#layers tbody tr { content-visibility: visible !important; }")
        shot: bytes = opened.tab.screenshot(full_page=True, path=path)
        return shot

    return keep
