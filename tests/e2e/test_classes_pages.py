"""A class in real browsers: a code on the projector, two pupils side by side, and the end of the lesson."""

import re

from playwright.sync_api import Page, expect

from acts import ask, ask_and_wait, finished, written
from commun.authority import Who
from fake_engine import FakeEngine
from inhabitants import inhabitant
from site_server import Site
from test_accessibility import violations

PHONE = {"width": 390, "height": 844}


def test_two_pupils_ask_side_by_side_and_the_lesson_ends(context, site: Site, engine: FakeEngine, watch) -> None:
    watch.allowed += ["401"]
    engine.answer = lambda prompt, _sampling: f"You asked: {prompt.messages[-1].content}"
    found: dict[str, list[str]] = {}

    def look(name: str, page: Page) -> None:
        found[name] = violations(page)
        wide, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room, name

    desk = context(color_scheme="dark")
    teacher = inhabitant(site, Who.ADMINISTRATOR, name="Claire")
    desk.add_cookies([{"name": "commun_session", "value": teacher.token, "url": site.url}])
    board = desk.new_page()
    board.goto("/classes")
    look("no class yet", board)
    board.get_by_label("Name").fill("Class 4b, geography and the history of the Mediterranean")
    board.get_by_role("button", name="Open it and show the code").click()
    expect(board.locator(".address")).to_have_text(f"{site.url}/class")
    code = "".join(board.locator(".class-code span:not(.visually-hidden)").all_text_contents())
    assert re.fullmatch(r"\w{10}", code)
    look("the code", board)
    board.goto("/classes")
    look("classes", board)

    pupils: list[Page] = []
    for options in ({"viewport": PHONE}, {"locale": "fr-FR", "color_scheme": "dark"}):
        page = context(reduced_motion="reduce", **options).new_page()
        page.goto("/class")
        page.locator("#code").fill("000 000 0000")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        look("the door", page)
        page.locator("#code").fill(code.lower())
        page.keyboard.press("Enter")
        expect(page.locator(".class-note")).to_contain_text("Class 4b")
        look("an empty chat", page)
        pupils.append(page)
    answers = [ask(page, f"Where is Naples, pupil {number}?") for number, page in enumerate(pupils)]
    for number, answer in enumerate(answers):
        finished(answer)
        expect(written(answer)).to_have_text(f"You asked: Where is Naples, pupil {number}?")
    phone, other = pupils
    expect(written(ask_and_wait(phone, "And Rome?"))).to_have_text("You asked: And Rome?")
    assert len(engine.calls[-1][0].messages) >= 4  # the page remembers what was said
    look("a chat", phone)
    phone.locator(".open-sidebar").click()
    phone.locator(".guest-list summary").click()
    look("the menu", phone)
    phone.locator("#close-sidebar").click()
    phone.keyboard.press("Control+k")  # nothing to search in
    phone.get_by_role("button", name="Leave").click()
    expect(phone).to_have_url(f"{site.url}/class")
    phone.go_back()
    expect(phone.locator("#question")).to_have_count(0)

    board.reload()
    expect(board.get_by_text("1 of 35 places taken")).to_be_visible()
    board.get_by_role("button", name=re.compile("End the class")).click()
    expect(board.get_by_text("There are none.")).to_be_visible()
    other.locator("#question").fill("Still there?")
    other.keyboard.press("Enter")
    expect(other.locator('a[href="/class"]')).to_be_visible()
    assert {name: said for name, said in found.items() if said} == {}
