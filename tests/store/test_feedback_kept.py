"""What people say of answers, in the store: sealed twice, always as long, its owner's alone, and really gone."""

import pytest
from sqlalchemy import delete, select

from commun.errors import Conflict, NotFound, VaultLocked
from commun.store import rows
from commun.store.conversations import MessageState
from commun.store.feedback import MAX_REMARK, NOTHING, PLAIN_BYTES, Feedback, Opinion, Reason, Thumb, plain_remark
from commun.store.people import Viewer
from commun.store.schema import conversations
from commun.store.schema import feedback as table
from commun.store.vault import VaultError, bind

REMARK = "canary-remark-6a2e91"
EVERYTHING = Opinion(Thumb.DOWN, tuple(Reason), "😀" * MAX_REMARK)


@pytest.fixture
def feedback(store) -> Feedback:
    return Feedback(store.database, now=store.clock)


async def sealed_rows(store) -> list:
    return await store.database.read(lambda connection: connection.execute(select(table)).fetchall())


def test_what_is_said_is_kept_changed_and_taken_back(store, feedback, run):
    async def scenario():
        viewer = await store.founder()
        turn = await store.chat(viewer)
        place = viewer, turn.conversation_id, turn.answer_id
        assert await feedback.find(*place) == NOTHING
        await feedback.set_thumb(*place, Thumb.DOWN)
        said = Opinion(Thumb.DOWN, (Reason.UNTRUE, Reason.OTHER), REMARK)
        assert await feedback.say(*place, said) == said
        turned = await feedback.set_thumb(*place, Thumb.UP)
        assert turned == Opinion(Thumb.UP, said.reasons, REMARK), "a thumb leaves the rest as it is"
        assert await feedback.find_all(viewer, turn.conversation_id) == {turn.answer_id: turned}
        assert len(await sealed_rows(store)) == 1
        assert not await feedback.say(*place, NOTHING)
        assert await sealed_rows(store) == []
        await feedback.set_thumb(*place, Thumb.UP)
        await feedback.set_thumb(*place, Thumb.NONE)
        assert await sealed_rows(store) == [], "a thumb alone that is taken back leaves no row"

    run(scenario())


def test_nothing_of_it_shows_in_its_length_or_its_bytes(store, feedback, run):
    async def scenario():
        viewer = await store.founder()
        lengths = set()
        for said in (Opinion(Thumb.UP), Opinion(Thumb.DOWN), Opinion(remark=REMARK), EVERYTHING):
            turn = await store.chat(viewer)
            await feedback.say(viewer, turn.conversation_id, turn.answer_id, said)
            assert await feedback.find(viewer, turn.conversation_id, turn.answer_id) == said
        for row in await sealed_rows(store):
            lengths.add(len(row.sealed))
        assert len(lengths) == 1
        assert lengths.pop() > PLAIN_BYTES
        files = [path.read_bytes() for path in store.home.rglob("*") if path.is_file()]
        assert not [data for data in files if REMARK.encode() in data]

    run(scenario())


def test_it_is_not_there_for_anybody_else(store, feedback, run):
    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        turn = await store.chat(viewer)
        place = turn.conversation_id, turn.answer_id
        await feedback.set_thumb(viewer, *place, Thumb.DOWN)
        for attempt in (
            feedback.find(other, *place),
            feedback.set_thumb(other, *place, Thumb.UP),
            feedback.say(other, *place, NOTHING),
            feedback.set_thumb(viewer, turn.conversation_id, turn.question_id, Thumb.UP),
            feedback.set_thumb(viewer, (await store.chat(viewer)).conversation_id, turn.answer_id, Thumb.UP),
        ):
            with pytest.raises(NotFound):
                await attempt
        assert await feedback.find_all(other, turn.conversation_id) == {}
        assert (await feedback.find(viewer, *place)).thumb is Thumb.DOWN
        locked = Viewer(viewer.account_id, "s", "", "", None, viewer.vault_id)
        with pytest.raises(VaultLocked):
            await feedback.find(locked, *place)

    run(scenario())


def test_the_conversations_key_alone_does_not_open_it(store, feedback, run):
    """Whoever is given that key, to read along, is not given what its owner thinks."""

    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        turn = await store.chat(viewer)
        await feedback.set_thumb(viewer, turn.conversation_id, turn.answer_id, Thumb.DOWN)
        (row,) = await sealed_rows(store)
        query = select(conversations).where(conversations.c.id == turn.conversation_id)
        owned = await store.database.read(lambda connection: connection.execute(query).one())
        context = bind("feedback", "sealed", turn.answer_id, turn.conversation_id)
        inner = rows.open_conversation_key(viewer, owned).open(row.sealed, context)
        assert b"down" not in inner
        assert b"down" in viewer.key.open(inner, context)
        with pytest.raises(VaultError):
            other.key.open(inner, context)

    run(scenario())


def test_it_goes_with_its_conversation(store, feedback, run):
    async def scenario():
        viewer = await store.founder()
        turn = await store.chat(viewer)
        await feedback.set_thumb(viewer, turn.conversation_id, turn.answer_id, Thumb.UP)
        await store.conversations.delete(viewer, turn.conversation_id)
        assert await feedback.find_all(viewer, turn.conversation_id) == {}
        await store.conversations.restore(viewer, turn.conversation_id)
        assert await feedback.find_all(viewer, turn.conversation_id)
        (row,) = await sealed_rows(store)
        await store.conversations.erase(viewer, turn.conversation_id)
        assert await sealed_rows(store) == []
        files = [path.read_bytes() for path in store.home.rglob("*") if path.is_file()]
        assert not [data for data in files if row.sealed[40:80] in data]

    run(scenario())


def test_an_answer_that_is_being_written_is_not_judged_yet(store, feedback, run):
    async def scenario():
        viewer = await store.founder()
        turn = await store.conversations.start_turn(
            viewer, conversation_id=None, parent_id=None, question="Why?", title="A chat"
        )
        with pytest.raises(Conflict):
            await feedback.set_thumb(viewer, turn.conversation_id, turn.answer_id, Thumb.UP)
        await turn.keep({"text": "Because."}, MessageState.STOPPED)
        assert await feedback.set_thumb(viewer, turn.conversation_id, turn.answer_id, Thumb.UP)

    run(scenario())


def test_sealed_bytes_that_were_moved_do_not_open(store, feedback, run):
    async def scenario():
        viewer = await store.founder()
        turns = [await store.chat(viewer) for _ in range(2)]
        for turn, thumb in zip(turns, (Thumb.UP, Thumb.DOWN), strict=True):
            await feedback.set_thumb(viewer, turn.conversation_id, turn.answer_id, thumb)
        first, second = await sealed_rows(store)

        def swap(connection):
            connection.execute(delete(table).where(table.c.message_id == second.message_id))
            moved = table.update().where(table.c.message_id == first.message_id).values(sealed=second.sealed)
            connection.execute(moved)

        await store.database.write(swap)
        with pytest.raises(VaultError):
            await feedback.find(viewer, first.conversation_id, first.message_id)

    run(scenario())


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  a\r\nb\rc \n", "a\nb\nc"),
        ("a\x00b\x1bc\x7fd\te", "abcde"),
        ("x" * (MAX_REMARK + 9), "x" * MAX_REMARK),
        ("\ud800", "\ud800"),
    ],
)
def test_a_remark_is_plain_text_of_a_bounded_length(typed, kept):
    assert plain_remark(typed) == kept
