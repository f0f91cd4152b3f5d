"""What goes into the ledger while Commun runs: editions before they are in force, each receipt once."""

import asyncio
import shutil
from functools import partial

import pytest
from recorded import TRIES, entries_of, kinds_of, logged_receipts, office, refusal, until_placed

from commun.ledger.entries import (
    EditionStatement,
    EpochStatement,
    ReceiptKeyStatement,
    RetentionStatement,
    SoftwareStatement,
)
from commun.places import KEYS_FOLDER, LEDGER_FOLDER
from commun.recording import queue
from commun.recording.errors import LedgerRefuses
from commun.recording.receipt_key import RECEIPT_KEY_FILE, open_receipt_key
from commun.upkeep import retention_entry
from made_receipt import made_receipt


def test_the_first_edition_is_in_the_ledger_before_it_is_in_force(home, run):
    async def scenario():
        async with office(home) as one:
            assert one.recorder.origin == ""
            await one.admit()
            edition = one.in_force().edition
            stored = await one.entries.find_edition(1)
            log = one.recorder.log
            assert log.entry(stored.position) == stored.entry
            assert one.recorder.origin == f"commun.local/{one.in_force().first_root[:16]}"
            return edition

    edition = run(scenario())
    statements = entries_of(home)
    assert [(s.number, s.digest, s.event) for s in statements if isinstance(s, EditionStatement)] == [
        (1, edition.digest, "adopted")
    ]
    kinds = [statement.type for statement in statements]
    assert kinds.index(ReceiptKeyStatement.type) < kinds.index(EditionStatement.type)
    assert kinds.count(SoftwareStatement.type) == 1
    assert kinds.count(EpochStatement.type) == 1


def test_a_public_address_names_the_ledger(home, run):
    async def scenario():
        async with office(home, public_url="https://chat.example.org/") as one:
            await one.admit()
            assert one.recorder.origin == "chat.example.org/ledger"

    run(scenario())


def test_a_second_start_records_its_versions_and_nothing_else(home, run):
    async def scenario():
        async with office(home) as one:
            await one.recorder.open()
            await one.admit()
            return one.recorder.epoch.sha256

    assert run(scenario()) == run(scenario())
    kinds = kinds_of(home)
    assert kinds == {
        "commun/edition/1": 1,
        "commun/epoch/1": 1,
        "commun/receipt-key/1": 1,
        "commun/software/1": 2,
    }


def test_a_look_that_has_read_what_is_older_submits_nothing_twice(home, run, monkeypatch):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            receipt = await one.answer("first")
            await one.recorder.look()  # seen once, and in flight
            unlogged = one.receipts.unlogged

            async def slow(limit):
                found = await unlogged(limit)
                await until_placed(one, receipt)
                await one.recorder.record(EpochStatement("ab" * 32))
                await asyncio.sleep(0.05)
                return found

            monkeypatch.setattr(one.receipts, "unlogged", slow)
            await one.recorder.look()

    run(scenario())
    assert len(logged_receipts(home)) == 1


def test_receipts_get_their_positions_a_head_at_a_time(home, run, monkeypatch):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            learnt = []
            learn = one.entries.learn
            monkeypatch.setattr(one.entries, "learn", lambda key, what: learnt.append(what) or learn(key, what))
            made = [await one.answer(str(number)) for number in range(20)]
            positions = [await until_placed(one, receipt) for receipt in made]
            assert positions == list(range(positions[0], positions[0] + 20))
            for receipt, position in zip(made, positions, strict=True):
                assert one.recorder.log.entry(position) == receipt.entry
            assert len(learnt) < len(made)
            assert await one.receipts.unlogged(10) == []

    run(scenario())


