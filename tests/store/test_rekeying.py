"""Who is sent away opens nothing that is stored from then on: the conversation has another key, whole or not at all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import LargeBinary, delete, update
from structlog.testing import capture_logs

from commun.errors import Conflict, NotFound
from commun.receipts.statement import receipt_id
from commun.store import rekeying
from commun.store.conversations import MessageState
from commun.store.feedback import Feedback, Opinion, Thumb
from commun.store.readers import Readers
from commun.store.reading import Reading
from commun.store.receipts import Receipts
from commun.store.rekeying import ATTEMPTS, SEALED, StillWriting, prepare
from commun.store.schema import messages, metadata
from commun.store.schema import receipts as receipts_table
from made_receipt import CONTENT, made_receipt
from opened_store import open_store, told_until_killed
from read_by_others import answered, everything, files_with, key_of, opened_with, people, read_by, stored

# Columns of a conversation's rows that are sealed otherwise: under a link, an API key, a reader's vault.
OTHERWISE = {"shares.sealed", "receipts.caller_sealed", "readers.sealed_key"}


@pytest.fixture
def readers(store) -> Readers:
    return Readers(store.database, now=store.clock)


@pytest.fixture
def reading(store) -> Reading:
    return Reading(store.database, now=store.clock)


def test_once_it_has_ended_the_old_key_opens_nothing_and_everybody_else_reads_on(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        other = (await store.invited("Cy")).viewer
        turn = await answered(store, owner)
        where = turn.conversation_id
        await answered(store, owner, "And then?", conversation_id=where, parent_id=turn.answer_id)
        said = Opinion(Thumb.DOWN, (), "not so")
        await Feedback(store.database).say(owner, where, turn.answer_id, said)
        theirs = await read_by(store, readers, owner, reader, where)
        others = await read_by(store, readers, owner, other, where)
        link = await readers.make_link(owner, where)
        beside = await answered(store, owner)
        old = await key_of(store, reader, theirs)
        columns = {"conversations.title", *(f"{each.table.name}.{each.column}" for each in SEALED)}
        assert await opened_with(store, old, where) == columns, "else the test below would be true of anything"
        before, proof = (await store.conversations.get(owner, where)), receipt_id(turn.answer_id)
        receipts = Receipts(store.database)
        receipt, untouched = await receipts.get(owner, proof), await everything(store)

        await readers.end(owner, theirs)
        assert await opened_with(store, old, where) == set()
        with pytest.raises(NotFound):
            await reading.get(reader, theirs)
        with pytest.raises(NotFound):
            await readers.accept(await store.somebody_else(), link.token)
        assert await store.conversations.get(owner, where) == before
        assert await receipts.get(owner, proof) == receipt
        assert await Feedback(store.database).find(owner, where, turn.answer_id) == said
        assert (await reading.get(other, others)).conversation == before
        assert [each.name for each in await readers.list(owner)] == ["Cy"]
        for row in untouched["messages"]:
            if row.conversation_id == where:
                assert files_with(store.home, row.content[:64]) == [], "the old bytes are overwritten"
        now = await everything(store)
        for name in ("messages", "receipts"):
            assert [each for each in now[name] if each.conversation_id == beside.conversation_id] == [
                each for each in untouched[name] if each.conversation_id == beside.conversation_id
            ]

        later = await answered(store, owner, "Later?", conversation_id=where, parent_id=before.leaf_id)
        assert await opened_with(store, old, where) == set()
        assert later.answer_id in (await reading.get(other, others)).conversation.messages

    run(scenario())


def test_every_sealed_column_of_a_conversations_rows_is_known_to_the_change_of_keys():
    """A table that is added later is named here, or a change of keys would leave it under the old one."""
    found = {
        str(column)
        for each in metadata.sorted_tables
        if "conversation_id" in each.c
        for column in each.c
        if isinstance(column.type, LargeBinary) and str(column.comment).startswith("Sealed")
    }
    assert found == {f"{each.table.name}.{each.column}" for each in SEALED} | OTHERWISE


Trees = st.lists(st.tuples(st.integers(0, 50), st.text(max_size=30), st.booleans()), min_size=1, max_size=12)


def test_whatever_a_conversation_holds_it_is_the_same_under_its_new_key(tmp_path, run):
    """Trees of any shape, with receipts and without, one after the other in one store."""
    store = open_store(tmp_path / "home")
    readers = Readers(store.database)
    owner, reader = run(people(store))

    @settings(max_examples=20, deadline=None)
    @given(Trees)
    def check(tree):
        async def scenario():
            answers: list[str] = []
            where = None
            for at, text, sealed in tree:
                parent = answers[at % len(answers)] if answers and at else None
                turn = await store.conversations.start_turn(
                    owner, conversation_id=where, parent_id=parent, question=text, title=text
                )
                receipt = made_receipt(turn.answer_id) if sealed else None
                await turn.keep(CONTENT if sealed else {"text": text}, MessageState.COMPLETE, receipt)
                where = turn.conversation_id
                answers.append(turn.answer_id)
            theirs = await read_by(store, readers, owner, reader, where)
            old, before = await key_of(store, reader, theirs), await store.conversations.get(owner, where)
            await readers.end(owner, theirs)
            assert await store.conversations.get(owner, where) == before
            assert await opened_with(store, old, where) == set()

        run(scenario())

    check()
    store.database.close()


def test_a_damaged_row_is_left_as_it_is_and_keeps_no_reader(store, readers, reading, run):
    """Whoever could damage one row would else keep who reads the conversation for ever."""

    async def scenario():
        owner, reader = await people(store)
        turn = await answered(store, owner)
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        other = (await store.invited("Cy")).viewer
        others = await read_by(store, readers, owner, other, turn.conversation_id)
        last = update(messages).where(messages.c.id == turn.answer_id).values(content=b"\x03damaged")
        await store.database.write(lambda connection: connection.execute(last))
        old = await key_of(store, reader, theirs)
        with capture_logs() as logs:
            await readers.end(owner, theirs)
        assert [each["count"] for each in logs if "do not open" in each["event"]] == [1]
        assert await opened_with(store, old, turn.conversation_id) == set()
        with pytest.raises(NotFound):
            await reading.get(reader, theirs)
        content = {each.id: each.content for each in (await everything(store))["messages"]}
        assert content[turn.answer_id] == b"\x03damaged"
        renewed = await key_of(store, other, others)
        assert {"messages.content", "receipts.sealed"} <= await opened_with(store, renewed, turn.conversation_id)

    run(scenario())


KILLED = """
import asyncio, os, sys
from pathlib import Path
from commun.store import rekeying
from commun.store.readers import Readers
from opened_store import open_store

