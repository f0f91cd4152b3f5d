"""Conversations out of another assistant, as they are stored: sealed, owned, never twice, kept as long as one's own."""

import pytest
from sqlalchemy import select

from commun.errors import NotFound, VaultLocked
from commun.importing.formats import conversation_of
from commun.store.imports import Imports, Stored
from commun.store.people import Viewer
from commun.store.schema import conversations as table
from exports import open_webui_chat, two_branches

DAY = 86_400


@pytest.fixture
def imports(store):
    return Imports(store.database, now=store.clock)


def found(name="conv-1", title="Weather"):
    return conversation_of(two_branches(name, title), str, now=1_800_000_000)


def test_the_whole_tree_is_there_with_its_times_and_the_branch_that_was_shown(store, imports, run):
    async def scenario():
        viewer = await store.founder()
        assert await imports.add(viewer, found()) is Stored.NEW
        (summary,) = await store.conversations.list(viewer)
        assert (summary.title, summary.created, summary.updated) == ("Weather", 1_700_000_000, 1_700_000_100)
        opened = await store.conversations.get(viewer, summary.id)
        assert [one.content["text"] for one in opened.path()] == [
            "What is weather?", "Second answer.", "And climate?", "Third answer.",
        ]  # fmt: skip
        assert len(opened.messages) == 5
        answer = opened.path()[-1]
        assert answer.content["imported"] == {
            "from": "chatgpt", "conversation": "conv-1", "message": "a3", "model": "gpt-4o",
        }  # fmt: skip
        first = opened.path()[1]
        assert [opened.messages[one].content["text"] for one in opened.siblings(first.id)] == [
            "First answer.",
            "Second answer.",
        ]

    run(scenario())


def test_a_second_import_adds_nothing_and_one_of_another_source_does(store, imports, run):
    async def scenario():
        viewer = await store.founder()
        await imports.add(viewer, found())
        assert await imports.add(viewer, found(title="Renamed since")) is Stored.THERE
        assert await imports.add(viewer, found("conv-2")) is Stored.NEW
        webui = conversation_of(open_webui_chat("conv-1"), str, now=1_800_000_000)
        assert await imports.add(viewer, webui) is Stored.NEW
        assert len(await store.conversations.list(viewer)) == 3

    run(scenario())


def test_it_is_somebodys_own_and_nobody_elses(store, imports, run):
    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        await imports.add(viewer, found())
        (summary,) = await store.conversations.list(viewer)
        assert await store.conversations.list(other) == []
        with pytest.raises(NotFound):
            await store.conversations.get(other, summary.id)
        assert await imports.add(other, found()) is Stored.NEW, "what others have brought in is nobody's business"

    run(scenario())


def test_the_database_shows_neither_what_it_was_called_there_nor_that_two_people_have_the_same(store, imports, run):
    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        await imports.add(viewer, found("canary-name-9c1e", "canary-title-02ab"))
        await imports.add(other, found("canary-name-9c1e"))
        marks = await store.database.read(
            lambda connection: list(connection.execute(select(table.c.source_mark)).scalars())
        )
        assert len(set(marks)) == 2

    run(scenario())
    store.database.close()
    for file in store.home.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            for canary in (b"canary", b"What is weather?", b"Second answer."):
                assert canary not in data, file.name


def test_one_in_the_bin_is_taken_out_of_it_instead_of_being_stored_twice(store, imports, run):
    async def scenario():
        viewer = await store.founder()
        await imports.add(viewer, found())
        (summary,) = await store.conversations.list(viewer)
        await store.conversations.delete(viewer, summary.id)
        assert await imports.add(viewer, found()) is Stored.NEW
        assert [one.id for one in await store.conversations.list(viewer)] == [summary.id]
        await store.conversations.delete(viewer, summary.id)
        store.clock.offset = DAY
        await store.conversations.purge_deleted(older_than_s=3600)
        assert await imports.add(viewer, found()) is Stored.NEW
        assert len(await store.conversations.list(viewer)) == 1

    run(scenario())


def test_retention_counts_from_the_import_and_not_from_what_was_written_years_ago(store, imports, run):
    async def scenario():
        viewer = await store.founder()
        await imports.add(viewer, found())
        assert await store.conversations.purge_old(older_than_s=30 * DAY) == 0
        store.clock.offset = 29 * DAY
        assert await store.conversations.purge_old(older_than_s=30 * DAY) == 0
        store.clock.offset = 31 * DAY
        assert await store.conversations.purge_old(older_than_s=30 * DAY) == 1

    run(scenario())


def test_a_locked_vault_takes_nothing_in(store, imports, run):
    async def scenario():
        viewer = await store.founder()
        locked = Viewer(viewer.account_id, viewer.session_id, "", "", None, viewer.vault_id)
        with pytest.raises(VaultLocked):
            await imports.add(locked, found())

    run(scenario())


def test_what_was_brought_in_goes_on_here(store, imports, run):
    async def scenario():
        viewer = await store.founder()
        await imports.add(viewer, found())
        (summary,) = await store.conversations.list(viewer)
        opened = await store.conversations.get(viewer, summary.id)
        await store.chat(viewer, "And here?", conversation_id=summary.id, parent_id=opened.leaf_id)
        assert len((await store.conversations.get(viewer, summary.id)).path()) == 6

    run(scenario())
