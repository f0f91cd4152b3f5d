"""Debian's chromium through Playwright, a fresh Commun for each test, and a watch over what every page does."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from fake_engine import FakeEngine
from site_server import CHROMIUM, FLAGS, Site, serving

expect.set_options(timeout=60_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For a module, not for the session: while it is open, its loop runs in this thread, and no other test could call
    ``asyncio.run``.
    """
    if not Path(CHROMIUM).exists():
        missing = f"the browser tests need {CHROMIUM} (on Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def site(tmp_path: Path, engine: FakeEngine) -> Iterator[Site]:
    with serving(tmp_path / "home", engine) as running:
        yield running


@dataclass
class Watch:
    """What pages did that they must never do. ``allowed``: parts of console messages that a test expects."""

    problems: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext, host: str) -> None:
        def requested(request: Any) -> None:
            if urlsplit(request.url).scheme in {"http", "https"} and urlsplit(request.url).netloc != host:
                self.problems.append(f"request to another host: {request.url}")

        def opened(page: Page) -> None:
            page.on("console", lambda each: each.type in {"error", "warning"} and self.problems.append(each.text))
            page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
            page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))

        context.on("request", requested)
        context.on("page", opened)

    def check(self) -> None:
        unexpected = [each for each in self.problems if not any(part in each for part in self.allowed)]
        assert unexpected == []


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch()
    yield made
    made.check()


OpenContext = Callable[..., BrowserContext]


@pytest.fixture
def context(browser: Browser, site: Site, watch: Watch) -> Iterator[OpenContext]:
    """Opens browsers: each call is another one, signed in nowhere. English unless told otherwise."""
    opened: list[BrowserContext] = []

    def open_context(**options: Any) -> BrowserContext:
        made = browser.new_context(**{"locale": "en-GB", "base_url": site.url, **options})
        made.set_default_timeout(60_000)
        watch.over(made, urlsplit(site.url).netloc)
        opened.append(made)
        return made

    yield open_context
    for each in opened:
        each.close()


@pytest.fixture
def page(context: OpenContext, site: Site) -> Page:
    """A signed-in browser on its first page."""
    made = context().new_page()
    made.goto(site.link())
    return made
