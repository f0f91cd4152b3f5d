"""Shared answers in the store: opened by their link alone, their owner's to list and revoke, and really gone."""

import pytest
from sqlalchemy import update

from commun.errors import NotFound, VaultLocked
from commun.store.people import Viewer
from commun.store.schema import shares as table
from commun.store.shares import DAY_S, MOST, Shares

CONTENT = b"canary-shared-4d1c07 what is shared"


@pytest.fixture
def shares(store) -> Shares:
    return Shares(store.database, now=store.clock)


async def shared(store, shares, viewer, *, days=7, content=CONTENT):
    turn = await store.chat(viewer, title="A title that nobody is told")
    made = await shares.make(
        viewer, conversation_id=turn.conversation_id, message_id=turn.answer_id, content=content, days=days
    )
    return turn, made


def files_with(home, words: bytes) -> list[str]:
    return [path.name for path in home.rglob("*") if path.is_file() and words in path.read_bytes()]


async def changed(store, share_id: str, values: dict) -> None:
    statement = update(table).where(table.c.id == share_id).values(values)
    await store.database.write(lambda connection: connection.execute(statement))


async def rows(store) -> list:
    return await store.database.read(lambda connection: connection.execute(table.select()).fetchall())


def test_who_has_the_link_opens_it_without_being_anybody(store, shares, run):
    async def scenario():
        _turn, made = await shared(store, shares, await store.founder())
        opened = await shares.open(made.token)
        assert opened.content == CONTENT
        assert opened.expires == made.expires == pytest.approx(store.clock() + 7 * DAY_S, abs=5)

    run(scenario())


def test_the_files_hold_neither_the_link_nor_what_it_opens(store, shares, run):
    async def scenario():
        _turn, made = await shared(store, shares, await store.founder())
        await store.database.forget()
        assert len(made.token) >= 43
        for words in (CONTENT[:20], made.token.encode()):
            assert files_with(store.home, words) == []

    run(scenario())


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\x00", "é" * 43])
def test_another_link_opens_nothing(store, shares, run, token):
    async def scenario():
        await shared(store, shares, await store.founder())
        with pytest.raises(NotFound):
            await shares.open(token)

    run(scenario())


def test_nobody_shares_what_is_not_theirs(store, shares, run):
    async def scenario():
        owner, stranger = await store.founder(), await store.somebody_else()
        turn, other = await store.chat(owner), await store.chat(owner)
        for viewer, conversation_id, message_id in (
            (stranger, turn.conversation_id, turn.answer_id),
            (owner, turn.conversation_id, other.answer_id),
            (owner, turn.conversation_id, "nothing"),
            (owner, "nothing", turn.answer_id),
        ):
            with pytest.raises(NotFound):
                await shares.make(
                    viewer, conversation_id=conversation_id, message_id=message_id, content=CONTENT, days=1
                )
        locked = Viewer(owner.account_id, owner.session_id, "", "", None, owner.vault_id)
        with pytest.raises(VaultLocked):
            await shares.make(
                locked, conversation_id=turn.conversation_id, message_id=turn.answer_id, content=CONTENT, days=1
            )
        assert await rows(store) == []

    run(scenario())


def test_only_its_owner_lists_and_revokes_it(store, shares, run):
    async def scenario():
        owner, stranger = await store.founder(), await store.somebody_else()
        turn, made = await shared(store, shares, owner)
        (listed,) = await shares.list(owner)
        assert (listed.id, listed.title, listed.message_id) == (made.id, "A title that nobody is told", turn.answer_id)
        assert await shares.list(stranger) == []
        with pytest.raises(NotFound):
            await shares.revoke(stranger, made.id)
        assert (await shares.open(made.token)).content == CONTENT
        await shares.revoke(owner, made.id)
        with pytest.raises(NotFound):
            await shares.open(made.token)
        with pytest.raises(NotFound):
            await shares.revoke(owner, made.id)
        assert await shares.list(owner) == []

    run(scenario())


