"""Conversations out of another assistant, as they are stored: sealed, owned, never twice, kept as long as one's own."""

import pytest
from sqlalchemy import func, select

from commun.errors import NotFound, VaultLocked
from commun.importing.formats import conversation_of
from commun.store import folders as folders_module
from commun.store.feedback import Feedback, Opinion, Reason, Thumb, opinion_row
from commun.store.folders import Folders
from commun.store.imports import FoldersToo, Imports, Stored
from commun.store.people import Viewer
from commun.store.pieces import Arriving
from commun.store.schema import conversations as table
from commun.store.schema import feedback as feedback_table
from commun.store.schema import messages
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


def ours(*said, state="complete", name="c1"):
    """Commun's own export, with what is said of each answer to one question."""
    answers = [
        {
            "id": f"a{number}",
            "parent": "q",
            "role": "assistant",
            "state": state,
            "content": {"text": "So."},
            "feedback": one,
        }
        for number, one in enumerate(said)
    ]
    question = {"id": "q", "parent": None, "role": "user", "content": {"text": "Why?"}}
    value = {"format": "commun-conversation/1", "id": name, "title": "Ours", "messages": [question, *answers]}
    return conversation_of(value, str, now=1_800_000_000)


def test_what_was_said_of_answers_comes_back_sealed_as_it_is_here(store, imports, run):
    strange = (
        {"thumb": ["up"], "reasons": {"a": 1}, "remark": 3},
        "up",
        [],
        {"thumb": "sideways", "reasons": [[], "x"]},
    )
    down = {"thumb": "down", "reasons": ["harmful", "untrue", "made up"], "remark": "canary-remark\x00" + "x" * 9000}

    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        await imports.add(viewer, ours({"thumb": "up"}, down, *strange))
        (summary,) = await store.conversations.list(viewer)
        found = await store.conversations.get(viewer, summary.id)
        feedback = Feedback(store.database)
        said = await feedback.find_all(viewer, summary.id)
        answers = [one.id for one in found.messages.values() if one.role == "assistant"]
        assert [said.get(one) for one in answers[2:]] == [None] * len(strange)
        assert said[answers[0]] == Opinion(Thumb.UP)
        assert (said[answers[1]].thumb, said[answers[1]].reasons) == (Thumb.DOWN, (Reason.UNTRUE, Reason.HARMFUL))
        assert said[answers[1]].remark.startswith("canary-remark")
        assert len(said[answers[1]].remark) == 1000
        assert await feedback.find_all(other, summary.id) == {}
        assert await imports.add(viewer, ours({"thumb": "down"})) is Stored.THERE
        assert (await feedback.find_all(viewer, summary.id)) == said
        sealed = await store.database.read(
            lambda connection: list(connection.execute(select(feedback_table.c.sealed)).scalars())
        )
        assert len({len(one) for one in sealed}) == 1, "a thumb is as long as a remark"

    run(scenario())
    store.database.close()
    assert not [file for file in store.home.rglob("*") if file.is_file() and b"canary" in file.read_bytes()]


def test_more_thumbs_than_are_believed_are_counted_and_left_out(store, monkeypatch, run):
    monkeypatch.setattr("commun.store.imports.MOST_SAID", 3)

    async def scenario():
        viewer, imports = await store.founder(), Imports(store.database)
        for name in ("one", "two"):
            assert await imports.add(viewer, ours({"thumb": "up"}, {"thumb": "up"}, name=name)) is Stored.NEW
        feedback, every = Feedback(store.database), await store.conversations.list(viewer)
        assert sum([len(await feedback.find_all(viewer, one.id)) for one in every]) == 3
        assert imports.unsaid == 1

    run(scenario())


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("failed", "failed"),
        ("stopped", "stopped"),
        ("running", "interrupted"),
        ("nonsense", "complete"),
        (3, "complete"),
    ],
)
def test_how_an_answer_ended_is_kept_and_none_is_being_written(store, imports, run, told, expected):
    async def scenario():
        viewer = await store.founder()
        await imports.add(viewer, ours(None, state=told))
        (summary,) = await store.conversations.list(viewer)
        assert (await store.conversations.get(viewer, summary.id)).path()[-1].state == expected
        assert not summary.running

    run(scenario())


