"""A board works on the command line: with files that travel, each member in a data folder of their own."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commun.charter.adoption import published_files
from commun.charter.amendment import Amendment, Base, draft
from commun.charter.errors import BadPassphrase, CharterMistakes, InvalidCharter, NotAMember, NotEnoughYet, OtherBase
from commun.charter.joining import Invitation
from commun.charter.roles import edition_digest, make_root, make_targets
from commun.charter.source import read_charter
from commun.cli import app
from commun.cli.signers import key_path
from commun.drafting.desk import Desk
from commun.errors import NotFound
from commun.ledger.witness_keys import KEY_FILE as WITNESS_KEY_FILE
from commun.places import KEYS_FOLDER, MACHINE_KEYS
from commun.recording.receipt_key import RECEIPT_KEY_FILE
from commun.recording.recorder import LEDGER_KEY_FILE

PASSPHRASE = "correct horse battery"
AMENDMENT = re.compile(r"Proposed as ([0-9a-f]{12})")


class Member:
    """One person at one computer."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.home = folder / "home"
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")

    def run(self, *arguments: str | Path, secret: bool = False, text: str = "") -> str:
        """What the command printed. Raises what it raised."""
        words = ["charter", *map(str, arguments), "--home", str(self.home)]
        if secret:
            words += ["--passphrase-file", str(self.passphrase)]
        result = CliRunner().invoke(app, words, input=text)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def alice(tmp_path) -> Member:
    member = Member(tmp_path / "alice")
    member.run("init", "--name", "Mairie", "--member", "Alice", secret=True)
    return member


def joined(alice: Member, name: str, *, quorum: int) -> Member:
    """A new member, by invitation, request and an amendment that everybody so far has signed: here only Alice."""
    member = Member(alice.folder.parent / name.lower())
    invitation = alice.run("board", "invite", name)
    (member.folder / "invitation").write_text(invitation)
    request = member.folder / "request"
    member.run("board", "join", member.folder / "invitation", "--out", request, "--yes", secret=True)
    alice.run("board", "add", request, "--reason", f"{name} joins", "--quorum", str(quorum), "--yes", secret=True)
    return member


@pytest.fixture
def board(alice) -> list[Member]:
    """Alice, Bob and Carol; two of them must sign. Alice alone guards what is entrenched."""
    bob = joined(alice, "Bob", quorum=1)
    carol = joined(alice, "Carol", quorum=2)
    send(alice, bob, only(alice))  # the last one has two boards to please: the old one of one, the new one of two
    bob.run("sign", bob.folder / "sent", "--yes", secret=True)
    alice.run("adopt", bob.folder / "sent")
    return [alice, bob, carol]


def only(member: Member) -> str:
    """The id of the one amendment on the desk."""
    [name] = (member.home / "charter" / "amendments").glob("*.amendment")
    return name.stem


def send(sender: Member, receiver: Member, amendment: str) -> Path:
    """A copy by mail."""
    target = receiver.folder / "sent"
    target.write_bytes((sender.home / "charter" / "amendments" / f"{amendment}.amendment").read_bytes())
    return target


def changed_folder(member: Member, before: str, after: str, *, name: str = "draft") -> Path:
    folder = member.folder / name
    member.run("show", "--folder", folder)
    file = folder / "charter.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    return folder


def proposed(member: Member, before: str, after: str, *, name: str = "draft") -> str:
    output = member.run("propose", changed_folder(member, before, after, name=name), "--reason", "Because")
    return AMENDMENT.search(output)[1]


def signed_alone(member: Member, before: str, after: str) -> str:
    amendment = proposed(member, before, after)
    member.run("sign", amendment, "--yes", secret=True)
    return amendment


def test_two_of_three_sign_copies_of_one_file_and_either_order_adopts_it(board):
    alice, bob, carol = board
    amendment = proposed(alice, "default = 0.3", "default = 0.7")
    to_bob, to_carol = send(alice, bob, amendment), send(alice, carol, amendment)
    bob.run("sign", to_bob, "--yes", secret=True)
    with pytest.raises(NotEnoughYet):
        alice.run("adopt", to_bob)
    carol.run("sign", to_carol, "--yes", secret=True)
    assert "In force: edition 4." in alice.run("adopt", to_carol, to_bob)
    assert "0.7 (0 … 2)" in alice.run("show")


def test_a_member_reads_what_changes_before_signing_and_may_say_no(board):
    alice, bob, _ = board
    amendment = proposed(alice, "default = 0.3", "default = 0.9")
    copy = send(alice, bob, amendment)
    assert "0.3 → 0.9" in bob.run("diff", copy)
    before = copy.read_bytes()
    result = CliRunner().invoke(app, ["charter", "sign", str(copy), "--home", str(bob.home)], input="n\n")
    assert result.exit_code == 1
    assert "0.3 → 0.9" in result.output
    assert copy.read_bytes() == before


