"""A receipt is stored with its answer, opened by its owner, and erased with it, salts first to last."""

import hashlib
import json
import zlib
from dataclasses import replace

import pytest
from sqlalchemy import update

from commun.errors import NotFound, VaultLocked
from commun.ledger.keys import to_base64
from commun.receipts.commitments import check_commitment
from commun.receipts.statement import receipt_id
from commun.store import rows
from commun.store.conversations import MessageState
from commun.store.receipts import Receipts, place_rows
from commun.store.schema import messages, receipts
from commun.store.tree import new_id
from commun.store.vault import VaultError, bind, open_under
from made_receipt import CONTENT, VALUES, made_receipt


@pytest.fixture
def kept(store):
    return Receipts(store.database, now=store.clock)


async def answered(store, viewer, values=VALUES, content=CONTENT):
    """A conversation of one answer with its receipt; the turn and the receipt."""
    turn = await store.conversations.start_turn(
        viewer, conversation_id=None, parent_id=None, question="Why?", title="A chat"
    )
    receipt = made_receipt(turn.answer_id, values)
    await turn.keep(content, MessageState.COMPLETE, receipt)
    return turn, receipt


async def recorded(store, caller, token):
    """The same through the API; the conversation's id and the receipt."""
    answer_id = new_id()
    receipt = made_receipt(answer_id)
    question = [{"role": "user", "text": "Why?"}]
    conversation_id = await store.conversations.record_turn(
        caller, title="A chat", question=question, answer=CONTENT, receipt=receipt, answer_id=answer_id, token=token
    )
    return conversation_id, receipt


def test_the_owner_gets_the_receipt_with_all_that_it_commits_to(store, kept, run):
    async def scenario():
        viewer = await store.founder()
        turn, receipt = await answered(store, viewer)
        stored = await kept.get(viewer, receipt_id(turn.answer_id))
        assert stored.envelope == receipt.envelope
        assert stored.entry_sha256 == hashlib.sha256(receipt.envelope).hexdigest()
        assert (stored.key, stored.position) == (receipt.key, None)
        assert (stored.conversation_id, stored.message_id) == (turn.conversation_id, turn.answer_id)
        assert (stored.salts, stored.values) == (receipt.salts, receipt.values)
        for name, value in stored.values.by_field().items():
            if value is not None:
                check_commitment(name, value, stored.salts[name], receipt.statement.commitments[name])

    run(scenario())


@pytest.mark.parametrize(
    ("values", "content"),
    [
        (replace(VALUES, answer_token_ids=None, logprobs=None), {**CONTENT, "token_ids": [], "logprobs": []}),
        (replace(VALUES, answer_text="", answer_token_ids=None, logprobs=None), {"text": "", "error": "busy"}),
        (replace(VALUES, answer_text="Another text."), CONTENT),
        (replace(VALUES, answer_token_ids=()), {**CONTENT, "token_ids": []}),
        (replace(VALUES, answer_text="half \ud83d"), {**CONTENT, "text": "half \ud83d"}),
    ],
    ids=["no tokens", "failed", "shown otherwise", "no token", "half a character"],
)
def test_whatever_the_message_holds_the_values_are_the_ones_that_were_committed_to(store, kept, run, values, content):
    async def scenario():
        viewer = await store.founder()
        turn, receipt = await answered(store, viewer, values, content)
        assert (await kept.get(viewer, receipt_id(turn.answer_id))).values == receipt.values

    run(scenario())


def test_what_is_not_ones_own_is_not_found(store, kept, run):
    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        turn, receipt = await answered(store, viewer)
        name = receipt.statement.receipt
        for asks in (other, None):
            with pytest.raises(NotFound):
                await kept.get(asks, name)
        with pytest.raises(NotFound):
            await kept.get(viewer, receipt_id("no turn"))
        with pytest.raises(VaultLocked):
            await kept.get(replace(viewer, key=None), name)
        with pytest.raises(NotFound):
            await kept.get(replace(other, key=None), name)
        await store.conversations.delete(viewer, turn.conversation_id)
        with pytest.raises(NotFound):
            await kept.get(viewer, name)

    run(scenario())


def test_the_api_key_that_had_it_kept_opens_it_and_no_other_does(store, kept, run):
    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        tokens = [await store.accounts.make_api_key(one.account_id, "k") for one in (viewer, viewer, other)]
        callers = [await store.accounts.caller(token) for token in tokens]
        conversation_id, receipt = await recorded(store, callers[0], tokens[0])
        name = receipt.statement.receipt
        stored = await kept.get_for_caller(callers[0], tokens[0], name)
        assert (stored.values, stored.salts) == (receipt.values, receipt.salts)
        assert (await kept.get(viewer, name)).values == receipt.values
        for caller, token in list(zip(callers, tokens, strict=True))[1:]:
            with pytest.raises(NotFound):
                await kept.get_for_caller(caller, token, name)
        _, on_the_page = await answered(store, viewer)
        with pytest.raises(NotFound):
            await kept.get_for_caller(callers[0], tokens[0], on_the_page.statement.receipt)
        await store.conversations.delete(viewer, conversation_id)
        with pytest.raises(NotFound):
            await kept.get_for_caller(callers[0], tokens[0], name)

    run(scenario())


