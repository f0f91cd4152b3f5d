"""From a signed amendment to the edition in force: enough, on the newest, verified as a whole before it counts."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boards import NAMES, NOW, charter_files, signer
from commun.charter import repository as repositories
from commun.charter.adoption import adopt, published_files
from commun.charter.amendment import Amendment, propose, sign
from commun.charter.edition import InForce
from commun.charter.errors import (
    EntrenchmentBroken,
    InvalidCharter,
    NotAMember,
    NotEnoughYet,
    OtherBase,
    RolledBack,
    TooFewSignatures,
)
from commun.charter.history import verify_all
from commun.charter.loader import load, verify
from commun.charter.repository import TIMESTAMP, Repository, RepositoryBusy, root_name
from commun.charter.signing import Voters, Voting

LATER = NOW + timedelta(days=1)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "charter")


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return tmp_path / "trust"


def proposed(repository: Repository, trust: Path, *, reason: str = "Why.", **changes: Any) -> Amendment:
    if not repository.has_charter():
        return propose(charter_files(**changes), None, None, reason=reason, now=NOW)
    verified = verify(repository, trust, now=LATER)
    return propose(charter_files(**changes), verified.in_force, verified.root, reason=reason, now=LATER)


def signed(amendment: Amendment, *names: str) -> Amendment:
    for name in names:
        amendment = sign(amendment, signer(name), now=LATER)
    return amendment


def adopted(
    repository: Repository, trust: Path, *by: str, now: datetime = LATER, reason: str = "Why.", **changes: Any
) -> InForce:
    return adopt(repository, trust, signed(proposed(repository, trust, reason=reason, **changes), *by), now=now)


def test_a_quorum_adopts_the_first_edition_and_the_next_ones(repository: Repository, trust: Path):
    first = adopted(repository, trust, *NAMES[:3])
    assert (first.edition.number, first.freeze, first.stale_since) == (1, None, None)
    second = adopted(repository, trust, *NAMES[2:], system="You are polite.", reason="Politeness.")
    assert (second.edition.number, second.edition.reason) == (2, "Politeness.")
    assert second.edition.base_digest == first.edition.digest
    assert [(one.member, one.at) for one in second.edition.signatures] == [(name, LATER) for name in NAMES[2:]]
    assert load(repository, trust, now=LATER) == second


def test_what_is_published_verifies_from_the_first_root_on(repository: Repository, trust: Path):
    adopted(repository, trust, *NAMES[:3])
    adopted(repository, trust, *NAMES, names=NAMES[:4], quorum=2)
    adopted(repository, trust, "Ada", "Dara", names=NAMES[:4], quorum=2, system="You are polite.")
    in_force, editions, *_ = verify_all(repository, now=LATER)
    assert [edition.number for edition in editions] == [1, 2, 3]
    assert [edition.root_version for edition in editions] == [1, 2, 2]
    assert in_force.edition.charter.board.quorum == 2


def test_fewer_than_a_quorum_adopt_nothing(repository: Repository, trust: Path):
    with pytest.raises(NotEnoughYet) as refused:
        adopted(repository, trust, "Ada", "Chloé")
    assert refused.value.details == {"signed": 2, "needed": 3}
    assert not repository.has_charter()


@pytest.mark.parametrize("signers", [("Ada", "Benoît", "Chloé"), ("Dara", "Élise")])
def test_a_new_board_needs_the_old_quorum_and_its_own(repository: Repository, trust: Path, signers: tuple[str, ...]):
    before = adopted(repository, trust, *NAMES[:3], names=NAMES[:3], quorum=2)
    change: dict[str, Any] = {"names": ("Dara", "Élise"), "quorum": 2}
    with pytest.raises(NotEnoughYet):
        adopted(repository, trust, *signers, **change)
    assert load(repository, trust, now=LATER) == before
    after = adopted(repository, trust, "Ada", "Benoît", "Dara", "Élise", **change)
    assert [member.name for member in after.charter.board.members] == ["Dara", "Élise"]


def test_who_leaves_has_signed_the_root_and_is_named_but_stands_under_nothing_else(repository: Repository, trust: Path):
    adopted(repository, trust, *NAMES[:3], names=NAMES[:3], quorum=2)
    edition = adopted(repository, trust, *NAMES[:3], names=NAMES[1:3], quorum=2).edition
    assert {one.member for one in edition.signatures} == set(NAMES[:3])

    def signers_of(name: str) -> int:
        return len(json.loads((repository.folder / "metadata" / name).read_bytes())["signatures"])

    assert [signers_of(f"2.{role}.json") for role in ("root", "targets", "snapshot", "timestamp")] == [3, 2, 2, 2]


def test_a_member_who_was_removed_no_longer_counts(repository: Repository, trust: Path):
    adopted(repository, trust, *NAMES[:3])
    adopted(repository, trust, *NAMES[:4], names=NAMES[1:])
    amendment = proposed(repository, trust, names=NAMES[1:], system="You are polite.")
    with pytest.raises(NotAMember):
        sign(amendment, signer("Ada"), now=LATER)
    with pytest.raises(NotEnoughYet):
        adopt(repository, trust, signed(amendment, "Benoît", "Chloé"), now=LATER)


@pytest.mark.parametrize("signers", [NAMES[:3], NAMES[:4]])
def test_an_entrenched_clause_needs_every_guard(repository: Repository, trust: Path, signers: tuple[str, ...]):
    rule: dict[str, Any] = {"entrenched": ["purpose"], "guards": NAMES}
    adopted(repository, trust, *NAMES[:3], **rule)
    with pytest.raises(NotEnoughYet):
        adopted(repository, trust, *signers, **rule, purpose="To sell.")
    assert adopted(repository, trust, *NAMES, **rule, purpose="To sell.").edition.number == 2


def test_of_two_amendments_in_flight_the_second_must_be_proposed_again(repository: Repository, trust: Path):
    adopted(repository, trust, *NAMES[:3])
    one = signed(proposed(repository, trust, system="One."), *NAMES[:3])
    other = signed(proposed(repository, trust, system="Other."), *NAMES[:3])
    adopt(repository, trust, one, now=LATER)
    with pytest.raises(OtherBase) as refused:
        adopt(repository, trust, other, now=LATER)
    assert refused.value.details == {"base": 1, "edition": 2}
    assert adopted(repository, trust, *NAMES[:3], system="Other.").edition.number == 3


def test_a_first_edition_is_not_adopted_over_another(repository: Repository, trust: Path, tmp_path: Path):
    other = signed(propose(charter_files(system="Mine."), None, None, reason="Mine.", now=NOW), *NAMES[:3])
    adopted(repository, trust, *NAMES[:3])
    with pytest.raises(OtherBase):
        adopt(repository, trust, other, now=LATER)
    shutil.rmtree(repository.folder)
    with pytest.raises(RolledBack):  # the folder is gone, the trust is not
        adopt(repository, trust, other, now=LATER)


def test_adopting_twice_is_harmless(repository: Repository, trust: Path):
    amendment = signed(proposed(repository, trust), *NAMES[:3])
    assert adopt(repository, trust, amendment, now=LATER) == adopt(repository, trust, amendment, now=LATER)


def test_an_amendment_signed_apart_and_carried_in_files_gives_the_same_edition(
    repository: Repository, trust: Path, tmp_path: Path
):
    adopted(repository, trust, *NAMES[:3])
    amendment = proposed(repository, trust, system="You are polite.")
    elsewhere = Repository(shutil.copytree(repository.folder, tmp_path / "copy"))
    trust_elsewhere = tmp_path / "trust elsewhere"
    one = adopt(repository, trust, signed(amendment, "Ada", "Benoît", "Chloé"), now=LATER)
    carried = Amendment.from_bytes(
        signed(Amendment.from_bytes(amendment.to_bytes()), "Élise", "Dara", "Ada").to_bytes()
    )
    assert adopt(elsewhere, trust_elsewhere, carried, now=LATER).edition.digest == one.edition.digest


class Pretended(Amendment):
    """An amendment that says of itself that it needs nobody."""

    def voting(self) -> Voting:
        return Voting((Voters("new", {}, 0),), frozenset(), entrenched=False)


def pretended(amendment: Amendment) -> Pretended:
    return Pretended(**{name: getattr(amendment, name) for name in amendment.__slots__})


def folder(repository: Repository) -> dict[str, bytes]:
    return {
        str(file.relative_to(repository.folder)): file.read_bytes()
        for file in repository.folder.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def test_the_loader_has_the_last_word_before_anything_is_written(repository: Repository, trust: Path):
    rule: dict[str, Any] = {"entrenched": ["purpose"], "guards": NAMES}
    adopted(repository, trust, *NAMES[:3], **rule)
    before = folder(repository)
    two = pretended(signed(proposed(repository, trust, **rule, system="Mine."), "Ada", "Dara"))
    with pytest.raises(TooFewSignatures):
        adopt(repository, trust, two, now=LATER)
    four = pretended(signed(proposed(repository, trust, **rule, purpose="To sell."), *NAMES[:4]))
    with pytest.raises(EntrenchmentBroken):
        adopt(repository, trust, four, now=LATER)
    other_files = pretended(signed(proposed(repository, trust, **rule, system="Mine."), *NAMES))
    with pytest.raises(InvalidCharter):
        adopt(repository, trust, replace(other_files, files=charter_files(**rule, system="Else.")), now=LATER)
    assert folder(repository) == before


def test_a_publication_that_died_half_way_is_ended_by_adopting_again(repository: Repository, trust: Path):
    before = adopted(repository, trust, *NAMES[:3])
    amendment = signed(proposed(repository, trust, quorum=4), *NAMES)
    files = published_files(amendment)
    for name in (root_name(2), "metadata/2.targets.json"):
        (repository.folder / name).write_bytes(files[name])
    assert load(repository, trust, now=LATER) == before
    assert adopt(repository, trust, amendment, now=LATER).edition.number == 2
    assert (repository.folder / TIMESTAMP).read_bytes() == files["metadata/2.timestamp.json"]


class Killed(BaseException):
    pass


def test_wherever_the_process_dies_the_old_or_the_new_edition_is_in_force_and_adopting_again_ends_it(
    repository: Repository, trust: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    old = adopted(repository, trust, *NAMES[:3])
    amendment = signed(proposed(repository, trust, quorum=4), *NAMES)
    points: list[str] = []
    monkeypatch.setattr(repositories, "_reached", points.append)
    copied = Repository(shutil.copytree(repository.folder, tmp_path / "whole"))
    new = adopt(copied, shutil.copytree(trust, tmp_path / "whole trust"), amendment, now=LATER)
    assert len(points) == len(set(points)) >= 8
    for number, point in enumerate(points):

        def die(reached: str, point: str = point) -> None:
            if reached == point:
                raise Killed

        monkeypatch.setattr(repositories, "_reached", die)
        copied = Repository(shutil.copytree(repository.folder, tmp_path / f"copy {number}"))
        copied_trust = shutil.copytree(trust, tmp_path / f"trust {number}")
        with pytest.raises(Killed):
            adopt(copied, copied_trust, amendment, now=LATER)
        monkeypatch.setattr(repositories, "_reached", lambda _point: None)
        committed = number >= points.index("after commit")
        assert load(Repository(copied.folder), copied_trust, now=LATER) == (new if committed else old)
        assert adopt(Repository(copied.folder), copied_trust, amendment, now=LATER) == new
        assert folder(copied) == folder(Repository(tmp_path / "whole"))


def test_two_who_adopt_at_once_do_not_both_win(repository: Repository, trust: Path):
    adopted(repository, trust, *NAMES[:3])
    rivals = [signed(proposed(repository, trust, system=f"Number {number}."), *NAMES[:3]) for number in range(8)]

    def attempt(amendment: Amendment) -> str:
        try:
            return adopt(Repository(repository.folder), trust, amendment, now=LATER).edition.digest
        except (RepositoryBusy, OtherBase) as refused:
            return refused.code

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(attempt, rivals))
    won = [outcome for outcome in outcomes if len(outcome) == 64]
    assert won == [load(repository, trust, now=LATER).edition.digest]


def test_after_the_mandate_the_edition_is_stale_and_goes_on_and_a_longer_one_ends_it(
    repository: Repository, trust: Path
):
    ended = datetime.fromisoformat("2028-03-01T00:00:00+00:00")
    adopted(repository, trust, *NAMES[:3], until="2027-12-31")
    assert load(repository, trust, now=ended).stale_since == datetime.fromisoformat("2028-01-01T00:00:00+00:00")
    renewed = adopted(repository, trust, *NAMES[:3], until="2029-12-31", now=ended)
    assert renewed.stale_since is None
