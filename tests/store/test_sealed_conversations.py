"""Conversations as their owner knows them: turns, branches, deletion, search."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commun.errors import Conflict, InvalidParameter, NotFound
from commun.store.conversations import MessageState
from commun.store.search import MAX_HITS, excerpt, fold
from commun.store.vault import NoVault
from opened_store import open_store

DAY = 86_400


async def begin(store, viewer, question="Why?", **more):
    given = {"conversation_id": None, "parent_id": None, "question": question, "title": "A chat"} | more
    return await store.conversations.start_turn(viewer, **given)


def texts(messages):
    return [(one.role, one.content["text"], one.state.value) for one in messages]


def test_a_turn_is_stored_whole(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await begin(store, viewer, "Où est-ce ? 🦊")
        content = {"text": "Ici.", "token_ids": [1, 2], "logprobs": [-0.5, -0.25], "seed": 7}
        await turn.keep(content, MessageState.COMPLETE)
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert stored.title == "A chat"
        assert texts(stored.path()) == [("user", "Où est-ce ? 🦊", "complete"), ("assistant", "Ici.", "complete")]
        assert stored.messages[turn.answer_id].content == content
        assert stored.leaf_id == turn.answer_id

    run(scenario())


def test_a_running_answer_shows_as_running_and_keeps_its_last_checkpoint(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await begin(store, viewer)
        await turn.checkpoint({"text": "Be"})
        await turn.checkpoint({"text": "Becau"})
        assert [one.running for one in await store.conversations.list(viewer)] == [True]
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert texts(stored.path())[-1] == ("assistant", "Becau", "running")

    run(scenario())


@pytest.mark.parametrize("state", [MessageState.STOPPED, MessageState.FAILED, MessageState.COMPLETE])
def test_a_kept_answer_is_final(store, run, state):
    async def scenario():
        viewer = await store.founder()
        turn = await begin(store, viewer)
        await turn.keep({"text": "The end."}, state)
        await turn.checkpoint({"text": "late"})
        with pytest.raises(NotFound):
            await turn.keep({"text": "later"}, MessageState.COMPLETE)
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert texts(stored.path())[-1] == ("assistant", "The end.", state.value)
        assert not (await store.conversations.list(viewer))[0].running

    run(scenario())


def test_an_answer_is_kept_even_if_its_writer_is_cancelled(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await begin(store, viewer)
        keeping = asyncio.ensure_future(turn.keep({"text": "Kept."}, MessageState.COMPLETE))
        await asyncio.sleep(0)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
        await store.database.write(lambda connection: None)
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert texts(stored.path())[-1] == ("assistant", "Kept.", "complete")

    run(scenario())


def test_a_second_question_waits_for_the_first_answer(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await begin(store, viewer)
        with pytest.raises(Conflict):
            await begin(store, viewer, conversation_id=turn.conversation_id, parent_id=turn.answer_id)
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert len(stored.messages) == 2
        await turn.keep({"text": "."}, MessageState.COMPLETE)
        await begin(store, viewer, conversation_id=turn.conversation_id, parent_id=turn.answer_id)

    run(scenario())


def test_of_many_questions_at_once_one_is_taken(store, run):
    async def scenario():
        viewer = await store.founder()
        first = await store.chat(viewer)
        known = {"conversation_id": first.conversation_id, "parent_id": first.answer_id}
        tried = await asyncio.gather(*(begin(store, viewer, **known) for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(one, Conflict) for one in tried) == 19
        assert len((await store.conversations.get(viewer, first.conversation_id)).messages) == 4

    run(scenario())


def test_editing_and_regenerating_make_siblings(store, run):
    async def scenario():
        viewer = await store.founder()
        first = await store.chat(viewer, "Why?")
        known = first.conversation_id
        again = await store.chat(viewer, None, "Because!", conversation_id=known, parent_id=first.question_id)
        edited = await store.chat(viewer, "Why not?", "Hm.", conversation_id=known, parent_id=None)
        stored = await store.conversations.get(viewer, known)
        assert stored.siblings(first.answer_id) == [first.answer_id, again.answer_id]
        assert stored.siblings(first.question_id) == [first.question_id, edited.question_id]
        assert [one.content["text"] for one in stored.path()] == ["Why not?", "Hm."]
        assert stored.leaf_under(first.question_id) == again.answer_id
        await store.conversations.choose_leaf(viewer, known, first.answer_id)
        stored = await store.conversations.get(viewer, known)
        assert [one.content["text"] for one in stored.path()] == ["Why?", "Because."]

    run(scenario())


def test_questions_follow_answers_and_answers_follow_questions(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await store.chat(viewer)
        other = await store.chat(viewer)
        known = turn.conversation_id
        for wrong, error in (
            ({"conversation_id": known, "parent_id": turn.question_id}, InvalidParameter),
            ({"conversation_id": known, "parent_id": turn.answer_id, "question": None}, InvalidParameter),
            ({"conversation_id": known, "parent_id": None, "question": None}, InvalidParameter),
            ({"conversation_id": None, "parent_id": turn.answer_id}, InvalidParameter),
            ({"conversation_id": None, "question": None}, InvalidParameter),
            ({"conversation_id": known, "parent_id": other.answer_id}, NotFound),
            ({"conversation_id": "c-unknown", "parent_id": None}, NotFound),
        ):
            with pytest.raises(error):
                await begin(store, viewer, **wrong)
        assert len((await store.conversations.get(viewer, known)).messages) == 2
        assert len(await store.conversations.list(viewer)) == 2

    run(scenario())


def test_the_list_is_newest_first_and_renaming_does_not_move_it(store, run):
    async def scenario():
        viewer = await store.founder()
        turns = [await store.chat(viewer, title=name) for name in ("one", "two", "three")]
        await store.conversations.rename(viewer, turns[0].conversation_id, "ONE — « été »")
        titles = [one.title for one in await store.conversations.list(viewer)]
        assert titles == ["three", "two", "ONE — « été »"]

    run(scenario())


def test_a_deleted_conversation_can_be_restored_until_it_is_purged(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await store.chat(viewer)
        one = turn.conversation_id
        await store.conversations.delete(viewer, one)
        assert await store.conversations.list(viewer) == []
        assert await store.conversations.search(viewer, "because") == []
        with pytest.raises(NotFound):
            await store.conversations.get(viewer, one)
        assert await store.conversations.purge_deleted(older_than_s=60) == 0
        await store.conversations.restore(viewer, one)
        assert len((await store.conversations.get(viewer, one)).messages) == 2
        await store.conversations.delete(viewer, one)
        store.clock.offset = 61
        assert await store.conversations.purge_deleted(older_than_s=60) == 1
        with pytest.raises(NotFound):
            await store.conversations.restore(viewer, one)

    run(scenario())


def test_an_answer_that_ends_after_its_conversation_was_deleted_is_there_when_it_is_restored(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await begin(store, viewer)
        await store.conversations.delete(viewer, turn.conversation_id)
        await turn.keep({"text": "Still."}, MessageState.COMPLETE)
        await store.conversations.restore(viewer, turn.conversation_id)
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert texts(stored.path())[-1] == ("assistant", "Still.", "complete")

    run(scenario())


def test_what_the_api_stores_is_read_in_the_page(store, run):
    async def scenario():
        viewer = await store.founder()
        caller = await store.accounts.caller(await store.accounts.make_api_key(viewer.account_id, "script"))
        question = [{"role": "system", "text": "Be brief."}, {"role": "user", "text": "Why?"}]
        stored_as = await store.conversations.record_turn(
            caller, title="From a script", question=question, answer={"text": "So.", "token_ids": [5]}
        )
        stored = await store.conversations.get(viewer, stored_as)
        assert [(one.role, one.content["text"]) for one in stored.path()] == [
            ("system", "Be brief."),
            ("user", "Why?"),
            ("assistant", "So."),
        ]
        await store.chat(viewer, "And?", conversation_id=stored_as, parent_id=stored.leaf_id)
        assert len((await store.conversations.get(viewer, stored_as)).path()) == 5

    run(scenario())


@pytest.mark.parametrize("state", [MessageState.STOPPED, MessageState.FAILED, MessageState.COMPLETE])
def test_the_api_says_how_its_answer_ended(store, run, state):
    async def scenario():
        viewer = await store.founder()
        caller = await store.accounts.caller(await store.accounts.make_api_key(viewer.account_id, "script"))
        question = [{"role": "user", "text": "Why?"}]
        stored_as = await store.conversations.record_turn(
            caller, title="T", question=question, answer={"text": "S"}, state=state
        )
        path = (await store.conversations.get(viewer, stored_as)).path()
        assert [one.state for one in path] == [MessageState.COMPLETE, state]

    run(scenario())


def test_once_listed_what_the_api_stored_is_sealed_by_its_owner_and_opens_as_before(store, run):
    async def scenario():
        viewer = await store.founder()
        caller = await store.accounts.caller(await store.accounts.make_api_key(viewer.account_id, "script"))
        for title in ("one", "two"):
            question = [{"role": "user", "text": "Why?"}]
            await store.conversations.record_turn(caller, title=title, question=question, answer={"text": "So."})

        def versions(connection):
            return [row[0][:1] for row in connection.exec_driver_sql("SELECT sealed_key FROM conversations")]

        assert await store.database.read(versions) == [b"\x01", b"\x01"]
        before = await store.conversations.list(viewer)
        await store.database.write(lambda connection: None)
        assert await store.database.read(versions) == [b"\x02", b"\x02"]
        assert await store.conversations.list(viewer) == before
        assert (await store.conversations.get(viewer, before[0].id)).path()[-1].content == {"text": "So."}

    run(scenario())


def test_half_a_character_does_no_harm(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await store.chat(viewer, "a\ud800b", "c\udfffd", title="\ud83e")
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert [one.content["text"] for one in stored.path()] == ["a?b", "c?d"]
        assert stored.title == "?"

    run(scenario())


def test_the_list_can_be_bounded(store, run):
    async def scenario():
        viewer = await store.founder()
        for title in ("one", "two", "three"):
            await store.chat(viewer, title=title)
        assert [one.title for one in await store.conversations.list(viewer, limit=2)] == ["three", "two"]

    run(scenario())


def test_without_a_vault_nothing_is_stored(store, run):
    async def scenario():
        founder = await store.accounts.ensure_founder()
        caller = await store.accounts.caller(await store.accounts.make_api_key(founder, "script"))
        with pytest.raises(NoVault):
            await store.conversations.record_turn(caller, title="T", question=[], answer={"text": "a"})

    run(scenario())


def test_what_was_running_when_the_process_ended_was_interrupted(store, run):
    async def scenario():
        viewer = await store.founder()
        turn = await begin(store, viewer)
        await turn.checkpoint({"text": "half"})
        done = await store.chat(viewer)
        assert await store.conversations.recover() == 1
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert texts(stored.path())[-1] == ("assistant", "half", "interrupted")
        stored = await store.conversations.get(viewer, done.conversation_id)
        assert texts(stored.path())[-1] == ("assistant", "Because.", "complete")

    run(scenario())


def test_search_ignores_case_and_accents_and_shows_the_place(store, run):
    async def scenario():
        viewer = await store.founder()
        long = "x " * 300 + "Les ÉLÈVES de l’école " + "y " * 300
        one = await store.chat(viewer, "Qui ?", long, title="Rentrée")
        two = await store.chat(viewer, "eleves?", "Nobody.", title="élèves")
        hits = await store.conversations.search(viewer, " élèves")
        found = [(hit.conversation_id, hit.message_id, hit.title) for hit in hits]
        assert found == [
            (two.conversation_id, None, "élèves"),
            (two.conversation_id, two.question_id, "élèves"),
            (one.conversation_id, one.answer_id, "Rentrée"),
        ]
        assert "Les ÉLÈVES de l’école" in hits[-1].excerpt
        assert len(hits[-1].excerpt) < 200
        assert await store.conversations.search(viewer, "   ") == []

    run(scenario())


def test_search_is_bounded(store, run):
    async def scenario():
        viewer = await store.founder()
        for _ in range(30):
            await store.chat(viewer, "needle", "needle")
        assert len(await store.conversations.search(viewer, "needle")) == MAX_HITS

    run(scenario())


@given(st.text(max_size=60), st.text(min_size=1, max_size=8), st.text(max_size=60))
def test_whatever_stands_in_a_text_is_found_in_it(before, needle, after):
    if fold(needle).strip():
        assert excerpt(before + " " + needle + " " + after, fold(needle)) is not None


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), max_size=8))
def test_the_stored_tree_is_the_tree_that_was_written(steps, tmp_path_factory):
    """Any order of questions under any answer and of regenerated answers to any question."""
    store = open_store(tmp_path_factory.mktemp("tree") / "home")

    async def scenario():
        viewer = await store.founder()
        first = await store.chat(viewer, "q", "a")
        known = first.conversation_id
        parents = {first.question_id: None, first.answer_id: first.question_id}
        questions, answers, last = [first.question_id], [first.answer_id], first
        for regenerate, pick in steps:
            under = questions[pick % len(questions)] if regenerate else [None, *answers][pick % (len(answers) + 1)]
            question = None if regenerate else "q"
            last = await store.chat(viewer, question, "a", conversation_id=known, parent_id=under)
            if not regenerate:
                parents[last.question_id] = under
                questions.append(last.question_id)
            parents[last.answer_id] = last.question_id
            answers.append(last.answer_id)
        stored = await store.conversations.get(viewer, known)
        assert {one.id: one.parent_id for one in stored.messages.values()} == parents
        assert list(stored.messages) == list(parents)
        assert stored.leaf_id == last.answer_id

    try:
        asyncio.run(scenario())
    finally:
        store.database.close()