def row_of(receipt):
    return lambda connection: connection.execute(
        receipts.select().where(receipts.c.id == receipt.statement.receipt)
    ).one()


def test_what_an_api_key_opens_is_one_answer_and_not_its_conversation(store, kept, run):
    async def scenario():
        viewer = await store.founder()
        token = await store.accounts.make_api_key(viewer.account_id, "k")
        caller = await store.accounts.caller(token)
        conversation_id, receipt = await recorded(store, caller, token)
        row = await store.database.read(row_of(receipt))
        facts = (row.id, row.message_id, conversation_id, viewer.account_id, caller.key_id)
        opened = zlib.decompress(open_under(token, row.caller_sealed, bind("receipts", "caller_sealed", *facts)))

        def key_of(connection):
            return rows.open_conversation_key(viewer, rows.get_owned(connection, viewer, conversation_id))

        key = await store.database.read(key_of)
        assert json.dumps(VALUES.answer_text, ensure_ascii=False).encode() in opened
        assert key.to_bytes() not in opened
        assert to_base64(key.to_bytes()).encode() not in opened

    run(scenario())


def test_an_api_key_that_is_revoked_leaves_nothing_that_it_opened_in_any_file(store, kept, run):
    def is_there(blob):
        return any(blob in file.read_bytes() for file in store.home.rglob("*") if file.is_file())

    async def scenario():
        viewer = await store.founder()
        tokens = [await store.accounts.make_api_key(viewer.account_id, name) for name in ("leaked", "other")]
        leaked, other = [await store.accounts.caller(token) for token in tokens]
        _, receipt = await recorded(store, leaked, tokens[0])
        _, stays = await recorded(store, other, tokens[1])
        blob = (await store.database.read(row_of(receipt))).caller_sealed[:32]
        await store.database.forget()
        assert is_there(blob)
        await store.accounts.revoke_api_key(viewer.account_id, leaked.key_id)
        assert not is_there(blob)
        row = await store.database.read(row_of(receipt))
        assert (row.caller_key_id, row.caller_sealed) == (None, None)
        with pytest.raises(NotFound):
            await kept.get_for_caller(leaked, tokens[0], receipt.statement.receipt)
        assert (await kept.get(viewer, receipt.statement.receipt)).values == receipt.values
        assert (await kept.get_for_caller(other, tokens[1], stays.statement.receipt)).values == stays.values

    run(scenario())


def test_a_key_of_somebody_else_cannot_be_revoked_and_opens_what_it_did(store, kept, run):
    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        token = await store.accounts.make_api_key(viewer.account_id, "k")
        caller = await store.accounts.caller(token)
        _, receipt = await recorded(store, caller, token)
        with pytest.raises(NotFound):
            await store.accounts.revoke_api_key(other.account_id, caller.key_id)
        assert (await kept.get_for_caller(caller, token, receipt.statement.receipt)).values == receipt.values

    run(scenario())


def test_an_answer_whose_api_key_is_revoked_meanwhile_is_kept_and_nothing_under_the_key(store, kept, run):
    async def scenario():
        viewer = await store.founder()
        token = await store.accounts.make_api_key(viewer.account_id, "k")
        caller = await store.accounts.caller(token)
        await store.accounts.revoke_api_key(viewer.account_id, caller.key_id)
        _, receipt = await recorded(store, caller, token)
        row = await store.database.read(row_of(receipt))
        assert (row.caller_key_id, row.caller_sealed) == (None, None)
        assert (await kept.get(viewer, receipt.statement.receipt)).values == receipt.values

    run(scenario())


def test_what_nobody_keeps_leaves_its_envelope_to_whoever_has_its_id(store, kept, run):
    async def scenario():
        viewer, other = await store.founder(), await store.somebody_else()
        receipt = made_receipt("temporary")
        await kept.keep(receipt)
        for asks in (viewer, other, None):
            stored = await kept.get(asks, receipt.statement.receipt)
            assert stored.envelope == receipt.envelope
            assert (stored.salts, stored.values, stored.conversation_id) == (None, None, None)
        token = await store.accounts.make_api_key(viewer.account_id, "k")
        assert await kept.get_for_caller(await store.accounts.caller(token), token, receipt.statement.receipt)

    run(scenario())


