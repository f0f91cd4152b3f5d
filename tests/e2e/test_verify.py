"""The page that verifies, in a real browser: from the server, and saved to disk with no network at all."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

sys.path.insert(0, str(Path(__file__).parents[1] / "receipts"))

import world
from acts import ask_and_wait
from commun.web import verify_page
from fake_engine import FakeEngine
from site_server import CHROMIUM, FLAGS, Site, serving
from test_accessibility import violations

VECTORS = Path(__file__).parents[1] / "vectors" / "receipts"
CHARTER = "45f5cfcc216ddaca48dd3f185909d4fafceb308d0a9b9a1ffdf876e64cc76ad9"
RECEIPT_KEY = "ed25519:d32b1ef23583016659acc33f6f243eed4dedce5421623d4c62cdb326ea20e369"


def bundle(name: str) -> str:
    return str(VECTORS / f"{name}.bundle.json")


class Saved:
    """A browser without a network that opens the page from disk; ``asked``: what it asked for besides."""

    def __init__(self, context: BrowserContext, file: Path) -> None:
        self.asked: list[str] = []
        self.problems: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", lambda each: self.problems.append(each.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._note)
        self.page.goto(file.as_uri())
        assert self.asked == [file.as_uri()]

    def _note(self, request: Request) -> None:
        if not request.url.startswith("blob:null/"):  # the page's own script, for its worker: nobody is asked
            self.asked.append(request.url)

    def check(self) -> None:
        assert (len(self.asked), self.problems) == (1, [])


@pytest.fixture
def saved(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    opened: list[tuple[BrowserContext, Saved]] = []

    def save(language: str = "en", **options: Any) -> Page:
        file = tmp_path / "commun-verify.html"
        file.write_text(verify_page.html(language, "auto"), encoding="utf-8")
        context = browser.new_context(offline=True, **{"locale": "en-GB", **options})
        opened.append((context, Saved(context, file)))
        return opened[-1][1].page

    yield save
    for context, each in opened:
        each.check()
        context.close()


def verdict(page: Page, name: str) -> Any:
    page.set_input_files("#bundle", bundle(name))
    return page.locator("#verdict h2")


def pin(page: Page, digest: str = CHARTER) -> None:
    page.locator("#trust > summary").click()
    page.get_by_label("Digest of the charter’s first root").fill(digest)
    page.keyboard.press("Tab")


def test_a_whole_bundle_is_verified_from_disk_without_a_network(saved: Any) -> None:
    page = saved()
    pin(page)
    expect(verdict(page, "golden/complete")).to_have_text("Verified")
    expect(page.locator("#steps > li")).to_have_count(7)
    expect(page.locator("#steps .outcome")).to_have_text(["holds"] * 7)
    expect(page.locator("#messages .answer .words")).to_have_text("The number of members who must agree. 🗳")
    expect(page.locator("#facts-rows")).to_contain_text("ledger.example.org/commun")
    expect(page.locator("#not-proven li")).to_have_count(8)


def test_what_is_missing_is_named_and_what_the_reader_brings_counts_at_once(saved: Any) -> None:
    page = saved()
    expect(verdict(page, "golden/nothing-pinned")).to_have_text("Verified in part")
    expect(page.locator("#steps .outcome").nth(4)).to_have_text("incomplete")
    expect(page.locator("#steps > li").nth(4)).to_contain_text("compare 45f5cfcc")
    pin(page)
    expect(page.locator("#verdict h2")).to_have_text("Verified")
    page.get_by_label("Receipt keys, one a line").fill(RECEIPT_KEY.replace("d32b", "d32c"))
    page.keyboard.press("Tab")
    expect(page.locator("#verdict h2")).to_have_text("Refused")
    page.get_by_label("Receipt keys, one a line").fill(RECEIPT_KEY)
    page.keyboard.press("Tab")
    expect(page.locator("#verdict h2")).to_have_text("Verified")
    page.set_input_files("#policy", str(VECTORS / "policies" / "3.txt"))
    expect(page.locator("#verdict")).to_contain_text("Fewer witnesses have confirmed")
    page.get_by_role("button", name="Without it").click()
    expect(page.locator("#verdict h2")).to_have_text("Verified")


def test_a_refused_bundle_says_where_and_why_and_shows_no_answer(saved: Any) -> None:
    page = saved()
    pin(page)
    expect(verdict(page, "broken/edited-answer")).to_have_text("Refused")
    expect(page.locator("#verdict")).to_contain_text("Refused at step 4.")
    expect(page.locator("#verdict")).to_contain_text("it was changed")
    expect(page.locator("#verdict code")).to_contain_text("commitment-mismatch")
    expect(page.locator("#steps .outcome")).to_have_text(["holds"] * 3 + ["refused"] + ["not reached"] * 3)
    for part in ("#said", "#facts", "#limits"):
        expect(page.locator(part)).to_be_hidden()
    expect(verdict(page, "golden/complete")).to_have_text("Verified")
    expect(page.locator("#said")).to_be_visible()


def test_a_digest_that_is_none_is_told_at_its_field(saved: Any) -> None:
    page = saved()
    expect(verdict(page, "golden/complete")).to_have_text("Verified in part")
    pin(page, "45f5")
    expect(page.locator("#charter-wrong")).to_be_visible()
    expect(page.locator("#charter")).to_be_focused()
    page.locator("#charter").fill(f" {CHARTER[:32].upper()} {CHARTER[32:]}\n")
    page.keyboard.press("Tab")
    expect(page.locator("#charter-wrong")).to_be_hidden()
    expect(page.locator("#verdict h2")).to_have_text("Verified")


def test_french_is_in_the_same_file_and_one_button_away(saved: Any) -> None:
    page = saved(locale="fr-FR")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(verdict(page, "golden/french-persona")).not_to_have_text("Verified in part")
    french = page.locator("#verdict h2").inner_text()
    page.get_by_role("button", name="English").click()
    expect(page.locator("#verdict h2")).to_have_text("Verified in part")
    expect(page).to_have_title("Check an answer · Commun")
    page.get_by_role("button", name="Français").click()
    expect(page.locator("#verdict h2")).to_have_text(french)


def test_a_file_can_be_dropped_and_what_it_says_is_never_html(saved: Any) -> None:
    page = saved()
    text = Path(bundle("broken/duplicate-key")).read_text().replace("{", '{"<img src=x onerror=alert(1)>": 1,', 1)
    drop = """(text) => {
        const given = new DataTransfer();
        given.items.add(new File([text], "<b>dropped</b>.bundle.json"));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, text)
    expect(page.locator("#verdict h2")).to_have_text("Refused")
    expect(page.locator("#verdict .file")).to_have_text("<b>dropped</b>.bundle.json")
    expect(page.locator("#verdict b, img")).to_have_count(0)


