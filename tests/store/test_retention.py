"""The charter's clause “retention”: what is older than it allows is erased, and nothing else; and nothing during a hold."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from charters import CHARTER, Fixed, in_force
from commun.charter.clauses import Retention
from commun.charter.errors import NoCharter
from commun.errors import NotFound
from commun.ledger.entries import RetentionStatement, read_statement
from commun.store.schema import conversations, ledger_waiting
from commun.upkeep import may_erase, purge_conversations

DAY = 86_400
LAST = datetime(2027, 6, 30, 23, 59, 59, tzinfo=UTC)


def test_conversations_whose_last_message_is_too_old_are_erased_for_good(store, run):
    async def scenario():
        viewer = await store.founder()
        old = await store.chat(viewer)
        store.clock.offset = 29 * DAY
        kept = await store.chat(viewer)
        assert await store.conversations.purge_old(older_than_s=30 * DAY) == 0
        store.clock.offset = 31 * DAY
        assert await store.conversations.purge_old(older_than_s=30 * DAY) == 1
        assert [each.id for each in await store.conversations.list(viewer)] == [kept.conversation_id]
        with pytest.raises(NotFound):
            await store.conversations.get(viewer, old.conversation_id)
        with pytest.raises(NotFound):
            await store.conversations.restore(viewer, old.conversation_id)

    run(scenario())


def waiting(connection):
    return list(connection.execute(select(ledger_waiting.c.entry)).scalars())


def test_what_is_told_of_it_is_stored_with_it_or_neither_is_done(store, run):
    """A process that dies between the two would have erased something, and told nobody."""

    def fails(_purged):
        raise ValueError("no entry can be made")

    def told(purged):
        return b"%d erased" % purged

    async def scenario():
        viewer = await store.founder()
        for _ in range(2):
            await store.chat(viewer)
        assert await store.conversations.purge_old(older_than_s=30 * DAY, record=told) == 0
        store.clock.offset = 31 * DAY
        with pytest.raises(ValueError, match="no entry"):
            await store.conversations.purge_old(older_than_s=30 * DAY, record=fails)
        assert len(await store.conversations.list(viewer)) == 2
        assert await store.conversations.purge_old(older_than_s=30 * DAY, record=told) == 2
        assert await store.database.read(waiting) == [b"2 erased"], "and nothing where nothing was erased"

    run(scenario())


def test_a_conversation_that_is_just_being_answered_is_not_erased_under_it(store, run):
    async def scenario():
        viewer = await store.founder()
        given = {"conversation_id": None, "parent_id": None, "question": "Why?", "title": "A chat"}
        await store.conversations.start_turn(viewer, **given)
        store.clock.offset = 31 * DAY
        assert await store.conversations.purge_old(older_than_s=30 * DAY) == 0

    run(scenario())


def stored(connection):
    return connection.execute(select(func.count()).select_from(conversations)).scalar()


def erased(connection):
    entries = connection.execute(select(ledger_waiting.c.entry)).scalars()
    told = [read_statement(entry) for entry in entries]
    return [(one.conversations, one.days) for one in told if isinstance(one, RetentionStatement)]


@pytest.mark.parametrize(("days", "left", "told"), [(0, 1, []), (30, 0, [(1, 30)])])
def test_the_days_that_are_enforced_are_the_charters_and_the_ledger_is_told_of_each_run(store, run, days, left, told):
    async def scenario():
        await store.chat(await store.founder())
        store.clock.offset = 31 * DAY
        for _ in range(2):  # the second run erases nothing, and tells nothing
            await purge_conversations(store.conversations, days)
        assert await store.database.read(stored) == left
        assert await store.database.read(erased) == told

    run(scenario())


def test_nothing_is_erased_up_to_the_last_second_of_a_hold_nor_where_nobody_knows_of_one():
    moment = LAST
    charter = Fixed(in_force(replace(CHARTER, retention=Retention(30, date(2027, 6, 30)))), now=lambda: moment)
    assert not may_erase(charter)
    moment += timedelta(seconds=1)
    assert may_erase(charter)
    charter.set(NoCharter())
    assert not may_erase(charter)
    charter.set(in_force())
    assert may_erase(charter)
