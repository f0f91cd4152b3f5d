"""Two people and one conversation: shared from its menu, accepted, read, copied and ended, in a browser and past axe."""

import pytest
from playwright.sync_api import Page, expect

from acts import ask_and_wait, finished
from fake_engine import FakeEngine
from inhabitants import inhabitant
from site_server import Site
from test_accessibility import violations


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine("<think>Hm.</think>\n\nA **charter** is a list.\n\n```python\nprint('x')\n```\n")


def test_one_shares_and_the_other_reads_until_it_is_ended(context, site: Site, engine: FakeEngine, watch) -> None:
    del engine
    watch.allowed += ["404"]
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "color_scheme": "dark"}
    pages: dict[str, Page] = {}
    for name, options in (("Ada", {}), ("Bob", phone)):
        opened = context(reduced_motion="reduce", **options)
        token = inhabitant(site, name=name).token
        opened.add_cookies([{"name": "commun_session", "value": token, "url": site.url}])
        pages[name] = opened.new_page()
    ada, bob = pages["Ada"], pages["Bob"]
    found: dict[str, list[str]] = {}

    ada.goto("/")
    ask_and_wait(ada, "What is a charter?")
    ada.locator("#chat-menu summary").click()
    ada.get_by_role("link", name="Share with a person").click()
    ada.get_by_role("button", name="Make a link for one person").click()
    link = ada.locator("#with-url").inner_text()
    found["a link"] = violations(ada)

    bob.goto(link)
    expect(bob.get_by_text("Ada lets you read a conversation")).to_be_visible()
    found["an offer"] = violations(bob)
    bob.get_by_role("button", name="Accept and read").click()
    expect(bob.get_by_role("heading", name="Ada asked")).to_be_visible()
    expect(bob.locator(".bubble")).to_have_text("What is a charter?")
    assert bob.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found["reading"] = violations(bob)
    reading = bob.url
    bob.get_by_role("link", name="Seal: what produced this answer").click()
    expect(bob.get_by_role("heading", name="Receipt of an answer")).to_be_visible()
    assert bob.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found["a receipt"] = violations(bob)

    ada.goto(ada.url.partition("#")[0])
    expect(ada.get_by_role("button", name="End the reading of Bob")).to_be_visible()
    found["who reads"] = violations(ada)
    bob.goto(reading)
    bob.get_by_role("button", name="Go on in a copy of your own").last.click()
    expect(bob.get_by_role("heading", name="Asked in a conversation that was shared with you")).to_be_visible()
    bob.locator("#question").fill("And mine?")
    bob.locator("#send").click()
    finished(bob.locator(".answer").nth(1))
    found["a copy"] = violations(bob)

    ada.get_by_role("button", name="End the reading of Bob").click()
    expect(ada.get_by_role("status").filter(has_text="has another key now")).to_be_visible()
    found["ended"] = violations(ada)
    bob.goto(reading)
    expect(bob.get_by_text("There is nothing here.")).to_be_visible()
    bob.goto(link)
    expect(bob.get_by_role("heading", name="This link opens nothing")).to_be_visible()
    found["a link that opens nothing"] = violations(bob)
    assert {name: each for name, each in found.items() if each} == {}
