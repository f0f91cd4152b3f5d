"""Administration in a real browser: on a desk and on a phone, in both languages and themes, without anything else."""

import re

import pytest
from playwright.sync_api import Page, expect

from commun.authority import Who
from inhabitants import Person, inhabitant
from site_server import Site
from test_accessibility import violations

PHONE = {"width": 390, "height": 844}


def signed_in(context, person: Person, **options) -> Page:
    opened = context(**options)
    opened.add_cookies([{"name": "commun_session", "value": person.token, "url": person.site.url}])
    return opened.new_page()


@pytest.fixture
def people(site: Site) -> tuple[Person, Person]:
    return inhabitant(site, Who.ADMINISTRATOR, name="Claire"), inhabitant(site, name="Jean-Baptiste de la Villardière")


@pytest.mark.parametrize("look_and_language", ["light en-GB", "dark fr-FR"])
@pytest.mark.parametrize("size", [None, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_and_nothing_is_wider_than_its_page(
    context, site: Site, people: tuple[Person, Person], look_and_language: str, size: dict[str, int] | None
) -> None:
    theme, locale = look_and_language.split()
    administrator, member = people
    options = {"viewport": size} if size else {}
    page = signed_in(context, administrator, locale=locale, color_scheme=theme, reduced_motion="reduce", **options)
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        found[name] = violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[name].append("wider than its page")

    for path in ("/people", f"/people/{member.account_id}", f"/people/{administrator.account_id}", "/what-we-can-see"):
        page.goto(path)
        look(path)
    page.goto("/people")
    page.locator("#note").fill("Zoé")
    page.keyboard.press("Enter")
    page.locator("#new-link").wait_for()
    look("a new invitation")
    link, words = (page.locator(f".secret > {each}").bounding_box() for each in ("#new-link", "p"))
    assert link is not None
    assert words is not None
    assert link["y"] >= words["y"] + words["height"], "the link stands on lines of its own, not in what the words leave"
    assert {name: each for name, each in found.items() if each} == {}


def test_somebody_is_invited_comes_in_is_shut_out_and_let_in_again(context, site: Site, people, watch) -> None:
    watch.allowed += ["401"]
    administrator, _member = people
    page = signed_in(context, administrator)
    page.goto("/people")
    page.get_by_label("For whom").fill("Karim")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#new-link").inner_text()
    guest = context().new_page()
    guest.goto(link)
    guest.locator("input[name=name]").fill("Karim")
    guest.locator("input[name=password]").fill("four words of my own choice")
    guest.keyboard.press("Enter")
    guest.wait_for_url("**/welcome")
    guest.goto("/")
    expect(guest.locator("#question")).to_be_visible()
    page.goto("/people")
    page.get_by_role("link", name="Karim").click()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text(re.compile("disabled on"))).to_be_visible()
    guest.goto("/")
    expect(guest.locator("#question")).to_have_count(0)
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("button", name="Disable")).to_be_visible()
    guest.goto("/sign-in")
    guest.locator("input[name=name]").fill("Karim")
    guest.locator("input[name=password]").fill("four words of my own choice")
    guest.keyboard.press("Enter")
    expect(guest.locator("#question")).to_be_visible()


def test_the_only_administrator_is_told_so_and_has_no_button(context, site: Site, people) -> None:
    administrator, _member = people
    page = signed_in(context, administrator)
    page.goto(f"/people/{administrator.account_id}")
    expect(page.get_by_text("This is the only administrator")).to_be_visible()
    assert page.get_by_role("button", name=re.compile("Disable|Make a member")).count() == 0
