"""Between the event loop and the ledger's thread: what the database refuses is written later, nothing twice."""

import asyncio

from recorded import entries_of, office

from commun.ledger.entries import EpochStatement
from commun.ledger.staging import Staging
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


def test_what_is_posted_is_recorded_once_also_when_the_disk_refused_and_the_process_ended(home, run, monkeypatch):
    add = Staging.add

    def full(self, batch):
        raise OSError(28, "No space left on device")

    async def scenario():
        async with office(home) as one:
            await one.admit()
            one.recorder.post(EpochStatement("aa" * 32))
            await one.recorder.record(EpochStatement("bb" * 32))
            monkeypatch.setattr(Staging, "add", full)
            one.recorder.post(EpochStatement("cc" * 32))

    async def again():
        async with office(home) as one:
            await one.admit()
            await one.recorder.look()
            await one.recorder.look()
            await one.recorder.record(EpochStatement("dd" * 32))
            async with asyncio.timeout(120):
                while await one.entries.waiting(10):  # noqa: ASYNC110  (the database tells nobody)
                    await asyncio.sleep(0.01)

    run(scenario())
    monkeypatch.setattr(Staging, "add", add)
    run(again())
    told = [one.sha256[:2] for one in entries_of(home) if isinstance(one, EpochStatement)]
    assert [told.count(name) for name in ("aa", "bb", "cc", "dd")] == [1, 1, 1, 1]


def test_what_is_posted_before_there_is_a_ledger_waits_for_it(home, run):
    async def scenario():
        async with office(home) as one:
            one.recorder.post(EpochStatement("aa" * 32))
            await one.admit()

    run(scenario())
    assert entries_of(home).count(EpochStatement("aa" * 32)) == 1


def test_an_entry_that_waits_and_is_in_the_ledger_already_is_not_recorded_again(home, run, monkeypatch):
    async def scenario():
        async with office(home) as one:
            await one.admit()

            async def refuse(*_):
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(one.entries, "learn", refuse)
            one.recorder.post(EpochStatement("aa" * 32))
            await one.recorder.record(EpochStatement("bb" * 32))

    async def again():
        async with office(home) as one:
            assert len(await one.entries.waiting(10)) == 1
            await one.admit()
            assert await one.entries.waiting(10) == []

    run(scenario())
    run(again())
    assert entries_of(home).count(EpochStatement("aa" * 32)) == 1
