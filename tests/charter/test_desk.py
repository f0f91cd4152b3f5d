"""The desk: what lies there stays readable whatever else does, and no stranger makes it work."""

import contextlib
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from boards import NOW, charter_files, signer
from commun.charter import release
from commun.charter.adoption import adopt
from commun.charter.amendment import MAX_DOCUMENT_BYTES, Amendment, propose, sign
from commun.charter.errors import BadSignature, CharterError, NotAMember, OtherBase
from commun.charter.glance import check_sent
from commun.charter.signing import BadDocument
from commun.config import Settings
from commun.drafting import desk as desks
from commun.drafting.desk import Desk, DeskFull
from commun.errors import NotFound

THREE = ("Ada", "Benoît", "Chloé")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, now=lambda: NOW)
    first = propose(charter_files(THREE, quorum=2), None, None, reason="The first rules.", now=NOW)
    adopt(desk.repository, desk.trust, signed(first, "Ada", "Benoît"), now=NOW)
    return desk


def signed(amendment: Amendment, *names: str) -> Amendment:
    for name in names:
        amendment = sign(amendment, signer(name), now=NOW)
    return amendment


def proposed(desk: Desk, system: str = "Be kind.", *, minute: int = 0, names: tuple[str, ...] = THREE) -> Amendment:
    verified = desk.verified()
    files = charter_files(names, quorum=2, system=system)
    return propose(files, verified.in_force, verified.root, reason="Why.", now=NOW + timedelta(minutes=minute))


def folder(desk: Desk) -> Path:
    return desk.repository.folder / "amendments"


# ---- what lies there and is no document

LAID: dict[str, Callable[[Path], object]] = {
    "0123456789ab.amendment.staged": lambda path: path.write_bytes(b"{"),
    "notes.txt": lambda path: path.write_bytes(b"{"),
    "sub": lambda path: path.mkdir(),
    "0123456789ab.amendment": lambda path: path.write_bytes(b"{"),
    "1123456789ab.amendment": lambda path: path.symlink_to("/etc/hostname"),
    "2123456789ab.amendment": os.mkfifo,
    "3123456789ab.amendment": lambda path: path.write_bytes(b" " * (MAX_DOCUMENT_BYTES + 1)),
}


@pytest.mark.parametrize("name", LAID)
def test_what_is_no_document_hides_none(desk: Desk, name: str) -> None:
    kept = desk.keep(signed(proposed(desk), "Ada"))
    LAID[name](folder(desk) / name)
    assert [lying.document.id for lying in desk.documents()] == [kept.document.id]
    other = desk.keep(signed(proposed(desk, "Be brief."), "Ada"))
    assert desk.get(other.document.id).document == other.document


def test_what_cannot_be_read_is_named_and_withdrawn_by_its_name(desk: Desk) -> None:
    desk.keep(proposed(desk))
    for name, lay in LAID.items():
        lay(folder(desk) / name)
    unreadable = desk.unreadable()
    assert unreadable == tuple(f"{digit}123456789ab" for digit in range(4))
    for name in unreadable:
        with pytest.raises(NotFound):
            desk.get(name)
        desk.withdraw(name)
    assert desk.unreadable() == ()
    assert len(desk.documents()) == 1
    for name in ("0123456789ab", "notes", "../metadata/timestamp"):
        with pytest.raises(NotFound):
            desk.withdraw(name)


def test_a_document_that_was_changed_on_the_disk_is_read_again(desk: Desk) -> None:
    kept = desk.keep(signed(proposed(desk), "Ada")).document
    path = folder(desk) / f"{kept.id}.amendment"
    path.write_bytes(path.read_bytes().replace(b"Be kind.", b"Be rude."))
    assert desk.documents() == ()
    assert desk.unreadable() == (kept.id,)


# ---- a full desk


