"""Whatever one person asks for by another person's ids is not there, and nothing changes."""

import pytest

from commun.errors import NotFound

REQUESTS = {
    "get": lambda store, who, turn: store.conversations.get(who, turn.conversation_id),
    "ask": lambda store, who, turn: store.conversations.start_turn(
        who, conversation_id=turn.conversation_id, parent_id=turn.answer_id, question="?", title=""
    ),
    "regenerate": lambda store, who, turn: store.conversations.start_turn(
        who, conversation_id=turn.conversation_id, parent_id=turn.question_id, question=None, title=""
    ),
    "rename": lambda store, who, turn: store.conversations.rename(who, turn.conversation_id, "mine"),
    "delete": lambda store, who, turn: store.conversations.delete(who, turn.conversation_id),
    "restore": lambda store, who, turn: store.conversations.restore(who, turn.conversation_id),
    "choose a branch": lambda store, who, turn: store.conversations.choose_leaf(
        who, turn.conversation_id, turn.question_id
    ),
}


async def everything(store):
    tables = ("conversations", "messages", "sessions", "api_keys", "vaults")
    return await store.database.read(
        lambda connection: [connection.exec_driver_sql(f"SELECT * FROM {one}").fetchall() for one in tables]
    )


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_anothers_conversation_is_not_there(store, run, request_):
    async def scenario():
        owner = await store.founder()
        turn = await store.chat(owner)
        stranger = await store.somebody_else()
        before = await everything(store)
        with pytest.raises(NotFound):
            await request_(store, stranger, turn)
        assert await everything(store) == before

    run(scenario())


def test_a_conversation_that_its_owner_deleted_cannot_be_restored_by_another(store, run):
    async def scenario():
        owner = await store.founder()
        turn = await store.chat(owner)
        await store.conversations.delete(owner, turn.conversation_id)
        with pytest.raises(NotFound):
            await store.conversations.restore(await store.somebody_else(), turn.conversation_id)

    run(scenario())


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_what_does_not_exist_is_not_there(store, run, request_):
    async def scenario():
        owner = await store.founder()
        turn = await store.chat(owner)
        turn.conversation_id = "c-unknown"
        with pytest.raises(NotFound):
            await request_(store, owner, turn)

    run(scenario())


def test_a_message_of_anothers_conversation_cannot_be_answered_or_shown_in_ones_own(store, run):
    async def scenario():
        theirs = await store.chat(await store.founder())
        me = await store.somebody_else()
        mine = await store.chat(me)
        for parent, question in ((theirs.answer_id, "?"), (theirs.question_id, None)):
            with pytest.raises(NotFound):
                await store.conversations.start_turn(
                    me, conversation_id=mine.conversation_id, parent_id=parent, question=question, title=""
                )
        with pytest.raises(NotFound):
            await store.conversations.choose_leaf(me, mine.conversation_id, theirs.answer_id)

    run(scenario())


def test_lists_and_searches_hold_ones_own_only(store, run):
    async def scenario():
        owner, stranger = await store.founder(), await store.somebody_else()
        await store.chat(owner, "needle", title="needle")
        mine = await store.chat(stranger, "needle too")
        assert [one.id for one in await store.conversations.list(stranger)] == [mine.conversation_id]
        hits = await store.conversations.search(stranger, "needle")
        assert {one.conversation_id for one in hits} == {mine.conversation_id}
        assert len(await store.accounts.sessions(stranger)) == 1

    run(scenario())


def test_anothers_session_and_api_key_cannot_be_revoked(store, run):
    async def scenario():
        signed_in = await store.sign_in()
        key = await store.accounts.make_api_key(signed_in.viewer.account_id, "k")
        [info] = await store.accounts.api_keys(signed_in.viewer.account_id)
        stranger = await store.somebody_else()
        with pytest.raises(NotFound):
            await store.accounts.revoke_session(stranger, signed_in.viewer.session_id)
        with pytest.raises(NotFound):
            await store.accounts.revoke_api_key(stranger.account_id, info.id)
        assert await store.accounts.viewer(signed_in.token) is not None
        assert await store.accounts.caller(key) is not None
        assert await store.accounts.api_keys(stranger.account_id) == []

    run(scenario())


@pytest.mark.parametrize(
    "swap",
    [
        "UPDATE conversations SET title = (SELECT title FROM conversations WHERE id = :other) WHERE id = :one",
        "UPDATE conversations SET sealed_key = (SELECT sealed_key FROM conversations WHERE id = :other) WHERE id = :one",
        "UPDATE messages SET role = 'assistant' WHERE conversation_id = :one",
        "UPDATE messages SET role = 'system' WHERE conversation_id = :one AND role = 'user'",
        "UPDATE messages SET parent_id = NULL WHERE conversation_id = :one",
        "UPDATE messages SET conversation_id = :one WHERE conversation_id = :other",
        "UPDATE messages SET content = (SELECT content FROM messages WHERE role = 'user') WHERE conversation_id = :one",
    ],
    ids=["title", "key", "roles", "one role", "parents", "conversation", "content"],
)
def test_rows_that_somebody_swapped_in_the_database_do_not_open(store, run, swap):
    from sqlalchemy import text

    from commun.store.vault import VaultError

    async def scenario():
        viewer = await store.founder()
        one, other = await store.chat(viewer, "one"), await store.chat(viewer, "other")
        ids = {"one": one.conversation_id, "other": other.conversation_id}
        given = {name: value for name, value in ids.items() if f":{name}" in swap}
        await store.database.write(lambda connection: connection.execute(text(swap), given))
        with pytest.raises(VaultError):
            await store.conversations.get(viewer, one.conversation_id)

    run(scenario())
