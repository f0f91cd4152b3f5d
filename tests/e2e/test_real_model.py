"""The whole of it in a browser: the embedded engine, the default model, the real store."""

import re

import pytest
from playwright.sync_api import expect

from acts import ask, finished, written
from site_server import serving

LOADED_MS = 60_000


@pytest.mark.engine
def test_a_stranger_chats_with_the_default_model(tmp_path, models, browser, watch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models, target_is_directory=True)  # as a second start finds it
    with serving(home, None) as site:
        context = browser.new_context(base_url=site.url, locale="en-GB")
        watch.over(context, site.url.removeprefix("http://"))
        page = context.new_page()
        page.goto(site.link())
        expect(page.locator("#send")).to_be_enabled(timeout=LOADED_MS)
        page.reload()
        expect(page.locator(".note")).to_contain_text("135 million parameters")
        answer = ask(page, "What is the capital of France? Answer in one sentence.")
        expect(answer).not_to_have_attribute("data-running", "", timeout=LOADED_MS)
        finished(answer)
        expect(written(answer)).to_contain_text("Paris")
        expect(answer.locator(".facts summary")).to_have_text(re.compile(r"\d+ tokens · [\d.,]+ tokens/s · .*Wh"))
        page.reload()
        expect(written(page.locator(".answer"))).to_contain_text("Paris")
        context.close()