def test_a_folder_without_a_name_is_found_again_by_its_mark_and_by_nobody_else(store, run):
    def chat(name, folder="g-p-1"):
        return conversation_of(two_branches(name) | {"conversation_template_id": folder}, str, now=1_800_000_000)

    async def scenario():
        viewer, other, folders = await store.founder(), await store.somebody_else(), Folders(store.database)
        first = Imports(store.database)
        await first.add(viewer, chat("one"))
        await first.add(viewer, chat("two", "g-p-2"))
        assert [one.name for one in await folders.list(viewer)] == ["chatgpt 1", "chatgpt 2"]
        assert (first.folders.made, first.folders.nameless) == (2, 2)
        mine = (await folders.list(viewer))[0]
        await folders.change(viewer, mine.id, name="Mine", instructions="")
        second = Imports(store.database)
        await second.add(viewer, chat("three"))
        assert (await folders.get(viewer, mine.id)).conversations == 2
        assert second.folders.made == 0
        await second.add(other, chat("one"))
        assert [one.name for one in await folders.list(other)] == ["chatgpt 1"]
        assert (await folders.list(other))[0].id != mine.id
        await folders.delete(viewer, mine.id, conversations_too=False)
        assert await second.add(viewer, chat("one")) is Stored.THERE
        assert [one.name for one in await folders.list(viewer)] == ["chatgpt 2"], "nothing new: nothing is made"

    run(scenario())


def test_where_there_is_no_room_for_more_folders_the_conversations_come_in_all_the_same(store, run, monkeypatch):
    monkeypatch.setattr("commun.store.folders.MAX_FOLDERS", 2)

    async def scenario():
        viewer, imports = await store.founder(), Imports(store.database)
        for number in range(4):
            value = two_branches(f"conv-{number}") | {"conversation_template_id": f"g-p-{number}"}
            assert await imports.add(viewer, conversation_of(value, str, now=1_800_000_000)) is Stored.NEW
        assert len(await Folders(store.database).list(viewer)) == 2
        assert len([one for one in await store.conversations.list(viewer) if one.folder_id is None]) == 2

    run(scenario())


def test_a_folder_that_is_there_keeps_its_own_instructions(store, run):
    async def scenario():
        viewer, folders = await store.founder(), Folders(store.database)
        kept = await folders.add(viewer, "School")
        await folders.change(viewer, kept, name="School", instructions="Mine.")
        told = FoldersToo(instructions={"School": "Theirs.", "New": "x" * 9000, "Silent": ""})
        imports = Imports(store.database, folders=told)
        await imports.add_empty_folders(viewer)
        found = {one.name: one.instructions for one in await folders.list(viewer)}
        assert found == {"School": "Mine.", "New": "x" * 1500}

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


async def exported(store, viewer, *, longer=False):
    """What another Commun's export says of the one conversation that the viewer has."""
    (summary,) = await store.conversations.list(viewer)
    whole = await store.conversations.get(viewer, summary.id)
    told = [
        {"id": one.id, "parent": one.parent_id, "role": one.role, "content": one.content}
        for one in whole.messages.values()
    ]
    last = {"id": "more", "parent": told[-1]["id"], "role": "user", "content": {"text": "And here?"}}
    every = [*told, last] if longer else told
    value = {"format": "commun-conversation/1", "id": "elsewhere", "title": "Ours", "messages": every}
    value["leaf"] = whole.leaf_id
    return conversation_of(value, str, now=1_800_000_000)


