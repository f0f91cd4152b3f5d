import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from drafts import somebody

from commun.charter.amendment import Amendment
from commun.charter.clauses import Member
from commun.charter.edition import InForce
from commun.charter.errors import BadPassphrase, CharterMistakes, NotAMember, NothingChanges
from commun.charter.history import find_findings, verify_all
from commun.charter.keys import SoftwareKey, WeakPassphrase, make_key
from commun.charter.loader import load
from commun.charter.repository import AMENDMENTS, Repository
from commun.drafting.editing import with_default_model, with_mandate, with_member, with_model, with_quorum
from commun.drafting.founding import AlreadyFounded, Founded, amend, found
from commun.drafting.models import adopted_model, default_model_clause
from commun.engine.manifest import Manifest
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, TRUST_FOLDER

NOW = datetime(2026, 11, 22, 6, 30, 15, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PASSPHRASE = "balu dori nefa kizo"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def founded(home: Path) -> Founded:
    return found(home, now=NOW, passphrase=PASSPHRASE)


@pytest.fixture
def founder(founded: Founded) -> SoftwareKey:
    return SoftwareKey.open(founded.key_file.read_bytes(), PASSPHRASE)


def in_force(home: Path) -> InForce:
    return load(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, now=LATER)


def files_of(home: Path) -> dict[str, bytes]:
    return dict(in_force(home).newest.files)


def test_a_founded_commun_has_a_charter_in_force_with_a_board_of_one(home: Path, founded: Founded) -> None:
    charter = founded.in_force.charter

    assert founded.in_force.edition.number == 1
    assert [member.name for member in charter.board.members] == ["Founder"]
    assert charter.mandate.until.isoformat() == "2027-11-22"
    assert founded.in_force.stale_since is None
    assert [signature.keyid for signature in founded.in_force.edition.signatures] == [founded.keyid]
    assert "whoever holds this one key" in founded.in_force.edition.reason
    assert "une seule personne" in founded.in_force.edition.reason.lower()
    assert in_force(home).edition.digest == founded.in_force.edition.digest


def test_the_founder_may_have_a_name_and_choose_the_model(home: Path) -> None:
    manifest = Manifest(
        id="big", name="Big", family="qwen3", context_length=32768, licence="unknown", source="http://gpu/v1",
        files=(), format="remote", url="http://gpu/v1", remote_model="qwen3-32b",
    )  # fmt: skip
    founded = found(
        home, now=NOW, passphrase=PASSPHRASE, model=adopted_model(manifest, {}), name="Ville de Brest", board_name="Ada"
    )

    assert founded.in_force.charter.name == "Ville de Brest"
    assert founded.in_force.charter.board.members[0].name == "Ada"
    assert founded.in_force.charter.models.get("big").remote_model == "qwen3-32b"


def test_the_key_is_for_its_owners_eyes_and_opens_with_the_passphrase(home: Path, founded: Founded) -> None:
    assert founded.key_file == home / KEYS_FOLDER / "founder.key"
    assert stat.S_IMODE(founded.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(founded.key_file.parent.stat().st_mode) == 0o700
    assert list(founded.key_file.parent.iterdir()) == [founded.key_file]
    assert SoftwareKey.open(founded.key_file.read_bytes(), PASSPHRASE).keyid == founded.keyid
    assert PASSPHRASE.encode() not in founded.key_file.read_bytes()


def test_another_passphrase_does_not_open_the_key(founded: Founded) -> None:
    with pytest.raises(BadPassphrase):
        SoftwareKey.open(founded.key_file.read_bytes(), PASSPHRASE + " ")


def test_a_weak_passphrase_founds_nothing(home: Path) -> None:
    with pytest.raises(WeakPassphrase):
        found(home, now=NOW, passphrase="1234")

    assert not list(home.iterdir())


def test_an_impossible_name_founds_nothing(home: Path) -> None:
    with pytest.raises(CharterMistakes):
        found(home, now=NOW, passphrase=PASSPHRASE, board_name="\u202eAda")

    assert not list(home.iterdir())


def test_nobody_founds_twice(home: Path, founded: Founded) -> None:
    before = in_force(home).edition.digest

    with pytest.raises(AlreadyFounded):
        found(home, now=LATER, passphrase=PASSPHRASE)

    assert in_force(home).edition.digest == before
    assert len(list((home / KEYS_FOLDER).iterdir())) == 1


@pytest.mark.parametrize("lost", ["charter", "charter/metadata/timestamp.json"])
def test_whoever_deletes_the_charter_cannot_replace_it_by_a_restart(lost: str, home: Path, founded: Founded) -> None:
    (home / lost).rename(home / "elsewhere")

    with pytest.raises(AlreadyFounded):
        found(home, now=LATER, passphrase=PASSPHRASE)


def test_a_trust_folder_that_holds_its_lock_alone_trusts_nothing(home: Path) -> None:
    (home / TRUST_FOLDER).mkdir(parents=True)
    (home / TRUST_FOLDER / ".lock").touch()

    assert found(home, now=NOW, passphrase=PASSPHRASE).put_aside == ()


def test_founding_anew_puts_everything_aside_and_deletes_nothing(home: Path, founded: Founded) -> None:
    again = found(home, now=LATER, passphrase=PASSPHRASE, anew=True)
    third = found(home, now=LATER, passphrase=PASSPHRASE, anew=True)

    assert [path.name for path in again.put_aside] == ["charter-2026-11-22-1", "charter-trust-2026-11-22-1"]
    assert [path.name for path in third.put_aside] == ["charter-2026-11-22-2", "charter-trust-2026-11-22-2"]
    assert load(Repository(again.put_aside[0]), again.put_aside[1], now=LATER).edition == founded.in_force.edition
    assert again.key_file.name == "founder-2.key"
    assert founded.key_file.exists()
    assert in_force(home).edition.digest == third.in_force.edition.digest


def test_what_a_killed_founding_left_is_founded_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(point: str) -> None:
        if point == "before commit":
            raise KeyboardInterrupt

    monkeypatch.setattr("commun.charter.repository._reached", killed)
    with pytest.raises(KeyboardInterrupt):
        found(home, now=NOW, passphrase=PASSPHRASE)
    monkeypatch.undo()

    assert found(home, now=LATER, passphrase=PASSPHRASE).in_force.edition == in_force(home).edition


def test_a_board_of_one_amends_in_one_step(home: Path, founder: SoftwareKey) -> None:
    qwen = adopted_model(
        Manifest("qwen", "Qwen", "qwen3", 8192, "unknown", "http://gpu/v1", (), "remote", {}, "http://gpu/v1", "qwen"),
        {},
    )
    files = with_default_model(with_model(files_of(home), qwen), "qwen")
    result = amend(home, files, reason="A better model.", signer=founder.signer, now=LATER)

    assert isinstance(result, InForce)
    assert result.edition.number == 2
    assert result.edition.reason == "A better model."
    assert in_force(home).charter.models.default == "qwen"


CHANGES: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "a mandate": lambda files: with_mandate(files, NOW.date() + timedelta(days=700)),
    "a member": lambda files: with_member(files, somebody("Bea")),
    "a second default": lambda files: with_model(files, default_model_clause()) | {"prompts/system.en.md": b"Hello.\n"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_board_of_one_changes_it_changes_alone(change: str, home: Path, founder: SoftwareKey) -> None:
    files = CHANGES[change](files_of(home))
    amend(home, files, reason="Because.", signer=founder.signer, now=LATER)

    assert files_of(home) == files
    assert in_force(home).edition.number == 2


def test_a_larger_board_gets_an_amendment_that_waits(home: Path, founder: SoftwareKey) -> None:
    second = make_key()
    files = with_member(files_of(home), Member("Bea", second.public_text))
    amend(home, files, reason="Bea joins.", signer=founder.signer, now=LATER)
    result = amend(home, with_quorum(files, 2), reason="Two from now on.", signer=founder.signer, now=LATER)

    assert isinstance(result, Amendment)
    assert in_force(home).edition.number == 2
    (waiting,) = Repository(home / CHARTER_FOLDER).names(AMENDMENTS)
    assert Amendment.from_bytes((home / CHARTER_FOLDER / waiting).read_bytes()) == result


def test_what_was_founded_and_amended_holds_for_an_outsider_with_nothing_left_over(
    home: Path, founder: SoftwareKey
) -> None:
    amend(home, CHANGES["a member"](files_of(home)), reason="Bea joins.", signer=founder.signer, now=LATER)
    repository = Repository(home / CHARTER_FOLDER)
    now_in_force, adopted = verify_all(repository, now=LATER)

    assert [edition.number for edition in adopted] == [1, 2]
    assert now_in_force.edition == adopted[-1]
    assert find_findings(repository) == ()


def test_a_strangers_signature_changes_nothing(home: Path, founder: SoftwareKey) -> None:
    with pytest.raises(NotAMember):
        amend(home, CHANGES["a member"](files_of(home)), reason="Mine.", signer=make_key().signer, now=LATER)

    assert in_force(home).edition.number == 1
    assert not Repository(home / CHARTER_FOLDER).names(AMENDMENTS)


def test_an_amendment_that_changes_nothing_is_none(home: Path, founder: SoftwareKey) -> None:
    with pytest.raises(NothingChanges):
        amend(home, files_of(home), reason="Nothing.", signer=founder.signer, now=LATER)
