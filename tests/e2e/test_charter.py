"""The charter's pages in a browser: read by anybody, with any look, without scripts, on paper; told once to each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from acts import ask_and_wait
from fake_engine import FakeEngine
from site_server import Site, serving
from test_accessibility import violations
from web.town_hall import TownHall, both, replaced

PAGES = ("/charter", "/charter/editions", "/charter/editions/1", "/charter/editions/2", "/charter/editions/3")
TOO_WIDE = "document.documentElement.scrollWidth > innerWidth"


@pytest.fixture
def hall(tmp_path: Path) -> TownHall:
    made = TownHall(tmp_path / "home")
    made.found()
    made.change(
        both(
            replaced("prompts/system.en.md", "an open AI", "an open Аі"),
            replaced("charter.toml", "default = 0.3", "default = 0.7"),
        ),
        reason="<img src=x onerror=\"document.title = 'PWNED'\"> Warmer.",
    )
    return made


@pytest.fixture
def site(hall: TownHall, engine: FakeEngine) -> Iterator[Site]:
    with serving(hall.home, engine) as running:
        yield running


def adopted(site: Site, hall: TownHall, *, days: int, before: int = 0) -> None:
    hall.change(replaced("charter.toml", f"days = {before}", f"days = {days}"))
    site.run(site.app.state.services.charter.refresh())


@pytest.mark.parametrize("look_and_language", ["light en-GB", "dark fr-FR"])
def test_axe_finds_nothing_on_the_charters_pages(context, site: Site, hall: TownHall, look_and_language: str) -> None:
    theme, locale = look_and_language.split()
    page = context(locale=locale, color_scheme=theme, reduced_motion="reduce").new_page()
    found = {}
    for path in PAGES:
        page.goto(path)
        for summary in page.locator("details > summary").all():
            summary.click()
        found[path] = violations(page)
    hall.lay_on_the_desk(replaced("charter.toml", "most = 2", "most = 1"), reason="Calmer.", by=("Ada", "Dara"))
    hall.freeze()
    site.run(site.app.state.services.charter.refresh())
    for path in ("/charter", "/charter/editions/3"):
        page.goto(path)
        found[f"{path}, frozen"] = violations(page)
    assert {name: each for name, each in found.items() if each} == {}


def test_axe_finds_nothing_where_no_charter_is_in_force(context, site: Site, hall: TownHall, watch) -> None:
    watch.allowed += ["503"]
    page = context(reduced_motion="reduce").new_page()
    page.goto(site.link())
    ask_and_wait(page, "Stored before")
    url = page.url
    next(hall.home.glob("charter/targets/*.charter.toml")).write_text("damaged")
    for each in hall.home.glob("charter/targets/*.charter.toml"):
        each.write_text("damaged")
    site.run(site.app.state.services.charter.refresh())
    for path in ("/", url, "/charter", "/temporary"):
        page.goto(path)
        expect(page.get_by_text("No charter is in force").first).to_be_visible()
        expect(page.get_by_text("Aucune charte").or_(page.locator("[lang=fr]")).first).to_be_visible()
        assert violations(page) == []
    page.goto(url)
    expect(page.locator(".answer")).to_contain_text("Hello, this is a scripted answer.")
    expect(page.locator("#composer")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 390, 820, 1440])
def test_nothing_is_wider_than_the_screen(context, site: Site, width: int) -> None:
    page = context(viewport={"width": width, "height": 800}).new_page()
    for path in PAGES:
        page.goto(path)
        for summary in page.locator("details > summary").all():
            summary.click()
        assert not page.evaluate(TOO_WIDE), path


def test_it_is_read_without_scripts_and_without_an_account(context, site: Site) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto("/charter")
    expect(page.locator("h1")).to_have_text("Mairie de Commun")
    page.get_by_role("link", name="Editions", exact=True).click()
    page.get_by_role("link", name="Edition 3").click()
    expect(page.locator("ins").first).to_contain_text("CYRILLIC")
    page.get_by_role("link", name="Français").click()
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    page.locator(".folio-top li a").first.click()
    expect(page.locator("html")).to_have_attribute("lang", "fr")


def test_a_boards_words_do_nothing(context, site: Site) -> None:
    opened = context()
    opened.add_init_script(
        "globalThis.violated = []; addEventListener('securitypolicyviolation', (e) => violated.push(e));"
    )
    page = opened.new_page()
    for path in ("/charter", "/charter/editions", "/charter/editions/3"):
        page.goto(path)
        assert "PWNED" not in page.title()
        assert page.evaluate("violated.length") == 0
        assert page.locator("img").count() == 0
    expect(page.locator(".reason")).to_contain_text("<img src=x onerror=")


def test_on_paper_it_is_a_document(context, site: Site) -> None:
    page = context().new_page()
    page.goto("/charter")
    page.emulate_media(media="print")
    expect(page.locator(".folio-top")).to_be_hidden()
    expect(page.locator(".members .full").first).to_be_visible()
    expect(page.get_by_text(f"{site.url}/charter", exact=True)).to_be_visible()


def test_two_browsers_and_one_person_who_is_told_once(context, site: Site, hall: TownHall) -> None:
    opened = context()
    page = opened.new_page()
    page.goto(site.link())
    expect(page.locator("#told")).to_have_count(0)
    other = context(storage_state=opened.storage_state()).new_page()
    adopted(site, hall, days=30)
    ask_and_wait(page, "From a page that does not know yet")
    page.reload()
    expect(page.locator("#told")).to_contain_text("kept for 30 days")
    assert violations(page) == []
    other.goto("/")
    expect(other.locator("#told")).to_be_visible()
    page.get_by_role("button", name="Understood").click()
    expect(page.locator("#told")).to_have_count(0)
    expect(page.locator("#question")).to_be_focused()
    other.reload()
    expect(other.locator("#told")).to_have_count(0)
    adopted(site, hall, days=60, before=30)
    page.reload()
    ask_and_wait(page, "I read the notice and went on")
    expect(page.locator("#told")).to_be_visible()
    page.reload()
    expect(page.locator("#told")).to_have_count(0)


def test_understood_without_scripts(context, site: Site, hall: TownHall) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto(site.link())
    adopted(site, hall, days=30)
    page.reload()
    page.get_by_role("button", name="Understood").click()
    expect(page.locator("#told")).to_have_count(0)
    expect(page).to_have_url(f"{site.url}/")


def system_prompt(engine: FakeEngine) -> str:
    return engine.calls[-1][0].messages[0].content


def test_a_persona_is_chosen_and_stays_with_the_conversation(page: Page, engine: FakeEngine) -> None:
    chooser = page.get_by_label("Tone")
    expect(chooser).to_have_value("")
    chooser.focus()
    page.keyboard.type("With")
    expect(chooser).to_have_value("humour")
    page.locator(".starters button").first.click()
    expect(page.locator(".answer")).to_contain_text("scripted answer")
    expect(page.locator(".answer[data-running]")).to_have_count(0)
    assert "kind humour" in system_prompt(engine)
    expect(chooser).to_have_value("humour")
    page.reload()
    expect(chooser).to_have_value("humour")
    chooser.select_option("")
    page.locator(".again").last.click()
    page.locator(".branches").wait_for()
    expect(page.locator(".answer[data-running]")).to_have_count(0)
    assert "kind humour" not in system_prompt(engine)
    expect(chooser).to_have_value("")


def test_a_persona_without_scripts(context, site: Site, engine: FakeEngine) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto(site.link())
    for path in ("/", "/temporary"):
        page.goto(path)
        page.get_by_label("Tone").select_option("editor")
        page.locator("#question").fill("How long?")
        page.locator("#send").click()
        expect(page.locator(".answer")).to_contain_text("scripted answer")
        assert "careful editor" in system_prompt(engine)
        expect(page.get_by_label("Tone")).to_have_value("editor")


def test_the_line_under_the_composer_leads_to_the_charter(page: Page, site: Site) -> None:
    page.get_by_role("link", name="Edition 3 of the charter").click()
    expect(page.locator("h1")).to_have_text("Mairie de Commun")
    page.get_by_role("link", name="To your conversations").click()
    expect(page.locator("#question")).to_be_visible()
