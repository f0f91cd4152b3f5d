"""The board's addresses over plain HTTP: open to everybody for reading; what is kept is what a key of the board signed."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from board_home import NAMES, SYSTEM, BoardHome, board_home, with_system
from commun.charter.amendment import payloads, propose, sign
from commun.charter.canonical import time_text
from commun.charter.clauses import Member
from commun.charter.joining import Invitation, accept, charter_digest
from commun.charter.keys import SoftwareKey, make_key
from commun.charter.release import Release
from commun.drafting.desk import Document
from commun.drafting.editing import with_member
from commun.web.board import MAX_POST_BYTES
from fake_engine import FakeEngine
from site_server import serving

JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> BoardHome:
    return board_home(tmp_path_factory.mktemp("board") / "home")


@pytest.fixture
def board(made: BoardHome, tmp_path: Path) -> BoardHome:
    """Each test has its own copy."""
    return replace(made, home=shutil.copytree(made.home, tmp_path / "home"))


@pytest.fixture
def client(board: BoardHome) -> Iterator[httpx2.Client]:
    """A stranger, and no browser."""
    with (
        serving(board.home, FakeEngine(), sign_in_rate_limit="1000/minute") as site,
        httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as made,
    ):
        yield made


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def proposed(board: BoardHome, text: str = "Be brief.", by: tuple[str, ...] = (), reason: str = "Why.") -> Document:
    before = board.desk.verified().in_force.newest.files[SYSTEM].decode()
    return board.propose(with_system(f"{before}\n{text}"), by=by, reason=reason)


def signatures(key: SoftwareKey, parts: dict[str, bytes]) -> dict[str, str]:
    return {name: key.signer.sign(data).signature for name, data in parts.items()}


def signed_post(key: SoftwareKey, document: Document, *, time: datetime | None = None) -> dict[str, Any]:
    """What board.js sends."""
    time = time or now()
    made = signatures(key, payloads(document, time=time))
    return {"key": key.public_text, "time": time_text(time), "signatures": made}


def count(board: BoardHome, document: Document) -> int:
    return len(board.desk.get(document.id).document.assents)


def upload(client: httpx2.Client, data: bytes) -> httpx2.Response:
    return client.post("/board/upload", files={"file": ("x.amendment", data)}, headers=JSON)


def test_an_observer_without_a_key_sees_the_state(client: httpx2.Client, board: BoardHome) -> None:
    document = proposed(board, by=("Ada",), reason="People <b>asked</b>.\u200b")
    for address in ("/board", f"/board/{document.id}"):
        page = client.get(address)
        assert page.status_code == 200
        assert "1 of 2 signed" in page.text
        assert "can still sign" in page.text
        assert "People &lt;b&gt;asked&lt;/b&gt;." in page.text
        assert "U+200B" in page.text
        assert all(name in page.text for name in NAMES)
    assert "Be brief." in page.text
    assert "<ins>" in page.text
    french = client.get("/board?lang=fr")
    assert french.headers["content-language"] == "fr"


def test_the_downloaded_file_is_the_document(client: httpx2.Client, board: BoardHome) -> None:
    document = proposed(board, by=("Ada",))
    answer = client.get(f"/board/{document.id}.amendment")
    assert answer.content == document.to_bytes()
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    "document_id",
    ["0" * 12, "x", "%2e%2e", "%2e%2e%2fmetadata%2ftimestamp", "A" * 300, "\u202e", "0" * 11 + "%00"],
)
def test_an_unknown_document_is_nothing_on_every_address(client: httpx2.Client, document_id: str) -> None:
    for address in ("", ".amendment", "/to-sign"):
        assert client.get(f"/board/{document_id}{address}").status_code in (404, 405)
    post = {"key": "k", "time": "2026-01-01T00:00:00Z", "signatures": {}}
    for address in ("/sign", "/adopt"):
        assert client.post(f"/board/{document_id}{address}", json=post).status_code in (404, 405)


def test_a_valid_signature_is_kept_without_any_account(client: httpx2.Client, board: BoardHome) -> None:
    document = proposed(board)
    answer = client.post(f"/board/{document.id}/sign", json=signed_post(board.keys["Chloé"], document), headers=JSON)
    assert answer.json() == {"url": f"/board/{document.id}?done=signed"}
    assert count(board, document) == 1


def test_members_may_sign_at_the_same_moment(client: httpx2.Client, board: BoardHome) -> None:
    document = proposed(board)
    posts = [signed_post(key, document) for key in board.keys.values()]
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda post: client.post(f"/board/{document.id}/sign", json=post, headers=JSON), posts))
    assert [answer.status_code for answer in answers] == [200] * len(NAMES)
    assert count(board, document) == len(NAMES)


def test_what_is_not_signed_by_the_board_is_refused_and_changes_nothing(
    client: httpx2.Client, board: BoardHome
) -> None:
    document, other = proposed(board), proposed(board, "Praise the mayor.")
    good = signed_post(board.keys["Ada"], document)
    half = {name: sig for name, sig in good["signatures"].items() if name != "snapshot"}
    wrong: dict[str, tuple[int, dict[str, Any]]] = {
        "a stranger's": (403, signed_post(make_key(), document)),
        "for another document": (403, signed_post(board.keys["Ada"], other)),
        "under another's name": (403, {**good, "key": board.keys["Chloé"].public_text}),
        "half of it": (403, {**good, "signatures": half}),
        "none": (403, {**good, "signatures": {}}),
        "more than there is": (403, {**good, "signatures": {**good["signatures"], "freeze": "00"}}),
        "no hex": (403, {**good, "signatures": dict.fromkeys(good["signatures"], "zz")}),
        "no text": (403, {**good, "signatures": dict.fromkeys(good["signatures"], 1)}),
        "of yesterday": (422, signed_post(board.keys["Ada"], document, time=now() - timedelta(days=1))),
        "of tomorrow": (422, signed_post(board.keys["Ada"], document, time=now() + timedelta(days=1))),
        "with another time": (403, {**good, "time": time_text(now() - timedelta(minutes=1))}),
        "no time": (400, {**good, "time": "now"}),
        "a weak key": (422, {**good, "key": "ed25519:" + "01" + "00" * 31}),
        "no key": (422, {**good, "key": "x" * 5000}),
        "a field more": (400, {**good, "private": "secret"}),
        "a field less": (400, {"key": good["key"]}),
        "a list": (400, {**good, "signatures": []}),
    }
    for name, (status, post) in wrong.items():
        answer = client.post(f"/board/{document.id}/sign", json=post, headers=JSON)
        assert answer.status_code == status, (name, answer.text)
        assert set(answer.json()["error"]) == {"code", "problem", "cure"}
    for data in (b"", b"[]", b"\xff", b"{" * 5000, b'{"key":1,"key":2}'):
        assert client.post(f"/board/{document.id}/sign", content=data, headers=JSON).status_code == 400, data
    assert count(board, document) == 0


def test_what_is_sent_is_bounded_before_it_is_read(client: httpx2.Client, board: BoardHome) -> None:
    document = proposed(board)
    big = json.dumps({"key": "x" * MAX_POST_BYTES, "time": "", "signatures": {}})
    assert client.post(f"/board/{document.id}/sign", content=big).status_code == 413
    assert upload(client, b" " * 5_000_000).status_code == 413
    assert client.get(f"/board/join?invitation=commun-invitation:{'A' * 60_000}").status_code in (414, 422, 431)


def test_a_signed_copy_joins_what_lies_here(client: httpx2.Client, board: BoardHome) -> None:
    document = proposed(board, by=("Ada",))
    copy = sign(document, board.keys["Benoît"].signer, now=now())
    assert upload(client, copy.to_bytes()).url.path == f"/board/{document.id}"
    assert count(board, document) == 2
    assert upload(client, document.to_bytes()).status_code == 200  # an older copy takes nothing away
    assert count(board, document) == 2


def test_a_stranger_cannot_fill_the_desk(client: httpx2.Client, board: BoardHome) -> None:
    verified = board.desk.verified()
    stranger = make_key()

    def made(change: Callable[[Any], Any]) -> Any:
        files = change(verified.in_force.newest.files)
        return propose(files, verified.in_force, verified.root, reason="Why.", now=now())

    unsigned = made(with_system("Obey."))
    usurping = made(lambda files: with_member(files, Member("Mallory", stranger.public_text)))
    for data in (unsigned.to_bytes(), sign(usurping, stranger.signer, now=now()).to_bytes()):
        assert upload(client, data).status_code == 403
    assert board.desk.documents() == ()
    assert upload(client, sign(unsigned, board.keys["Ada"].signer, now=now()).to_bytes()).status_code == 200
    assert len(board.desk.documents()) == 1


@pytest.mark.parametrize("data", [b"", b"{}", b"\x00" * 100, b"[" * 100_000, b'{"format": "commun-amendment/1"}'])
def test_a_file_that_is_none_is_refused(client: httpx2.Client, board: BoardHome, data: bytes) -> None:
    assert upload(client, data).status_code == 422
    assert client.post("/board/upload", data={"file": "text"}).status_code == 400


def test_a_spoilt_file_is_refused_whole(client: httpx2.Client, board: BoardHome) -> None:
    data = proposed(board, by=("Ada",)).to_bytes()
    for old, new in (
        (b"Be brief", b"Be rude!"),
        (b'"reason": "Why."', b'"reason": "Not."'),
        (b'"sig": "', b'"sig": "0'),
    ):
        assert old in data
        assert upload(client, data.replace(old, new)).status_code in (403, 422)


def test_only_a_complete_document_is_put_in_force(client: httpx2.Client, board: BoardHome) -> None:
    document = proposed(board, by=("Ada",))
    assert client.post(f"/board/{document.id}/adopt").status_code == 409
    assert board.desk.in_force().edition.number == 2
    board.desk.keep(sign(document, board.keys["Benoît"].signer, now=now()))
    answer = client.post(f"/board/{document.id}/adopt")
    assert answer.status_code == 200
    assert "The new edition is in force." in answer.text
    assert board.desk.in_force().edition.digest == document.digest
    assert client.post(f"/board/{document.id}/adopt").status_code == 404


def test_of_two_in_flight_the_second_is_outdated_and_can_no_longer_be_signed(
    client: httpx2.Client, board: BoardHome
) -> None:
    first, second = proposed(board, by=("Ada", "Benoît")), proposed(board, "Praise the mayor.", by=("Ada", "Benoît"))
    assert client.post(f"/board/{first.id}/adopt").status_code == 200
    page = client.get(f"/board/{second.id}")
    assert "outdated" in client.get("/board").text
    assert "Put it in force" not in page.text
    post = signed_post(board.keys["Chloé"], second)
    assert client.post(f"/board/{second.id}/sign", json=post, headers=JSON).status_code == 409
    assert client.post(f"/board/{second.id}/adopt").status_code == 409


def test_another_site_can_change_nothing(client: httpx2.Client, board: BoardHome) -> None:
    document = proposed(board, by=("Ada", "Benoît"))
    posts = ("upload", "draft", "draft/sign", "freeze/sign", f"{document.id}/sign", f"{document.id}/adopt")
    for address in posts:
        answer = client.post(f"/board/{address}", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert "cross_origin" in answer.text
    assert board.desk.in_force().edition.number == 2


def test_trying_too_often_is_refused(board: BoardHome) -> None:
    with serving(board.home, FakeEngine(), sign_in_rate_limit="3/minute") as site, httpx2.Client() as client:
        answers = [client.post(f"{site.url}/board/upload", headers=JSON).status_code for _ in range(4)]
        assert answers == [400, 400, 400, 429]
        assert client.get(f"{site.url}/board").status_code == 200
        assert client.get(site.link()).status_code == 303  # signing in is counted apart


# ---- freezing


def freeze(
    client: httpx2.Client, signer: SoftwareKey, why: str = "It praises the mayor.", **other: Any
) -> httpx2.Response:
    asked = client.post("/board/freeze/to-sign", json={"key": signer.public_text, "reason": why}, headers=JSON)
    if asked.status_code != 200:
        return asked
    data = asked.json()
    parts = {name: base64.b64decode(text) for name, text in data["payloads"].items()}
    post = {"key": signer.public_text, "reason": why, "time": data["time"], "signatures": signatures(signer, parts)}
    return client.post("/board/freeze/sign", json={**post, **other}, headers=JSON)


def test_any_one_member_freezes_from_a_browser(client: httpx2.Client, board: BoardHome) -> None:
    assert freeze(client, board.keys["Benoît"], " Why?\nBecause. ").status_code == 200
    in_force = board.desk.in_force()
    assert in_force.edition.number == 1
    assert in_force.freeze is not None
    assert (in_force.freeze.member, in_force.freeze.reason) == ("Benoît", "Why?\nBecause.")
    assert "Frozen by Benoît" in client.get("/board").text
    assert freeze(client, board.keys["Ada"]).status_code == 409


def test_nobody_else_freezes_and_nothing_but_what_was_signed(client: httpx2.Client, board: BoardHome) -> None:
    ada = board.keys["Ada"]
    assert freeze(client, make_key()).status_code == 403
    assert freeze(client, ada, " ").status_code == 422
    assert freeze(client, ada, reason="x" * 2001).status_code == 422
    assert freeze(client, ada, signatures={}).status_code == 403
    assert freeze(client, ada, signatures={"freeze": "00"}).status_code == 403
    assert freeze(client, ada, signatures={"freeze": 7}).status_code == 403
    assert freeze(client, ada, time=time_text(now() - timedelta(days=1))).status_code == 422
    assert freeze(client, ada, time=time_text(now() - timedelta(minutes=2))).status_code == 403
    assert freeze(client, ada, key=board.keys["Benoît"].public_text).status_code == 403
    assert board.desk.in_force().freeze is None


def test_a_release_is_proposed_with_its_first_signature(client: httpx2.Client, board: BoardHome) -> None:
    assert freeze(client, board.keys["Ada"]).status_code == 200
    draft = {"kind": "release", "request": "", "quorum": "", "reason": "", "proposed": time_text(now())}
    data = client.post("/board/draft/to-sign", json=draft, headers=JSON).json()
    assert board.desk.documents() == ()
    for key, status in ((make_key(), 403), (board.keys["Chloé"], 200)):
        made = signatures(key, {name: base64.b64decode(text) for name, text in data["payloads"].items()})
        post = {**draft, "key": key.public_text, "time": data["time"], "signatures": made}
        assert client.post("/board/draft/sign", json=post, headers=JSON).status_code == status
    (lying,) = board.desk.documents()
    assert isinstance(lying.document, Release)
    page = client.get(f"/board/{lying.document.id}")
    assert "Release of the frozen edition 2" in page.text
    board.desk.keep(sign(lying.document, board.keys["Benoît"].signer, now=now()))
    assert client.post(f"/board/{lying.document.id}/adopt").status_code == 200
    assert board.desk.in_force().edition.number == 2


# ---- joining


def test_an_invitation_says_who_invites_to_what(client: httpx2.Client, board: BoardHome) -> None:
    page = client.get("/board/invite", params={"name": "Dara", "by": "Ada"})
    assert page.status_code == 200
    text = page.text.partition("commun-invitation:")[2].partition("<")[0]
    joined = client.get("/board/join", params={"invitation": f"commun-invitation:{text}"})
    assert joined.status_code == 200
    assert "Ada invites Dara" in joined.text
    assert "&amp;lang=fr" in joined.text  # the other language keeps the invitation
    assert f'data-charter="{charter_digest(board.desk.verified().roots[0])}"' in joined.text


@pytest.mark.parametrize("text", ["x", "commun-invitation:", "commun-invitation:e30=", "<script>"])
def test_what_is_no_invitation_is_refused(client: httpx2.Client, text: str) -> None:
    page = client.get("/board/join", params={"invitation": text})
    assert page.status_code == 422
    assert "This is not an invitation" in page.text
    assert "<script>" not in page.text


def test_an_invitation_to_another_charter_is_refused(client: httpx2.Client) -> None:
    text = Invitation("Dara", "Ada", "Other", "ab" * 32, "cd" * 32).to_text()
    page = client.get("/board/join", params={"invitation": text})
    assert page.status_code == 422
    assert "it is about another charter" in page.text


def test_an_invitation_without_names_is_none(client: httpx2.Client) -> None:
    for name in ("", "x" * 500, "two\nlines"):
        assert client.get("/board/invite", params={"name": name, "by": "Ada"}).status_code == 422


def test_a_member_is_proposed_only_by_a_member(client: httpx2.Client, board: BoardHome) -> None:
    verified = board.desk.verified()
    newest = verified.in_force.newest
    newcomer = make_key()
    invitation = Invitation("Dara", "Ada", newest.charter.name, charter_digest(verified.roots[0]), newest.digest)
    request = accept(invitation, newcomer.signer).to_text()
    draft = {
        "kind": "member",
        "request": request,
        "quorum": "2",
        "reason": "Knows the rules.",
        "proposed": time_text(now()),
    }
    page = client.post("/board/draft", data=draft)
    assert page.status_code == 200
    assert "Dara joins the board" in page.text
    data = client.post("/board/draft/to-sign", json=draft, headers=JSON).json()
    parts = {name: base64.b64decode(text) for name, text in data["payloads"].items()}
    for key, status in ((newcomer, 403), (make_key(), 403), (board.keys["Benoît"], 200)):
        post = {**draft, "key": key.public_text, "time": data["time"], "signatures": signatures(key, parts)}
        assert client.post("/board/draft/sign", json=post, headers=JSON).status_code == status
    (lying,) = board.desk.documents()
    assert [each.keyid for each in lying.document.assents] == [board.keys["Benoît"].keyid]


def test_a_draft_that_cannot_be_is_refused(client: httpx2.Client, board: BoardHome) -> None:
    verified = board.desk.verified()
    other = accept(Invitation("Dara", "Ada", "Other", "ab" * 32, "cd" * 32), make_key().signer).to_text()
    known = Invitation("Ada", "Ada", "Commun", charter_digest(verified.roots[0]), "cd" * 32)
    again = accept(known, make_key().signer).to_text()
    dara = Invitation("Dara", "Ada", "Commun", charter_digest(verified.roots[0]), "cd" * 32)
    today, long_ago = time_text(now()), time_text(now() - timedelta(days=1))
    good = {"kind": "member", "request": accept(dara, make_key().signer).to_text(), "reason": "Why.", "proposed": today}
    wrong = {
        "of another charter": (
            422,
            {"kind": "member", "request": other, "quorum": "2", "reason": "Why.", "proposed": today},
        ),
        "a name that is taken": (
            409,
            {"kind": "member", "request": again, "quorum": "2", "reason": "Why.", "proposed": today},
        ),
        "nothing frozen": (409, {"kind": "release", "request": "", "quorum": "", "reason": "", "proposed": today}),
        "no kind": (400, {"kind": "revolution", "request": "", "quorum": "", "reason": "", "proposed": today}),
        "too old": (422, {"kind": "release", "request": "", "quorum": "", "reason": "", "proposed": long_ago}),
        "too many for a quorum": (409, {**good, "quorum": "9"}),
        "no number": (400, {**good, "quorum": "²"}),
        "no request": (422, {"kind": "member", "request": "x", "quorum": "2", "reason": "Why.", "proposed": today}),
    }
    for name, (status, draft) in wrong.items():
        assert client.post("/board/draft/to-sign", json=draft, headers=JSON).status_code == status, name


# ---- odd states


def test_what_cannot_be_read_on_the_desk_is_nobodys_document(client: httpx2.Client, board: BoardHome) -> None:
    proposed(board)
    (board.home / "charter/amendments/000000000000.amendment").write_bytes(b"{}")
    assert "0 of 2 signed" in client.get("/board").text
    assert client.get("/board/000000000000").status_code == 404


def test_a_damaged_charter_is_said_on_the_board_too(client: httpx2.Client, board: BoardHome) -> None:
    assert client.get("/board").status_code == 200
    timestamp = board.home / "charter/metadata/timestamp.json"
    kept = timestamp.read_bytes()
    timestamp.write_bytes(b"{}")
    assert client.get("/board").status_code == 503
    timestamp.write_bytes(kept)
    assert client.get("/board").status_code == 200


def test_a_board_of_one_is_said_plainly(tmp_path: Path) -> None:
    alone = board_home(tmp_path / "home", ("Ada",))
    with serving(alone.home, FakeEngine()) as site, httpx2.Client(base_url=site.url) as client:
        page = client.get("/board").text
        assert "whoever holds this key can change this assistant" in page
        assert freeze(client, alone.keys["Ada"]).status_code == 409  # the first edition has none before it
