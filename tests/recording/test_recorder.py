"""What goes into the ledger while Commun runs: editions before they are in force, each receipt once."""

import asyncio
import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from recorded import entries_of, in_force, kinds_of, office

from commun.charter.freezing import freeze
from commun.ledger.entries import (
    EditionStatement,
    EpochStatement,
    ReceiptKeyStatement,
    ReceiptStatement,
    RetentionStatement,
    SoftwareStatement,
)
from commun.ledger.errors import LedgerError
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, LEDGER_FOLDER, TRUST_FOLDER
from commun.recording import catching_up
from commun.recording import recorder as module
from commun.recording.errors import (
    LedgerCutShort,
    LedgerRefuses,
    LedgerRewritten,
    OlderThanLedger,
    OtherEditionInLedger,
    StoppedInLedger,
)
from commun.recording.receipt_key import RECEIPT_KEY_FILE, open_receipt_key
from commun.recording.statements import retention_statement
from commun.upkeep import retention_entry
from founded import amend_for_tests, found_for_tests
from made_receipt import made_receipt

TRIES = 2000  # of ten milliseconds


def digest_of(receipt):
    return hashlib.sha256(receipt.envelope).hexdigest()


async def until_placed(one, receipt):
    for _ in range(TRIES):
        if await one.receipts.find_position(digest_of(receipt)) is not None:
            return await one.receipts.find_position(digest_of(receipt))
        await asyncio.sleep(0.01)
    raise AssertionError("the receipt has no position")


def logged_receipts(home):
    return [statement.sha256 for statement in entries_of(home) if isinstance(statement, ReceiptStatement)]


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


