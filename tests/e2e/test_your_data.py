"""Taking everything along, bringing conversations in, and leaving, in a real browser."""

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from acts import ask_and_wait
from exports import chatgpt_zip, two_branches
from fake_engine import FakeEngine
from site_server import Site, serving
from test_accessibility import violations

MOST = 50_000


@pytest.fixture
def site(tmp_path: Path, engine: FakeEngine):
    with serving(tmp_path / "home", engine, max_import_bytes=MOST) as running:
        yield running


def test_an_export_is_chosen_brought_in_read_and_continued(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "chatgpt.zip"
    file.write_bytes(chatgpt_zip([two_branches("one", "About weather"), two_branches("two", "About tides")]))
    page.goto("/settings")
    page.get_by_role("link", name="Your data").click()
    page.locator("#import-file").set_input_files(file)
    page.get_by_role("button", name="Bring in").click()
    expect(page.locator("main")).to_contain_text("2 conversations were brought in.")
    page.get_by_role("link", name="About tides").click()
    expect(page.locator(".answer h2").first).to_have_text("Brought in from ChatGPT · gpt-4o")
    expect(page.locator("main")).to_contain_text("Third answer.")
    page.locator(".unsealed summary").first.click()
    expect(page.locator("main")).to_contain_text("Another assistant wrote it: it has no receipt here.")
    assert violations(page) == []
    ask_and_wait(page, "And here?")
    expect(page.locator(".answer h2").last).to_have_text("Commun answered")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "large.zip"
    file.write_bytes(bytes(MOST + 1))
    page.goto("/settings/data")
    page.locator("#import-file").set_input_files(file)
    page.get_by_role("button", name="Bring in").click()
    assert page.locator("#import-file").evaluate("each => each.validationMessage").startswith("This file is larger")
    assert page.url.endswith("/settings/data")


def test_everything_is_one_download_away(page: Page) -> None:
    ask_and_wait(page, "What is kept of me?")
    page.goto("/settings/data")
    with page.expect_download() as started:
        page.get_by_role("link", name="Export everything").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(started.value.path()).read_bytes()))
    (name,) = [name for name in archive.namelist() if name.startswith("conversations/") and name.endswith(".json")]
    assert "What is kept of me?" in json.dumps(json.loads(archive.read(name)))
    assert started.value.suggested_filename.startswith("commun-")


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_leaving_asks_for_words_and_then_nothing_is_left(context, site: Site, watch, locale: str) -> None:
    watch.allowed += ["401", "403"]
    page = context(locale=locale).new_page()
    page.goto(site.link())
    ask_and_wait(page, "Forget me")
    page.goto("/settings/data")
    assert violations(page) == []
    page.locator("a[href='/settings/delete']").click()
    assert violations(page) == []
    found = re.search(r"[“«]\s*(.+?)\s*[”»]", page.locator("label[for=words]").inner_text())
    assert found
    page.locator("#words").fill("something else")
    page.locator("button.danger").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.locator("#words").fill(found[1])
    page.locator("button.danger").click()
    expect(page.locator("main form")).to_have_count(0)
    page.goto("/")
    expect(page.locator("main")).not_to_contain_text("Forget me")
    assert not [each for each in page.context.cookies() if each["name"] == "commun_session"]
