"""A long conversation that is copied or brought in: written in pieces, there whole or not at all."""

import asyncio

import pytest
from sqlalchemy import func, select

from commun.errors import NotFound
from commun.importing.outline import ImportedConversation, ImportedMessage
from commun.store import pieces
from commun.store.imports import Imports, Stored
from commun.store.pieces import Arriving
from commun.store.readers import Readers
from commun.store.reading import Reading
from commun.store.schema import messages
from opened_store import open_store, told_until_killed
from read_by_others import people, read_by

HOUR = 3600


@pytest.fixture(autouse=True)
def _short_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "AT_ONCE", 4)


def long_one(count: int) -> ImportedConversation:
    told = tuple(
        ImportedMessage(
            place - 1 if place else None, "assistant" if place % 2 else "user", f"word {place}", 1e9, str(place)
        )
        for place in range(count)
    )
    return ImportedConversation("chatgpt", "long", "Long", 1e9, 1e9, told, count - 1, {})


async def listed(store, viewer) -> list[list[str]]:
    """The texts of everything that somebody has."""
    found = await store.conversations.list(viewer)
    return [[one.content["text"] for one in (await store.conversations.get(viewer, each.id)).path()] for each in found]


async def rows_of_messages(store) -> int:
    query = select(func.count()).select_from(messages)
    return await store.database.read(lambda connection: connection.execute(query).scalar_one())


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9, 23])
def test_whatever_its_length_it_is_there_whole_and_in_order(store, run, count):
    async def scenario():
        owner, reader = await people(store)
        assert await Imports(store.database).add(owner, long_one(count)) is Stored.NEW
        texts = [f"word {place}" for place in range(count)]
        assert await listed(store, owner) == [texts]
        readers, reading = Readers(store.database), Reading(store.database)
        (summary,) = await store.conversations.list(owner)
        theirs = await read_by(store, readers, owner, reader, summary.id)
        await reading.copy(reader, theirs, called=str)
        assert await listed(store, reader) == [texts]
        assert await rows_of_messages(store) == 2 * count

    run(scenario())


def between(monkeypatch, done) -> None:
    """What is done after everything but the last piece is written."""
    begin = Arriving.begin

    async def begun(self, database, *, now):
        await begin(self, database, now=now)
        await done()

    monkeypatch.setattr(Arriving, "begin", begun)


def test_before_its_last_piece_nobody_sees_anything_of_it(store, run, monkeypatch):
    async def scenario():
        owner, seen = (await people(store))[0], []

        async def look():
            seen.append(await store.conversations.list(owner))
            seen.append(await store.conversations.search(owner, "word"))

        between(monkeypatch, look)
        await Imports(store.database).add(owner, long_one(9))
        assert seen == [[], []]
        assert len(await store.conversations.search(owner, "word 1")) == 1

    run(scenario())


def test_a_reading_that_ends_meanwhile_leaves_no_copy(store, run, monkeypatch):
    async def scenario():
        owner, reader = await people(store)
        await Imports(store.database).add(owner, long_one(9))
        (summary,) = await store.conversations.list(owner)
        readers, reading = Readers(store.database), Reading(store.database)
        theirs = await read_by(store, readers, owner, reader, summary.id)
        between(monkeypatch, lambda: readers.end(owner, theirs))
        with pytest.raises(NotFound):
            await reading.copy(reader, theirs, called=str)
        assert await store.conversations.list(reader) == []
        store.clock.offset = 2 * HOUR
        await store.conversations.purge_deleted(older_than_s=HOUR)
        assert await rows_of_messages(store) == 9

    run(scenario())


def test_the_same_brought_in_twice_at_once_is_there_once(store, run):
    async def scenario():
        owner, _ = await people(store)
        imports = Imports(store.database)
        stored = await asyncio.gather(*(imports.add(owner, long_one(9)) for _ in range(3)))
        assert sorted(one.value for one in stored) == ["new", "there", "there"]
        assert len(await listed(store, owner)) == 1
        store.clock.offset = 2 * HOUR
        await store.conversations.purge_deleted(older_than_s=HOUR)
        assert await rows_of_messages(store) == 9

    run(scenario())


KILLED = """
import asyncio, os, sys
from pathlib import Path
from commun.store import pieces
from commun.store.imports import Imports
from opened_store import open_store
from test_pieces import long_one

async def scenario(home):
    store = open_store(home)
    owner = await store.invited("Ada")
    print(owner.token, flush=True)
    pieces.AT_ONCE = 4
    pieces.Arriving.finish = lambda *_given, **_values: os.kill(os.getpid(), 9)
    await Imports(store.database).add(owner.viewer, long_one(9))

asyncio.run(scenario(Path(sys.argv[1])))
"""


def test_a_kill_between_two_pieces_leaves_nothing_to_be_seen_and_it_comes_in_again(tmp_path, run):
    told = told_until_killed(KILLED, tmp_path / "home")
    store = open_store(tmp_path / "home")

    async def scenario():
        owner = await store.accounts.viewer(told.split()[-1])
        assert await rows_of_messages(store) == 8, "else it was not killed between two pieces"
        assert await listed(store, owner) == []
        assert await Imports(store.database).add(owner, long_one(9)) is Stored.NEW
        store.clock.offset = 2 * HOUR
        await store.conversations.purge_deleted(older_than_s=HOUR)
        assert [len(each) for each in await listed(store, owner)] == [9]
        assert await rows_of_messages(store) == 9

    run(scenario())
    store.database.close()
