"""Sent answers in the store: sealed to the administrators of that moment, counted, withdrawn, and really gone."""

import pytest
from sqlalchemy import select, update

from commun.errors import NotFound
from commun.store import sent as module
from commun.store.administration import Administration
from commun.store.erasure import erase_account
from commun.store.people import Role
from commun.store.schema import sent_answers, sent_keys
from commun.store.sent import DAY_S, LEAST_BYTES, MAX_BYTES, MOST_DAYS, NobodyToSendTo, Sent, SentFull, SentTooLarge
from commun.store.vault import VaultError

CONTENT = b'"canary-sent-9b04c7"'


@pytest.fixture
def sent(store) -> Sent:
    return Sent(store.database, now=store.clock)


async def people(store):
    """A founder, who administers, another administrator, and a member."""
    founder = await store.founder()
    other = (await store.invited("Bea", role=Role.ADMINISTRATOR)).viewer
    return founder, other, (await store.invited("Cem")).viewer


async def to_all(sent, viewer, *, named=True, content=CONTENT) -> str:
    ids = {each.account_id for each in await sent.administrators()}
    return await sent.send(viewer, content, to=ids, named=named)


async def rows_of(store, table) -> list:
    return await store.database.read(lambda connection: connection.execute(select(table)).fetchall())


def files_with(home, words: bytes) -> list[str]:
    return [path.name for path in home.rglob("*") if path.is_file() and words in path.read_bytes()]


def test_those_open_it_to_whom_it_was_sent_and_whoever_sent_it_with_a_name(store, sent, run):
    async def scenario():
        founder, other, member = await people(store)
        assert [each.name for each in await sent.administrators()] == ["", "Bea"]
        sent_id = await to_all(sent, member)
        for viewer in (founder, other, member):
            found = await sent.get(viewer, sent_id)
            assert (found.content, found.sender, found.done) == (CONTENT, "Cem", None)
        assert [each.id for each in await sent.mine(member)] == [sent_id]
        assert await sent.mine(founder) == []
        stranger = await store.somebody_else()
        with pytest.raises(NotFound):
            await sent.get(stranger, sent_id)
        assert await sent.list(stranger) == []

    run(scenario())


def test_it_is_nowhere_in_clear(store, sent, run):
    async def scenario():
        _founder, _other, member = await people(store)
        await to_all(sent, member)
        assert files_with(store.home, CONTENT[1:-1]) == []
        (row,) = await rows_of(store, sent_answers)
        assert row.created % DAY_S == 0

    run(scenario())


def test_without_a_name_nothing_names_the_sender(store, sent, run):
    async def scenario():
        founder, other, member = await people(store)
        ids = [await to_all(sent, viewer, named=False) for viewer in (member, founder)]
        assert {row.account_id for row in await rows_of(store, sent_answers)} == {None}
        keys = await rows_of(store, sent_keys)
        for sent_id in ids:  # who has a key does not tell whether an administrator sent it
            assert {row.account_id for row in keys if row.sent_id == sent_id} == {founder.account_id, other.account_id}
        assert (await sent.get(other, ids[0])).sender is None
        with pytest.raises(NotFound):
            await sent.get(member, ids[0])
        with pytest.raises(NotFound):
            await sent.withdraw(member, ids[0])
        assert await sent.mine(member) == []

    run(scenario())


def test_who_becomes_an_administrator_later_reads_nothing_earlier(store, sent, run):
    async def scenario():
        founder, other, member = await people(store)
        administration = Administration(store.accounts, store.database)
        sent_id = await to_all(sent, member)
        later = (await store.invited("Dora", role=Role.ADMINISTRATOR)).viewer
        assert await sent.list(later) == []
        assert await sent.count_closed(later) == 1
        assert await sent.count_closed(founder) == 0
        for attempt in (
            sent.get(later, sent_id),
            sent.set_done(later, sent_id, done=True),
            sent.delete(later, sent_id),
            sent.withdraw(later, sent_id),
        ):
            with pytest.raises(NotFound):
                await attempt
        newer = await to_all(sent, member)
        assert [each.id for each in await sent.list(later)] == [newer]
        await administration.set_role(other.account_id, Role.MEMBER)
        await administration.set_role(other.account_id, Role.ADMINISTRATOR)
        assert await sent.list(other) == [], "the keys of who was none for a while are gone"

    run(scenario())


def test_who_is_no_administrator_any_more_keeps_what_they_sent_themselves(store, sent, run):
    async def scenario():
        _founder, other, member = await people(store)
        own, _theirs = await to_all(sent, other), await to_all(sent, member)
        await Administration(store.accounts, store.database).set_role(other.account_id, Role.MEMBER)
        assert [each.id for each in await sent.mine(other)] == [own]
        assert [each.id for each in await sent.list(other)] == [own]

    run(scenario())


def test_it_goes_to_those_alone_whom_the_sender_saw(store, sent, run):
    async def scenario():
        founder, other, member = await people(store)
        sent_id = await sent.send(member, CONTENT, to={other.account_id, member.account_id}, named=True)
        with pytest.raises(NotFound):
            await sent.get(founder, sent_id)
        keys = {row.account_id for row in await rows_of(store, sent_keys)}
        assert keys == {other.account_id, member.account_id}
        await Administration(store.accounts, store.database).disable(other.account_id)
        for nobody in ({other.account_id}, {member.account_id}, set()):
            with pytest.raises(NobodyToSendTo):
                await sent.send(member, CONTENT, to=nobody, named=True)

    run(scenario())


