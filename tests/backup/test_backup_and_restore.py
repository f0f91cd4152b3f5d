"""A whole Commun backed up while it runs and restored into a fresh folder: it answers, opens what was written before,
proves it, and its ledger goes on or begins anew; it never forks.
"""

import json
import re
import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from commun.backup.archive import BadBackup, open_archive
from commun.backup.making import NothingToBackUp, make_backup
from commun.backup.restoring import FolderNotEmpty, History, HistoryNotChosen, LedgerWentOn, restore
from commun.charter.errors import CharterError
from commun.cli import app
from commun.ledger.entries import EpochStatement, ReceiptStatement, Statement, read_statement
from commun.ledger.errors import LedgerError
from commun.ledger.files import LogFolder
from commun.ledger.opening import find_key
from commun.ledger.tiles import TILE_WIDTH, read_entries
from commun.ledger.verification import verify_log
from commun.places import KEYS_FOLDER, LEDGER_FOLDER
from commun.receipts.bundle import PENDING, Bundle
from commun.receipts.verification import Verdict, verify
from fake_engine import FakeEngine
from site_server import Site, serving

JSON = {"Accept": "application/json"}
SEAL = re.compile(r'href=\\?"/receipt/([0-9a-f]{64})')
WORDS = "canary-question-5e2a"


def engine() -> FakeEngine:
    from commun.drafting.models import default_model_clause

    made, model = FakeEngine(), default_model_clause()
    made.info = replace(made.info, model=model.id, model_digest=model.digest)
    return made


def browser(site: Site, cookies: Any = None) -> httpx2.Client:
    return httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True, cookies=cookies)


def ask(client: httpx2.Client, question: str = WORDS) -> tuple[str, str]:
    """The conversation's and the receipt's ids, once the answer has ended."""
    reply = client.post("/ask", data={"question": question}, headers=JSON).json()
    answer = re.findall(r'class="message answer" id="m-(\w+)"', reply["main"])[-1]
    events = client.get(f"/answers/{answer}/events").text
    found = SEAL.search(events)
    assert found, events
    return reply["url"], found[1]


def logged(client: httpx2.Client, receipt: str) -> None:
    until = time.monotonic() + 120
    while client.get(f"/receipt/{receipt}", headers=JSON).json()["waiting"]:
        assert time.monotonic() < until
        time.sleep(0.05)


def is_proved(client: httpx2.Client, receipt: str) -> bool:
    """Whether the bundle holds, with a proof of its place in the ledger."""
    data = client.get(f"/receipt/{receipt}/bundle").raise_for_status().content
    report = verify(data)
    assert report.verdict is not Verdict.REFUSED, report.detail
    return Bundle.from_bytes(data).ledger.receipt not in (None, PENDING)


def key_of(home: Path):
    key = find_key(home / KEYS_FOLDER / "ledger.key")
    assert key is not None
    return key.verifier


