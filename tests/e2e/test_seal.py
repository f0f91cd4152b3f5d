"""The seal of an answer in a real browser: its panel, the file it gives, and what a temporary chat alone has."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from typer.testing import CliRunner

from acts import ask, ask_and_wait, finished
from commun.cli.main import app
from commun.drafting.models import default_model_clause
from commun.store.conversations import MessageState
from fake_engine import FakeEngine
from site_server import Site, serving
from test_accessibility import violations


@pytest.fixture
def engine() -> FakeEngine:
    """It says of itself that it runs the model that the first charter names."""
    made, model = FakeEngine(), default_model_clause()
    made.info = replace(made.info, model=model.id, model_digest=model.digest)
    return made


def panel(page: Page) -> Locator:
    return page.locator("#seal-dialog")


def opened(page: Page, answer: Locator) -> Locator:
    answer.locator("[data-seal]").click()
    expect(panel(page)).to_be_visible()
    return panel(page)


def in_the_ledger(page: Page) -> None:
    expect(panel(page).locator(".receipt-standing")).to_contain_text(re.compile(r"Entry [\d,]+ of the ledger"))


def downloaded(page: Page, tmp_path: Path, link: Locator | None = None) -> Path:
    with page.expect_download() as waiting:
        (link or panel(page).get_by_role("link", name="Download proof")).click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def verified(site: Site, file: Path) -> dict:
    """By the command, which knows nothing but the charter's name. Nothing but a witness's or key's voucher may lack."""
    charter = site.app.state.services.charter.get().first_root
    done = CliRunner().invoke(app, ["receipt", "verify", str(file), "--charter", charter, "--json"])
    report = json.loads(done.stdout)
    assert done.exit_code in {0, 2}, done.output
    assert [step["step"] for step in report["steps"] if step["outcome"] == "in part"] in ([], [7])
    return report


def test_the_seal_opens_what_the_receipt_says_and_gives_a_file_that_verifies(
    page: Page, site: Site, tmp_path: Path
) -> None:
    answer = ask_and_wait(page, "Why?")
    seen = opened(page, answer)
    expect(seen.get_by_role("heading", name="The seal of this answer")).to_be_visible()
    expect(seen).to_contain_text("Edition 1 of the charter")
    expect(seen.get_by_role("link", name="Edition 1")).to_have_attribute("href", "/charter/editions/1")
    in_the_ledger(page)
    file = downloaded(page, tmp_path)
    assert re.fullmatch(r"answer-[0-9a-f]{8}\.bundle\.json", file.name)
    report = verified(site, file)
    assert report["statement"]["state"] == "complete"
    assert json.loads(file.read_text())["disclosed"]["answer_text"]["value"] == site.engine.answer
    panel(page).get_by_role("link", name="Verify a proof").click()
    page.locator("#bundle").set_input_files(file)  # and the browser's verifier says the same
    expect(page.locator("#verdict h2")).to_have_text("Verified in part")


def test_keys_alone_open_read_and_close_it(page: Page) -> None:
    answer = ask_and_wait(page, "Why?")
    seal = answer.locator("[data-seal]")
    seal.focus()
    page.keyboard.press("Enter")
    expect(panel(page)).to_be_visible()
    assert page.evaluate("document.querySelector('#seal-dialog').contains(document.activeElement)")
    panel(page).locator(".receipt-proves summary").focus()
    page.keyboard.press("Enter")
    expect(panel(page)).to_contain_text("That what the answer says is true.")
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(seal).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel(page)).to_be_visible()


def test_nothing_is_asked_for_before_the_seal_is_opened(page: Page) -> None:
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    answer = ask_and_wait(page, "Why?")
    page.wait_for_timeout(300)
    assert not [url for url in asked_for if "receipt" in url or "seal" in url]
    opened(page, answer)
    assert [url for url in asked_for if "/receipt/" in url]


def test_a_running_answer_has_no_seal_and_a_stopped_one_has(page: Page, engine: FakeEngine) -> None:
    engine.answer, engine.delay_s = "word " * 300, 0.2
    answer = ask(page, "Long")
    expect(answer.locator("[data-part=answer]")).to_contain_text("word")
    expect(answer.locator("[data-seal]")).to_have_count(0)
    page.locator("#stop").click()
    finished(answer)
    expect(opened(page, answer)).to_contain_text("Its reader stopped it")


def test_after_a_reload_the_seal_is_the_same(page: Page) -> None:
    address = ask_and_wait(page, "Why?").locator("[data-seal]").get_attribute("href")
    page.reload()
    seal = page.locator(".answer [data-seal]")
    expect(seal).to_have_attribute("href", address or "")
    page.goto(address or "")
    expect(page.get_by_role("heading", name="Receipt of an answer")).to_be_visible()
    page.get_by_role("link", name="To the answer").click()
    expect(page.locator(".answer")).to_be_visible()