def test_where_nobody_else_administers_nothing_can_be_sent(store, sent, run):
    async def scenario():
        founder = await store.founder()
        member = await store.somebody_else()
        assert await sent.can_send(member)
        assert not await sent.can_send(founder)
        with pytest.raises(NobodyToSendTo):
            await to_all(sent, founder)
        await store.database.write(lambda c: c.exec_driver_sql("UPDATE accounts SET vault_id = NULL"))
        assert await sent.administrators() == []
        assert not await sent.can_send(member)

    run(scenario())


def test_withdrawn_deleted_and_old_ones_are_gone_from_the_files(store, sent, run):
    async def scenario():
        founder, _other, member = await people(store)
        for end in ("withdraw", "delete"):
            sent_id = await to_all(sent, member)
            (row,) = await rows_of(store, sent_answers)
            assert files_with(store.home, row.sealed[40:80])
            await getattr(sent, end)(member if end == "withdraw" else founder, sent_id)
            assert await rows_of(store, sent_answers) == await rows_of(store, sent_keys) == []
            assert files_with(store.home, row.sealed[40:80]) == []
            with pytest.raises(NotFound):
                await getattr(sent, end)(member, sent_id)

    run(scenario())


@pytest.mark.parametrize(("days", "lasts"), [(0, MOST_DAYS), (365, MOST_DAYS), (30, 30)])
def test_they_are_kept_as_long_as_conversations_and_no_longer_than_ninety_days(store, sent, run, days, lasts):
    async def scenario():
        founder, _other, member = await people(store)
        await to_all(sent, member)
        store.clock.offset = (lasts - 1) * DAY_S
        assert await sent.purge(days) == 0
        assert len(await sent.list(founder)) == 1
        store.clock.offset = lasts * DAY_S
        assert await sent.purge(days) == 1
        assert await rows_of(store, sent_keys) == []

    run(scenario())


def test_what_was_sent_before_the_vault_was_made_anew_can_still_be_withdrawn(store, sent, run):
    async def scenario():
        await people(store)
        signed_in = await store.invited("Dora")
        sent_id = await to_all(sent, signed_in.viewer)
        anew = (await store.ways_in.start_over(signed_in.token, signed_in.viewer)).viewer
        assert await sent.mine(anew) == []
        assert [(each.id, each.content) for each in await sent.mine_closed(anew)] == [(sent_id, b"")]
        await sent.withdraw(anew, sent_id)
        assert await sent.mine_closed(anew) == []

    run(scenario())


def test_what_nobody_opens_any_more_is_purged(store, sent, run):
    async def scenario():
        founder, other, member = await people(store)
        await sent.send(member, CONTENT, to={other.account_id}, named=False)
        assert await sent.purge(0) == 0
        await erase_account(store.accounts, store.database, other.account_id)
        assert await sent.count_closed(founder) == 1
        assert await sent.purge(0) == 1

    run(scenario())


def test_the_senders_account_takes_what_was_sent_with_its_name(store, sent, run):
    async def scenario():
        founder, _other, member = await people(store)
        _named, nameless = await to_all(sent, member), await to_all(sent, member, named=False)
        await erase_account(store.accounts, store.database, member.account_id)
        assert [each.id for each in await sent.list(founder)] == [nameless]

    run(scenario())


def test_the_open_ones_come_first_then_the_newest(store, sent, run):
    async def scenario():
        founder, _other, member = await people(store)
        ids = []
        for day in range(3):
            store.clock.offset = day * DAY_S
            ids.append(await to_all(sent, member))
        await sent.set_done(founder, ids[2], done=True)
        assert [each.id for each in await sent.list(founder)] == [ids[1], ids[0], ids[2]]
        assert (await sent.get(founder, ids[2])).done is not None
        await sent.set_done(founder, ids[2], done=False)
        assert [each.id for each in await sent.list(founder)] == [ids[2], ids[1], ids[0]]

    run(scenario())


def test_size_and_number_are_bounded_and_the_size_shows_in_steps(store, sent, run, monkeypatch):
    async def scenario():
        _founder, _other, member = await people(store)
        for content in (b"x", b"y" * 3_000):
            await to_all(sent, member, content=content)
        assert {len(row.sealed) for row in await rows_of(store, sent_answers)} == {LEAST_BYTES + 29}
        with pytest.raises(SentTooLarge):
            await to_all(sent, member, content=b"x" * (MAX_BYTES + 1))
        monkeypatch.setattr(module, "MOST", 2)
        with pytest.raises(SentFull):
            await to_all(sent, member)

    run(scenario())


def test_a_key_that_was_moved_to_another_row_opens_nothing(store, sent, run):
    async def scenario():
        founder, _other, member = await people(store)
        first, second = await to_all(sent, member), await to_all(sent, member)
        mine = sent_keys.c.account_id == founder.account_id
        query = select(sent_keys.c.sealed_key).where(mine, sent_keys.c.sent_id == second)
        moved = await store.database.read(lambda connection: connection.execute(query).scalar())
        change = update(sent_keys).where(mine, sent_keys.c.sent_id == first).values(sealed_key=moved)
        await store.database.write(lambda connection: connection.execute(change))
        with pytest.raises(VaultError):
            await sent.get(founder, first)

    run(scenario())
