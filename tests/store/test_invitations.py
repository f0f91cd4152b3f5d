"""Invitations: one account each, for some days, until withdrawn."""

import asyncio

import pytest
from sqlalchemy import select

from commun.errors import NotFound
from commun.store.invitations import InvitationOver
from commun.store.names import NameTaken
from commun.store.passwords import PasswordTooShort
from commun.store.people import Role
from commun.store.schema import accounts, invitations
from opened_store import PASSWORD

DAY = 86_400


def test_who_is_invited_gets_an_account_and_a_vault_of_their_own(store, run):
    async def scenario():
        founder = await store.founder()
        token = await store.invitations.make(Role.MEMBER, made_by=founder.account_id, note="Claire, newsroom")
        invited = await store.invitations.accept(token, "Claire", PASSWORD)
        assert (invited.viewer.name, invited.viewer.role) == ("Claire", Role.MEMBER)
        assert invited.viewer.key is not None
        assert invited.viewer.vault_id != founder.vault_id
        turn = await store.chat(invited.viewer)
        with pytest.raises(NotFound):
            await store.conversations.get(founder, turn.conversation_id)
        [info] = await store.invitations.list()
        assert (info.note, info.made_by) == ("Claire, newsroom", founder.account_id)
        assert info.used is not None

    run(scenario())


def test_an_administrator_may_invite_another_one(store, run):
    async def scenario():
        assert (await store.invited("Denis", role=Role.ADMINISTRATOR)).viewer.administers

    run(scenario())


def test_an_invitation_is_used_once_even_by_two_at_once(store, run):
    async def scenario():
        token = await store.invitations.make(Role.MEMBER)
        tried = await asyncio.gather(
            *(store.invitations.accept(token, f"Claire {number}", PASSWORD) for number in range(4)),
            return_exceptions=True,
        )
        assert sum(isinstance(one, InvitationOver) for one in tried) == 3
        assert len(await store.database.read(lambda c: c.execute(select(accounts)).all())) == 1

    run(scenario())


def test_a_mistake_does_not_use_it_up(store, run):
    async def scenario():
        await store.invited("Claire")
        token = await store.invitations.make(Role.MEMBER)
        with pytest.raises(PasswordTooShort):
            await store.invitations.accept(token, "Denis", "short")
        with pytest.raises(NameTaken):
            await store.invitations.accept(token, "claire", PASSWORD)
        assert (await store.invitations.accept(token, "Denis", PASSWORD)).viewer.name == "Denis"

    run(scenario())


def test_it_ends_after_its_days_and_when_it_is_withdrawn(store, run):
    async def scenario():
        old, withdrawn = await store.invitations.make(Role.MEMBER, days=2), await store.invitations.make(Role.MEMBER)
        [newest, _older] = await store.invitations.list()
        await store.invitations.revoke(newest.id)
        with pytest.raises(NotFound):
            await store.invitations.revoke(newest.id)
        with pytest.raises(InvitationOver):
            await store.invitations.find(withdrawn)
        assert await store.invitations.find(old)
        store.clock.offset = 2 * DAY + 1
        for trying in (store.invitations.find(old), store.invitations.accept(old, "Claire", PASSWORD)):
            with pytest.raises(InvitationOver):
                await trying
        store.clock.offset = 40 * DAY
        assert await store.invitations.purge() == 1
        assert await store.invitations.list() == []

    run(scenario())


def test_one_that_was_accepted_is_not_withdrawn_any_more(store, run):
    async def scenario():
        await store.invited("Claire")
        [info] = await store.invitations.list()
        with pytest.raises(NotFound):
            await store.invitations.revoke(info.id)

    run(scenario())


def test_the_database_holds_no_token_and_a_made_up_one_opens_nothing(store, run):
    async def scenario():
        token = await store.invitations.make(Role.ADMINISTRATOR)
        [row] = await store.database.read(lambda c: c.execute(select(invitations)).all())
        assert token.encode() not in b"".join(str(value).encode() for value in row)
        for made_up in ("", token[:-1], token + "x", "é" * 43):
            with pytest.raises(InvitationOver):
                await store.invitations.find(made_up)

    run(scenario())
