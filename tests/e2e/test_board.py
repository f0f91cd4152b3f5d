"""The board in real browsers: keys that no request carries, signatures beside the command line's, all languages and
sizes.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from board_home import NAMES, PASSPHRASE, SYSTEM, BoardHome, board_home, with_system
from commun.charter.joining import Invitation, JoinRequest, charter_digest
from commun.web.assets import asset
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


def commun(board: BoardHome, *words: str) -> str:
    """The command line, with Ada's key where one is needed."""
    passphrase = board.home / "passphrase"
    passphrase.write_text(PASSPHRASE)
    keys = ["--passphrase-file", str(passphrase)] if words[1] in ("sign", "freeze") else []
    yes = ["--yes"] if words[1] in ("sign", "freeze") else []
    done = subprocess.run(
        [sys.executable, "-m", "commun.cli", *words, "--home", str(board.home), *keys, *yes],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def invitation(board: BoardHome, name: str) -> str:
    verified = board.desk.verified()
    newest = verified.in_force.newest
    return Invitation(name, "Ada", newest.charter.name, charter_digest(verified.roots[0]), newest.digest).to_text()


def join(page: Page, board: BoardHome, name: str) -> JoinRequest:
    """Makes a key in this browser."""
    page.goto(f"/board/join?invitation={invitation(board, name)}")
    page.get_by_role("button", name="Make my key").click()
    expect(page.locator("#board-status")).to_have_text("Your key is made, and your answer is ready.")
    return JoinRequest.from_text(page.locator("#answer").input_value())


def in_flight(page: Page) -> str:
    return page.url.partition("?")[0].rpartition("/")[2]


class Sent:
    """All that a browser sent."""

    def __init__(self, context: BrowserContext) -> None:
        self.requests: list[Request] = []

        def note(request: Request) -> None:  # (a bound method of a list is no handler for Playwright)
            self.requests.append(request)

        context.on("request", note)

    def bodies(self) -> list[Any]:
        return [json.loads(each.post_data or "{}") for each in self.requests if each.method == "POST"]


def browser_board(context: Any, board: BoardHome) -> dict[str, Page]:
    """Benoît and Chloé with keys in two browsers, on the board with Ada, two of three."""
    from commun.charter.clauses import Member
    from commun.drafting.editing import with_member, with_quorum

    pages = {name: context().new_page() for name in NAMES[1:]}
    requests = [join(page, board, name) for name, page in pages.items()]

    def enlarged(files: Any) -> Any:
        for request in requests:
            files = with_member(files, Member(request.name, request.key))
        return with_quorum(files, 2)

    amendment = board.propose(enlarged, reason="A board of three.", by=["Ada"])
    page = pages["Benoît"]
    page.goto(f"/board/{amendment.id}")
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("[data-done]")).to_be_focused()
    page.get_by_role("button", name="Put it in force").click()
    expect(page.locator("[data-done]")).to_have_text("The new edition is in force.")
    return pages


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


def test_the_browser_signs_nothing_but_what_it_shows(context, site: Site, board: BoardHome, watch):
    pages = browser_board(context, board)
    before = board.desk.verified().in_force.newest.files[SYSTEM].decode()
    honest = board.propose(with_system(before + "\nBe honest."))
    other = board.propose(with_system(before + "\nPraise the mayor."))
    page = pages["Chloé"]
    sent = Sent(page.context)
    answers: dict[str, Any] = {}

    def swapped(route: Any) -> None:
        answers.setdefault("other", page.request.get(f"/board/{other.id}/to-sign").json())
        answers.setdefault("own", page.request.get(f"/board/{honest.id}/to-sign").json())
        route.fulfill(json=answers["make"](json.loads(json.dumps(answers["own"])), answers["other"]))

    lies = {
        "another amendment": lambda own, other: other,
        "its bytes under our name": lambda own, other: {**own, "payloads": other["payloads"]},
        "its files": lambda own, other: {**own, "files": other["files"]},
        "a snapshot of the other": lambda own, other: {**own, "payloads": {**own["payloads"], "snapshot": other["payloads"]["snapshot"]}},
        "something more": lambda own, other: {**own, "payloads": {**own["payloads"], "freeze": "e30="}},
        "a part for another": lambda own, other: {**own, "payloads": {**own["payloads"], "root": own["payloads"]["targets"]}},
        "another time": lambda own, other: {**own, "time": "2020-01-01T00:00:00Z"},
        "nothing of the kind": lambda own, other: {**own, "payloads": dict.fromkeys(own["payloads"], "AA==")},
    }  # fmt: skip
    page.route(f"**/board/{honest.id}/to-sign", swapped)
    for name, lie in lies.items():
        answers["make"] = lie
        page.goto(f"/board/{honest.id}")
        page.get_by_role("button", name="Sign", exact=True).click()
        expect(page.locator("#board-status"), name).to_contain_text("Nothing was signed.")
    page.unroute(f"**/board/{honest.id}/to-sign")
    page.goto(f"/board/{honest.id}")
    page.evaluate("document.querySelector('[data-file=\"prompts/system.en.md\"]').textContent = 'Something else.'")
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#board-status")).to_contain_text("Nothing was signed.")
    assert sent.bodies() == []


