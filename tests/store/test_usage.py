"""What is used is counted by account, day and key, in clear and without what it was; and what may be used is found."""

from sqlalchemy import select, update

from commun.store.schema import accounts, api_keys, usage
from commun.store.usage import DAY_S, Allowance, Usage


def book(store) -> Usage:
    return Usage(store.database, now=store.clock)


async def settled(store) -> None:
    """What was posted is written: the writer takes one thing after the other."""
    await store.database.write(lambda _: None)


def test_tokens_of_pages_and_keys_add_up_and_a_key_knows_its_own(store, run) -> None:
    async def scenario() -> None:
        viewer = await store.founder()
        await store.accounts.make_api_key(viewer.account_id, "one")
        ((key,),) = await store.database.read(lambda each: each.execute(select(api_keys.c.id)).all())
        counted = book(store)
        counted.add(viewer.account_id, "", read=10, written=5)
        counted.add(viewer.account_id, "", read=1, written=2)
        counted.add(viewer.account_id, key, read=100, written=50)
        await settled(store)
        assert await counted.allowances(viewer.account_id) == (Allowance(None, None, 168), None)
        assert await counted.allowances(viewer.account_id, key) == (
            Allowance(None, None, 168),
            Allowance(None, None, 150),
        )
        rows = await store.database.read(lambda each: each.execute(select(usage)).all())
        assert sorted((row.key_id, row.answers, row.tokens_read, row.tokens_written) for row in rows) == [
            ("", 2, 11, 7),
            (key, 1, 100, 50),
        ]

    run(scenario())


def test_a_new_day_begins_at_nothing_and_the_old_one_stays_written(store, run) -> None:
    async def scenario() -> None:
        viewer = await store.founder()
        counted = book(store)
        counted.add(viewer.account_id, "", read=10, written=5)
        store.clock.offset += DAY_S
        assert 0 < counted.seconds_left <= DAY_S
        assert (await counted.allowances(viewer.account_id))[0].used == 0
        counted.add(viewer.account_id, "", read=1, written=1)
        await settled(store)
        assert (await counted.allowances(viewer.account_id))[0].used == 2
        assert len(await store.database.read(lambda each: each.execute(select(usage)).all())) == 2

    run(scenario())


def test_what_is_set_for_an_account_or_a_key_is_found(store, run) -> None:
    async def scenario() -> None:
        viewer = await store.founder()
        await store.accounts.make_api_key(viewer.account_id, "one")

        def work(connection) -> str:
            connection.execute(update(accounts).values(daily_tokens=1000, at_once=3))
            connection.execute(update(api_keys).values(daily_tokens=10))
            return connection.execute(select(api_keys.c.id)).scalar()

        key = await store.database.write(work)
        assert await book(store).allowances(viewer.account_id, key) == (Allowance(1000, 3, 0), Allowance(10, None, 0))

    run(scenario())


def test_nobody_s_account_counts_nothing(store, run) -> None:
    async def scenario() -> None:
        counted = book(store)
        counted.add("gone", "", read=1, written=1)
        await settled(store)
        assert await counted.allowances("gone") == (Allowance(None, None, 0), None)
        assert await store.database.read(lambda each: each.execute(select(usage)).all()) == []

    run(scenario())