def entries_of(home: Path) -> list[Statement]:
    folder = LogFolder(home / LEDGER_FOLDER)
    size = verify_log(folder, [key_of(home)]).size
    return [
        read_statement(entry)
        for index in range(-(-size // TILE_WIDTH))
        for entry in read_entries(index, size, folder.find)
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def used_and_backed_up(home: Path, target: Path, **options: Any) -> tuple[Any, str, str]:
    """A Commun with one answer, backed up while it runs. Its browser's cookies, the conversation, the receipt."""
    with serving(home, engine()) as site, browser(site) as client:
        client.get(site.link()).raise_for_status()
        conversation, receipt = ask(client)
        logged(client, receipt)
        make_backup(home, target, **options)
        return client.cookies, conversation, receipt


def test_a_restored_commun_opens_what_was_written_answers_and_goes_on_with_its_ledger(
    tmp_path: Path, home: Path
) -> None:
    target, fresh = tmp_path / "backup.tar", tmp_path / "fresh"
    cookies, conversation, receipt = used_and_backed_up(home, target)
    assert WORDS.encode() not in target.read_bytes()
    restored = restore(target, fresh, history=History.CONTINUE)
    before = restored.goes_on
    assert before
    head = LogFolder(fresh / LEDGER_FOLDER).find_checkpoint()
    with serving(fresh, engine()) as site, browser(site, cookies) as client:
        assert WORDS in client.get(conversation).text
        assert is_proved(client, receipt)
        _, another = ask(client, "And now?")
        logged(client, another)
        assert is_proved(client, another)
        with browser(site) as other:
            assert other.get(site.link()).status_code == 200
    verified = verify_log(LogFolder(fresh / LEDGER_FOLDER), [key_of(home)], since=head)
    assert verified.size > before
    kinds = [type(statement) for statement in entries_of(fresh)]
    assert kinds.count(ReceiptStatement) == 2
    assert kinds.count(EpochStatement) == 2, "seeds come from a new secret"


def test_a_new_ledger_begins_under_another_name_and_key_and_the_old_one_is_kept(tmp_path: Path, home: Path) -> None:
    target, fresh = tmp_path / "backup.tar", tmp_path / "fresh"
    cookies, conversation, receipt = used_and_backed_up(home, target)
    assert restore(target, fresh, history=History.NEW).goes_on is None
    with serving(fresh, engine()) as site, browser(site, cookies) as client:
        assert WORDS in client.get(conversation).text
        _, another = ask(client, "And now?")
        logged(client, another)
        assert is_proved(client, another)
        assert client.get(f"/receipt/{receipt}/bundle").status_code == 200
    old, new = key_of(home), key_of(fresh)
    assert old.name != new.name
    assert old.public != new.public
    assert verify_log(LogFolder(fresh / "ledger-before"), [old]).size
    kinds = [type(statement) for statement in entries_of(fresh)]
    assert kinds.count(ReceiptStatement) == 2, "what is still here is recorded in it again"


def test_a_backup_without_keys_holds_none_and_begins_anew(tmp_path: Path, home: Path) -> None:
    target, fresh = tmp_path / "backup.tar", tmp_path / "fresh"
    home.mkdir()
    (home / "commun.toml").write_text('remote_key = "canary-secret"\n')
    cookies, conversation, _ = used_and_backed_up(home, target, keys=False)
    data = target.read_bytes()
    for file in (home / KEYS_FOLDER).iterdir():
        assert file.read_bytes().strip()[-40:] not in data, file.name
    assert b"canary-secret" not in data
    restored = restore(target, fresh, history=None)
    assert restored.goes_on is None
    with serving(fresh, engine()) as site, browser(site, cookies) as client:
        assert WORDS in client.get(conversation).text
        _, another = ask(client, "And now?")
        logged(client, another)
    assert key_of(fresh).name != key_of(home).name


def test_the_key_of_audits_is_in_no_backup(tmp_path: Path, home: Path) -> None:
    target = tmp_path / "backup.tar"
    (home / KEYS_FOLDER).mkdir(parents=True)
    (home / KEYS_FOLDER / "audit.key").write_text("canary-audit-key")
    used_and_backed_up(home, target)
    assert b"canary-audit-key" not in target.read_bytes()
    with open_archive(target) as archive:
        assert "keys/receipts.key" in {part.name for part in archive.manifest.parts}


def test_what_becomes_of_the_ledger_must_be_said(tmp_path: Path, home: Path) -> None:
    target, fresh = tmp_path / "backup.tar", tmp_path / "fresh"
    used_and_backed_up(home, target)
    with pytest.raises(HistoryNotChosen):
        restore(target, fresh, history=None)
    assert not fresh.exists()


def test_the_newest_copy_of_the_ledger_continues_an_older_backup_without_a_fork(tmp_path: Path, home: Path) -> None:
    """The Commun went on after the backup; what it recorded since is in a mirror."""
    target, fresh, mirror = tmp_path / "backup.tar", tmp_path / "fresh", tmp_path / "mirror"
    cookies, conversation, receipt = used_and_backed_up(home, target)
    with serving(home, engine()) as site, browser(site, cookies) as client:
        logged(client, ask(client, "After the backup")[1])
    shutil.copytree(home / LEDGER_FOLDER, mirror)
    head = LogFolder(mirror).find_checkpoint()
    restored = restore(target, fresh, history=History.CONTINUE, newest=mirror)
    assert restored.goes_on == verify_log(LogFolder(mirror), [key_of(home)]).size
    with serving(fresh, engine()) as site, browser(site, cookies) as client:
        assert WORDS in client.get(conversation).text
        assert is_proved(client, receipt)
        logged(client, ask(client, "And now?")[1])
    assert verify_log(LogFolder(fresh / LEDGER_FOLDER), [key_of(home)], since=head).size > restored.goes_on


def test_a_copy_that_does_not_go_on_from_the_backups_ledger_is_refused(tmp_path: Path, home: Path) -> None:
    target, other = tmp_path / "backup.tar", tmp_path / "other"
    used_and_backed_up(home, target)
    with serving(other, engine()):
        pass
    with pytest.raises(LedgerError):
        restore(target, tmp_path / "fresh", history=History.CONTINUE, newest=other / LEDGER_FOLDER)
    assert not (tmp_path / "fresh").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_with_anything_in_it_stays_as_it_is(tmp_path: Path, home: Path) -> None:
    target, fresh = tmp_path / "backup.tar", tmp_path / "fresh"
    used_and_backed_up(home, target)
    fresh.mkdir()
    (fresh / "kept").write_text("kept")
    with pytest.raises(FolderNotEmpty):
        restore(target, fresh, history=History.NEW)
    assert [path.name for path in fresh.iterdir()] == ["kept"]
    with pytest.raises(NothingToBackUp):
        make_backup(fresh, tmp_path / "another.tar")


def repacked(target: Path, folder: Path, changed: Path) -> None:
    """The archive with what ``folder`` holds by now, and a manifest to match: as a forger would."""
    from commun.backup.archive import part_of, write_archive

    with open_archive(target) as archive:
        manifest = archive.manifest
    parts = tuple(part_of(part.name, folder / part.name) for part in manifest.parts)
    write_archive(changed, replace(manifest, parts=parts), [folder / part.name for part in parts])


@pytest.fixture
def unpacked(tmp_path: Path, home: Path) -> tuple[Path, Path]:
    target, folder = tmp_path / "backup.tar", tmp_path / "unpacked"
    used_and_backed_up(home, target)
    folder.mkdir()
    with open_archive(target) as archive:
        archive.unpack(folder)
    return target, folder


def test_a_ledger_that_is_shorter_than_the_database_knows_it_is_refused(
    tmp_path: Path, unpacked: tuple[Path, Path]
) -> None:
    target, folder = unpacked
    with sqlite3.connect(folder / "commun.db") as connection:
        connection.execute("UPDATE ledgers SET size = size + 100")
    connection.close()
    repacked(target, folder, tmp_path / "changed.tar")
    with pytest.raises(BadBackup):
        restore(tmp_path / "changed.tar", tmp_path / "fresh", history=History.CONTINUE)


def test_a_ledger_whose_entries_were_changed_is_refused(tmp_path: Path, unpacked: tuple[Path, Path]) -> None:
    target, folder = unpacked
    bundle = next(path for path in (folder / LEDGER_FOLDER / "tile" / "entries").rglob("*") if path.is_file())
    bundle.write_bytes(bundle.read_bytes().replace(b"adopted", b"adoptee"))
    repacked(target, folder, tmp_path / "changed.tar")
    with pytest.raises(LedgerError):
        restore(tmp_path / "changed.tar", tmp_path / "fresh", history=History.NEW)
    assert not (tmp_path / "fresh").exists()


def test_a_charter_that_was_changed_is_refused(tmp_path: Path, unpacked: tuple[Path, Path]) -> None:
    target, folder = unpacked
    prompt = next(path for path in (folder / "charter" / "targets").rglob("*") if path.is_file())
    prompt.write_bytes(prompt.read_bytes() + b"!")
    repacked(target, folder, tmp_path / "changed.tar")
    with pytest.raises(CharterError):
        restore(tmp_path / "changed.tar", tmp_path / "fresh", history=History.NEW)


def test_the_manifest_says_what_is_in_it(tmp_path: Path, home: Path) -> None:
    target = tmp_path / "backup.tar"
    used_and_backed_up(home, target)
    with open_archive(target) as archive:
        names = {part.name for part in archive.manifest.parts}
    assert {"commun.db", "keys/ledger.key", "keys/receipts.key", "ledger/checkpoint"} <= names
    assert "charter/metadata/timestamp.json" in names
    assert not any(name.startswith("models/") or name.endswith((".lock", "-wal")) for name in names)
    assert json.loads(archive.manifest.data())["format"] == "commun-backup/1"


def test_a_backup_holds_what_was_committed_before_it_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    """Answers come in while five backups are made: each holds a moment, and its ledger has what its rows have."""
    home = tmp_path / "home"
    with serving(home, engine()) as site, browser(site) as client:
        client.get(site.link()).raise_for_status()
        for number in range(5):
            ask(client, f"{number}?")
            make_backup(home, tmp_path / f"{number}.tar")
    for number in range(5):
        restore(tmp_path / f"{number}.tar", tmp_path / f"fresh{number}", history=History.CONTINUE)
        with sqlite3.connect(tmp_path / f"fresh{number}" / "commun.db") as connection:
            assert connection.execute("SELECT count(*) FROM receipts").fetchone() == (number + 1,)
        connection.close()


def test_a_witness_that_has_seen_more_refuses_to_let_an_older_backup_continue(tmp_path: Path, home: Path) -> None:
    from commun.backup import restoring

    target = tmp_path / "backup.tar"
    with witnessed(home, tmp_path) as (site, client):
        make_backup(home, target)
        logged(client, ask(client, "After the backup")[1])
        until_witnessed(site)
        with pytest.raises(LedgerWentOn) as refused:
            restore(target, tmp_path / "fresh", history=History.CONTINUE)
    assert "127.0.0.1" in refused.value.text()
    assert restoring.ASK_S > 1
    assert not (tmp_path / "fresh").exists()
    gone = restore(target, tmp_path / "later", history=History.CONTINUE, ask_s=2)
    assert gone.silent == ("127.0.0.1",), "a witness that is away is told, and stops nobody"


def until_witnessed(site: Site) -> None:
    """The witness has cosigned the newest head."""
    recorder = site.app.state.services.recorder
    deadline = time.monotonic() + 120
    while recorder.witnessed is None or recorder.witnessed.size < recorder.head.size:
        assert time.monotonic() < deadline
        time.sleep(0.05)


class witnessed:  # noqa: N801  (a context manager with two servers in it)
    """A Commun whose charter asks another Commun's witness."""

    def __init__(self, home: Path, tmp_path: Path) -> None:
        from contextlib import ExitStack

        self.home, self.other, self.stack = home, tmp_path / "neighbour", ExitStack()

    def __enter__(self) -> tuple[Site, httpx2.Client]:
        from commun.cli.witness import witness_of
        from founded import amend_for_tests, found_for_tests

        founder = found_for_tests(self.home)
        found_for_tests(self.other)
        neighbour = self.stack.enter_context(serving(self.other, engine()))
        site = self.stack.enter_context(serving(self.home, engine()))
        witness_of(self.other).add_log(key_of(self.home))
        line = httpx2.get(f"{neighbour.url}/witness/key").text.splitlines()[0]
        policy = json.dumps(f"witness one {line} {neighbour.url}/witness\nquorum one\n")
        amend_for_tests(self.home, founder, {'[witnesses]\npolicy = ""': f"[witnesses]\npolicy = {policy}"})
        client = self.stack.enter_context(browser(site))
        client.get(site.link()).raise_for_status()
        deadline = time.monotonic() + 120
        while site.app.state.services.recorder.standing() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        logged(client, ask(client)[1])
        until_witnessed(site)
        return site, client

    def __exit__(self, *_error: object) -> None:
        self.stack.close()


def test_the_two_commands_say_what_is_in_the_file_and_what_becomes_of_the_ledger(tmp_path: Path, home: Path) -> None:
    file, fresh = tmp_path / "by-command.tar", tmp_path / "fresh"
    used_and_backed_up(home, tmp_path / "first.tar")
    run = CliRunner().invoke
    made = run(app, ["backup", str(file), "--home", str(home)])
    assert made.exit_code == 0, made.output
    assert "keep it as safe as this machine" in made.output
    with open_archive(file) as archive:
        assert archive.manifest.ledger is not None
        size = archive.manifest.ledger.size
    undecided = run(app, ["restore", str(file), "--home", str(fresh)])
    assert isinstance(undecided.exception, HistoryNotChosen)
    restored = run(app, ["restore", str(file), "--home", str(fresh), "--ledger", "continue"])
    assert restored.exit_code == 0, restored.output
    assert f"after its {size} entries" in restored.output
    assert run(app, ["restore", str(file), "--home", str(tmp_path / "x"), "--ledger", "perhaps"]).exit_code == 2
    other = run(app, ["restore", str(file), "--home", str(tmp_path / "new"), "--ledger", "new"])
    assert "ledger-before" in other.output