def test_only_documents_that_can_be_adopted_fill_the_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MAX_DOCUMENTS", 3)
    old = [desk.keep(proposed(desk, f"Old {number}.", minute=number)).document for number in (2, 0, 1)]
    with pytest.raises(DeskFull):
        desk.keep(proposed(desk, "One more."))
    desk.settle(desk.keep(signed(old[0], "Ada", "Benoît")).document)
    assert {lying.document.id for lying in desk.documents()} == {old[1].id, old[2].id}

    new = [desk.keep(proposed(desk, f"New {number}.")).document for number in range(2)]
    assert {lying.document.id for lying in desk.documents()} == {old[2].id, new[0].id, new[1].id}
    desk.keep(proposed(desk, "The last."))
    assert not any(lying.outdated for lying in desk.documents())
    with pytest.raises(DeskFull):
        desk.keep(proposed(desk, "One more."))


def test_outdated_documents_make_room_the_oldest_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MAX_DOCUMENTS", 7)
    minutes = (3, 0, 5, 1, 4, 2)
    old = {minute: desk.keep(proposed(desk, f"Old {minute}.", minute=minute)).document.id for minute in minutes}
    desk.settle(desk.keep(signed(proposed(desk, "Now."), "Ada", "Benoît")).document)
    desk.keep(proposed(desk, "There is room."))
    for gone in range(6):
        desk.keep(proposed(desk, f"New {gone}."))
        left = {lying.document.id for lying in desk.documents() if lying.outdated}
        assert left == {old[minute] for minute in minutes if minute > gone}


def test_what_cannot_be_read_does_not_fill_the_desk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MAX_DOCUMENTS", 2)
    folder(desk).mkdir()
    for number in range(5):
        (folder(desk) / f"{number}123456789ab.amendment").write_bytes(b"{")
    desk.keep(proposed(desk, "One."))
    desk.keep(proposed(desk, "Two."))
    with pytest.raises(DeskFull):
        desk.keep(proposed(desk, "Three."))
    assert len(desk.unreadable()) == 5


# ---- reading costs once


