"""axe-core on every page, in both languages and themes, and what it cannot see: landmarks, focus, reduced motion."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from acts import ask_and_wait
from fake_engine import FakeEngine
from site_server import Site

AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text()
MOVING = "document.getAnimations().some((each) => each.playState === 'running' && each.effect.getTiming().iterations !== Infinity)"
RICH = (
    "<think>Some *thought*.</think>\n\n# Title\n\nText with [a link](https://example.org) and `code`.\n\n- [x] done\n- one\n\n"
    "| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\ndef f(x: int) -> str:  # comment\n    return 'text'\n```\n\n"
    "> quote\n\n$$x = \\frac{1}{2}$$\n\n![picture](https://example.org/i.png)\n\n---\n\nThe end."
)


@pytest.fixture
def engine() -> FakeEngine:
    made = FakeEngine(RICH)
    slots = {name: getattr(made.info, name) for name in made.info.__slots__}
    made.info = made.info.__class__(**{**slots, "embedded_default": True})
    return made


def violations(page: Page) -> list[str]:
    """What axe finds. It is given to the page past the content security policy, through the debugging protocol."""
    while page.evaluate(MOVING):
        page.wait_for_timeout(20)
    if not page.evaluate("'axe' in globalThis"):
        page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": AXE})
    result = page.evaluate(
        "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
    )
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in result["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("look_and_language", ["light en-GB", "dark fr-FR"])
def test_axe_finds_nothing_on_any_page(context, site: Site, engine: FakeEngine, watch, look_and_language: str) -> None:
    theme, locale = look_and_language.split()
    watch.allowed += ["404", "401", "403"]
    opened = context(locale=locale, color_scheme=theme, reduced_motion="reduce")
    page = opened.new_page()
    page.goto(site.link())
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        found[name] = violations(page)

    look("first visit")
    page.locator(".note summary").click()
    look("first visit, unfolded")
    ask_and_wait(page, "A rich answer")
    page.locator(".again").click()
    page.locator(".branches").wait_for()
    expect(page.locator(".answer[data-running]")).to_have_count(0)
    look("conversation")
    for summary in (".thought summary", ".facts summary", "#chat-menu summary"):
        page.locator(summary).last.click()
        look(summary)
    page.locator("#main").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowUp")
    page.locator("#question").press("ArrowUp")
    look("editing")
    page.keyboard.press("Escape")
    engine.answer = "word " * 400
    engine.delay_s = 0.2
    page.locator("#question").fill("Longer")
    page.keyboard.press("Enter")
    page.locator(".answer[data-running]").wait_for()
    look("while writing")
    page.locator("#stop").click()
    expect(page.locator(".answer[data-running]")).to_have_count(0)
    look("stopped")
    engine.delay_s = 0
    engine.fail_after = 2
    ask_and_wait(page, "Fail")
    look("failed")
    page.keyboard.press("Control+k")
    page.keyboard.type("rich")
    page.locator("#search-hits a").first.wait_for()
    look("search dialog")
    page.keyboard.press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("?")
    look("keys")
    page.keyboard.press("Escape")
    page.locator("[data-menu]").first.click()
    look("menu")
    page.keyboard.press("Escape")
    for path in ("/settings", "/search?q=rich", "/temporary", "/c/nothing"):
        page.goto(path)
        look(path)
    page.goto("/settings")
    page.locator("form[action*=recovery] button").click()
    look("a new recovery code")
    page.goto("/settings")
    page.locator("#key-name").fill("key")
    page.keyboard.press("Enter")
    page.locator("#new-key").wait_for()
    look("a new key")
    other = context(locale=locale, color_scheme=theme)
    page = other.new_page()
    page.goto("/")
    look("signed out")
    page.goto(site.link())
    look("locked")
    page.locator("#code").fill("wrong")
    page.keyboard.press("Enter")
    page.locator("#code-problem").wait_for()
    look("locked, wrong code")
    assert {name: each for name, each in found.items() if each} == {}


def test_the_skip_link_comes_first_and_leads_to_the_content(page: Page) -> None:
    page.goto("/settings")
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_dialog_gives_the_focus_back(page: Page) -> None:
    button = page.get_by_role("button", name="Keyboard shortcuts")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#keys-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()


def test_every_label_is_in_the_language_of_the_page(context, site: Site) -> None:
    page = context(locale="fr-FR").new_page()
    page.goto(site.link())
    labels = page.evaluate(
        "[...document.querySelectorAll('[aria-label]')].map((each) => each.getAttribute('aria-label'))"
    )
    assert "Envoyer" in labels
    assert not {"Send", "Stop the answer", "Conversations list", "Close"} & set(labels)
