"""The nonce that the page draws for each question: sent, remembered, and compared with the one that the receipt names."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from acts import ask_and_wait, finished
from commun.recording.epochs import seed_of
from site_server import Site

SAME = "This page drew the nonce from which the seed follows, and the receipt names the very one."
OTHER = "The receipt names another nonce than this page drew"
SENT = re.compile(r'name="nonce"\r\n\r\n([0-9a-f]{64})\r\n')


@pytest.fixture
def sent(page: Page) -> list[str]:
    """The nonces of all questions so far."""
    found: list[str] = []

    def look(request: Request) -> None:
        if request.method == "POST" and (body := request.post_data):
            found.extend(SENT.findall(body))

    page.on("request", look)
    return found


def panel_of(page: Page, answer: Locator) -> Locator:
    answer.locator("[data-seal]").click()
    panel = page.locator("#seal-dialog")
    expect(panel).to_be_visible()
    return panel


def nonce_in(panel: Locator) -> str:
    row = panel.locator(".receipt-rows div", has=panel.page.get_by_text("Nonce", exact=True))
    expect(row).to_contain_text("drawn by whoever asked")
    return row.locator("code.full").text_content() or ""


def test_each_question_edit_and_repetition_has_a_nonce_of_its_own_and_the_panel_says_that_it_is_ours(
    page: Page, sent: list[str]
) -> None:
    answer = ask_and_wait(page, "Why?")
    panel = panel_of(page, answer)
    expect(panel.locator(".receipt-nonce")).to_have_text(SAME)
    assert nonce_in(panel) == sent[0]
    page.keyboard.press("Escape")
    answer.hover()
    answer.locator(".again").click()
    expect(page.get_by_text("2/2")).to_be_visible()
    again = page.locator(".answer").last
    finished(again)
    panel = panel_of(page, again)
    expect(panel.locator(".receipt-nonce")).to_have_text(SAME)
    assert nonce_in(panel) == sent[-1]
    assert len(set(sent)) == len(sent) == 2


def test_in_a_temporary_chat_too(page: Page, site: Site, sent: list[str], tmp_path: Path) -> None:
    page.goto(f"{site.url}/temporary")
    panel = panel_of(page, ask_and_wait(page, "Why?"))
    expect(panel.locator(".receipt-nonce")).to_have_text(SAME)
    with page.expect_download() as waiting:
        panel.get_by_role("link", name="Download proof").click()
    waiting.value.save_as(tmp_path / "proof")
    bundle = json.loads((tmp_path / "proof").read_text())
    assert (bundle["format"], len(bundle["seed"]["salt"])) == ("commun-bundle/2", 44)
    assert nonce_in(panel) == sent[0]


def test_a_server_that_puts_another_nonce_in_its_place_is_told_of_at_once(page: Page, site: Site) -> None:
    recorder = site.app.state.services.recorder
    recorder.seed = lambda _nonce: seed_of(recorder.epoch, bytes(32))
    answer = ask_and_wait(page, "Why?")
    expect(answer.get_by_role("alert")).to_contain_text("names another nonce than this page drew")
    expect(panel_of(page, answer).locator(".receipt-nonce.other")).to_contain_text(OTHER)


def test_after_a_reload_the_page_claims_nothing(page: Page) -> None:
    ask_and_wait(page, "Why?")
    page.reload()
    panel = panel_of(page, page.locator(".answer").last)
    expect(panel.locator(".receipt-nonce")).to_be_hidden()
    expect(panel).to_contain_text("drawn by whoever asked")
