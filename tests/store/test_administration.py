"""What an administrator does with accounts, in the store: who goes, what stays, and that somebody always administers."""

import asyncio

import pytest
from sqlalchemy import select

from commun.errors import NotFound
from commun.store.administration import Administration, LastAdministrator
from commun.store.people import Role
from commun.store.schema import api_keys, receipts, sessions
from commun.store.shares import Shares


@pytest.fixture
def administration(store) -> Administration:
    return Administration(store.accounts, store.database)


async def rows(store, query):
    return await store.database.read(lambda connection: connection.execute(query).all())


def test_what_is_told_of_people_is_days_and_counts(store, administration, run):
    async def scenario():
        founder, member = await store.founder(), await store.somebody_else()
        await store.chat(member, "canary question", title="canary title")
        store.clock.offset = 3 * 86_400
        told = {each.id: each for each in await administration.people()}
        assert told.keys() == {founder.account_id, member.account_id}
        assert told[founder.account_id].role is Role.ADMINISTRATOR
        assert told[member.account_id].role is Role.MEMBER
        today = int(store.clock() // 86_400)
        for each in told.values():
            assert today - each.since == 3
            assert isinstance(each.seen, int)
        assert "canary" not in repr(told)

    run(scenario())


def test_disabling_takes_sessions_and_keys_and_leaves_what_was_written(store, administration, run):
    async def scenario():
        await store.founder()
        member = await store.somebody_else()
        turn = await store.chat(member)
        key = await store.accounts.make_api_key(member.account_id, "k")
        await administration.disable(member.account_id)
        assert await store.accounts.caller(key) is None
        assert await rows(store, select(api_keys).where(api_keys.c.account_id == member.account_id)) == []
        assert await rows(store, select(receipts.c.id).where(receipts.c.caller_sealed.is_not(None))) == []
        kept = await store.conversations.get(member, turn.conversation_id)
        assert kept.messages  # with the key in hand it opens as before: nothing was erased

    run(scenario())


def test_without_another_way_in_the_session_that_opens_the_vault_sleeps(store, administration, run):
    """As a founder has none who came by the link and chose no password."""

    async def scenario():
        signed_in, other = await store.sign_in(), await store.somebody_else()
        founder = signed_in.viewer
        turn = await store.chat(founder)
        await administration.set_role(other.account_id, Role.ADMINISTRATOR)
        await administration.disable(founder.account_id)
        assert await store.accounts.viewer(signed_in.token) is None
        ((wrapped,),) = await rows(store, select(sessions.c.wrapped_key).where(sessions.c.id == founder.session_id))
        assert wrapped is not None
        store.clock.offset += 400 * 86_400.0
        await store.accounts.purge_expired()
        await administration.enable(founder.account_id)
        back = await store.accounts.viewer(signed_in.token)
        assert (await store.conversations.get(back, turn.conversation_id)).messages, "however long they were shut out"
        store.clock.offset += 400 * 86_400.0
        assert await store.accounts.purge_expired() == 1, "then it ends as any other"

    run(scenario())


def test_a_link_of_a_disabled_person_opens_nothing_until_they_are_back(store, administration, run):
    async def scenario():
        await store.founder()
        member = await store.somebody_else()
        turn = await store.chat(member)
        shares = Shares(store.database, now=store.clock)
        made = await shares.make(
            member, conversation_id=turn.conversation_id, message_id=turn.answer_id, content=b"shared", days=7
        )
        await administration.disable(member.account_id)
        with pytest.raises(NotFound):
            await shares.open(made.token)
        await administration.enable(member.account_id)
        assert (await shares.open(made.token)).content == b"shared"

    run(scenario())


def test_the_last_administrator_stays_whoever_asks_at_once(store, administration, run):
    async def scenario():
        founder, member = await store.founder(), await store.somebody_else()
        for refused in (administration.disable, lambda who: administration.set_role(who, Role.MEMBER)):
            with pytest.raises(LastAdministrator):
                await refused(founder.account_id)
        await administration.set_role(member.account_id, Role.ADMINISTRATOR)
        both = await asyncio.gather(
            administration.disable(founder.account_id),
            administration.disable(member.account_id),
            return_exceptions=True,
        )
        assert [type(each) for each in both].count(LastAdministrator) == 1
        people = await administration.people()
        assert len([each for each in people if each.disabled is None]) == 1

    run(scenario())


def test_nobody_is_there_under_an_unknown_id(store, administration, run):
    async def scenario():
        await store.founder()
        for work in (administration.person, administration.disable, administration.enable):
            with pytest.raises(NotFound):
                await work("nobody")

    run(scenario())
