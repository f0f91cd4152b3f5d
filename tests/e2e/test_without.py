"""Without scripts, without a ready model, without room, without a wide screen."""

import asyncio
import re

import pytest
from playwright.sync_api import Page, expect

from acts import ask, ask_and_wait, finished, written
from commun.engine.base import EngineState
from fake_engine import FakeEngine
from site_server import Site, serving


def test_a_chat_without_scripts(context, site: Site) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto(site.link())
    page.locator("#question").fill("No scripts here")
    page.locator("#send").click()
    expect(page.locator(".answer")).to_contain_text("Hello, this is a scripted answer.")
    expect(page.locator("#list a")).to_have_text("No scripts here")
    page.locator(".again").click()
    expect(page.locator(".branches span")).to_have_text("2/2")
    page.get_by_label("Previous version").click()
    expect(page.locator(".branches span")).to_have_text("1/2")
    page.locator("#chat-menu summary").click()
    page.locator("[data-delete] button").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("h1")).to_have_text("No scripts here")


def test_a_temporary_chat_without_scripts_remembers_on_the_page(context, site: Site, engine: FakeEngine) -> None:
    page = context(java_script_enabled=False).new_page()
    page.goto(site.link())
    page.goto("/temporary")
    for question in ("one", "two"):
        page.locator("#question").fill(question)
        page.locator("#send").click()
    expect(page.locator(".answer")).to_have_count(2)
    assert [each.content for each in engine.calls[-1][0].messages][1:] == ["one", engine.answer, "two"]


def test_the_page_opens_while_the_model_is_loaded_and_then_sends(tmp_path, browser, watch) -> None:
    engine = FakeEngine(state=EngineState.LOADING)
    ready = asyncio.Event()

    async def start() -> None:
        await ready.wait()
        engine.state = EngineState.READY

    engine.start = start
    with serving(tmp_path / "home", engine) as site:
        page = browser.new_context(base_url=site.url, locale="en-GB").new_page()
        page.goto(site.link())
        expect(page.locator("#engine")).to_contain_text("The model is being loaded.")
        page.locator("#question").fill("Are you there?")
        expect(page.locator("#send")).to_be_disabled()
        site.loop.call_soon_threadsafe(ready.set)
        expect(page.locator("#send")).to_be_enabled()
        expect(page.locator("#engine")).to_have_text("")
        page.locator("#question").press("Enter")
        expect(page.locator(".answer")).to_contain_text("Hello")
        page.context.close()


def test_who_waits_sees_the_place_and_who_finds_no_room_is_told(tmp_path, browser) -> None:
    engine = FakeEngine("word " * 400, delay_s=0.2)
    with serving(tmp_path / "home", engine, max_running=1, max_waiting=1) as site:
        context = browser.new_context(base_url=site.url, locale="en-GB")
        first, second, third = (context.new_page() for _ in range(3))
        first.goto(site.link())
        ask(first, "First")
        second.goto("/")
        waiting = ask(second, "Second")
        expect(waiting).to_contain_text("number 1 in the queue")
        third.goto("/")
        refused = ask(third, "Third")
        expect(refused).to_contain_text("Too many people are waiting")
        expect(refused.get_by_text("Try again")).to_be_visible()
        first.locator("#stop").click()
        expect(written(waiting)).to_contain_text("word")
        context.close()


def test_an_unreachable_server_costs_no_words(page: Page, watch) -> None:
    watch.allowed.append("ERR_INTERNET_DISCONNECTED")
    page.context.set_offline(True)
    page.locator("#question").fill("Keep this")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-problem")).to_contain_text("Commun cannot be reached.")
    expect(page.locator("#question")).to_have_value("Keep this")
    page.context.set_offline(False)
    page.locator("#question").press("Enter")
    expect(page.locator(".answer")).to_contain_text("Hello")
    expect(page.locator("#composer-problem")).to_be_empty()


def test_a_message_that_is_too_long_fails_with_its_cure(page: Page, engine: FakeEngine) -> None:
    answer = ask_and_wait(page, "word " * 3000)
    expect(answer.locator(".problem")).to_contain_text("This message is too long for the model")


@pytest.fixture
def phone(context, site: Site) -> Page:
    page = context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).new_page()
    page.goto(site.link())
    return page


def test_on_a_phone_the_list_slides_in_and_out(phone: Page) -> None:
    answer = ask_on_phone(phone, "On the way")
    finished(answer)
    expect(phone.locator("#sidebar")).to_be_hidden()
    phone.locator(".open-sidebar").tap()
    expect(phone.locator("#sidebar")).to_be_visible()
    expect(phone.locator("#close-sidebar")).to_be_focused()
    phone.keyboard.press("Escape")
    expect(phone.locator("#sidebar")).to_be_hidden()
    phone.locator(".open-sidebar").tap()
    phone.get_by_role("link", name="New chat", exact=True).tap()
    expect(phone).to_have_url(re.compile("/$"))


def ask_on_phone(phone: Page, question: str):
    phone.locator("#question").fill(question)
    phone.locator("#send").tap()
    return phone.locator(".answer")


def test_on_a_phone_nothing_is_wider_than_the_screen_and_targets_are_large(phone: Page, engine: FakeEngine) -> None:
    engine.answer = (
        "```\n" + "x" * 300 + "\n```\n\n" + "| a | b |\n|---|---|\n| " + "y" * 200 + " | z |\n\n" + "w" * 300
    )
    finished(ask_on_phone(phone, "Wide"))
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = phone.evaluate(
        """() => [...document.querySelectorAll("button, summary, .icon-button, .pill")]
        .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest("#sidebar"))
        .map((each) => [each.getAttribute("aria-label") || each.textContent.trim(), each.getBoundingClientRect()])
        .filter(([, box]) => box.width < 43.5 || box.height < 43.5).map(([name]) => name)"""
    )
    assert small == []
