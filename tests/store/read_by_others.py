"""Conversations that somebody else reads, for tests, and what is in the database then."""

from pathlib import Path

from sqlalchemy import select

from commun.store import rows
from commun.store.conversations import MessageState
from commun.store.rekeying import SEALED
from commun.store.schema import conversations, metadata
from commun.store.schema import readers as table
from commun.store.vault import ConversationKey, VaultError
from made_receipt import CONTENT, made_receipt


async def people(store):
    """An owner and a reader who both have names."""
    return (await store.invited("Ada")).viewer, (await store.invited("Bob")).viewer


async def read_by(store, readers, owner, reader, conversation_id):
    """The reader's row's id."""
    made = await readers.make_link(owner, conversation_id)
    return await readers.accept(reader, made.token)


async def answered(store, viewer, question="Why?", *, conversation_id=None, parent_id=None):
    """A turn with a receipt."""
    turn = await store.conversations.start_turn(
        viewer, conversation_id=conversation_id, parent_id=parent_id, question=question, title="A canary-title-51"
    )
    await turn.keep(CONTENT, MessageState.COMPLETE, made_receipt(turn.answer_id))
    return turn


async def stored(store) -> list:
    return await store.database.read(lambda connection: connection.execute(select(table)).all())


async def everything(store) -> dict:
    def work(connection):
        return {each.name: connection.execute(select(each)).all() for each in metadata.sorted_tables}

    return await store.database.read(work)


async def key_of(store, viewer, reader_id) -> ConversationKey:
    """The conversation's key, as a reader who keeps a copy of everything has it."""
    (row,) = [each for each in await stored(store) if each.id == reader_id]
    context = rows.reader_context(row.id, row.conversation_id, row.account_id, row.vault_id)
    return ConversationKey.from_bytes(viewer.key.open(row.sealed_key, context))


async def opened_with(store, key, conversation_id) -> set[str]:
    """Which columns of a conversation have a cell that opens with this key."""
    found = set()

    def work(connection):
        here = connection.execute(select(conversations).where(conversations.c.id == conversation_id)).one()
        cells = [("conversations.title", here.title, rows.title_context(here.id))]
        for each in SEALED:
            rows_of_it = connection.execute(select(each.table).where(each.table.c.conversation_id == conversation_id))
            name = f"{each.table.name}.{each.column}"
            cells.extend((name, getattr(row, each.column), each.context(row)) for row in rows_of_it)
        for name, sealed, context in cells:
            try:
                key.open(sealed, context)
            except VaultError:
                continue
            found.add(name)

    await store.database.read(work)
    return found


def files_with(home: Path, data: bytes) -> list[str]:
    return [path.name for path in home.rglob("*") if path.is_file() and data in path.read_bytes()]
