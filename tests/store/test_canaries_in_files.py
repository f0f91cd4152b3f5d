"""A copy of the data folder opens nothing: planted words are in none of its files, nor is any secret."""

import base64
import shutil
import zlib
from dataclasses import replace

import pytest
from sqlalchemy import select

from commun.receipts.commitments import Values
from commun.store.conversations import MessageState
from commun.store.receipts import Receipts
from commun.store.schema import metadata
from commun.store.upgrade import backup
from commun.store.vault import AccountKey, ConversationKey, VaultError
from made_receipt import made_receipt
from opened_store import open_store

CANARIES = {
    place: f"canary-{place}-b7f3e91c"
    for place in ("title", "renamed", "question", "partial", "answer", "api", "told", "stop", "schema")
}


def look_for(words, home):
    """Which words stand in which files of the folder, in any encoding that a database or a log might use."""
    codings = (str.encode, lambda word: word.encode("utf-16-le"), lambda word: base64.b64encode(word.encode())[:-4])
    held = {file.name: file.read_bytes() for file in home.rglob("*") if file.is_file()}
    return [
        (file, name)
        for file, data in held.items()
        for name, word in words.items()
        if any(coding(word) in data for coding in codings)
    ]


async def plant(store):
    """Writes every kind of thing; returns the secrets that were handed out and the signed-in browser."""
    link = await store.accounts.make_link()
    signed_in = await store.accounts.redeem_link(link)
    viewer = signed_in.viewer
    key = await store.accounts.make_api_key(viewer.account_id, "named in clear")
    code = await store.ways_in.make_recovery_code(viewer)
    turn = await store.conversations.start_turn(
        viewer, conversation_id=None, parent_id=None, question=CANARIES["question"], title=CANARIES["title"]
    )
    await turn.checkpoint({"text": CANARIES["partial"]})
    values = Values(
        prompt_token_ids=(1,),
        prompt_messages=(("system", CANARIES["told"]), ("user", CANARIES["question"])),
        answer_token_ids=(1,),
        answer_text=CANARIES["answer"],
        logprobs=None,
        stop=(CANARIES["stop"],),
        schema=CANARIES["schema"],
    )
    content = {"text": CANARIES["answer"], "token_ids": [1]}
    await turn.keep(content, MessageState.COMPLETE, made_receipt(turn.answer_id, values))
    await Receipts(store.database).keep(made_receipt("temporary", values))
    await store.conversations.rename(viewer, turn.conversation_id, CANARIES["renamed"])
    await store.conversations.record_turn(
        await store.accounts.caller(key),
        title=CANARIES["api"],
        question=[{"role": "user", "text": CANARIES["api"]}],
        answer={"text": CANARIES["api"]},
        receipt=made_receipt("answer of the API", replace(values, answer_text=CANARIES["api"])),
        answer_id="answer of the API",
        token=key,
    )
    assert await store.conversations.search(viewer, "canary")
    secrets = {"link": link, "cookie": signed_in.token, "API key": key[7:], "recovery code": code}
    return signed_in, secrets


def test_no_planted_word_and_no_secret_is_in_any_file(store, run):
    signed_in, secrets = run(plant(store))
    words = CANARIES | secrets
    assert (store.home / "commun.db-wal").stat().st_size > 0
    assert look_for(words, store.home) == []
    backup(store.database.path, "test")
    assert look_for(words, store.home) == []
    raw = signed_in.viewer.key.to_bytes()
    assert not any(raw[:32] in file.read_bytes() for file in store.home.rglob("*") if file.is_file())
    store.database.close()
    assert len(list(store.home.rglob("*.db"))) == 2
    assert look_for(words, store.home) == []


def test_the_search_for_canaries_finds_what_is_in_clear(store, run):
    run(plant(store))
    assert ("commun.db-wal", "name") in look_for({"name": "named in clear"}, store.home)


def test_a_copy_of_the_database_opens_nothing_without_a_token(store, run, tmp_path):
    run(plant(store))
    store.database.close()
    shutil.copytree(store.home, tmp_path / "copy")
    thief = open_store(tmp_path / "copy")

    async def scenario():
        signed_in = await thief.sign_in()
        assert signed_in.viewer.key is None
        assert await thief.accounts.viewer("guess") is None

        def rows(connection):
            return [
                value
                for table in metadata.sorted_tables
                for row in connection.execute(select(table)).fetchall()
                for value in row
                if isinstance(value, bytes)
            ]

        key, other = AccountKey.generate(), ConversationKey.generate()
        sealed = await thief.database.read(rows)
        assert len(sealed) > 10
        for value in sealed:
            for opens in (key.open, other.open):
                with pytest.raises(VaultError):
                    opens(value, b"")
            with pytest.raises(zlib.error):
                zlib.decompress(value)

    try:
        run(scenario())
    finally:
        thief.database.close()


def test_what_is_purged_is_gone_from_every_file(store, run):
    async def scenario():
        viewer = await store.founder()
        kept = await store.chat(viewer)
        turn = await store.chat(viewer, answer="long " * 3000)

        def rows(connection):
            query = "SELECT sealed_key FROM conversations WHERE id = ? UNION ALL SELECT title FROM conversations WHERE id = ?"
            blobs = connection.exec_driver_sql(query, (turn.conversation_id, turn.conversation_id)).scalars().all()
            query = "SELECT content FROM messages WHERE conversation_id = ?"
            return [*blobs, *connection.exec_driver_sql(query, (turn.conversation_id,)).scalars().all()]

        sealed = [blob[:32] for blob in await store.database.read(rows)]
        assert len(sealed) == 4
        await store.database.forget()
        assert places(sealed) == 4
        await store.conversations.delete(viewer, turn.conversation_id)
        assert await store.conversations.purge_deleted(older_than_s=0) == 1
        assert places(sealed) == 0
        assert len(await store.conversations.list(viewer)) == 1
        assert (await store.conversations.get(viewer, kept.conversation_id)).messages

    def places(sealed):
        held = b"".join(file.read_bytes() for file in store.home.rglob("*") if file.is_file())
        return sum(blob in held for blob in sealed)

    run(scenario())
