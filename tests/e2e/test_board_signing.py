"""The board in real browsers: keys that no request carries, signatures beside the command line's, every language."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from board_acts import Sent, browser_board, commun, in_flight, invitation, join
from board_home import NAMES, SYSTEM, BoardHome, board_home, with_system
from commun.charter.joining import JoinRequest
from fake_engine import FakeEngine
from site_server import Site, serving
from test_accessibility import violations

WAYS_OUT = ("pkcs8", "raw", "jwk")
EXPORTS = """
    async (formats) => {
        const database = await new Promise((resolve) => {
            const request = indexedDB.open("commun-board", 1);
            request.onsuccess = () => resolve(request.result);
        });
        const records = await new Promise((resolve) => {
            const request = database.transaction("keys").objectStore("keys").getAll();
            request.onsuccess = () => resolve(request.result);
        });
        const found = [];
        for (const { keys } of records) for (const format of formats) {
            found.push(await crypto.subtle.exportKey(format, keys.privateKey).then(() => "out", (error) => error.name));
        }
        return found;
    }
"""


@pytest.fixture
def board(tmp_path: Path) -> BoardHome:
    """Ada has a key file. The others' keys are replaced by those that their browsers make."""
    return board_home(tmp_path / "home", NAMES[:1])


@pytest.fixture
def site(board: BoardHome) -> Iterator[Site]:
    with serving(board.home, FakeEngine(), sign_in_rate_limit="1000/minute") as running:
        yield running


def test_a_key_made_at_the_invitation_is_in_no_request_and_cannot_be_exported(context, site: Site, board: BoardHome):
    opened = context()
    sent = Sent(opened)
    page = opened.new_page()
    request = join(page, board, "Benoît")
    assert request.name == "Benoît"
    request.check_charter(board.desk.verified().roots[0])
    assert page.evaluate(EXPORTS, WAYS_OUT) == ["InvalidAccessError"] * len(WAYS_OUT)
    assert sent.bodies() == []  # not even the public one was sent
    page.reload()
    page.get_by_role("button", name="Make my key").click()
    expect(page.locator("#answered")).to_be_visible()
    assert JoinRequest.from_text(page.locator("#answer").input_value()).key == request.key
    assert [each for each in sent.requests if each.method != "GET"] == []


def test_one_signs_a_file_and_one_signs_in_the_browser(context, site: Site, board: BoardHome, tmp_path: Path):
    pages = browser_board(context, board)
    before = board.desk.verified().in_force.newest.files[SYSTEM].decode()
    amendment = board.propose(with_system(before + "\nName your sources."), reason="People ask.")
    page = pages["Chloé"]
    sent = Sent(page.context)
    page.goto(f"/board/{amendment.id}")
    expect(page.locator(".count")).to_have_text("0 of 2 signed")
    expect(page.locator(".diff ins").last).to_contain_text("Name your sources")
    page.get_by_role("button", name="Sign", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-done]")).to_have_text("Your signature was verified and is kept.")
    expect(page.locator(".count")).to_contain_text("1 of 2 signed")
    expect(page.get_by_role("button", name="Sign", exact=True)).to_have_count(0)
    (body,) = sent.bodies()
    assert set(body) == {"key", "time", "signatures"}
    assert set(body["signatures"]) == {"targets", "snapshot", "timestamp", "assent"}
    assert all(re.fullmatch(r"[0-9a-f]{128}", each) for each in body["signatures"].values())

    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file").click()
    file = tmp_path / "mine.amendment"
    download.value.save_as(file)
    commun(board, "charter", "sign", str(file))
    observer = context().new_page()
    observer.goto("/board")
    expect(observer.locator(".count")).to_contain_text("1 of 2 signed")
    observer.set_input_files("#file", file)
    observer.get_by_role("button", name="Send its signatures").click()
    expect(observer.locator(".count")).to_contain_text("2 of 2 signed")
    assert sorted(observer.locator(".has-signed b").all_inner_texts()) == ["Ada", "Chloé"]
    observer.get_by_role("button", name="Put it in force").click()
    expect(observer.locator("[data-done]")).to_have_text("The new edition is in force.")
    in_force = board.desk.in_force()
    assert in_force.edition.digest == amendment.digest
    assert {(each.member, each.at is not None) for each in in_force.edition.signatures} == {
        ("Ada", True),
        ("Chloé", True),
    }
    assert site.app.state.services.charter.get().edition.digest == amendment.digest


def test_one_member_freezes_and_the_quorum_releases_from_their_browsers(context, site: Site, board: BoardHome):
    pages = browser_board(context, board)
    board_now = board.desk.verified().in_force.newest
    assert board_now.number == 2
    page = pages["Chloé"]
    page.goto("/board")
    page.get_by_text("Freeze edition 2").click()
    page.locator("#freeze-reason").fill('  It "praises"\nthe mayor. ')
    page.get_by_label("I want edition 1 to answer from now on.").check()
    page.get_by_role("button", name="Freeze it now").click()
    expect(page.locator("[data-done]")).to_contain_text("The edition is frozen")
    expect(page.locator(".alert")).to_contain_text("the mayor.")
    assert site.app.state.services.charter.get().edition.number == 1
    page.get_by_role("button", name="Propose to release edition 2").click()
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("[data-done]")).to_contain_text("Proposed, with your signature.")
    expect(page.locator(".count")).to_contain_text("1 of 2 signed")
    page.goto("/board")
    expect(page.get_by_role("button", name="Propose to release edition 2")).to_have_count(0)
    page.go_back()
    other = pages["Benoît"]
    other.goto(f"/board/{in_flight(page)}")
    other.get_by_role("button", name="Sign", exact=True).click()
    other.get_by_role("button", name="Release it").click()
    expect(other.locator("[data-done]")).to_have_text("The frozen edition is in force again.")
    assert board.desk.in_force().freeze is None
    expect(other.get_by_text("it cannot be frozen again")).to_be_visible()