def test_names_out_of_a_file_are_shown_as_they_are(saved: Any, tmp_path: Path) -> None:
    """What nobody would see is written out, and a role is no sentence of ours."""
    messages = (("%(count)s", "first"), ("Refused\u202e", "second"), ("__proto__", "x" * 200_001))
    values = replace(world.VALUES, prompt_messages=messages)
    context = replace(world.statement().context, kept=len(messages))
    receipt = world.signed(values, context=context, ledger="ledger\u00e9.example")
    file = tmp_path / "made.bundle.json"
    file.write_bytes(receipt.bundle(charter=None, ledger=world.Logged()).data())
    page = saved()
    page.set_input_files("#bundle", file)
    expect(page.locator("#verdict h2")).to_have_text("Verified in part")
    roles = page.locator("#messages .message:not(.answer) h3")
    expect(roles).to_have_text(["%(count)s", "Refused‹U+202E›", "__proto__"])
    expect(page.locator("#messages")).to_contain_text("Shown are the first 200000 characters")
    expect(page.locator("#facts-rows")).to_contain_text("ledgeré.example")


def long_bundle(tmp_path: Path) -> Path:
    """Of 9 MB, whole: a million and a half tokens, fifty thousand messages, a long answer."""
    messages = (("system", "You answer briefly."), *(("user", "a"),) * 50_000)
    values = replace(
        world.VALUES, prompt_token_ids=(1,) * 1_600_000, prompt_messages=messages, answer_text="word " * 600_000
    )
    receipt = world.signed(values, context=replace(world.statement().context, kept=50_000))
    file = tmp_path / "long.bundle.json"
    file.write_bytes(world.bundle(receipt).data())
    return file


