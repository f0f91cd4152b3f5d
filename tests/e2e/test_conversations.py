"""The list of conversations, search, temporary chats, keys."""

import json
import re

from playwright.sync_api import Page, expect

from acts import ask, ask_and_wait, written
from fake_engine import FakeEngine


def open_menu(page: Page, title: str) -> None:
    line = page.locator("#list li").filter(has_text=title)
    line.hover()
    line.locator("[data-menu]").click()


def test_a_conversation_is_renamed_in_the_list(page: Page) -> None:
    ask_and_wait(page, "A first title")
    open_menu(page, "A first title")
    page.get_by_role("menuitem", name="Rename").click()
    page.keyboard.type("A better title")
    page.keyboard.press("Enter")
    expect(page.locator("#list a")).to_have_text("A better title")
    expect(page.locator("#chat-title")).to_have_text("A better title")
    page.reload()
    expect(page.locator("h1")).to_have_text("A better title")


def test_a_conversation_is_renamed_at_its_head(page: Page) -> None:
    ask_and_wait(page, "A first title")
    page.locator("#chat-menu summary").click()
    page.locator("#title-field").fill("Another title")
    page.keyboard.press("Enter")
    expect(page.locator("#list a")).to_have_text("Another title")
    expect(page.locator("h1")).to_have_text("Another title")


def test_what_was_deleted_comes_back(page: Page) -> None:
    ask_and_wait(page, "Delete me")
    page.goto("/")
    ask_and_wait(page, "Keep me")
    open_menu(page, "Delete me")
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.locator("#list a")).to_have_text(["Keep me"])
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#list a")).to_have_count(2)


def test_the_open_conversation_is_deleted_and_undone_from_the_start_page(page: Page) -> None:
    ask_and_wait(page, "Delete me")
    page.locator("#chat-menu summary").click()
    page.locator("[data-delete] button").click()
    expect(page).to_have_url(re.compile(r"/$"))
    expect(page.locator("#list a")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#list a")).to_have_text("Delete me")


def test_search_finds_ones_own_words_and_leads_to_them(page: Page, engine: FakeEngine) -> None:
    engine.answer = "An answer about **ornithology** and birds."
    ask_and_wait(page, "Tell me about birds")
    url = page.url
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("ornithol")
    hit = page.locator("#search-hits a")
    expect(hit).to_contain_text("An answer about ornithology and birds.")
    expect(hit.locator("mark")).to_have_text("ornithol")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(re.escape(url)))
    expect(written(page.locator(".answer"))).to_contain_text("ornithology")


def test_search_says_when_there_is_nothing(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("<b>nothing</b>")
    expect(page.locator("#search-hits")).to_have_text("Nothing found for “<b>nothing</b>”.")
    page.keyboard.press("Escape")
    expect(page.locator("#search-dialog")).to_be_hidden()


def test_a_temporary_chat_is_nowhere_but_on_the_page(page: Page, engine: FakeEngine) -> None:
    page.get_by_role("link", name="Temporary chat").click()
    expect(page.locator("h1")).to_have_text("Nothing of this stays")
    engine.answer = lambda prompt, _sampling: f"Heard {len(prompt.messages)} messages."
    ask_and_wait(page, "A secret")
    answer = ask_and_wait(page, "Another")
    expect(written(answer)).to_have_text("Heard 4 messages.")
    expect(page).to_have_url(re.compile("/temporary$"))
    page.keyboard.press("Control+k")
    page.keyboard.type("secret")
    expect(page.locator("#search-hits")).to_contain_text("Nothing found")
    page.goto("/")
    expect(page.locator("#list a")).to_have_count(0)


def test_a_temporary_question_can_be_edited_and_asked_again(page: Page, engine: FakeEngine) -> None:
    page.goto("/temporary")
    engine.answer = lambda prompt, _sampling: " / ".join(each.content for each in prompt.messages[1:])
    ask_and_wait(page, "one")
    ask_and_wait(page, "two")
    page.locator("#question").press("ArrowUp")
    page.locator("form.edit textarea").fill("three")
    page.keyboard.press("Enter")
    expect(written(page.locator(".answer").last)).to_have_text("one / one / three")
    expect(page.locator(".question")).to_have_count(2)
    page.locator("[data-again]").last.click()
    expect(page.locator(".answer[data-running]")).to_have_count(0)
    expect(written(page.locator(".answer").last)).to_have_text("one / one / three")
    assert len(engine.calls) == 4


def test_a_conversation_is_exported(page: Page) -> None:
    ask_and_wait(page, "Export me")
    page.locator("#chat-menu summary").click()
    with page.expect_download() as markdown:
        page.locator("#chat-menu").get_by_text("Export as Markdown").click()
    text = markdown.value.path().read_text()
    assert text.startswith("# Export me\n")
    assert "Hello, this is a scripted answer." in text
    with page.expect_download() as data:
        page.locator("#chat-menu").get_by_text("Export as JSON").click()
    exported = json.loads(data.value.path().read_text())
    assert [message["role"] for message in exported["messages"]] == ["user", "assistant"]
    assert len(exported["messages"][1]["content"]["token_ids"]) == 6


def test_the_keys_do_what_their_list_says(page: Page, engine: FakeEngine) -> None:
    ask_and_wait(page, "First")
    page.keyboard.press("ArrowUp")
    expect(page.locator("form.edit textarea")).to_have_value("First")
    page.keyboard.press("Escape")
    expect(page.locator("form.edit")).to_have_count(0)
    expect(page.locator("#question")).to_be_focused()
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.locator("#keys-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys-dialog")).to_be_hidden()
    page.locator("#main").focus()
    page.keyboard.press("/")
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.press("Control+b")
    expect(page.locator("#sidebar")).to_be_hidden()
    page.keyboard.press("Control+b")
    expect(page.locator("#sidebar")).to_be_visible()
    page.locator("#main").focus()
    page.keyboard.press("r")
    expect(page.locator(".answer .branches span")).to_have_text("2/2")
    page.locator("#main").focus()
    page.keyboard.press("n")
    expect(page.locator(".welcome h1")).to_be_visible()
    assert len(engine.calls) == 2


def test_single_keys_can_be_turned_off(page: Page) -> None:
    ask_and_wait(page, "First")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_text("Use the shortcuts that are a single key").click()
    page.keyboard.press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("n")
    expect(page.locator(".bubble")).to_be_visible()


def test_a_starter_asks_its_question(page: Page) -> None:
    page.get_by_role("button", name="What is the difference").click()
    expect(page.locator(".bubble")).to_have_text("What is the difference between weather and climate?")
    expect(page.locator(".answer")).to_be_visible()


def test_a_reader_who_scrolls_up_is_left_alone(page: Page, engine: FakeEngine) -> None:
    engine.answer = "A line of text.\n\n" * 150
    engine.delay_s = 0.004
    answer = ask(page, "Long")
    expect(written(answer).locator("p").nth(40)).to_be_attached()
    assert page.evaluate("innerHeight + scrollY > document.documentElement.scrollHeight - 120")
    page.mouse.move(700, 300)
    page.mouse.wheel(0, -1500)
    page.wait_for_function("innerHeight + scrollY < document.documentElement.scrollHeight - 1000")
    before = -1
    while before != (before := page.evaluate("scrollY")):  # until the wheel has come to rest
        page.wait_for_timeout(150)
    expect(written(answer).locator("p").nth(110)).to_be_attached()
    assert page.evaluate("scrollY") == before
    page.locator("#to-end").click()
    expect(page.locator("#to-end")).to_be_hidden()