def test_a_temporary_chats_page_alone_makes_its_proof_whole(page: Page, site: Site, tmp_path: Path) -> None:
    page.goto("/temporary")
    ask_and_wait(page, "First")
    answer = ask_and_wait(page, "Second")
    address = answer.locator("[data-seal]").get_attribute("href")
    seen = opened(page, answer)
    expect(seen).to_contain_text("on this page only")
    assert {each.get_attribute("target") for each in seen.locator("a:not([data-proof])").all()} == {"_blank"}
    in_the_ledger(page)
    file = downloaded(page, tmp_path)
    verified(site, file)
    disclosed = json.loads(file.read_text())["disclosed"]
    assert [each["content"] for each in disclosed["prompt_messages"]["value"]][1:] == [
        "First",
        site.engine.answer,
        "Second",
    ]
    page.goto(address or "")  # the page is gone, and the salts with it
    expect(page.locator("main")).to_contain_text("Nobody keeps what was written")
    bare = json.loads(downloaded(page, tmp_path, page.get_by_role("link", name="Download proof")).read_text())
    assert set(bare["disclosed"].values()) == {None}


def test_without_scripts_the_seal_is_a_link_and_the_proof_a_form(context, site: Site, tmp_path: Path) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto(site.link())
    page.goto("/temporary")
    page.locator("#question").fill("No scripts")
    page.locator("#send").click()
    file = downloaded(page, tmp_path, page.get_by_role("button", name="Download proof"))
    assert json.loads(file.read_text())["disclosed"]["answer_text"]["value"] == site.engine.answer
    page.locator("[data-seal]").click()
    expect(page.get_by_role("heading", name="Receipt of an answer")).to_be_visible()


def test_an_answer_without_a_receipt_says_why(page: Page, site: Site) -> None:
    token = next(each["value"] for each in page.context.cookies() if each["name"] == "commun_session")

    async def older() -> str:
        """As one was kept before there were receipts."""
        services = site.app.state.services
        viewer = await services.accounts.viewer(token)
        turn = await services.conversations.start_turn(
            viewer, conversation_id=None, parent_id=None, question="Old", title="Old"
        )
        await turn.keep({"text": "An old answer.", "completion_tokens": 3}, MessageState.COMPLETE, None)
        return turn.conversation_id

    page.goto(f"/c/{site.run(older())}")
    expect(page.locator("[data-seal]")).to_have_count(0)
    page.locator(".unsealed summary").click()
    expect(page.locator(".unsealed")).to_contain_text("older than the receipts")


def test_where_it_is_allowed_the_panel_publishes_the_answer(tmp_path: Path, browser, engine: FakeEngine, watch) -> None:
    with serving(tmp_path / "public", engine, public_shares=True) as site:
        opened_context = browser.new_context(base_url=site.url, locale="en-GB")
        watch.over(opened_context, site.url.removeprefix("http://"))
        page = opened_context.new_page()
        page.goto(site.link())
        seen = opened(page, ask_and_wait(page, "Why?"))
        seen.get_by_text("Publish this answer").click()
        seen.get_by_role("button", name="Make the link").click()
        address = seen.locator(".share-made code").inner_text()
        page.goto(address)
        expect(page.locator("main")).to_contain_text(engine.answer)
        opened_context.close()


@pytest.mark.parametrize("look_and_language", ["light en-GB", "dark fr-FR"])
def test_axe_finds_nothing_in_the_panel_or_on_the_page(context, site: Site, look_and_language: str) -> None:
    theme, locale = look_and_language.split()
    page = context(locale=locale, color_scheme=theme, reduced_motion="reduce").new_page()
    page.goto(site.link())
    answer = ask_and_wait(page, "Why?")
    seen = opened(page, answer)
    found = violations(page)
    seen.locator(".receipt-proves summary").click()
    seen.locator(".digest summary").first.click()
    found += violations(page)
    page.goto(answer.locator("[data-seal]").get_attribute("href") or "")
    found += violations(page)
    assert found == []


def test_on_a_phone_it_is_a_sheet_and_nothing_is_wider_than_the_screen(context, site: Site) -> None:
    opened_context = context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = opened_context.new_page()
    page.goto(site.link())
    page.locator("#question").fill("On the way")
    page.locator("#send").tap()
    answer = page.locator(".answer")
    finished(answer)
    answer.locator("[data-seal]").tap()
    expect(panel(page)).to_be_visible()
    page.wait_for_timeout(50)
    box = panel(page).bounding_box()
    assert box
    assert box["width"] == pytest.approx(page.evaluate("document.documentElement.clientWidth"), abs=1)
    assert box["y"] + box["height"] == pytest.approx(844, abs=1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    panel(page).get_by_role("button", name="Close").tap()
    expect(panel(page)).to_be_hidden()
    page.goto(answer.locator("[data-seal]").get_attribute("href") or "")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