STANDSTILLS = """() => {
    window.longest = 0;
    let last = performance.now();
    setInterval(() => { window.longest = Math.max(window.longest, performance.now() - last); last = performance.now(); }, 10);
    window.told = [];
    const watch = () => window.told.push(document.getElementById("checking").textContent);
    new MutationObserver(watch).observe(document.getElementById("checking"), { childList: true });
    document.addEventListener("change", () => { window.began = performance.now(); }, true);
    new MutationObserver(() => { window.took = performance.now() - window.began; }).observe(
        document.getElementById("verdict"), { childList: true });
}"""


def test_the_page_stays_alive_while_it_checks_a_long_file_and_says_that_it_does(saved: Any, tmp_path: Path) -> None:
    file, stood_still = long_bundle(tmp_path), []
    while not any(longest < took / 3 for longest, took in stood_still):  # on the page's own thread it was twice as long
        assert len(stood_still) < 5, stood_still  # a busy machine lets the page stand still by itself, now and then
        page = saved()
        page.evaluate(STANDSTILLS)
        page.set_input_files("#bundle", file)
        expect(page.locator("#verdict h2")).to_have_text("Verified in part", timeout=120_000)
        page.wait_for_function("window.told.length === 2")
        longest, took, told = page.evaluate("[window.longest, window.took, window.told]")
        assert told == ["Checking the proof…", ""]
        stood_still.append((longest, took))
    expect(page.locator("#messages .message")).to_have_count(501)
    expect(page.locator("#messages")).to_contain_text("checked and are not shown: 49501.")


def test_another_file_ends_the_check_of_the_first(saved: Any, tmp_path: Path) -> None:
    page = saved()
    page.set_input_files("#bundle", long_bundle(tmp_path))
    expect(page.locator("#checking")).to_have_text("Checking the proof…")
    expect(verdict(page, "golden/nothing-pinned")).to_have_text("Verified in part")
    expect(page.locator("#verdict .file")).to_have_text("nothing-pinned.bundle.json")
    expect(page.locator("#checking")).to_have_text("")
    page.wait_for_timeout(3_000)
    expect(page.locator("#verdict .file")).to_have_text("nothing-pinned.bundle.json")


NO_WORKERS = "Worker = class { constructor() { throw new Error('none here'); } }"
DEAD_WORKERS = (
    "Worker = class extends EventTarget { constructor() { super(); setTimeout(() => "
    "this.dispatchEvent(new Event('error'))); } postMessage() {} terminate() {} }"
)


@pytest.mark.parametrize("workers", [NO_WORKERS, DEAD_WORKERS])
def test_where_a_browser_starts_no_worker_the_page_checks_by_itself(saved: Any, workers: str) -> None:
    page = saved()
    page.evaluate(f"() => {{ {workers}; }}")
    pin(page)
    expect(verdict(page, "golden/complete")).to_have_text("Verified")
    expect(verdict(page, "broken/edited-answer")).to_have_text("Refused")


