"""The charter's clause “retention”: what is older than it allows is erased, and nothing else."""

import pytest
from sqlalchemy import select

from commun.errors import NotFound
from commun.store.schema import ledger_waiting

DAY = 86_400


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