def test_answer_and_receipt_are_stored_both_or_neither(store, kept, run):
    async def scenario():
        viewer = await store.founder()
        _, first = await answered(store, viewer)
        turn = await store.conversations.start_turn(
            viewer, conversation_id=None, parent_id=None, question="Why?", title="A chat"
        )
        with pytest.raises(Exception, match="UNIQUE"):
            await turn.keep(CONTENT, MessageState.COMPLETE, first)  # a receipt that is there already
        stored = await store.conversations.get(viewer, turn.conversation_id)
        assert stored.messages[turn.answer_id].state is MessageState.RUNNING
        await turn.keep(CONTENT, MessageState.COMPLETE, made_receipt(turn.answer_id))

    run(scenario())


def test_a_receipt_opens_in_its_own_row_only(store, kept, run):
    async def scenario():
        viewer = await store.founder()
        turn, receipt = await answered(store, viewer)
        again = await store.conversations.start_turn(
            viewer, conversation_id=turn.conversation_id, parent_id=turn.question_id, question=None, title=""
        )
        other = made_receipt(again.answer_id)
        await again.keep(CONTENT, MessageState.COMPLETE, other)

        def swap(connection):
            blob = connection.execute(receipts.select().where(receipts.c.id == other.statement.receipt)).one().sealed
            mine = receipts.c.id == receipt.statement.receipt
            connection.execute(update(receipts).where(mine).values(sealed=blob))

        await store.database.write(swap)
        with pytest.raises(VaultError):
            await kept.get(viewer, receipt.statement.receipt)

    run(scenario())


def test_positions_are_learnt_and_the_rest_is_told_oldest_first(store, kept, run):
    async def scenario():
        made = [made_receipt(str(at)) for at in range(3)]
        for at, receipt in enumerate(made):
            store.clock.offset = at
            await kept.keep(receipt)
        names = [(one.statement.receipt, hashlib.sha256(one.envelope).hexdigest()) for one in made]
        assert await kept.unlogged(10) == names
        assert await kept.unlogged(1) == names[:1]
        await store.database.write(lambda connection: place_rows(connection, [(names[1][0], 41)]))
        assert await kept.unlogged(10) == [names[0], names[2]]
        assert await kept.find_position(names[1][1]) == 41
        assert await kept.find_position(names[1][0]) == 41
        assert await kept.find_position(names[0][1]) is None
        assert await kept.find_position("00" * 32) is None

    run(scenario())


def test_nobodys_receipts_are_purged_by_age_once_the_ledger_has_them(store, kept, run):
    async def scenario():
        viewer = await store.founder()
        _, owned = await answered(store, viewer)
        logged, waits = made_receipt("logged"), made_receipt("waits")
        await kept.keep(logged)
        await kept.keep(waits)
        placed = [(logged.statement.receipt, 1), (owned.statement.receipt, 2)]
        await store.database.write(lambda connection: place_rows(connection, placed))
        assert await kept.purge_nobodys(older_than_s=60) == 0
        store.clock.offset = 61
        assert await kept.purge_nobodys(older_than_s=60) == 1
        assert await kept.get(None, waits.statement.receipt)
        assert await kept.get(viewer, owned.statement.receipt)

    run(scenario())


def test_purging_a_conversation_removes_its_receipts_from_every_file(store, kept, run):
    def places(blobs):
        held = b"".join(file.read_bytes() for file in store.home.rglob("*") if file.is_file())
        return sum(blob in held for blob in blobs)

    async def scenario():
        viewer = await store.founder()
        _, stays = await answered(store, viewer)
        turn, receipt = await answered(store, viewer, replace(VALUES, prompt_token_ids=tuple(range(6000))))

        def sealed(connection):
            return connection.execute(receipts.select().where(receipts.c.message_id == turn.answer_id)).one().sealed

        blob = await store.database.read(sealed)
        parts = [blob[:32], blob[6000:6032]]
        await store.database.forget()
        assert places(parts) == 2
        await store.conversations.delete(viewer, turn.conversation_id)
        assert await store.conversations.purge_deleted(older_than_s=0) == 1
        assert places(parts) == 0
        with pytest.raises(NotFound):
            await kept.get(viewer, receipt.statement.receipt)
        assert [one for one, _ in await kept.unlogged(10)] == [stays.statement.receipt]

    run(scenario())


def test_a_message_that_goes_takes_its_receipt_with_it(store, kept, run):
    async def scenario():
        viewer = await store.founder()
        turn, _ = await answered(store, viewer)
        gone = messages.delete().where(messages.c.id == turn.answer_id)
        await store.database.write(lambda connection: connection.execute(gone))
        assert await kept.unlogged(10) == []

    run(scenario())