def test_a_member_invites_and_proposes_from_the_page(context, site: Site, board: BoardHome):
    pages = browser_board(context, board)
    page = pages["Benoît"]
    page.goto("/board")
    expect(page.locator("#own-keys strong")).to_have_text("Benoît")
    page.get_by_text("Invite somebody to the board").click()
    page.get_by_label("Name of the new member").fill("Dara")
    page.get_by_role("button", name="Make an invitation").click()
    address = page.locator("#address").input_value()
    newcomer = context().new_page()
    newcomer.goto(address)
    expect(newcomer.locator(".lead")).to_contain_text("Benoît invites Dara")
    newcomer.get_by_role("button", name="Make my key").click()
    expect(newcomer.locator("#answered")).to_be_visible()
    answer = newcomer.locator("#answer").input_value()
    page.goto("/board")
    page.get_by_text("Propose a new member who has answered").click()
    page.get_by_label("Their answer").fill(answer)
    page.locator("#why").fill('Dara knows the rules.\nAll of them: \\ "quoted".')
    page.get_by_role("button", name="See what would change").click()
    expect(page.locator(".change").first).to_contain_text("Dara")
    assert board.desk.documents() == ()  # nothing is kept before it is signed
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator(".count")).to_contain_text("1 of 3 signed")
    (lying,) = board.desk.documents()
    assert {member.name for member in lying.document.charter.board.members} == {*NAMES, "Dara"}


def test_two_keys_in_one_browser_are_told_apart(context, site: Site, board: BoardHome):
    from commun.charter.clauses import Member
    from commun.drafting.editing import with_member

    page = context().new_page()
    requests = [join(page, board, name) for name in ("Benoît", "Chloé")]

    def enlarged(files: Any) -> Any:
        for request in requests:
            files = with_member(files, Member(request.name, request.key))
        return files

    amendment = board.propose(enlarged, by=["Ada"])
    page.goto(f"/board/{amendment.id}")
    page.get_by_role("button", name="Sign as Chloé").click()
    expect(page.locator(".has-signed b")).to_have_count(2)
    page.get_by_role("button", name="Sign as Benoît").click()
    expect(page.locator(".has-signed b")).to_have_count(3)
    expect(page.locator("#signed-here")).to_be_visible()


def test_without_scripts_everything_can_be_read_and_files_can_be_sent(context, site: Site, board: BoardHome, tmp_path):
    before = board.desk.verified().in_force.newest.files[SYSTEM].decode()
    amendment = board.propose(with_system(before + "\nBe brief."), by=["Ada"])
    page = context(java_script_enabled=False).new_page()
    page.goto("/board")
    expect(page.locator(".count")).to_contain_text("1 of 1 signed")
    expect(page.get_by_text("Only signing in the browser needs scripts.")).to_be_visible()
    expect(page.locator("#own-keys")).to_be_hidden()
    page.get_by_role("link", name="Read and sign").click()
    expect(page.locator(".diff ins")).to_contain_text("Be brief")
    file = tmp_path / "x.amendment"
    file.write_bytes(amendment.to_bytes())
    page.set_input_files("#file", file)
    page.get_by_role("button", name="Send its signatures").click()
    expect(page.locator("[data-done]")).to_be_visible()
    page.get_by_role("button", name="Put it in force").click()
    expect(page.locator("[data-done]")).to_have_text("The new edition is in force.")


@pytest.mark.parametrize(
    ("hide", "words"),
    [
        (
            "Object.defineProperty(globalThis, 'isSecureContext', { value: false })",
            "only for pages that come over https",
        ),
        (
            "if (globalThis.crypto?.subtle) crypto.subtle.generateKey = () => Promise.reject(new DOMException('', 'NotSupportedError'))",
            "lacks Ed25519",
        ),
    ],
)
def test_a_browser_that_cannot_hold_keys_is_told_so(context, site: Site, board: BoardHome, hide: str, words: str):
    opened = context()
    opened.add_init_script(hide)
    page = opened.new_page()
    for path in ("/board", f"/board/join?invitation={invitation(board, 'Dara')}"):
        page.goto(path)
        expect(page.get_by_text(words)).to_be_visible()
        expect(page.get_by_role("button", name="Make my key")).to_have_count(0)


@pytest.mark.parametrize("look", ["light en-GB", "dark fr-FR"])
def test_axe_finds_nothing_and_no_page_is_too_wide(context, site: Site, board: BoardHome, watch, look: str):
    pages = browser_board(context, board)
    watch.allowed += ["422"]  # an invitation that is none
    theme, locale = look.split()
    before = board.desk.verified().in_force.newest.files[SYSTEM].decode()
    amendment = board.propose(with_system(before.replace("a", "\u0430", 1)), reason="W" * 300, by=["Ada"])
    board.propose(with_system(before + "\nBe brief."), by=["Ada"])
    page = pages["Chloé"]
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}
    for width in (1200, 320):
        page.set_viewport_size({"width": width, "height": 900})
        for path in (
            "/board",
            f"/board/{amendment.id}?done=signed",
            "/board/join",
            "/board/join?invitation=x",
            f"/board/join?invitation={invitation(board, 'Dara')}",
            "/board/invite?name=Dara&by=Ada",
        ):
            page.goto(f"{path}{'&' if '?' in path else '?'}lang={locale[:2]}")
            assert page.evaluate("document.documentElement.lang") == locale[:2]
            page.locator("html[data-board=ready], #invitation, #address").first.wait_for(state="attached")
            page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            found[f"{path} {width}"] = violations(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
    assert {name: each for name, each in found.items() if each} == {}