def test_a_receipt_that_was_kept_and_never_submitted_is_found_after_a_restart(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            await one.receipts.keep(made_receipt("lost"))

    async def again():
        async with office(home) as one:
            await one.admit()
            for _ in range(TRIES):
                if not await one.receipts.unlogged(10):
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("the receipt has no position")

    run(scenario())
    run(again())
    run(again_nothing(home))
    assert len(logged_receipts(home)) == 1


async def again_nothing(home):
    async with office(home) as one:
        await one.admit()
        await one.recorder.look()
        await one.recorder.look()


def test_a_row_of_another_process_is_submitted_when_two_looks_have_found_it(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            receipt = made_receipt("of a chat")
            await one.receipts.keep(receipt)
            await one.recorder.look()
            assert logged_receipts(home) == []
            await one.recorder.look()
            one.recorder.submit(receipt)  # its own process, late
            await until_placed(one, receipt)

    run(scenario())
    assert len(logged_receipts(home)) == 1


def test_a_key_without_its_ledger_and_a_ledger_without_its_key_are_refused(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    (home / LEDGER_FOLDER).rename(home / "moved")
    assert run(refusal(home)).error.code == "ledger_key_without_log"
    shutil.rmtree(home / LEDGER_FOLDER)
    (home / "moved").rename(home / LEDGER_FOLDER)
    (home / KEYS_FOLDER / "ledger.key").unlink()
    assert run(refusal(home)).error.code == "ledger_log_without_key"


def test_two_processes_on_one_folder_the_second_is_refused(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            async with office(home, exclusive=False) as other:
                with pytest.raises(LedgerRefuses) as refused:
                    await other.admit()
                assert refused.value.error.code == "ledger_busy"
                assert "Another process is writing" in refused.value.text()

    run(scenario())


def test_a_disk_that_refuses_refuses_the_edition_and_is_tried_again(home, run, monkeypatch):
    from commun.ledger.staging import Staging

    monkeypatch.setattr(queue, "POSITION_S", 0.2)
    add = Staging.add

    def full(self, batch):
        raise OSError(28, "No space left on device")

    async def scenario():
        async with office(home) as one:
            monkeypatch.setattr(Staging, "add", full)
            with pytest.raises(LedgerRefuses) as refused:
                await one.admit()
            assert refused.value.error.code == "ledger_unwritable"
            monkeypatch.setattr(Staging, "add", add)
            monkeypatch.setattr(queue, "POSITION_S", 60)
            await one.admit()
            assert one.recorder.trouble is None

    run(scenario())
    assert kinds_of(home)["commun/edition/1"] == 1


def test_when_the_ledger_has_stopped_nothing_more_is_admitted_and_no_receipt_is_lost(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            (home / LEDGER_FOLDER / "checkpoint").write_bytes(b"somebody else's")
            await one.answer("while it stops")
            for _ in range(TRIES):
                if one.recorder.trouble is not None:
                    break
                await asyncio.sleep(0.01)
            with pytest.raises(LedgerRefuses):
                await one.admit()
            await one.answer("after it")
            await one.recorder.look()
            assert len(await one.receipts.unlogged(10)) == 2

    run(scenario())


def test_what_a_retention_erased_is_in_the_ledger_also_when_the_process_died_right_after(home, run):
    async def erases():
        async with office(home) as one:
            await one.admit()
            await one.chat(await one.founder())
            assert await one.conversations.purge_old(older_than_s=0, record=partial(retention_entry, 30)) == 1

    async def starts_again():
        async with office(home) as one:
            await one.admit()

    run(erases())
    assert kinds_of(home)["commun/retention/1"] == 0
    run(starts_again())
    run(starts_again())
    (told,) = (statement for statement in entries_of(home) if isinstance(statement, RetentionStatement))
    assert (told.conversations, told.days) == (1, 30)


def test_a_receipt_key_that_was_replaced_is_retired_before_the_new_one_is_added(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()

    path = home / KEYS_FOLDER / RECEIPT_KEY_FILE
    run(scenario())
    old = open_receipt_key(path).key.text()
    path.rename(path.with_suffix(".old"))
    run(scenario())
    new = open_receipt_key(path).key.text()
    run(scenario())
    told = [(s.key, s.event) for s in entries_of(home) if isinstance(s, ReceiptKeyStatement)]
    assert told == [(old, "added"), (old, "retired"), (new, "added")]


def test_other_entries_are_recorded_and_their_positions_told(home, run):
    async def scenario():
        async with office(home) as one:
            with pytest.raises(Exception, match="no more entries"):
                await one.recorder.record(EpochStatement("ab" * 32))
            await one.admit()
            position = await one.recorder.record(EpochStatement("ab" * 32))
            assert one.recorder.log.entry(position) == EpochStatement("ab" * 32).data()
            one.recorder.post(EpochStatement("cd" * 32))

    run(scenario())
    assert EpochStatement("cd" * 32) in entries_of(home)