def test_an_address_without_https_says_what_to_do_instead(browser: Browser, tmp_path: Path) -> None:
    """A browser has no WebCrypto there; the saved file has."""
    with serving(tmp_path / "home", FakeEngine(), public_url="http://commun.town") as site:
        address = urlsplit(site.url)
        own = browser.browser_type.launch(
            executable_path=CHROMIUM, args=[*FLAGS, f"--host-resolver-rules=MAP commun.town {address.hostname}"]
        )
        page = own.new_context(locale="en-GB").new_page()
        page.goto(f"http://commun.town:{address.port}/verify")
        assert page.evaluate("[isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
        expect(page.locator("#no-cryptography")).to_contain_text("Save this page and open the saved file")
        expect(verdict(page, "golden/complete")).to_have_text("Not checked")
        expect(page.locator("#steps-part")).to_be_hidden()
        own.close()


def test_the_keyboard_is_enough(saved: Any) -> None:
    page = saved()
    page.on("filechooser", lambda _: None)  # from here on it opens for the test, not on the screen
    seen = []
    for _ in range(9):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert [
        each for each in ("English", "Français", "bundle", "Compare with what you already know") if each not in seen
    ] == []
    page.locator("#bundle").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(bundle("golden/complete"))
    expect(page.locator("#verdict h2")).to_have_text("Verified in part")


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_and_nothing_overflows(saved: Any, look: str, width: int) -> None:
    page = saved(color_scheme=look, viewport={"width": width, "height": 844}, reduced_motion="reduce", bypass_csp=True)
    page.locator("#trust > summary").click()
    for name in ("broken/edited-answer", "golden/everything-withheld", "golden/french-persona"):
        page.set_input_files("#bundle", bundle(name))
        expect(page.locator("#verdict .file")).to_have_text(f"{name.partition('/')[2]}.bundle.json")
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_its_policy_lets_nothing_else_run_or_ask(saved: Any, browser: Browser, tmp_path: Path) -> None:
    """A saved copy into which somebody has written a script, a picture and an address."""
    file = tmp_path / "spoiled.html"
    more = '<script>document.title = "run"</script><img src="https://example.org/i.png"></body>'
    file.write_text(verify_page.html("en", "auto").replace("</body>", more), encoding="utf-8")
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    stopped: dict[str, str] = {}
    answered: list[str] = []
    page.on("requestfailed", lambda request: stopped.update({request.url: request.failure}))
    page.on("response", lambda response: answered.append(response.url))
    page.goto(file.as_uri())
    assert page.title() == "Check an answer · Commun"
    assert page.evaluate("fetch('https://example.org/').then(() => 'asked', () => 'refused')") == "refused"
    html = "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'made'; } catch (error) { return error.name; } })()"
    assert page.evaluate(html) == "TypeError"
    assert (stopped, answered) == ({"https://example.org/i.png": "csp"}, [file.as_uri()])
    context.close()


def test_the_server_gives_it_to_anybody_and_it_can_be_saved(context: Any, site: Site, tmp_path: Path) -> None:
    page = context(accept_downloads=True).new_page()
    response = page.goto("/verify?lang=fr")
    headers = response.all_headers()
    assert headers["content-security-policy"] == f"{verify_page.policy()}; frame-ancestors 'none'"
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    page.get_by_role("button", name="English").click()
    expect(verdict(page, "golden/complete")).to_have_text("Verified in part")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save this page").click()
    assert download.value.suggested_filename == "commun-verify.html"
    file = tmp_path / "downloaded.html"
    download.value.save_as(file)
    assert file.read_text(encoding="utf-8") == verify_page.html("fr", "auto")


def test_an_answer_of_this_server_is_verified_by_its_own_page(context: Any, site: Site, tmp_path: Path) -> None:
    adopted = site.app.state.services.charter.get().charter.models.adopted[0]
    slots = {name: getattr(site.engine.info, name) for name in site.engine.info.__slots__}
    site.engine.info = site.engine.info.__class__(**{**slots, "model": adopted.id, "model_digest": adopted.digest})
    page = context().new_page()
    page.goto(site.link())
    ask_and_wait(page, "What is a quorum?")
    receipt = re.search(r"/receipt/([0-9a-f]{64})", page.content())
    assert receipt
    file = tmp_path / "answer.bundle.json"
    for _ in range(480):  # until the ledger has it
        file.write_bytes(page.request.get(f"/receipt/{receipt[1]}/bundle").body())
        if json.loads(file.read_bytes())["ledger"]["receipt"] != "pending":
            break
        page.wait_for_timeout(250)
    page.goto("/verify")
    pin(page, site.app.state.services.charter.get().first_root)
    page.set_input_files("#bundle", file)
    expect(page.locator("#verdict h2")).to_have_text("Verified in part")  # its charter names no ledger's key yet
    expect(page.locator("#steps .outcome")).to_have_text(["holds"] * 6 + ["incomplete"])
    expect(page.locator("#steps > li").nth(6).locator(".missing")).to_have_text(
        [
            "Whose ledger that is: neither you nor a charter that you know names its key.",
            "Whose key that is: compare it with the one that is published.",
        ]
    )
    policy = tmp_path / "policy.txt"
    policy.write_bytes(page.request.get("/ledger/policy").body())
    page.set_input_files("#policy", policy)
    expect(page.locator("#verdict h2")).to_have_text("Verified")
    expect(page.locator("#messages .message:not(.answer) .words").last).to_have_text("What is a quorum?")