def test_it_ends_to_the_second_and_is_purged_for_good(store, shares, run):
    async def scenario():
        owner = await store.founder()
        _turn, made = await shared(store, shares, owner, days=1)
        _turn, kept = await shared(store, shares, owner, days=30)
        sealed = next(row.sealed for row in await rows(store) if row.id == made.id)
        store.clock.offset = DAY_S + 1
        with pytest.raises(NotFound):
            await shares.open(made.token)
        assert [each.id for each in await shares.list(owner)] == [kept.id]
        assert await shares.purge_expired() == 1
        assert await shares.purge_expired() == 0
        assert (await shares.open(kept.token)).content == CONTENT
        assert files_with(store.home, sealed) == []

    run(scenario())


def test_a_revoked_one_is_in_no_file_any_more(store, shares, run):
    async def scenario():
        owner = await store.founder()
        _turn, made = await shared(store, shares, owner)
        (row,) = await rows(store)
        await store.database.forget()
        assert files_with(store.home, row.sealed) != []
        await shares.revoke(owner, made.id)
        assert files_with(store.home, row.sealed) == []

    run(scenario())


def test_it_is_hidden_with_its_conversation_and_goes_with_it(store, shares, run):
    async def scenario():
        owner = await store.founder()
        turn, made = await shared(store, shares, owner)
        await store.conversations.delete(owner, turn.conversation_id)
        assert await shares.list(owner) == []
        with pytest.raises(NotFound):
            await shares.open(made.token)
        await store.conversations.restore(owner, turn.conversation_id)
        assert (await shares.open(made.token)).content == CONTENT
        await store.conversations.delete(owner, turn.conversation_id)
        (row,) = await rows(store)
        await store.conversations.purge_deleted(older_than_s=0)
        assert await rows(store) == []
        assert files_with(store.home, row.sealed) == []

    run(scenario())


def test_a_row_that_somebody_changed_opens_nothing(store, shares, run):
    async def scenario():
        owner = await store.founder()
        _turn, one = await shared(store, shares, owner, content=b"one")
        other_turn, other = await shared(store, shares, owner, content=b"other")
        stored = {row.id: row for row in await rows(store)}
        changes = [
            {"sealed": stored[other.id].sealed},
            {"sealed": stored[one.id].sealed[:-1]},
            {"conversation_id": other_turn.conversation_id},
            {"message_id": other_turn.answer_id},
        ]
        for change in changes:
            await changed(store, one.id, change)
            with pytest.raises(NotFound):
                await shares.open(one.token)
            before = {name: getattr(stored[one.id], name) for name in change}
            await changed(store, one.id, before)
            assert (await shares.open(one.token)).content == b"one"

    run(scenario())


def test_an_account_has_a_bounded_number_of_links(store, shares, run):
    async def scenario():
        owner, stranger = await store.founder(), await store.somebody_else()
        _turn, others = await shared(store, shares, stranger)
        turn, first = await shared(store, shares, owner)
        for _ in range(MOST):
            store.clock.offset += 1
            await shares.make(
                owner, conversation_id=turn.conversation_id, message_id=turn.answer_id, content=b"x", days=1
            )
        assert len(await shares.list(owner)) == MOST
        with pytest.raises(NotFound):
            await shares.open(first.token)
        assert (await shares.open(others.token)).content == CONTENT

    run(scenario())


def test_who_has_lost_the_key_still_withdraws_what_was_shared(store, shares, run):
    async def scenario():
        signed_in = await store.sign_in()
        _turn, made = await shared(store, shares, signed_in.viewer)
        viewer = (await store.ways_in.start_over(signed_in.token, signed_in.viewer)).viewer
        (listed,) = await shares.list(viewer)
        assert (listed.id, listed.title) == (made.id, "")
        assert (await shares.open(made.token)).content == CONTENT
        await shares.revoke(viewer, made.id)
        with pytest.raises(NotFound):
            await shares.open(made.token)

    run(scenario())
