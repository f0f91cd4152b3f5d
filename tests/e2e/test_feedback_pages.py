"""A thumb with the keyboard, why in words, one answer sent and read: in a real browser, on a desk and on a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from acts import ask_and_wait
from commun.authority import Who
from inhabitants import Person, inhabitant
from site_server import Site
from test_accessibility import violations
from test_people_pages import PHONE, signed_in

REMARK = "It is not so."


@pytest.fixture
def people(site: Site) -> tuple[Person, Person]:
    return inhabitant(site, Who.ADMINISTRATOR, name="Claire"), inhabitant(site, name="Karim")


def look(page: Page, found: dict[str, list[str]], name: str) -> None:
    found[name] = violations(page)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found[name].append("wider than its page")


def saying(page: Page, words: str) -> None:
    """Screen readers are told."""
    expect(page.locator("#announce")).to_have_text(words)


def test_an_answer_is_judged_with_the_keyboard_sent_and_read(context, site: Site, people) -> None:
    administrator, member = people
    page = signed_in(context, member, reduced_motion="reduce")
    page.goto("/")
    answer = ask_and_wait(page, "Why?")
    down, up = (answer.get_by_role("button", name=name, exact=True) for name in ("Bad answer", "Good answer"))
    for thumb in (down, up):
        box = thumb.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44
    requests: list[str] = []
    page.on("framenavigated", lambda frame: requests.append(frame.url))
    for thumb, other, pressed in ((down, up, "true"), (down, up, "false"), (up, down, "true"), (down, up, "true")):
        thumb.focus()
        page.keyboard.press("Enter")
        expect(thumb).to_have_attribute("aria-pressed", pressed)
        expect(other).to_have_attribute("aria-pressed", "false")
        expect(thumb).to_be_focused()
    saying(page, "Kept: a bad answer.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    dialog = page.locator("#feedback-dialog")
    expect(dialog).to_contain_text("This stays in your vault. Nobody else sees it unless you send this answer.")
    found: dict[str, list[str]] = {}
    look(page, found, "the dialog")
    page.keyboard.press("Escape")
    expect(answer.locator("[data-why]")).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_label("It is not true").check()
    dialog.get_by_label("Remark").fill(REMARK)
    assert requests == [], "until now nothing was loaded anew"
    dialog.get_by_role("button", name="Send this answer…").click()
    page.wait_for_url("**/send")
    expect(page.get_by_text("Claire")).to_be_visible()
    expect(page.get_by_label("Remark")).to_have_value(REMARK)
    look(page, found, "sending")
    page.get_by_role("button", name="Send it to the administrator").click()
    expect(page.get_by_text("It is sent.")).to_be_visible()
    page.goto("/settings")
    look(page, found, "the sender's settings")
    expect(page.get_by_text(REMARK)).to_be_visible()
    read_by(signed_in(context, administrator, color_scheme="dark", viewport=PHONE, reduced_motion="reduce"), found)
    page.goto("/settings")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text(REMARK)).to_have_count(0)
    assert {name: each for name, each in found.items() if each} == {}


def read_by(page: Page, found: dict[str, list[str]]) -> None:
    page.goto("/sent")
    look(page, found, "the administrators' list")
    page.get_by_role("link", name="Why?").click()
    expect(page.get_by_text(REMARK)).to_be_visible()
    expect(page.get_by_text("It is not true")).to_be_visible()
    look(page, found, "a sent answer")
    with page.expect_download() as proof:
        page.get_by_role("link", name="Download proof").click()
    assert Path(proof.value.path()).read_text().startswith('{\n "format"')
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Open again: Why?")).to_be_visible()


def test_without_scripts_it_is_the_same_in_pages(context, site: Site, people) -> None:
    page = signed_in(context, people[1], java_script_enabled=False, viewport=PHONE)
    page.goto("/")
    page.locator("#question").fill("Why?")
    page.locator("#send").click()
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="Say why").click()
    page.get_by_label("Remark").fill(REMARK)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Say why").click()
    expect(page.get_by_label("Remark")).to_have_value(REMARK)
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "false")
