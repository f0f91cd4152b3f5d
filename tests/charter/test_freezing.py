"""Any one member's brake, and the quorum's release."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards import NAMES, NOW, charter_files, member, signer
from commun.charter.adoption import adopt
from commun.charter.amendment import Amendment, add_signatures, merge, payloads, propose, sign, signing_status
from commun.charter.errors import (
    BadSignature,
    CannotFreeze,
    CharterError,
    NotAMember,
    NotEnoughYet,
    OtherBase,
)
from commun.charter.freezing import freeze, release
from commun.charter.loader import load, verify
from commun.charter.release import NotFrozen, Release, propose_release, read_document
from commun.charter.repository import Repository
from commun.charter.signing import BadDocument, NoReason, OtherDocument

LATER = NOW + timedelta(days=1)
WHY = "It praises the mayor."


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return tmp_path / "trust"


@pytest.fixture
def repository(tmp_path: Path, trust: Path) -> Repository:
    """Two editions, a board of five, a quorum of three."""
    repository = Repository(tmp_path / "charter")
    change(repository, trust, system="You are neutral.")
    change(repository, trust, system="You praise the mayor.")
    return repository


def change(repository: Repository, trust: Path, *, by: tuple[str, ...] = NAMES[:3], **changes: Any) -> Amendment:
    base, root = None, None
    if repository.has_charter():
        verified = verify(repository, trust, now=NOW)
        base, root = verified.in_force, verified.root
    amendment = propose(charter_files(**changes), base, root, reason="Why.", now=NOW)
    for name in by:
        amendment = sign(amendment, signer(name), now=NOW)
    adopt(repository, trust, amendment, now=NOW)
    return amendment


def frozen(repository: Repository, trust: Path, by: str = "Dara") -> Release:
    """Frozen, and the release that would end it, not yet signed."""
    in_force = freeze(repository, trust, signer(by), reason=WHY, now=LATER)
    return propose_release(in_force, (repository.folder / "freezes/2.freeze.json").read_bytes(), now=LATER)


def signed(document: Release, *names: str) -> Release:
    for name in names:
        document = sign(document, signer(name), now=LATER)
    return document


def test_any_one_member_puts_the_edition_before_back_in_force_at_once(repository: Repository, trust: Path):
    in_force = freeze(repository, trust, signer("Élise"), reason=f" {WHY}\n", now=LATER)
    assert (in_force.edition.number, in_force.newest.number) == (1, 2)
    assert in_force.charter.prompts.system.en == "You are neutral."
    assert in_force.freeze is not None
    assert (in_force.freeze.member, in_force.freeze.at, in_force.freeze.reason) == ("Élise", LATER, WHY)
    assert load(repository, trust, now=LATER) == in_force


def test_a_stranger_cannot_freeze_nor_can_a_member_who_has_left(repository: Repository, trust: Path):
    change(repository, trust, by=NAMES[:4], names=NAMES[1:])
    for name in ("a stranger", "Ada"):
        with pytest.raises(NotAMember):
            freeze(repository, trust, signer(name), reason=WHY, now=LATER)


def test_a_freeze_needs_a_reason_and_an_edition_to_go_back_to(repository: Repository, trust: Path, tmp_path: Path):
    with pytest.raises(NoReason):
        freeze(repository, trust, signer("Ada"), reason=" ", now=LATER)
    young, young_trust = Repository(tmp_path / "young"), tmp_path / "young trust"
    change(young, young_trust)
    with pytest.raises(CannotFreeze, match="none before it"):
        freeze(young, young_trust, signer("Ada"), reason=WHY, now=LATER)


def test_what_is_frozen_is_not_frozen_again(repository: Repository, trust: Path):
    frozen(repository, trust)
    with pytest.raises(CannotFreeze, match="frozen already"):
        freeze(repository, trust, signer("Ada"), reason=WHY, now=LATER)


def test_only_a_quorum_releases(repository: Repository, trust: Path):
    document = frozen(repository, trust)
    with pytest.raises(NotEnoughYet):
        release(repository, trust, signed(document, "Ada", "Benoît"), now=LATER)
    assert load(repository, trust, now=LATER).edition.number == 1
    in_force = release(repository, trust, signed(document, "Ada", "Benoît", "Élise"), now=LATER)
    assert (in_force.edition.number, in_force.freeze) == (2, None)


def test_what_was_released_is_never_frozen_again(repository: Repository, trust: Path):
    document = signed(frozen(repository, trust), "Ada", "Benoît", "Élise")
    release(repository, trust, document, now=LATER)
    with pytest.raises(CannotFreeze, match="once only"):
        freeze(repository, trust, signer("Dara"), reason=WHY, now=LATER)
    assert release(repository, trust, document, now=LATER).freeze is None  # twice is harmless


def test_an_edition_adopted_on_the_frozen_one_ends_the_freeze(repository: Repository, trust: Path):
    document = signed(frozen(repository, trust), "Ada", "Benoît", "Élise")
    change(repository, trust, system="You are neutral again.")
    in_force = load(repository, trust, now=LATER)
    assert (in_force.edition.number, in_force.freeze) == (3, None)
    with pytest.raises(OtherBase):
        release(repository, trust, document, now=LATER)


def test_the_board_that_releases_is_the_newest_editions(repository: Repository, trust: Path):
    change(repository, trust, by=NAMES, names=NAMES[1:], quorum=4, system="You are neutral.")
    in_force = freeze(repository, trust, signer("Dara"), reason=WHY, now=LATER)
    assert in_force.edition.number == 2
    data = (repository.folder / "freezes/3.freeze.json").read_bytes()
    document = propose_release(in_force, data, now=LATER)
    with pytest.raises(NotAMember):
        signed(document, "Ada")
    assert release(repository, trust, signed(document, *NAMES[1:]), now=LATER).edition.number == 3


def test_nothing_is_released_that_is_not_frozen(repository: Repository, trust: Path):
    with pytest.raises(NotFrozen):
        propose_release(load(repository, trust, now=LATER), b"{}", now=LATER)


def test_a_release_answers_one_freeze(repository: Repository, trust: Path, tmp_path: Path):
    elsewhere, elsewhere_trust = Repository(tmp_path / "elsewhere"), tmp_path / "elsewhere trust"
    change(elsewhere, elsewhere_trust, system="You are neutral.")
    change(elsewhere, elsewhere_trust, system="You praise the mayor.")
    document = signed(frozen(elsewhere, elsewhere_trust, by="Ada"), "Ada", "Benoît", "Élise")
    with pytest.raises(NotFrozen):
        release(repository, trust, document, now=LATER)
    freeze(repository, trust, signer("Dara"), reason="Another reason.", now=LATER)
    with pytest.raises(NotFrozen):
        release(repository, trust, document, now=LATER)


def test_a_release_is_signed_like_an_amendment(repository: Repository, trust: Path):
    document = frozen(repository, trust)
    private = member("Benoît").private
    by_browser = {name: private.sign(data).hex() for name, data in payloads(document, time=LATER).items()}
    assert list(by_browser) == ["release"]
    one = add_signatures(document, member("Benoît").public_text, by_browser, time=LATER + timedelta(days=3))
    other = Release.from_bytes(signed(document, "Élise", "Ada").to_bytes())
    assert merge(one, other).to_bytes() == merge(other, one).to_bytes()
    status = signing_status(merge(one, other), verify(repository, trust, now=LATER).root)
    assert (status.complete, status.needed, status.missing) == (True, 3, ("Chloé", "Dara"))
    read = read_document(merge(one, other).to_bytes())
    assert isinstance(read, Release)
    assert (read.freeze.member, read.freeze.reason, read.id) == ("Dara", WHY, document.id)
    assert release(repository, trust, read, now=LATER).freeze is None


def test_signatures_of_a_release_that_do_not_fit_are_refused(repository: Repository, trust: Path):
    document = frozen(repository, trust)
    with pytest.raises(BadSignature):
        add_signatures(document, member("Ada").public_text, {"release": "00" * 64}, time=LATER)
    with pytest.raises(BadSignature):
        add_signatures(document, member("Ada").public_text, {}, time=LATER)
    later = propose_release(
        load(repository, trust, now=LATER),
        (repository.folder / "freezes/2.freeze.json").read_bytes(),
        now=LATER + timedelta(seconds=1),
    )
    with pytest.raises(OtherDocument):
        merge(document, later)


def test_nothing_in_a_releases_file_is_believed(repository: Repository, trust: Path):
    data = signed(frozen(repository, trust), "Ada").to_bytes()
    edits: list[Callable[[dict[str, Any]], object]] = [
        lambda value: value["signed"].update(edition=3),
        lambda value: value["signed"].update(freeze="00" * 32),
        lambda value: value["signed"].update(time="soon"),
        lambda value: value["freeze"]["signed"].update(reason="Nothing."),
        lambda value: value["freeze"].update(signatures=[]),
        lambda value: value["board"].update(quorum=0),
        lambda value: value["board"].update(quorum=6),
        lambda value: value["board"].update(members=[]),
        lambda value: value["board"]["members"].append(value["board"]["members"][0]),
        lambda value: value["board"]["members"][0].update(key="none"),
        lambda value: value["board"]["members"].pop(0),  # Ada, who has signed
        lambda value: value["signatures"][0].update(sig="00" * 64),
        lambda value: value["signatures"].append(value["signatures"][0]),
        lambda value: value.update(more=1),
        lambda value: value.update(format="commun-release/2"),
        lambda value: value.update(freeze=[]),
    ]
    for edit in edits:
        value = json.loads(data)
        edit(value)
        with pytest.raises(CharterError):
            read_document(json.dumps(value).encode())


def test_a_release_that_names_a_smaller_quorum_lifts_nothing(repository: Repository, trust: Path):
    value = json.loads(signed(frozen(repository, trust), "Ada").to_bytes())
    value["board"]["quorum"] = 1
    document = Release.from_bytes(json.dumps(value).encode())
    assert signing_status(document).complete  # by its own word, where nothing else is known
    with pytest.raises(OtherBase):
        release(repository, trust, document, now=LATER)
    assert load(repository, trust, now=LATER).freeze is not None


@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda data: b'{"format": "commun-release/1", ' + data))
def test_arbitrary_bytes_raise_only_our_errors(data: bytes):
    for read in (read_document, Release.from_bytes):
        with pytest.raises(CharterError):
            read(data)


def test_a_file_of_another_format_is_no_document():
    with pytest.raises(BadDocument):
        read_document(b'{"format": "commun-key/1"}')