def test_an_amendment_that_changes_remarks_only_shows_them(board):
    alice, bob, _ = board
    folder = alice.folder / "draft"
    alice.run("show", "--folder", folder)
    file = folder / "charter.toml"
    file.write_text("# The mayor decides.\n" + file.read_text())
    told = alice.run("propose", folder, "--reason", "Because")
    copy = send(alice, bob, AMENDMENT.search(told)[1])
    for output in (told, bob.run("diff", copy), bob.run("sign", copy, "--yes", secret=True)):
        assert "The file charter.toml changes only in its remarks or its layout." in output
        assert "mayor decides." in output


def test_a_member_elsewhere_compares_the_amendment_with_a_copy_of_the_published_charter(board):
    alice, bob, _ = board
    copy = send(alice, bob, proposed(alice, "default = 0.3", "default = 0.9"))
    alone = bob.run("diff", copy)
    assert "Not compared" in alone
    assert "a signature on it counts nowhere" in alone
    compared = bob.run("diff", copy, "--against", alice.home / "charter")
    assert "it stands on edition 3" in compared
    invited = Invitation.from_text((bob.folder / "invitation").read_text())
    assert f"of charter {invited.root_digest}" in compared
    published = bob.folder / "published"
    shutil.copytree(alice.home / "charter", published)
    alice.run("sign", copy, "--yes", secret=True)
    bob.run("sign", copy, "--against", published, "--yes", secret=True)
    alice.run("adopt", copy)
    with pytest.raises(OtherBase):
        bob.run("diff", copy, "--against", alice.home / "charter")


def on_a_base_that_never_was(member: Member) -> Amendment:
    """True in itself, and with the board's real keys: edition 3 as it never was."""
    verified = Desk(member.home).verified()
    newest, version = verified.in_force.newest, verified.root.signed.version
    files = dict(newest.files) | {"prompts/system.en.md": b"Another past."}
    charter, reason, at = read_charter(files), newest.reason, newest.proposed
    before = {"edition": newest.number - 1, "digest": newest.base_digest}
    number = newest.number
    targets = make_targets(charter, files, number=number, root=version, base=before, reason=reason, proposed=at)
    digest = edition_digest(targets)
    root = make_root(charter, version=version, edition=number, digest=digest)
    base = Base(number, digest, newest.base_digest, reason, at, files, charter, root)
    return draft(newest.files, base, reason="Back to what it was.", proposed=at)


def test_what_is_signed_on_a_base_that_never_was_is_worth_nothing(board, tmp_path):
    """Alice and Bob sign such a file where there is nothing to compare it with; no server takes it."""
    alice, bob, _ = board
    copy = bob.folder / "sent"
    copy.write_bytes(on_a_base_that_never_was(alice).to_bytes())
    assert "counts nowhere" in bob.run("sign", copy, "--yes", secret=True)
    away = Member(tmp_path / "away")
    key = next((alice.home / "keys").glob("*.key"))
    assert "Complete" in away.run("sign", copy, "--key", key, "--yes", secret=True)
    with pytest.raises(OtherBase):
        alice.run("diff", copy)
    with pytest.raises(OtherBase):
        alice.run("adopt", copy)
    for name, data in published_files(Amendment.from_bytes(copy.read_bytes())).items():
        (alice.home / "charter" / name).parent.mkdir(exist_ok=True, parents=True)
        (alice.home / "charter" / name).write_bytes(data)
    with pytest.raises(InvalidCharter):
        alice.run("status")


def test_of_two_amendments_in_flight_the_second_must_be_proposed_again(board):
    alice, bob, _ = board
    first = proposed(alice, "default = 0.3", "default = 0.4", name="one")
    second = proposed(alice, "default = 0.3", "default = 0.5", name="two")
    for amendment in (first, second):
        alice.run("sign", amendment, "--yes", secret=True)
    copy = send(alice, bob, first)
    bob.run("sign", copy, "--yes", secret=True)
    late = bob.folder / "late"
    late.write_bytes((alice.home / "charter" / "amendments" / f"{second}.amendment").read_bytes())
    bob.run("sign", late, "--yes", secret=True)
    alice.run("adopt", copy)
    with pytest.raises(OtherBase):
        alice.run("adopt", late)
    assert "outdated" in alice.run("status")


def test_what_cannot_be_read_is_named_and_withdrawn_by_its_name(board):
    alice, _, _ = board
    amendments = alice.home / "charter" / "amendments"
    amendments.mkdir(exist_ok=True)
    (amendments / "0123456789ab.amendment").write_bytes(b"{")
    (amendments / "notes.txt").write_bytes(b"{")
    said = alice.run("status")
    assert "0123456789ab" in said
    assert "cannot be read" in said
    assert "notes" not in said
    alice.run("withdraw", "0123456789ab")
    assert [path.name for path in amendments.iterdir()] == ["notes.txt"]
    with pytest.raises(NotFound):
        alice.run("withdraw", "0123456789ab")


