"""Every edition since the first, as an outsider with a copy of the folder verifies it."""

import shutil
from pathlib import Path

import pytest

from boards import NAMES, NOW
from commun.charter.canonical import digest_of
from commun.charter.errors import InvalidCharter, MixedEditions, NoCharter, TooFewSignatures, WrongFile, WrongVersion
from commun.charter.history import (
    EXTRA,
    UNFINISHED,
    PastFreeze,
    editions,
    find_findings,
    freezes,
    get_edition,
    verify_all,
)
from commun.charter.repository import target_name
from commun.errors import NotFound
from published import LATER, QUORUM, Commun, draft, five_editions, lay


@pytest.fixture
def commun(tmp_path: Path) -> Commun:
    return five_editions(tmp_path)


def test_every_edition_is_told_oldest_first_under_the_board_of_its_time(commun: Commun) -> None:
    told = editions(commun.repository)
    assert [edition.number for edition in told] == [1, 2, 3, 4, 5]
    assert [edition.root_version for edition in told] == [1, 1, 2, 2, 2]
    assert [edition.charter.purpose.en for edition in told] == ["One.", "Two.", "Three.", "Four.", "Five."]
    assert [edition.base_digest for edition in told] == ["", *(edition.digest for edition in told[:-1])]
    assert all([one.member for one in edition.signatures] == list(QUORUM) for edition in told)


def test_one_edition_is_told_by_its_number(commun: Commun) -> None:
    assert get_edition(commun.repository, 3) == editions(commun.repository)[2]
    for number in (0, -1, 6, 2**31):
        with pytest.raises(NotFound):
            get_edition(commun.repository, number)


def test_without_a_charter_there_is_no_history(tmp_path: Path) -> None:
    with pytest.raises(NoCharter):
        editions(Commun(tmp_path).repository)


def test_verifying_all_tells_what_is_in_force_as_well(commun: Commun) -> None:
    commun.freeze("Dara")
    in_force, told = verify_all(commun.repository, now=LATER)
    assert in_force.edition == told[3]
    assert in_force.newest == told[4]
    assert in_force.freeze is not None
    assert in_force.stale_since == told[3].expires


def test_verifying_all_needs_no_machine_that_trusts_and_makes_none(commun: Commun, tmp_path: Path) -> None:
    copy = tmp_path / "usb-stick"
    shutil.copytree(commun.folder, copy)
    shutil.rmtree(commun.trust)
    assert verify_all(commun.repository, now=NOW) == verify_all(type(commun.repository)(copy), now=NOW)
    assert not commun.trust.exists()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("metadata/1.root.json", MixedEditions),
        ("metadata/1.targets.json", WrongVersion),
        ("metadata/1.snapshot.json", WrongVersion),
        ("metadata/2.timestamp.json", WrongVersion),
    ],
)
def test_an_old_file_that_is_missing_breaks_the_history(commun: Commun, name: str, error: type[InvalidCharter]) -> None:
    (commun.folder / name).unlink()
    with pytest.raises(error):
        editions(commun.repository)


def test_an_old_prompt_that_was_edited_breaks_the_history_and_not_the_service(commun: Commun) -> None:
    first = editions(commun.repository)[0]
    name = target_name("charter.toml", digest_of(first.files["charter.toml"]))
    (commun.folder / name).write_bytes(first.files["charter.toml"] + b"# edited")
    assert commun.load().edition.number == 5
    with pytest.raises(WrongFile):
        editions(commun.repository)


def test_an_old_edition_signed_by_another_board_breaks_the_history(commun: Commun) -> None:
    forged = draft(commun.drafts[0].files).sign(["Mallory"])
    lay(commun.folder, {"metadata/1.targets.json": forged.targets.to_bytes()})
    with pytest.raises(TooFewSignatures):
        editions(commun.repository)


def test_every_freeze_is_told_also_one_that_was_released_or_overtaken(commun: Commun) -> None:
    commun.freeze("Ada", reason="It insults people.", edition=commun.drafts[1])
    commun.freeze("Fanny", reason="It is wrong.", edition=commun.drafts[3])
    commun.release(edition=commun.drafts[3])
    assert freezes(commun.repository) == (
        PastFreeze(2, "Ada", NOW, "It insults people.", released=False),
        PastFreeze(4, "Fanny", NOW, "It is wrong.", released=True),
    )
    assert commun.load().freeze is None


def test_a_forged_freeze_of_an_old_edition_breaks_the_history(commun: Commun) -> None:
    commun.freeze("Mallory", edition=commun.drafts[1])
    with pytest.raises(TooFewSignatures):
        verify_all(commun.repository, now=NOW)


def test_a_complete_folder_has_no_findings(commun: Commun) -> None:
    commun.freeze("Ada")
    commun.repository.put("amendments/0123456789ab.amendment", b"in flight")
    assert find_findings(commun.repository) == ()


def test_what_no_metadata_accounts_for_is_named(commun: Commun, tmp_path: Path) -> None:
    left_over = commun.draft(names=NAMES[:4], purpose="Six.").sign(QUORUM)
    prompt = target_name("prompts/mallory.en.md", "ab" * 32)
    lay(commun.folder, {"metadata/3.root.json": left_over.root.to_bytes(), prompt: b"x", "freezes/9.freeze.json": b"x"})
    (commun.folder / "link").symlink_to(tmp_path)
    assert [(finding.file, finding.problem) for finding in find_findings(commun.repository)] == [
        ("freezes/9.freeze.json", EXTRA),
        ("link", EXTRA),
        ("metadata/3.root.json", UNFINISHED),
        (prompt, EXTRA),
    ]


def test_a_name_that_would_speak_to_a_terminal_is_made_harmless(commun: Commun) -> None:
    (commun.folder / "\x1b]0;x\x07\udcff\u202e").touch()
    assert [finding.file for finding in find_findings(commun.repository)] == ["\ufffd]0;x\ufffd\ufffd\ufffd"]
