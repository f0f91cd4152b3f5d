"""The ledger's pages and a shared answer in a real browser: read, searched, dropped on, published, withdrawn."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from acts import ask_and_wait
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey
from fake_engine import FakeEngine
from founded import found_for_tests
from site_server import Site, serving
from test_accessibility import violations

ANSWER = "**Because.**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```\n\n<script>globalThis.pwned = 1</script>"
LOOKS = ["light en-GB", "dark fr-FR"]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(ANSWER)


@pytest.fixture
def site(tmp_path: Path, engine: FakeEngine):
    with serving(tmp_path / "home", engine, public_shares=True, sign_in_rate_limit="1000/minute") as running:
        yield running


def receipt_of(page: Page) -> str:
    answer = page.locator(".answer").last
    return (answer.locator("a[data-seal]").get_attribute("href") or "").removeprefix("/receipt/")


def logged(page: Page, site: Site, receipt: str) -> int:
    for _ in range(2400):
        found = site.run(site.app.state.services.receipts.find_position(receipt))
        if found is not None:
            return int(found)
        page.wait_for_timeout(50)
    raise AssertionError("the ledger did not take the receipt")


def publish(page: Page, receipt: str, *, conversation: bool = False) -> str:
    page.goto(f"/receipt/{receipt}/share")
    if conversation:
        page.get_by_role("checkbox").check()
    page.locator(".share-form button").click()
    page.locator(".share-made").wait_for()
    return page.locator(".share-made code").inner_text()


def is_wider_than_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.parametrize("look_and_language", LOOKS)
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(
    context, site: Site, watch, look_and_language: str
) -> None:
    theme, locale = look_and_language.split()
    watch.allowed += ["404"]
    phone: BrowserContext = context(
        locale=locale, color_scheme=theme, reduced_motion="reduce", viewport={"width": 390, "height": 844}
    )
    page = phone.new_page()
    page.goto(site.link())
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        found[name] = violations(page)
        assert not is_wider_than_the_screen(page), name

    ask_and_wait(page, "Why?")
    receipt = receipt_of(page)
    number = logged(page, site, receipt)
    page.goto("/ledger")
    look("ledger")
    page.goto("/ledger?before=1")
    look("earlier entries")
    page.goto(f"/ledger/entry/{number}")
    look("entry")
    for summary in page.locator("main summary").all():
        summary.click()
    look("entry, unfolded")
    page.goto("/ledger/find?receipt=" + "0" * 64)
    look("not found")
    page.goto(f"/receipt/{receipt}/share")
    look("publishing")
    link = publish(page, receipt, conversation=True)
    look("published")
    page.goto("/settings")
    look("settings")
    page.goto(link)
    for summary in page.locator("main summary").all():
        summary.click()
    look("shared")
    page.goto("/share/nothing")
    look("nothing shared")
    assert {name: each for name, each in found.items() if each} == {}


def test_a_proof_on_ones_disk_leads_to_its_entry_and_is_not_sent(page: Page, site: Site, tmp_path: Path) -> None:
    ask_and_wait(page, "Why?")
    receipt = receipt_of(page)
    number = logged(page, site, receipt)
    page.goto(f"/receipt/{receipt}")
    with page.expect_download() as downloading:
        page.locator("[data-proof]").first.click()
    file = tmp_path / "answer.bundle.json"
    downloading.value.save_as(file)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or request.url))
    page.goto("/ledger")
    page.locator("#bundle").set_input_files(file)
    page.wait_for_url(f"**/ledger/entry/{number}")
    assert all("answer_text" not in each and len(each) < 300 for each in sent)
    page.goto("/ledger")
    (tmp_path / "other.json").write_text('{"envelope": 7}')
    page.locator("#bundle").set_input_files(tmp_path / "other.json")
    expect(page.locator(".drop-problem")).to_contain_text("no proof of an answer")


def test_the_key_is_copied(context, site: Site) -> None:
    opened = context(permissions=["clipboard-read", "clipboard-write"])
    page = opened.new_page()
    page.goto(f"{site.url}/ledger")
    page.get_by_role("button", name="Copy the key").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#vkey").inner_text()


BROKEN_WORDS = """() => [...document.querySelectorAll(".wide thead th")].flatMap((cell) => {
    const text = cell.firstChild;
    return [...text.data.matchAll(/\\S+/g)].filter((word) => {
        const range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        return new Set([...range.getClientRects()].map((each) => Math.round(each.top))).size > 1;
    }).map((word) => word[0]);
})"""


@pytest.mark.parametrize("language", ["en", "fr"])
def test_on_the_narrowest_screen_no_head_of_a_column_is_broken_and_nothing_is_wider(
    browser: Browser, tmp_path: Path, language: str
) -> None:
    keys = [SignerKey(f"witness.example/{at}", ED25519_COSIGNATURE, bytes([at]) * 32) for at in range(2)]
    lines = [f"witness the-library-of-the-town-{at} {key.verifier.text()}" for at, key in enumerate(keys)]
    policy = "\n".join([*lines, "quorum the-library-of-the-town-1"])
    home = tmp_path / "watched"
    found_for_tests(home, {'policy = ""': f'policy = """\n{policy}"""'})
    with serving(home, FakeEngine()) as site:
        narrow = browser.new_context(base_url=site.url, viewport={"width": 320, "height": 700})
        page = narrow.new_page()
        page.goto(f"/ledger?lang={language}")
        expect(page.locator(".wide thead th")).to_have_count(3)
        assert page.evaluate(BROKEN_WORDS) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        narrow.close()


def test_the_ledger_is_read_without_scripts_and_without_an_account(context, page: Page, site: Site) -> None:
    ask_and_wait(page, "Why?")
    receipt = receipt_of(page)
    number = logged(page, site, receipt)
    stranger = context(java_script_enabled=False).new_page()
    stranger.goto("/ledger")
    expect(stranger.get_by_role("button", name="Copy the key")).to_have_count(0)
    stranger.locator("#receipt").fill(receipt)
    stranger.locator(".ledger-find button").click()
    expect(stranger).to_have_url(re.compile(rf"/ledger/entry/{number}$"))
    expect(stranger.locator(".proof-tree svg .box.entry")).to_have_count(1)
    stranger.locator(".steps-up summary").click()
    expect(stranger.locator(".steps-up li").last).to_contain_text("the head’s root")


def test_an_answer_is_published_read_by_a_stranger_and_withdrawn(context, page: Page, site: Site, watch) -> None:
    watch.allowed += ["404"]
    ask_and_wait(page, "Why is that so?")
    link = publish(page, receipt_of(page))
    stranger: Page = context().new_page()
    stranger.goto(link)
    expect(stranger.locator(".shared-answer strong")).to_have_text("Because.")
    assert "Why is that so?" not in stranger.content()
    assert stranger.context.cookies() == []
    assert stranger.evaluate("globalThis.pwned") is None
    with stranger.expect_download() as downloading:
        stranger.get_by_role("link", name="Download proof").click()
    assert downloading.value.suggested_filename.endswith(".bundle.json")
    page.goto("/settings")
    page.get_by_role("button", name=re.compile("^Withdraw")).click()
    expect(page.locator("#shares")).to_be_visible()
    stranger.goto(link)
    expect(stranger.get_by_role("heading", level=1)).to_have_text("This link opens nothing")


def test_the_seals_panel_publishes_without_leaving_the_chat(page: Page, site: Site) -> None:
    ask_and_wait(page, "Why?")
    chat = page.url
    page.locator("[data-seal]").last.click()
    page.locator(".share-box summary").click()
    page.locator(".share-form").get_by_label("30 days").check()
    page.locator(".share-form button").click()
    expect(page.locator(".share-made code")).to_contain_text("/share/")
    expect(page.locator(".share-made button")).to_be_focused()
    assert violations(page) == []
    assert page.url == chat


def test_a_question_is_published_only_with_its_owners_leave(context, page: Page, site: Site) -> None:
    ask_and_wait(page, "Why is that so?")
    link = publish(page, receipt_of(page), conversation=True)
    stranger: Page = context().new_page()
    stranger.goto(link)
    expect(stranger.locator(".shared-question .told-text")).to_have_text("Why is that so?")


def test_publishing_without_scripts(context, site: Site) -> None:
    opened = context(java_script_enabled=False)
    page = opened.new_page()
    page.goto(site.link())
    page.locator("#question").fill("Why?")
    page.locator("#send").click()
    page.locator(".answer").wait_for()
    page.goto(f"/receipt/{receipt_of(page)}")
    page.locator(".share-box summary").click()
    page.locator(".share-form button").click()
    expect(page.locator(".share-made code")).to_contain_text("/share/")