def test_one_member_freezes_alone_and_only_the_quorum_releases(board):
    alice, bob, _ = board
    published = alice.home / "charter"
    key = next((bob.home / "keys").glob("*.key"))
    arguments = ["--key", str(key), "--reason", "It advertises", "--yes"]
    told = alice.run("freeze", *arguments, secret=True)
    assert "Edition 2 would answer again." in told
    assert "In force: edition 2." in told
    assert "It advertises" in alice.run("status")
    alice.run("unfreeze")
    release = only(alice)
    alice.run("sign", release, "--yes", secret=True)
    with pytest.raises(NotEnoughYet):
        alice.run("adopt", release)
    copy = send(alice, bob, release)
    bob.run("sign", copy, "--yes", secret=True)
    assert "In force: edition 3." in alice.run("adopt", copy)
    assert not list((published / "amendments").glob("*.amendment"))
    assert "frozen by Bob" in alice.run("history")


def test_who_freezes_is_told_beforehand_where_the_older_edition_cannot_run_here(alice, monkeypatch):
    alice.run("adopt", signed_alone(alice, "default = 0.3", "default = 0.4"))
    arguments = ["charter", "freeze", "--reason", "Why", "--home", str(alice.home)]
    assert "not for this version" not in CliRunner().invoke(app, arguments, input="n\n").output
    monkeypatch.setattr("commun.__version__", "2.0")
    assert "not for this version of Commun (2.0)" in CliRunner().invoke(app, arguments, input="n\n").output


def test_the_published_folder_is_verified_from_a_copy_without_anything_else(board, tmp_path):
    alice, _, carol = board
    copy = tmp_path / "copy"
    shutil.copytree(alice.home / "charter", copy, ignore=shutil.ignore_patterns(".lock", "amendments"))
    output = carol.run("verify", copy)
    assert [line[:17] for line in output.splitlines() if line.startswith("✓")] == [
        f"✓ Edition {number} holds" for number in (1, 2, 3)
    ]
    (copy / "metadata" / "extra.json").write_text("{}")
    result = CliRunner().invoke(app, ["charter", "verify", str(copy)])
    assert result.exit_code == 2
    assert "extra.json" in result.output


def test_a_stranger_and_a_wrong_passphrase_sign_nothing(board, tmp_path):
    alice, bob, _ = board
    amendment = proposed(alice, "default = 0.3", "default = 0.8")
    copy = send(alice, bob, amendment)
    stranger = Member(tmp_path / "mallory")
    stranger.run("init", secret=True)
    with pytest.raises(OtherBase):  # it changes another charter than the stranger's own
        stranger.run("sign", copy, "--yes", secret=True)
    with pytest.raises(NotAMember):
        stranger.run("sign", copy, "--against", alice.home / "charter", "--yes", secret=True)
    bob.passphrase.write_text("another one altogether")
    with pytest.raises(BadPassphrase):
        bob.run("sign", copy, "--yes", secret=True)


def test_a_member_leaves_by_an_amendment_and_no_longer_signs(board):
    alice, bob, carol = board
    alice.run("board", "remove", "Carol", "--reason", "Her term ended", "--yes", secret=True)
    copy = send(alice, bob, only(alice))
    bob.run("sign", copy, "--yes", secret=True)
    alice.run("adopt", copy)
    amendment = proposed(alice, "default = 0.3", "default = 0.6")
    with pytest.raises(NotAMember):
        carol.run("sign", send(alice, carol, amendment), "--yes", secret=True)


def test_every_mistake_of_a_folder_is_told_with_its_place(alice, capsys):
    from commun.cli.words import tell

    folder = changed_folder(alice, "default = 0.3", "default = 9")
    (folder / "prompts" / "system.fr.md").unlink()
    with pytest.raises(CharterMistakes) as caught:
        alice.run("propose", folder, "--reason", "Because")
    tell(caught.value)
    told = capsys.readouterr().err
    assert re.search(r"charter\.toml:\d+: .*sampling\.temperature", told)
    assert "prompts/system.fr.md" in told


def test_the_machines_own_keys_are_nobodys_choice_for_signing(alice):
    """A server makes them beside the founder's: signing must not begin to ask which."""
    assert {WITNESS_KEY_FILE, LEDGER_KEY_FILE, RECEIPT_KEY_FILE} == MACHINE_KEYS
    keys = alice.home / KEYS_FOLDER
    (board_key,) = keys.glob("*.key")
    for name in MACHINE_KEYS:
        (keys / name).write_text("not a board member's")
    assert key_path(alice.home, None) == board_key


def test_a_key_gets_another_passphrase(alice):
    key = next((alice.home / "keys").glob("*.key"))
    other = alice.folder / "other"
    other.write_text("quite another passphrase")
    words = ["charter", "passphrase", str(key), "--old-file", str(alice.passphrase), "--new-file", str(other)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert key.stat().st_mode & 0o777 == 0o600
    amendment = proposed(alice, "default = 0.3", "default = 0.6")
    with pytest.raises(BadPassphrase):
        alice.run("sign", amendment, "--yes", secret=True)
    alice.passphrase.write_text("quite another passphrase")
    alice.run("sign", amendment, "--yes", secret=True)


def test_the_founder_of_a_second_charter_keeps_the_first_one_aside(alice):
    output = alice.run("init", "--anew", "--name", "Another", secret=True)
    assert "older charter lies in" in output
    assert "Another · edition 1" in alice.run("show")
    assert len(list(alice.home.glob("charter-2*"))) == 1
