"""Between the event loop and the ledger's thread: what the database refuses is written later, nothing twice."""

import asyncio

from recorded import entries_of, office

from commun.ledger.entries import EpochStatement
from made_receipt import made_receipt


def test_positions_that_the_database_refuses_are_written_with_the_next_head(home, run, monkeypatch):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            learn = one.entries.learn

            async def refuse(*_):
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(one.entries, "learn", refuse)
            first = await one.answer("first")
            await one.recorder.record(EpochStatement("ab" * 32))
            await asyncio.sleep(0.05)
            assert len(await one.receipts.unlogged(10)) == 1
            await one.recorder.look()
            await one.recorder.look()  # without a position, twice seen: and in flight all the same
            monkeypatch.setattr(one.entries, "learn", learn)
            await one.recorder.look()
            assert await one.receipts.unlogged(10) == []
            assert await one.receipts.find_position(first.statement.receipt) is not None

    run(scenario())
    assert sum(one.type == "commun/receipt/1" for one in entries_of(home)) == 1


def test_positions_that_were_never_written_are_found_by_opening_again(home, run, monkeypatch):
    async def scenario():
        async with office(home) as one:
            await one.admit()

            async def refuse(*_):
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(one.entries, "learn", refuse)
            await one.answer("first")
            await one.recorder.record(EpochStatement("ab" * 32))

    async def again():
        async with office(home) as one:
            await one.admit()
            assert await one.receipts.unlogged(10) == []

    run(scenario())
    run(again())
    assert sum(one.type == "commun/receipt/1" for one in entries_of(home)) == 1


def test_a_receipt_that_is_submitted_twice_is_recorded_once(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            receipt = await one.answer("first")
            one.recorder.submit(receipt)
            one.recorder.submit(receipt)

    run(scenario())
    assert sum(one.type == "commun/receipt/1" for one in entries_of(home)) == 1


def test_what_is_queued_when_it_is_closed_is_in_the_ledger_and_its_position_in_the_database(home, run):
    async def scenario():
        async with office(home) as one:
            await one.admit()
            await one.answer("last")
            await one.recorder.close()
            assert await one.receipts.unlogged(10) == []
            one.recorder.submit(made_receipt("too late"))  # its row is found at the next start

    run(scenario())
