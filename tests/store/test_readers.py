"""Whole conversations that others read: the key goes to who accepts, and to nobody else."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from commun.errors import NotFound, VaultLocked
from commun.receipts.statement import receipt_id
from commun.store.administration import Administration
from commun.store.erasure import erase_account
from commun.store.readers import LINK_DAYS, MOST, OwnLink, Readers, TooManyReaders
from commun.store.reading import Reading
from commun.store.receipts import Receipts
from commun.store.schema import readers as table
from commun.store.vault import VaultError
from read_by_others import answered, everything, files_with, people, read_by, stored

DAY = 86_400.0


@pytest.fixture
def readers(store) -> Readers:
    return Readers(store.database, now=store.clock)


@pytest.fixture
def reading(store) -> Reading:
    return Reading(store.database, now=store.clock)


# --- the link


def test_the_key_goes_to_who_accepts_and_the_link_is_spent(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        third = await store.somebody_else()
        turn = await answered(store, owner)
        made = await readers.make_link(owner, turn.conversation_id)
        assert len(made.token) >= 43
        assert made.expires == pytest.approx(store.clock() + LINK_DAYS * DAY, abs=5)
        (link,) = await stored(store)
        assert (link.account_id, link.vault_id, link.accepted) == (None, None, None)
        assert await reading.list(reader) == []
        offer = await readers.offer(reader, made.token)
        assert (offer.owner, offer.own) == ("Ada", False)
        assert (await readers.offer(owner, made.token)).own
        with pytest.raises(OwnLink):
            await readers.accept(owner, made.token)
        await store.database.forget()
        assert files_with(store.home, made.token.encode()) == []
        assert files_with(store.home, link.sealed_key) != []

        accepted = await readers.accept(reader, made.token)
        assert files_with(store.home, link.sealed_key) == [], "what the link opens is overwritten"
        found = await reading.get(reader, accepted)
        assert (found.owner, found.conversation.title) == ("Ada", "A canary-title-51")
        assert found.conversation == await store.conversations.get(owner, turn.conversation_id)
        (line,) = await reading.list(reader)
        assert (line.id, line.title, line.owner, line.running) == (accepted, "A canary-title-51", "Ada", False)
        (told,) = await readers.list(owner, turn.conversation_id)
        assert (told.id, told.name, told.since, told.expires) == (accepted, "Bob", line.since, None)
        for other in (third, reader, owner):
            with pytest.raises(NotFound):
                await readers.accept(other, made.token)
            with pytest.raises(NotFound):
                await readers.offer(other, made.token)

    run(scenario())


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\x00", "é" * 43])
def test_another_link_opens_nothing(store, readers, run, token):
    async def scenario():
        owner, reader = await people(store)
        await readers.make_link(owner, (await store.chat(owner)).conversation_id)
        with pytest.raises(NotFound):
            await readers.accept(reader, token)

    run(scenario())


def test_a_link_ends_by_itself_and_is_purged(store, readers, run):
    async def scenario():
        owner, reader = await people(store)
        turn = await store.chat(owner)
        made = await readers.make_link(owner, turn.conversation_id)
        (row,) = await stored(store)
        kept = await read_by(store, readers, owner, reader, turn.conversation_id)
        store.clock.offset = LINK_DAYS * DAY + 1
        with pytest.raises(NotFound):
            await readers.accept(await store.somebody_else(), made.token)
        assert [each.id for each in await readers.list(owner)] == [kept]
        assert await readers.purge_expired() == 1
        assert await readers.purge_expired() == 0
        assert [each.id for each in await stored(store)] == [kept]
        assert files_with(store.home, row.sealed_key) == []

    run(scenario())


def test_who_reads_already_accepts_another_link_and_reads_once(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        turn = await store.chat(owner)
        first = await read_by(store, readers, owner, reader, turn.conversation_id)
        second = await read_by(store, readers, owner, reader, turn.conversation_id)
        assert [each.id for each in await reading.list(reader)] == [second]
        with pytest.raises(NotFound):
            await reading.get(reader, first)

    run(scenario())


def test_a_conversation_has_a_bounded_number_of_readers(store, readers, run):
    async def scenario():
        owner, _reader = await people(store)
        turn, other = await store.chat(owner), await store.chat(owner)
        for _ in range(MOST):
            await readers.make_link(owner, turn.conversation_id)
        with pytest.raises(TooManyReaders):
            await readers.make_link(owner, turn.conversation_id)
        await readers.make_link(owner, other.conversation_id)
        store.clock.offset = LINK_DAYS * DAY + 1
        await readers.make_link(owner, turn.conversation_id)

    run(scenario())


# --- whose it is


def test_a_reader_may_read_and_nothing_else(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        third = await store.somebody_else()
        turn = await answered(store, owner)
        where, theirs = turn.conversation_id, await read_by(store, readers, owner, reader, turn.conversation_id)
        all_of_it, receipts = store.conversations, Receipts(store.database)
        before = await everything(store)
        for viewer in (reader, third):
            for refused in (
                all_of_it.get(viewer, where),
                all_of_it.rename(viewer, where, "Mine"),
                all_of_it.delete(viewer, where),
                all_of_it.erase(viewer, where),
                all_of_it.choose_leaf(viewer, where, turn.question_id),
                all_of_it.start_turn(viewer, conversation_id=where, parent_id=None, question="x", title=""),
                receipts.get(viewer, receipt_id(turn.answer_id)),
                readers.make_link(viewer, where),
                readers.end(viewer, theirs),
            ):
                with pytest.raises(NotFound):
                    await refused
            assert await readers.list(viewer, where) == []
            assert await all_of_it.list(viewer) == []
            assert await all_of_it.search(viewer, "canary") == []
        for viewer in (owner, third):
            for refused in (
                reading.get(viewer, theirs),
                reading.leave(viewer, theirs),
                reading.copy(viewer, theirs, called=str),
                reading.receipt(viewer, theirs, receipt_id(turn.answer_id)),
            ):
                with pytest.raises(NotFound):
                    await refused
            assert await reading.list(viewer) == []
        assert await everything(store) == before
        locked = replace(reader, key=None)
        for refused in (reading.get(locked, theirs), reading.list(locked), readers.accept(locked, "x")):
            with pytest.raises(VaultLocked):
                await refused

    run(scenario())


def test_a_receipt_is_of_that_conversation_or_not_found(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        turn, other = await answered(store, owner), await answered(store, owner)
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        found = await reading.receipt(reader, theirs, receipt_id(turn.answer_id))
        assert found == await Receipts(store.database).get(owner, receipt_id(turn.answer_id))
        for one in (receipt_id(other.answer_id), "0" * 64):
            with pytest.raises(NotFound):
                await reading.receipt(reader, theirs, one)

    run(scenario())


def test_bytes_moved_to_another_row_open_nothing(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        turn, secret = await store.chat(owner), await store.chat(owner)
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        link = await readers.make_link(owner, turn.conversation_id)

        async def change(one, **values):
            statement = update(table).where(table.c.id == one).values(values)
            await store.database.write(lambda connection: connection.execute(statement))

        await change(theirs, conversation_id=secret.conversation_id)
        with pytest.raises(VaultError):
            await reading.get(reader, theirs)
        await change(link.id, conversation_id=secret.conversation_id)
        with pytest.raises(NotFound):
            await readers.accept(reader, link.token)
        third = await store.somebody_else()
        await change(theirs, conversation_id=turn.conversation_id, account_id=third.account_id, vault_id=third.vault_id)
        with pytest.raises(VaultError):
            await reading.get(third, theirs)

    run(scenario())


# --- how it ends otherwise


def test_who_leaves_reads_no_more_and_the_owner_sees_it(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        turn = await store.chat(owner)
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        (row,) = await stored(store)
        await reading.leave(reader, theirs)
        assert await readers.list(owner) == []
        assert files_with(store.home, row.sealed_key) == []
        with pytest.raises(NotFound):
            await reading.leave(reader, theirs)

    run(scenario())


def test_it_is_hidden_with_the_conversation_and_goes_with_it(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        turn = await store.chat(owner)
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        link = await readers.make_link(owner, turn.conversation_id)
        await store.conversations.delete(owner, turn.conversation_id)
        assert await reading.list(reader) == []
        for refused in (reading.get(reader, theirs), readers.offer(reader, link.token)):
            with pytest.raises(NotFound):
                await refused
        await store.conversations.restore(owner, turn.conversation_id)
        assert (await reading.get(reader, theirs)).conversation.title == "A chat"
        store.clock.offset = 100 * DAY
        assert await store.conversations.purge_old(older_than_s=DAY) == 1
        assert await stored(store) == []

    run(scenario())


def test_a_disabled_person_is_out_and_so_is_who_reads_theirs(store, readers, reading, run):
    async def scenario():
        await store.founder()  # somebody administers
        owner, reader = await people(store)
        turn = await store.chat(owner)
        signed_in = await store.invited("Cy")
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        await read_by(store, readers, owner, signed_in.viewer, turn.conversation_id)
        administration = Administration(store.accounts, store.database)
        await administration.disable(signed_in.viewer.account_id)
        assert await store.accounts.viewer(signed_in.token) is None
        assert (await reading.get(reader, theirs)).owner == "Ada"
        await administration.disable(owner.account_id)
        assert await reading.list(reader) == []
        with pytest.raises(NotFound):
            await reading.get(reader, theirs)

    run(scenario())


@pytest.mark.parametrize("who", [0, 1], ids=["owner", "reader"])
def test_an_account_that_is_erased_takes_its_rows(store, readers, run, who):
    async def scenario():
        await store.founder()
        both = await people(store)
        turn = await store.chat(both[0])
        await read_by(store, readers, *both, turn.conversation_id)
        (row,) = await stored(store)
        await erase_account(store.accounts, store.database, both[who].account_id)
        assert await stored(store) == []
        assert files_with(store.home, row.sealed_key) == []

    run(scenario())


@pytest.mark.parametrize("who", [0, 1], ids=["owner", "reader"])
def test_who_starts_over_ends_it(store, readers, reading, run, who):
    async def scenario():
        signed_in = [await store.invited("Ada"), await store.invited("Bob")]
        owner, reader = (each.viewer for each in signed_in)
        turn, other = await store.chat(owner), await store.chat(reader)
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        kept = await read_by(store, readers, reader, await store.somebody_else(), other.conversation_id)
        renewed = (await store.ways_in.start_over(signed_in[who].token, signed_in[who].viewer)).viewer
        assert [each.id for each in await stored(store)] == ([kept] if who == 0 else [])
        with pytest.raises(NotFound):
            await reading.get(renewed if who else reader, theirs)

    run(scenario())


# --- a copy


def test_a_copy_is_the_readers_own_and_stays(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        turn = await answered(store, owner)
        where = turn.conversation_id
        await answered(store, owner, "Another?", conversation_id=where)
        theirs = await read_by(store, readers, owner, reader, where)
        original = await store.conversations.get(owner, where)
        copied = await reading.copy(reader, theirs, called=lambda title: f"{title} (copy)")
        await readers.end(owner, theirs)
        mine = await store.conversations.get(reader, copied)
        assert mine.title == "A canary-title-51 (copy)"
        assert [(one.role, one.content["text"]) for one in mine.path()] == [
            (one.role, one.content["text"]) for one in original.path()
        ]
        assert len(mine.messages) == len(original.messages) == 4
        assert not set(mine.messages) & set(original.messages)
        for one, before in zip(mine.messages.values(), original.messages.values(), strict=True):
            assert set(one.content) <= {"text", "imported"}
            assert one.content["imported"] == {"from": "reading", "conversation": where, "message": before.id}
        with pytest.raises(NotFound):
            await store.conversations.get(owner, copied)
        await store.chat(reader, conversation_id=copied, parent_id=mine.leaf_id)

    run(scenario())


def test_the_list_of_what_others_share_can_be_bounded(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        for _ in range(2):
            await read_by(store, readers, owner, reader, (await answered(store, owner)).conversation_id)
        assert [len(await reading.list(reader, limit=limit)) for limit in (1, None)] == [1, 2]

    run(scenario())