@pytest.fixture
def drafted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was read as a document: the costly part."""
    read: list[bytes] = []

    def counted(data: bytes) -> Any:
        read.append(data)
        return release.read_document(data)

    monkeypatch.setattr(desks, "read_document", counted)
    monkeypatch.setattr(desks, "_READ_BEFORE", desks.ReadBefore())
    return read


def test_a_document_is_read_once_however_often_the_desk_is_looked_at(desk: Desk, drafted: list[bytes]) -> None:
    kept = desk.keep(proposed(desk)).document
    for _ in range(5):
        desk.documents()
        Desk(desk.home, now=lambda: NOW).get(kept.id)
    assert len(drafted) == 1


def test_what_was_read_is_forgotten_oldest_first(desk: Desk, drafted: list[bytes]) -> None:
    before = desks.ReadBefore(most=2)
    one, two, three = (proposed(desk, f"{number}.").to_bytes() for number in range(3))
    for data in (one, two, one, three, one):
        before.read(data)
    assert drafted == [one, two, three]
    before.read(two)
    assert drafted == [one, two, three, two]


# ---- what strangers send


def altered(document: Amendment, change: Callable[[dict[str, Any]], None]) -> bytes:
    value = json.loads(document.to_bytes())
    change(value)
    return json.dumps(value).encode()


def costly(value: dict[str, Any]) -> None:
    value["files"]["charter.toml"] += "#\n" * 100_000


def costly_base(value: dict[str, Any]) -> None:
    value["base"]["files"]["charter.toml"] = value["files"]["charter.toml"] + "#\n" * 100_000
    value["base"]["unchanged"].remove("charter.toml")


def another_reason(value: dict[str, Any]) -> None:
    value["metadata"]["targets"]["signed"]["x-commun"]["reason"] = "Not."


def a_deep_one(value: dict[str, Any]) -> None:
    value["metadata"]["targets"]["signed"]["x-commun"] = json.loads("[" * 500 + "]" * 500)


def a_large_one(value: dict[str, Any]) -> None:
    value["metadata"]["targets"]["signed"]["x-commun"]["reason"] = "x" * 300_000


REFUSED: dict[str, tuple[type[CharterError], Callable[[dict[str, Any]], None]]] = {
    "other files under copied signatures": (BadDocument, costly),
    "a base of its own under copied signatures": (BadDocument, costly_base),
    "another reason": (BadSignature, another_reason),
    "nested deeply": (BadDocument, a_deep_one),
    "much to be signed": (BadDocument, a_large_one),
    "no signatures": (NotAMember, lambda value: value["metadata"]["targets"].update(signatures=[])),
    "signatures that are none": (BadDocument, lambda value: value["metadata"]["targets"].update(signatures=7)),
    "no files": (BadDocument, lambda value: value.update(files={})),
    "files that are none": (BadDocument, lambda value: value.update(files=[])),
    "no base": (BadDocument, lambda value: value.update(base=None)),
    "no metadata": (BadDocument, lambda value: value.update(metadata={})),
    "another format": (BadDocument, lambda value: value.update(format="commun-amendment/9")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_strangers_file_is_refused_before_it_is_drafted(desk: Desk, drafted: list[bytes], name: str) -> None:
    error, change = REFUSED[name]
    data = altered(signed(proposed(desk), "Ada"), change)
    with pytest.raises(error):
        desk.receive_file(data)
    assert drafted == []
    assert desk.documents() == ()


@pytest.mark.parametrize("change", [costly, costly_base])
def test_nor_are_other_files_drafted_under_the_name_of_what_lies_here(
    desk: Desk, drafted: list[bytes], change: Callable[[dict[str, Any]], None]
) -> None:
    kept = desk.keep(proposed(desk)).document
    assert isinstance(kept, Amendment)
    with pytest.raises(BadDocument):
        desk.receive_file(altered(kept, change))
    assert drafted == []


def test_what_only_strangers_signed_is_not_drafted(desk: Desk, drafted: list[bytes]) -> None:
    hers = signed(proposed(desk, names=(*THREE, "Mallory")), "Mallory")
    for document in (proposed(desk), hers):
        with pytest.raises(NotAMember):
            desk.receive_file(document.to_bytes())
    assert drafted == []


def test_a_copy_with_the_signature_of_who_joins_is_welcome_where_the_amendment_lies(desk: Desk) -> None:
    joins = proposed(desk, names=(*THREE, "Dara"))
    desk.keep(joins)
    assert len(desk.receive_file(signed(joins, "Dara").to_bytes()).document.assents) == 1


def test_a_members_document_is_received_and_an_outdated_one_is_not(desk: Desk, drafted: list[bytes]) -> None:
    late = signed(proposed(desk, "Be late."), "Ada")
    received = desk.receive_file(signed(proposed(desk), "Ada", "Benoît").to_bytes())
    desk.settle(received.document)
    drafted.clear()
    with pytest.raises(OtherBase):
        desk.receive_file(late.to_bytes())
    assert drafted == []


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and its name or number there."""
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for name, item in inner for place in ((value, name), *places(item))]


JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    "",
    "é\u0000",
    [],
    {},
    [[]],
    [{}],
    {"": None},
    ["charter.toml"] * 2,
    {"sig": 1},
)


def test_whatever_stands_in_a_strangers_file_it_is_refused_in_words(desk: Desk) -> None:
    verified = desk.verified()
    data = signed(proposed(desk), "Ada").to_bytes()
    count = len(places(json.loads(data)))
    assert count > 50
    for number in range(count):
        for junk in JUNK:
            value = json.loads(data)
            holder, name = places(value)[number]
            holder[name] = junk
            with contextlib.suppress(CharterError):
                check_sent(json.dumps(value).encode(), verified.root.signed, verified.in_force.newest)
    for data in (b"", b"[]", b"\xff", b"{" * 100_000, b"[" * 100_000, b'{"format": "commun-release/1"}'):
        with pytest.raises(BadDocument):
            desk.receive_file(data)


def test_a_document_of_any_size_can_be_uploaded() -> None:
    assert Settings.model_fields["max_body_bytes"].default - MAX_DOCUMENT_BYTES > 100_000  # for the form around it
