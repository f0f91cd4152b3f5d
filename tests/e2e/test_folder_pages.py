"""Folders and instructions in a real browser: on a desk and on a phone, in both languages and themes; with the mouse."""

import re

import pytest
from playwright.sync_api import Page, expect

from acts import ask_and_wait
from inhabitants import Person, inhabitant
from site_server import Site
from test_accessibility import violations

PHONE = {"width": 390, "height": 844}
INSTRUCTIONS = "I teach physics in a lycée.\nAnswer briefly, with an example that a sixteen-year-old knows."


def signed_in(context, person: Person, **options) -> Page:
    opened = context(**options)
    opened.add_cookies([{"name": "commun_session", "value": person.token, "url": person.site.url}])
    return opened.new_page()


@pytest.fixture
def teacher(site: Site) -> Person:
    """With folders, and something in one of them."""
    person = inhabitant(site)
    with person.browser() as client:
        client.post("/settings/instructions", data={"instructions": INSTRUCTIONS, "used": "yes"})
        for name in ("Optique", "Lessons of the first term, with a name that is as long as names get to be"):
            folder = client.post("/folders", data={"name": name}).headers["location"]
            client.post(folder, data={"name": name, "instructions": "Only what light does."})
            person.things[name.split()[0]] = folder
        inside = {"folder": person.things["Optique"].removeprefix("/folders/")}
        asked = client.post("/ask", data={"question": "Why is the sky blue?"} | inside).headers["location"]
    person.things["chat"] = asked.partition("#")[0]
    return person


@pytest.mark.parametrize(
    ("look", "locale", "size"),
    [("light", "en-GB", None), ("dark", "fr-FR", PHONE)],
    ids=["desk", "phone"],
)
def test_axe_finds_nothing_and_nothing_is_wider_than_its_page(context, teacher: Person, look, locale, size) -> None:
    options = {"viewport": size} if size else {}
    page = signed_in(context, teacher, locale=locale, color_scheme=look, reduced_motion="reduce", **options)
    found: dict[str, list[str]] = {}
    optics, chat = teacher.things["Optique"], teacher.things["chat"]
    for path in ("/folders", optics, f"{chat}/move", "/conversations", chat, f"/?folder={optics[9:]}", "/settings"):
        page.goto(path)
        if size and path == chat:
            page.locator(".open-sidebar").click()
            page.locator(".folder > summary").first.wait_for()
        found[path] = violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[path].append("wider than its page")
    assert {path: each for path, each in found.items() if each} == {}


def test_a_folder_is_remembered_open_chats_begin_in_it_and_are_moved_from_the_list(context, teacher: Person) -> None:
    page = signed_in(context, teacher)
    page.goto("/")
    optics = page.locator("details.folder", has_text="Optique")
    expect(optics).not_to_have_attribute("open", "")
    optics.locator("summary").click()
    expect(optics.get_by_role("link", name="Why is the sky blue?")).to_be_visible()
    page.reload()
    expect(optics).to_have_attribute("open", "")

    optics.get_by_role("link", name=re.compile("Open the folder")).click()
    page.get_by_role("link", name="New chat here").click()
    answer = ask_and_wait(page, "And why is it red?")
    expect(page.locator("details.folder").get_by_role("link", name="And why is it red?")).to_be_visible()
    expect(page.locator(".top .in-folder")).to_have_text("Optique")
    answer.locator(".facts summary").click()
    expect(answer.locator(".facts")).to_contain_text("Your own instructions")

    line = page.locator("details.folder li", has_text="And why is it red?")
    line.hover()
    line.locator("[data-menu]").click()
    page.get_by_role("menuitem", name="Move to a folder").click()
    page.get_by_label("In no folder").check()
    page.get_by_role("button", name="Move", exact=True).click()
    page.wait_for_url(re.compile(r"/c/\w+$"))
    expect(page.locator(".sidebar-list section", has_text="Today")).to_contain_text("And why is it red?")
    expect(page.locator(".top .in-folder")).to_have_count(0)