def test_what_came_over_another_commun_is_the_same_as_what_comes_from_where_it_was_first(store, imports, run):
    async def scenario():
        there, here, third = await store.founder(), await store.somebody_else(), (await store.invited("Third")).viewer
        await imports.add(there, found())
        over = await exported(store, there)
        assert await imports.add(here, over) is Stored.NEW
        assert await imports.add(here, found()) is Stored.THERE
        assert await imports.add(here, over) is Stored.THERE
        (summary,) = await store.conversations.list(here)
        told = (await store.conversations.get(here, summary.id)).path()
        assert [one.content["imported"]["from"] for one in told] == ["chatgpt"] * 4
        assert [one.content["imported"]["conversation"] for one in told] == ["conv-1"] * 4
        assert told[-1].content["imported"]["message"] == "a3"
        assert await imports.add(third, found()) is Stored.NEW
        assert await imports.add(third, over) is Stored.THERE
        longer = await exported(store, there, longer=True)
        assert await imports.add(third, longer) is Stored.NEW, "what was added there is nowhere else"
        assert await imports.add(third, longer) is Stored.THERE

    run(scenario())


def test_a_thousand_folders_are_looked_for_once_and_made_as_far_as_there_is_room(store, run, monkeypatch):
    monkeypatch.setattr("commun.store.imports.MAX_FOLDERS", 12)
    monkeypatch.setattr("commun.store.folders.MAX_FOLDERS", 12)
    opened = []
    name_of = folders_module._name
    monkeypatch.setattr(folders_module, "_name", lambda viewer, row: opened.append(row.id) or name_of(viewer, row))

    async def scenario():
        viewer, folders = await store.founder(), Folders(store.database)
        for number in range(10):
            await folders.add(viewer, f"here {number}")
        opened.clear()
        told = {"here 3": "There."} | {f"new {number}": "x" for number in range(1000)}
        imports = Imports(store.database, folders=FoldersToo(instructions=told))
        await imports.add_empty_folders(viewer)
        assert len(opened) == 10
        assert imports.folders.made == 2
        names = {one.name for one in await folders.list(viewer)}
        assert {one for one in names if one.startswith("new")} == {"new 0", "new 1"}

    run(scenario())


def test_what_is_said_of_a_long_one_is_sealed_as_far_as_it_is_kept_and_written_beside_it(store, run, monkeypatch):
    monkeypatch.setattr("commun.store.imports.MOST_SAID", 7)
    monkeypatch.setattr("commun.store.pieces.AT_ONCE", 3)
    sealed, written = [], []
    monkeypatch.setattr(
        "commun.store.imports.opinion_row", lambda *given: sealed.append(given[2]) or opinion_row(*given)
    )
    finish = Arriving.finish

    def finished(self, connection, **values):
        written.append(connection.execute(select(func.count()).select_from(feedback_table)).scalar_one())
        finish(self, connection, **values)

    monkeypatch.setattr(Arriving, "finish", finished)

    async def scenario():
        viewer, imports = await store.founder(), Imports(store.database)
        await imports.add(viewer, ours(*[{"thumb": "up"}] * 9))
        assert (len(sealed), imports.unsaid) == (7, 2)
        assert written == [7], "all but the last piece of the ten messages"
        (summary,) = await store.conversations.list(viewer)
        assert len(await Feedback(store.database).find_all(viewer, summary.id)) == 7

    run(scenario())


def test_what_is_taken_out_of_the_bin_is_not_written_again_first(store, imports, run, monkeypatch):
    monkeypatch.setattr("commun.store.pieces.AT_ONCE", 2)

    async def scenario():
        viewer = await store.founder()
        await imports.add(viewer, found())
        (summary,) = await store.conversations.list(viewer)
        await store.conversations.delete(viewer, summary.id)
        assert await imports.add(viewer, found()) is Stored.NEW
        query = select(func.count()).select_from(messages)
        assert await store.database.read(lambda connection: connection.execute(query).scalar_one()) == 5

    run(scenario())
