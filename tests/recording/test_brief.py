"""A command that answers records what it answers without holding the ledger, beside a server or without one."""

import asyncio
import contextlib
import io
import shutil
import sys
from datetime import UTC, datetime

import pytest
from recorded import Clock, entries_of, in_force, office

from commun import app, running
from commun.charter.freezing import freeze
from commun.charter.repository import Repository
from commun.config import load_settings
from commun.ledger.entries import EpochStatement, ModelStatement, ReceiptStatement
from commun.ledger.log import LedgerStopped
from commun.places import CHARTER_FOLDER, TRUST_FOLDER
from commun.receipts.bundle import PENDING
from commun.receipts.seeds import derived_receipt_id
from commun.recording import brief as module
from commun.recording.brief import BriefRecorder
from commun.recording.bundles import Bundles
from commun.recording.errors import LedgerRefuses, OlderThanLedger, StoppedInLedger
from commun.store.database import DATABASE_FILE, Database
from commun.store.ledger_entries import LedgerEntries
from commun.store.receipts import Receipts
from fake_engine import FakeEngine
from founded import amend_for_tests, found_for_tests
from made_receipt import made_receipt


@contextlib.asynccontextmanager
async def command(home):
    database = Database(home / DATABASE_FILE)
    database.open()
    entries, receipts = LedgerEntries(database), Receipts(database)
    brief = BriefRecorder(home=home, public_url="", entries=entries, receipts=receipts, now=Clock())
    try:
        yield brief, receipts, entries
    finally:
        await brief.close()
        database.close()


async def answer(brief, receipts, name):
    await brief.check_nonce(None)
    seed = brief.seed(None)
    receipt = made_receipt(name, ledger=brief.origin, receipt=id_of(seed), seed=seed)
    await receipts.keep(receipt)
    brief.submit(receipt)
    return receipt


def id_of(seed):
    return derived_receipt_id(seed.epoch, bytes.fromhex(seed.nonce))


def logged(home):
    return [one.sha256 for one in entries_of(home) if isinstance(one, ReceiptStatement)]


def test_without_a_server_the_edition_is_recorded_first_and_the_receipts_at_the_end(home, run):
    async def scenario():
        async with command(home) as (brief, receipts, entries):
            with pytest.raises(LedgerStopped):
                brief.signer()
            await brief.admit(in_force(home))
            assert (await entries.find_edition(1)) is not None
            assert brief.seed(None).epoch
            receipt = await answer(brief, receipts, "x")
            bundle = await Bundles(brief, entries, receipts, charter_folder=home / CHARTER_FOLDER).fresh(receipt)
            assert (bundle.ledger.key, bundle.ledger.receipt) == (brief.verifier.text(), PENDING)
            async with office(home, exclusive=False) as other:
                await other.admit()  # nobody holds the ledger meanwhile

    run(scenario())
    assert len(logged(home)) == 1


def test_beside_a_server_the_server_records(home, run):
    async def scenario():
        async with office(home) as server:
            await server.admit()
            async with command(home) as (brief, receipts, _):
                await brief.admit(in_force(home))
                assert brief.origin == server.recorder.origin
                assert brief.signer().key == server.recorder.signer().key
                assert brief.seed(b"n" * 32) == server.recorder.seed(b"n" * 32)
                await answer(brief, receipts, "x")
            assert logged(home) == []
            await server.recorder.look()
            await server.recorder.look()

    run(scenario())
    assert len(logged(home)) == 1


def test_an_edition_that_the_server_has_not_recorded_is_not_in_force_here(tmp_path, run, monkeypatch):
    home = tmp_path / "home"
    key = found_for_tests(home)

    async def scenario():
        async with office(home) as server:
            await server.admit()
            amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
            async with command(home) as (brief, _, _):
                monkeypatch.setattr(module, "BESIDE_S", 0.4)
                with pytest.raises(LedgerRefuses) as refused:
                    await brief.admit(in_force(home))
                assert refused.value.error.code == "ledger_busy"
                monkeypatch.setattr(module, "BESIDE_S", 120.0)
                waits = asyncio.create_task(brief.admit(in_force(home)))
                await asyncio.sleep(0.1)
                await server.admit()
                await waits

    run(scenario())


def test_a_command_that_recorded_nothing_leaves_the_ledger_alone(home, run):
    async def scenario():
        async with command(home):
            pass

    run(scenario())
    assert not (home / "ledger").exists()


def without_trust(home):
    for path in home.glob("charter-trust*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_beside_a_server_too_what_the_ledger_says_was_stopped_stays_stopped(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    shutil.copytree(home / CHARTER_FOLDER, tmp_path / "old")
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
    repository = Repository(home / CHARTER_FOLDER)
    freeze(repository, home / TRUST_FOLDER, key.signer, reason="Wait.", now=datetime.now(UTC))

    async def scenario():
        async with office(home) as server:
            await server.admit()
            async with command(home) as (brief, _, _):
                await brief.admit(in_force(home))
                (home / CHARTER_FOLDER / "freezes" / "2.freeze.json").unlink()
                without_trust(home)
                with pytest.raises(StoppedInLedger):
                    await brief.admit(in_force(home))
                shutil.rmtree(home / CHARTER_FOLDER)
                shutil.copytree(tmp_path / "old", home / CHARTER_FOLDER)
                without_trust(home)
                with pytest.raises(OlderThanLedger):
                    await brief.admit(in_force(home))

    run(scenario())


def test_what_a_command_posts_is_recorded_at_its_end_or_by_the_server_beside(home, run):
    async def scenario():
        async with command(home) as (brief, _, _):
            await brief.admit(in_force(home))
            brief.post(EpochStatement("ab" * 32))
        assert EpochStatement("ab" * 32) in entries_of(home)
        async with office(home) as server:
            await server.admit()
            async with command(home) as (brief, _, _):
                await brief.admit(in_force(home))
                brief.post(EpochStatement("cd" * 32))
            await server.recorder.look()
            await server.recorder.look()

    run(scenario())
    assert entries_of(home).count(EpochStatement("cd" * 32)) == 1


def test_a_chat_in_the_terminal_tells_the_ledger_which_model_was_loaded(home, monkeypatch):
    def chat(answer):
        engine = FakeEngine(answer)
        monkeypatch.setattr(app, "build_engine", lambda *_, **__: engine)
        monkeypatch.setattr(sys, "stdin", io.StringIO("Why?"))
        running.run_chat(load_settings(home=home), str, seed=None, bars=lambda: contextlib.nullcontext(lambda *_: None))
        return engine.info.model_digest

    monkeypatch.setattr(running, "configure_logs", lambda _settings: None)
    digests = [chat("Because."), chat("Therefore.")]
    told = [one.model for one in entries_of(home) if isinstance(one, ModelStatement)]
    assert told == digests, "once for each time"
    assert len(logged(home)) == 2