def test_what_was_adopted_before_there_was_a_ledger_is_recorded_in_order(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
    now = datetime.now(UTC)
    stop(home, key, now)
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Third"'})  # the first is in force again

    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    told = [(s.number, s.event) for s in entries_of(home) if isinstance(s, EditionStatement)]
    assert sorted(told) == [(1, "adopted"), (2, "adopted"), (2, "frozen"), (3, "adopted")]
    assert told.index((2, "adopted")) < told.index((2, "frozen"))
    assert told.index((2, "adopted")) < told.index((3, "adopted"))


def stop(home, key, now):
    from commun.charter.repository import Repository

    freeze(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, key.signer, reason="Wait.", now=now)


def test_what_is_adopted_and_frozen_while_it_runs_is_recorded_each_once(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)

    async def scenario():
        async with office(home) as one:
            for _ in range(3):
                await one.admit()
            amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
            await one.admit()
            stop(home, key, datetime.now(UTC))
            await one.admit()
            await one.admit()

    run(scenario())
    told = [(s.number, s.event) for s in entries_of(home) if isinstance(s, EditionStatement)]
    assert told == [(1, "adopted"), (2, "adopted"), (2, "frozen")]


def test_what_a_member_has_stopped_does_not_come_back_because_its_file_and_the_trust_are_gone(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
    stop(home, key, datetime.now(UTC))

    async def scenario():
        async with office(home) as one:
            await one.admit()
        shutil.rmtree(home / TRUST_FOLDER)
        (home / CHARTER_FOLDER / "freezes/2.freeze.json").unlink()
        async with office(home) as one:
            await one.recorder.open()
            assert one.in_force().edition.number == 2, "the charter alone does not tell"
            with pytest.raises(StoppedInLedger):
                await one.admit()

    run(scenario())


def test_an_edition_that_the_ledger_knows_as_another_one_is_refused(home, tmp_path, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    other = tmp_path / "other"
    found_for_tests(other, {'name = "Commun"': 'name = "Another"'})
    for folder in ("charter", "charter-trust"):
        shutil.rmtree(home / folder, ignore_errors=True)
        if (other / folder).is_dir():
            shutil.copytree(other / folder, home / folder)

    async def again():
        async with office(home) as one:
            with pytest.raises(OtherEditionInLedger) as refused:
                await one.admit()
            assert refused.value.details == {"edition": 1}

    run(again())


def test_a_charter_older_than_the_ledger_is_refused(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    shutil.copytree(home / "charter", tmp_path / "old")
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})

    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    shutil.rmtree(home / "charter")
    shutil.copytree(tmp_path / "old", home / "charter")
    for path in home.glob("charter-trust*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    async def again():
        async with office(home) as one:
            with pytest.raises(OlderThanLedger):
                await one.admit()

    run(again())


def test_a_freeze_that_the_ledger_has_and_the_folder_has_not_is_refused(tmp_path, run):
    home = tmp_path / "home"
    key = found_for_tests(home)
    amend_for_tests(home, key, {'name = "Commun"': 'name = "Second"'})
    stop(home, key, datetime.now(UTC))

    async def scenario():
        async with office(home) as one:
            await one.admit()

    run(scenario())
    (home / "charter" / "freezes" / "2.freeze.json").unlink()
    for path in home.glob("charter-trust*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    async def again():
        async with office(home) as one:
            assert one.in_force().edition.number == 2, "the folder alone does not tell"
            with pytest.raises(StoppedInLedger):
                await one.admit()

    run(again())


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


def test_a_database_that_is_gone_is_rebuilt_from_the_ledger(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            for number in range(600):
                one.recorder.submit(made_receipt(str(number)))

    run(scenario())
    before = kinds_of(home)
    for path in home.glob("commun.db*"):
        path.unlink()

    async def again():
        async with office(home) as one:
            await one.admit()
            assert (await one.entries.find_edition(1)).position is not None
            assert (await one.entries.of_kind(SoftwareStatement.type))[0].position == 1
            assert await one.entries.last_position() < one.recorder.head.size

    run(again())
    after = kinds_of(home)
    assert after["commun/receipt/1"] == before["commun/receipt/1"] == 600
    assert after["commun/edition/1"] == 1
    assert after["commun/epoch/1"] == 2  # its secret went with the database


def test_a_database_restored_from_an_older_copy_learns_what_came_after(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            first = await one.answer("first")
            await until_placed(one, first)
            await one.receipts.keep(second := made_receipt("second"))
            await one.database.forget()
            shutil.copy(one.database.path, home / "copy.db")
            one.recorder.submit(second)
            third = await one.answer("third")
            await until_placed(one, third)
            return await one.receipts.find_position(digest_of(second)), digest_of(second)

    position, second = run(scenario())
    for path in home.glob("commun.db*"):
        path.unlink()
    (home / "copy.db").rename(home / "commun.db")

    async def again():
        async with office(home) as one:
            await one.admit()
            assert await one.receipts.find_position(second) == position
            await one.recorder.look()
            await one.recorder.look()

    run(again())
    assert len(logged_receipts(home)) == len(set(logged_receipts(home))) == 3


def test_a_ledger_that_is_shorter_than_it_was_is_refused(home, tmp_path, run):
    async def answered(name):
        async with office(home) as one:
            await one.admit()
            await until_placed(one, await one.answer(name))

    run(answered("first"))
    shutil.copytree(home / LEDGER_FOLDER, tmp_path / "copy")
    run(answered("second"))
    shutil.rmtree(home / LEDGER_FOLDER)
    shutil.copytree(tmp_path / "copy", home / LEDGER_FOLDER)
    assert isinstance(run(refusal(home)).error, LedgerCutShort)


def test_a_ledger_that_was_rewritten_is_refused(home, tmp_path, run):
    async def answered(*names):
        async with office(home) as one:
            await one.admit()
            for name in names:
                await until_placed(one, await one.answer(name))

    run(answered("first"))
    shutil.copytree(home, tmp_path / "copy")
    run(answered("second"))
    shutil.copy(home / "commun.db", tmp_path / "newer.db")
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "copy", home)
    run(answered("another", "and one more"))
    shutil.copy(tmp_path / "newer.db", home / "commun.db")
    assert isinstance(run(refusal(home)).error, LedgerRewritten)


async def refusal(home):
    async with office(home) as one:
        await one.recorder.open()
        with pytest.raises(LedgerRefuses) as refused:
            await one.admit()
        assert refused.value.text().startswith("Nothing is answered")
        assert refused.value.error.problem_text() in refused.value.text()
        return refused.value


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

    monkeypatch.setattr(module, "ADMIT_S", 0.2)
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
            monkeypatch.setattr(module, "ADMIT_S", 10)
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


def put_away(home, where):
    (home / LEDGER_FOLDER).rename(where)
    (home / KEYS_FOLDER / "ledger.key").rename(where.with_suffix(".key"))


def put_back(home, where):
    where.rename(home / LEDGER_FOLDER)
    where.with_suffix(".key").rename(home / KEYS_FOLDER / "ledger.key")


def test_a_new_ledger_has_a_new_name_and_gets_every_receipt_that_is_still_here(home, tmp_path, run):
    async def answered(name):
        async with office(home) as one:
            await one.admit()
            await until_placed(one, await one.answer(name))
            return one.recorder.origin

    first = run(answered("first"))
    shutil.copytree(home / LEDGER_FOLDER, tmp_path / "first")
    run(answered("second"))
    put_away(home, tmp_path / "second")
    other = run(answered("third"))
    assert other.startswith(f"{first}/")
    assert len(logged_receipts(home)) == 3
    assert kinds_of(home)["commun/edition/1"] == 1
    put_away(home, tmp_path / "third")

    shutil.copy(tmp_path / "second.key", tmp_path / "first.key")
    put_back(home, tmp_path / "first")
    assert isinstance(run(refusal(home)).error, LedgerCutShort), "it comes back shorter than it was"
    put_away(home, tmp_path / "first")

    put_back(home, tmp_path / "second")
    assert run(answered("fourth")) == first
    assert sorted(logged_receipts(home)) == sorted(set(logged_receipts(home)))
    assert len(logged_receipts(home)) == 4
    assert kinds_of(home)["commun/edition/1"] == 1


def test_a_ledger_that_comes_back_gets_nothing_twice_however_much_has_no_position(home, tmp_path, run, monkeypatch):
    """More than is held in memory, and than is submitted at a time."""
    monkeypatch.setattr(catching_up, "MAX_UNLOGGED", 2)
    monkeypatch.setattr(module, "MAX_AT_ONCE", 3)
    erased = [retention_statement(conversations=1, days=days, now=datetime.now(UTC)) for days in range(1, 6)]

    async def answered(*names):
        async with office(home) as one:
            await one.admit()
            for name in names:
                await one.answer(name)
            if names:
                for statement in erased:
                    one.recorder.post(statement)
            for _ in range(TRIES):
                await one.recorder.look()
                if not (await one.receipts.unlogged(1) or await one.entries.waiting(1)):
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("something waits for ever")

    async def put_among_what_waits():
        async with office(home) as one:
            for number, statement in enumerate(erased):  # as if a crash had come before the database knew
                one.entries.wait(str(number), statement.data(), now=float(number))

    run(answered(*"abcdefg"))
    put_away(home, tmp_path / "first")
    run(answered())
    assert len(logged_receipts(home)) == 7
    put_away(home, tmp_path / "second")
    put_back(home, tmp_path / "first")
    run(put_among_what_waits())
    run(answered())
    assert sorted(logged_receipts(home)) == sorted(set(logged_receipts(home)))
    assert len(logged_receipts(home)) == 7
    assert kinds_of(home)["commun/retention/1"] == len(erased)


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


def test_a_new_secret_each_day_and_the_ledger_has_it_before_it_is_used(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            first = one.recorder.epoch
            await one.recorder.look()
            assert one.recorder.epoch == first
            one.clock.offset = timedelta(hours=25)
            await one.recorder.look()
            second = one.recorder.epoch
            assert second.sha256 != first.sha256
            assert one.recorder.log.entry(second.position) == EpochStatement(second.sha256).data()
            assert one.recorder.seed(None).epoch == second.sha256
            assert (await one.entries.epochs.find_open()).sha256 == second.sha256

    run(scenario())


def test_a_disk_that_refuses_the_new_secret_leaves_the_old_one_in_use_and_one_is_made(home, run, monkeypatch):
    from commun.ledger.staging import Staging

    add = Staging.add

    def full(self, batch):
        raise OSError(28, "No space left on device")

    async def scenario():
        async with office(home) as one:
            await one.admit()
            first = one.recorder.epoch
            monkeypatch.setattr(Staging, "add", full)
            monkeypatch.setattr(module, "ADMIT_S", 0.1)
            one.clock.offset = timedelta(hours=25)
            for _ in range(3):
                with pytest.raises(LedgerError):
                    await one.recorder.look()
            assert one.recorder.seed(None).epoch == first.sha256
            monkeypatch.setattr(Staging, "add", add)
            monkeypatch.setattr(module, "ADMIT_S", 10)
            await one.recorder.look()
            assert one.recorder.seed(None).epoch != first.sha256

    run(scenario())
    assert kinds_of(home)["commun/epoch/1"] == 2


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


def test_nothing_is_new_nothing_is_read(home, run, monkeypatch):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            monkeypatch.setattr(module, "read_happened", lambda *_, **__: pytest.fail("the charter is verified again"))
            monkeypatch.setattr(module, "frozen_names", lambda *_: pytest.fail("the folder is listed again"))
            held = in_force(home)
            for _ in range(5):
                await one.recorder.admit(held)

    run(scenario())
