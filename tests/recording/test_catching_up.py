"""A database and a ledger of which one is older than the other, or another."""

import asyncio
import shutil
from datetime import UTC, datetime

from recorded import TRIES, digest_of, kinds_of, logged_receipts, office, refusal, until_placed

from commun.ledger.entries import SoftwareStatement
from commun.places import KEYS_FOLDER, LEDGER_FOLDER
from commun.recording import catching_up
from commun.recording import recorder as module
from commun.recording.errors import LedgerCutShort, LedgerRewritten
from commun.recording.statements import retention_statement
from made_receipt import made_receipt


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