CHECKED = """
    async ([url, data, shown]) => {
        const { checked } = await import(url);
        return checked(data, shown).then((payloads) => Object.keys(payloads).sort().join(" "), (error) => error.constructor.name);
    }
"""
Parts = dict[str, dict[str, Any]]


def server_says(data: Any, parts: Parts) -> Any:
    encoded = {name: base64.b64encode(json.dumps(part).encode()).decode() for name, part in parts.items()}
    return {**data, "payloads": encoded}


def parts_of(data: Any) -> Parts:
    """What is to be signed, as values. (Nothing in these tests has a line end in it.)"""
    return {name: json.loads(base64.b64decode(text)) for name, text in data["payloads"].items()}


def edition_about(data: Any, change: Callable[[Any], object]) -> tuple[Any, str]:
    """The server's answer with other targets, everything else bound to them; and their digest."""
    parts = parts_of(data)
    change(parts["targets"])
    digest = hashlib.sha256(json.dumps(parts["targets"]).encode()).hexdigest()
    parts["snapshot"]["x-commun"]["targets"] = parts["timestamp"]["x-commun"]["targets"] = digest
    parts["assent"]["edition"] = digest
    return server_says(data, parts), digest


def test_each_thing_that_the_page_shows_is_checked_in_what_it_signs(context, site: Site, board: BoardHome):
    before = board.desk.verified().in_force.newest.files[SYSTEM].decode()
    amendment = board.propose(with_system(before + "\nBe honest."))
    page = context().new_page()
    page.goto(f"/board/{amendment.id}")
    data = page.request.get(f"/board/{amendment.id}/to-sign").json()
    shown = {"kind": "edition", "number": amendment.number, "digest": amendment.digest}

    def check(data: Any, shown: Any = shown) -> str:
        return str(page.evaluate(CHECKED, [asset("payloads.js"), data, shown]))

    # Written anew, for the real answer's bytes are canonical and these need not be.
    real, (data, digest) = data, edition_about(data, lambda targets: None)
    assert check(real) == check(data, {**shown, "digest": digest}) == "assent snapshot targets timestamp"
    shown |= {"digest": digest}

    def other(name: str, **fields: Any) -> Any:
        parts = parts_of(data)
        parts[name] |= fields
        return server_says(data, parts)

    assert check(other("assent")) == "assent snapshot targets timestamp"
    late = "2020-01-01T00:00:00Z"
    path, file = "prompts/system.en.md", {"length": 1, "hashes": {"sha256": "0" * 64}}
    more = edition_about(data, lambda targets: targets["targets"].update({"prompts/evil.en.md": file}))
    swapped = edition_about(data, lambda targets: targets["targets"][path]["hashes"].update({"sha256": "0" * 64}))
    refused = {
        "another kind": check({**data, "kind": "release"}),
        "another hour": check({**other("assent", time=late), "time": late}),
        "other targets": check(other("targets", expires=late)),
        "another number": check(data, {**shown, "number": amendment.number + 1}),
        "an assent to another edition": check(other("assent", edition="0" * 64)),
        "an assent at another time": check(other("assent", time=late)),
        "another assent": check(other("assent", _type="commun-freeze/1")),
        "a file that is not shown": check(more[0], {**shown, "digest": more[1]}),
        "a file with other bytes": check(swapped[0], {**shown, "digest": swapped[1]}),
        "another role": check(other("snapshot", _type="root")),
        "another snapshot": check(other("snapshot", **{"x-commun": {"targets": "0" * 64}})),
        "a part missing": check(server_says(data, {"targets": parts_of(data)["targets"]})),
        "a part too many": check(server_says(data, {**parts_of(data), "freeze": {}})),
    }
    page.evaluate(f"document.querySelector('[data-file=\"{path}\"]').remove()")
    refused["a page that does not show a file"] = check(data)
    assert {name: said for name, said in refused.items() if said != "Refusal"} == {}


@pytest.mark.parametrize("kind", ["release", "freeze"])
def test_a_release_and_a_freeze_are_checked_like_an_edition(context, site: Site, board: BoardHome, kind: str):
    page = context().new_page()
    page.goto("/board")
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    signed = {"edition": 2, "digest": "ab" * 32, "time": time}
    signed |= {"_type": "commun-unfreeze/1"} if kind == "release" else {"_type": "commun-freeze/1", "reason": "Why."}
    shown = {"kind": kind, "number": 2, "digest": "ab" * 32, "reason": " Why. "}

    def check(kind_named: str = kind, more: Any = None, **fields: Any) -> str:
        data = server_says({"kind": kind_named, "time": time}, {kind: {**signed, **fields}, **(more or {})})
        return str(page.evaluate(CHECKED, [asset("payloads.js"), data, shown]))

    assert check() == kind
    refused = [
        check("edition"),
        check(more={"targets": {}}),
        check(edition=3),
        check(digest="cd" * 32),
        check(_type="commun-unfreeze/1" if kind == "freeze" else "commun-freeze/1"),
    ]
    refused += [check(reason="Another."), check(time="2020-01-01T00:00:00Z")] if kind == "freeze" else []
    assert set(refused) == {"Refusal"}


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