async def scenario(home):
    store = open_store(home)
    readers = Readers(store.database)
    owner, reader = await store.invited("Ada"), await store.invited("Bob")
    turn = await store.chat(owner.viewer, answer="kept")
    made = await readers.make_link(owner.viewer, turn.conversation_id)
    theirs = await readers.accept(reader.viewer, made.token)
    print(owner.token, reader.token, turn.conversation_id, theirs, flush=True)
    rekeying._seal_to_readers = lambda *_given: os.kill(os.getpid(), 9)
    await readers.end(owner.viewer, theirs)

asyncio.run(scenario(Path(sys.argv[1])))
"""


def test_a_kill_in_the_middle_leaves_the_conversation_under_its_old_key(tmp_path, run):
    told = told_until_killed(KILLED, tmp_path / "home")
    owner_token, reader_token, where, theirs = told.splitlines()[-1].split()
    store = open_store(tmp_path / "home")
    reading, readers = Reading(store.database), Readers(store.database)

    async def scenario():
        owner, reader = await store.accounts.viewer(owner_token), await store.accounts.viewer(reader_token)
        mine = await store.conversations.get(owner, where)
        assert mine.path()[-1].content["text"] == "kept"
        assert (await reading.get(reader, theirs)).conversation == mine
        await readers.end(owner, theirs)
        assert await store.conversations.get(owner, where) == mine

    run(scenario())
    store.database.close()


def test_not_while_an_answer_is_being_written_and_then_nothing_has_changed(store, readers, reading, run):
    async def scenario():
        owner, reader = await people(store)
        turn = await store.chat(owner)
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        running = await store.conversations.start_turn(
            owner, conversation_id=turn.conversation_id, parent_id=turn.answer_id, question="More?", title=""
        )
        await running.checkpoint({"text": "So fa"})
        assert (await reading.list(reader))[0].running
        assert (await reading.get(reader, theirs)).conversation.path()[-1].content["text"] == "So fa"
        before = await everything(store)
        with pytest.raises(StillWriting):
            await readers.end(owner, theirs)
        with pytest.raises(StillWriting):
            await reading.copy(reader, theirs, called=str)
        assert await everything(store) == before
        await running.keep({"text": "So far so good."}, MessageState.COMPLETE)
        await readers.end(owner, theirs)
        found = await store.conversations.get(owner, turn.conversation_id)
        assert found.path()[-1].content["text"] == "So far so good."

    run(scenario())


@pytest.fixture
def meanwhile(monkeypatch) -> Callable[[Callable[[], Awaitable[object]]], None]:
    """What is done each time that the new seals are ready and not written yet."""

    def set_(done: Callable[[], Awaitable[object]]) -> None:
        loop = asyncio.get_running_loop()

        def prepared(*given):
            ready = prepare(*given)
            asyncio.run_coroutine_threadsafe(done(), loop).result(60)
            return ready

        monkeypatch.setattr(rekeying, "prepare", prepared)

    return set_


@pytest.mark.parametrize("written", ["an answer", "a thumb", "a title", "a message less"])
def test_what_is_written_while_the_seals_are_made_is_under_the_new_key_too(store, readers, run, meanwhile, written):
    """It begins again: what was made ready does not have it."""

    async def scenario():
        owner, reader = await people(store)
        turn = await answered(store, owner)
        where = turn.conversation_id
        theirs = await read_by(store, readers, owner, reader, where)
        old, times = await key_of(store, reader, theirs), []
        feedback = Feedback(store.database)

        async def write():
            times.append(written)
            if len(times) > 1:
                return
            if written == "an answer":
                await answered(store, owner, "And then?", conversation_id=where, parent_id=turn.answer_id)
            elif written == "a thumb":
                await feedback.set_thumb(owner, where, turn.answer_id, Thumb.UP)
            elif written == "a title":
                await store.conversations.rename(owner, where, "Renamed")
            else:
                one = delete(receipts_table).where(receipts_table.c.message_id == turn.answer_id)
                await store.database.write(lambda connection: connection.execute(one))

        meanwhile(write)
        await readers.end(owner, theirs)
        assert len(times) == 2
        assert await opened_with(store, old, where) == set()
        found = await store.conversations.get(owner, where)
        assert len(found.messages) == (4 if written == "an answer" else 2)
        assert found.title == ("Renamed" if written == "a title" else "A canary-title-51")
        said = await feedback.find(owner, where, turn.answer_id)
        assert said.thumb is (Thumb.UP if written == "a thumb" else Thumb.NONE)

    run(scenario())


def test_a_question_that_comes_while_the_seals_are_made_goes_on_and_the_reading_too(store, readers, run, meanwhile):
    async def scenario():
        owner, reader = await people(store)
        turn = await store.chat(owner)
        where = turn.conversation_id
        theirs = await read_by(store, readers, owner, reader, where)
        begun = []

        async def ask():
            begun.append(
                await store.conversations.start_turn(
                    owner, conversation_id=where, parent_id=turn.answer_id, question="Now?", title=""
                )
            )
            begun.append(await everything(store))

        meanwhile(ask)
        with pytest.raises(StillWriting):
            await readers.end(owner, theirs)
        question, before = begun
        assert await everything(store) == before
        await question.keep({"text": "now"}, MessageState.COMPLETE)
        assert (await store.conversations.get(owner, where)).path()[-1].content["text"] == "now"

    run(scenario())


def test_where_something_is_written_each_time_it_gives_up_and_nothing_has_changed(store, readers, run, meanwhile):
    async def scenario():
        owner, reader = await people(store)
        turn = await store.chat(owner)
        theirs = await read_by(store, readers, owner, reader, turn.conversation_id)
        old, times = await key_of(store, reader, theirs), []

        async def rename():
            times.append(await store.conversations.rename(owner, turn.conversation_id, f"Renamed {len(times)}"))

        meanwhile(rename)
        with pytest.raises(StillWriting):
            await readers.end(owner, theirs)
        assert len(times) == ATTEMPTS
        assert (await store.conversations.get(owner, turn.conversation_id)).title == f"Renamed {ATTEMPTS - 1}"
        assert "messages.content" in await opened_with(store, old, turn.conversation_id)
        assert [each.id for each in await stored(store)] == [theirs]

    run(scenario())


def test_questions_that_come_at_any_moment_are_under_one_key_or_the_other(store, readers, run):
    """Either the answer has begun, and the reading goes on; or the key has changed, and the answer is under it."""

    async def scenario():
        owner, reader = await people(store)
        turn = await store.chat(owner)
        where, parent = turn.conversation_id, turn.answer_id
        for number in range(12):
            theirs = await read_by(store, readers, owner, reader, where)
            old = await key_of(store, reader, theirs)
            asking = store.conversations.start_turn(
                owner, conversation_id=where, parent_id=parent, question=f"{number}?", title=""
            )
            both = (asking, readers.end(owner, theirs)) if number % 2 else (readers.end(owner, theirs), asking)
            results = await asyncio.gather(*both, return_exceptions=True)
            begun = results[0 if number % 2 else 1]
            await begun.keep({"text": str(number)}, MessageState.COMPLETE)
            parent = begun.answer_id
            if isinstance(results[1 if number % 2 else 0], Conflict):
                await readers.end(owner, theirs)
            assert (await store.conversations.get(owner, where)).path()[-1].content["text"] == str(number)
            assert await opened_with(store, old, where) == set()

    run(scenario())


def test_two_readings_of_one_conversation_end_at_once(store, readers, run):
    async def scenario():
        owner, reader = await people(store)
        other = (await store.invited("Cy")).viewer
        turn = await answered(store, owner)
        both = [await read_by(store, readers, owner, one, turn.conversation_id) for one in (reader, other)]
        before = await store.conversations.get(owner, turn.conversation_id)
        old = await key_of(store, reader, both[0])
        await asyncio.gather(*(readers.end(owner, one) for one in both))
        assert await stored(store) == []
        assert await store.conversations.get(owner, turn.conversation_id) == before
        assert await opened_with(store, old, turn.conversation_id) == set()

    run(scenario())
