"""Audits by others in a real browser: asked once, below an answer; the switch in the settings; what was found, public.

``SCREENSHOTS``: a folder for pictures of what is looked at here.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from acts import ask_and_wait
from commun.ledger.entries import AuditStatement
from commun.store.database import DATABASE_FILE
from fake_engine import FakeEngine
from founded import found_for_tests
from site_server import Site, serving
from test_accessibility import violations

LOOKS = ["light en-GB", "dark fr-FR"]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
TIME = "2026-11-22T03:00:00Z"


@pytest.fixture
def site(tmp_path: Path, engine: FakeEngine):
    found_for_tests(tmp_path / "home", {"sample_rate = 0\n": "sample_rate = 1\n"})
    with serving(tmp_path / "home", engine, audit_hour=-1, sign_in_rate_limit="1000/minute") as running:
        yield running


def kept(site: Site) -> int:
    with closing(sqlite3.connect(site.app.state.services.settings.home / DATABASE_FILE)) as database:
        return int(database.execute("SELECT count(*) FROM audit_samples WHERE sealed IS NOT NULL").fetchone()[0])


def picture(page: Page, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_one_is_asked_once_below_the_first_answer_and_a_no_is_a_no(page: Page, site: Site) -> None:
    card = page.locator("#consent")
    expect(card).to_be_hidden()
    ask_and_wait(page, "Why?")
    expect(card).to_be_visible()
    expect(card).to_contain_text("could read it")
    card.get_by_role("button", name="No", exact=True).click()
    expect(card).to_have_count(0)
    ask_and_wait(page, "And then?")
    page.reload()
    expect(page.locator(".answer")).to_have_count(2)
    expect(card).to_have_count(0)
    assert kept(site) == 0


def test_after_a_yes_answers_are_kept_until_it_is_taken_back(page: Page, site: Site) -> None:
    ask_and_wait(page, "Before")
    page.locator("#consent").get_by_role("button", name="Yes, I agree").click()
    expect(page.locator("#consent")).to_have_count(0)
    assert kept(site) == 0, "what was answered before the yes is not drawn"
    ask_and_wait(page, "After")
    assert kept(site) == 1
    page.goto("/settings")
    switch = page.locator("section", has=page.locator("#audits"))
    expect(switch).to_contain_text("You agree")
    switch.get_by_role("button").click()
    expect(switch).to_contain_text("None of your answers is drawn.")
    assert kept(site) == 0


def test_without_scripts_the_card_is_a_form_that_leads_back(context, site: Site) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto(site.link())
    page.locator("#question").fill("Why?")
    page.locator("#send").click()
    page.locator(".answer").wait_for()
    conversation = page.url.partition("#")[0]
    page.locator("#consent").get_by_role("button", name="Yes, I agree").click()
    assert page.url.partition("#")[0] == conversation
    expect(page.locator("#consent")).to_have_count(0)
    page.goto("/settings")
    expect(page.locator("section", has=page.locator("#audits"))).to_contain_text("You agree")


def test_a_temporary_chat_asks_nobody(page: Page) -> None:
    page.goto("/temporary")
    ask_and_wait(page, "Why?")
    expect(page.locator("#consent")).to_have_count(0)


def test_one_s_yes_is_nobody_else_s(page: Page, site: Site) -> None:
    ask_and_wait(page, "Why?")
    refused = page.context.browser.new_context(base_url=site.url).request.post(  # type: ignore[union-attr]
        "/settings/audits", form={"agrees": "yes"}, headers={"sec-fetch-site": "same-origin"}
    )
    assert refused.status == 401
    elsewhere = page.request.post("/settings/audits", form={"agrees": "yes"}, headers={"sec-fetch-site": "cross-site"})
    assert elsewhere.status == 403
    odd = page.request.post("/settings/audits", form={"agrees": "perhaps"}, headers={"sec-fetch-site": "same-origin"})
    assert odd.status == 400
    page.reload()
    expect(page.locator("#consent")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_what_was_found_is_public_and_reads_well(context, site: Site, look: str) -> None:
    theme, locale = look.split()
    recorder = site.app.state.services.recorder
    options = {"locale": locale, "color_scheme": theme, "reduced_motion": "reduce"}
    page = context(**options, viewport=DESK).new_page()
    page.goto("/audits")
    assert violations(page) == [], "before the first audit"
    picture(page, f"audits-none-{theme}-{locale}")
    for statement in (
        AuditStatement(12, 12, 0, 0, 1, "exact", "0.02", recorder.origin, TIME),
        AuditStatement(60, 0, 58, 2, 0, "calibrated", "0.02", "archives.example.org", TIME),
    ):
        number = site.run(recorder.record(statement))
    for _ in range(1000):
        page.goto("/audits")
        if page.locator(".audits tbody tr").count() == 2:
            break
        page.wait_for_timeout(50)
    first, second = page.locator(".audits tbody tr").all()
    expect(first).to_contain_text("archives.example.org")
    expect(first).to_contain_text("0,02" if locale == "fr-FR" else "0.02")
    expect(first.get_by_role("link")).to_have_attribute("href", f"/ledger/entry/{number}")
    expect(second).not_to_contain_text("0.02")
    assert violations(page) == []
    picture(page, f"audits-{theme}-{locale}-desk")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "only the table scrolls sideways"
    picture(page, f"audits-{theme}-{locale}-phone")
    first.get_by_role("link").click()
    expect(page.locator("main")).to_contain_text("commun/audit/1")


@pytest.mark.parametrize("look", LOOKS)
def test_card_and_switch_read_well(context, site: Site, look: str) -> None:
    theme, locale = look.split()
    page = context(locale=locale, color_scheme=theme, reduced_motion="reduce", viewport=DESK).new_page()
    page.goto(site.link())
    ask_and_wait(page, "Why?")
    expect(page.locator("#consent")).to_be_visible()
    assert violations(page) == []
    picture(page, f"card-{theme}-{locale}-desk")
    page.set_viewport_size(PHONE)
    picture(page, f"card-{theme}-{locale}-phone")
    page.goto("/settings")
    assert violations(page) == []
    picture(page, f"settings-{theme}-{locale}-phone")
