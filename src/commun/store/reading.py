"""Whole conversations that somebody else lets one read: the reader's side (``readers.py`` has the owner's).

- a reading is found by its own id, not by the conversation's, and only by who it is sealed to. It changes nothing of
  the conversation; what its owner keeps beside it (folder, thumbs) is not in it;
- who reads sees the conversation as it goes on, all its branches included, until its owner ends it, deletes it, or one
  leaves;
- a copy is a new conversation of the reader's, under a key of its own. It stays when the reading ends.

What is not the viewer's to read, has ended or does not exist is NotFound. Raises VaultLocked, VaultError.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, select

from commun.errors import NotFound
from commun.store import rows
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.pieces import Arriving
from commun.store.readers import is_there
from commun.store.receipts import StoredReceipt, get_of_conversation
from commun.store.rekeying import check_not_writing
from commun.store.schema import accounts, conversations, messages, readers
from commun.store.tree import Conversation, MessageState, StoredMessage, new_id
from commun.store.vault import ConversationKey

COPIED: Final = "reading"  # where the messages of a copy say that they are from


@dataclass(frozen=True, slots=True)
class Readable:
    """A line of the sidebar. ``owner``: the name of who shares it. ``since``: when it was accepted."""

    id: str
    title: str
    owner: str
    since: float
    updated: float
    running: bool


@dataclass(frozen=True, slots=True)
class OpenReading:
    id: str
    owner: str
    since: float
    conversation: Conversation


class Reading:
    """``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now
        self._copying = asyncio.Lock()  # one copy in memory

    async def list(self, viewer: Viewer, *, limit: int | None = None) -> list[Readable]:
        """What went on last first. ``limit`` None: all."""
        rows.unlocked(viewer)
        running = exists().where(
            messages.c.conversation_id == conversations.c.id, messages.c.state == MessageState.RUNNING.value
        )
        query = _query(viewer).add_columns(running.label("running")).order_by(conversations.c.updated.desc())

        def work(connection: Connection) -> list[Readable]:
            return [
                Readable(
                    row.reader_id, rows.open_title(_key(viewer, row), row), row.name or "", row.accepted, row.updated,
                    bool(row.running),
                )
                for row in connection.execute(query.limit(limit)).all()
            ]  # fmt: skip

        return await self._database.read(work)

    async def get(self, viewer: Viewer, reader_id: str) -> OpenReading:
        """The whole tree, opened. Raises NotFound."""

        def work(connection: Connection) -> OpenReading:
            row = _get(connection, viewer, reader_id)
            found = rows.open_conversation(connection, _key(viewer, row), row)
            return OpenReading(row.reader_id, row.name or "", row.accepted, found)

        return await self._database.read(work)

    async def receipt(self, viewer: Viewer, reader_id: str, receipt_id: str) -> StoredReceipt:
        """Of an answer of that conversation. Raises NotFound."""

        def work(connection: Connection) -> StoredReceipt:
            row = _get(connection, viewer, reader_id)
            return get_of_conversation(connection, _key(viewer, row), row.id, receipt_id)

        return await self._database.read(work)

    async def leave(self, viewer: Viewer, reader_id: str) -> None:
        """The conversation's key is not changed by it. Raises NotFound."""
        rows.unlocked(viewer)
        mine = delete(readers).where(readers.c.id == reader_id, _is_of(viewer))
        if not await self._database.write(lambda connection: connection.execute(mine).rowcount):
            raise NotFound
        await self._database.forget()

    async def copy(self, viewer: Viewer, reader_id: str, *, called: Callable[[str], str]) -> str:
        """A new conversation of the viewer's with all the messages, in which each says where it is from; returns its
        id. Receipts stay where they are. ``called``: the copy's title, given the original's. Raises NotFound,
        StillWriting.
        """
        copy_id, now = new_id(), self._now()

        def prepare(connection: Connection) -> Arriving:
            row = _get(connection, viewer, reader_id)
            check_not_writing(connection, row.id)
            return _copied(connection, viewer, row, copy_id, called=called, now=now)

        def finish(connection: Connection) -> None:
            _get(connection, viewer, reader_id)
            copied.finish(connection)

        async with self._copying:
            copied = await self._database.read(prepare)
            await copied.begin(self._database, now=now)
            await self._database.write(finish)
        return copy_id


def _is_of(viewer: Viewer) -> ColumnElement[bool]:
    """The viewer's own, accepted with the key pair in use."""
    return and_(readers.c.account_id == viewer.account_id, readers.c.vault_id == viewer.vault_id)


def _query(viewer: Viewer) -> Any:
    """Conversations, each with the reading of it and its owner's name."""
    return (
        select(
            conversations,
            accounts.c.name,
            readers.c.accepted,
            readers.c.id.label("reader_id"),
            readers.c.sealed_key.label("readers_key"),
        )
        .join(readers, readers.c.conversation_id == conversations.c.id)
        .join(accounts, accounts.c.id == conversations.c.account_id)
        .where(_is_of(viewer), is_there())
    )


def _get(connection: Connection, viewer: Viewer, reader_id: str) -> Row[Any]:
    rows.unlocked(viewer)
    row: Row[Any] | None = connection.execute(_query(viewer).where(readers.c.id == reader_id)).first()
    if row is None:
        raise NotFound
    return row


def _key(viewer: Viewer, row: Row[Any]) -> ConversationKey:
    """Raises VaultError."""
    context = rows.reader_context(row.reader_id, row.id, viewer.account_id, viewer.vault_id)
    return ConversationKey.from_bytes(rows.unlocked(viewer).open(row.readers_key, context))


def _copied(
    connection: Connection, viewer: Viewer, row: Row[Any], copy_id: str, *, called: Callable[[str], str], now: float
) -> Arriving:
    """The rows of a copy, sealed: of the moment of the snapshot, one message open at a time."""
    old = _key(viewer, row)
    every = select(messages).where(messages.c.conversation_id == row.id).order_by(messages.c.number)
    ids = {one: new_id() for one in connection.execute(every.with_only_columns(messages.c.id)).scalars()}
    key, conversation = rows.new_conversation(
        viewer, conversation_id=copy_id, title=called(rows.open_title(old, row)), leaf_id=ids[row.leaf_id], now=now
    )
    copies = (
        _copy(key, copy_id, row.id, ids, rows.open_message(old, message)) for message in connection.execute(every)
    )
    return Arriving(viewer, conversation, list(copies))


def _copy(
    key: ConversationKey, copy_id: str, original: str, ids: dict[str, str], message: StoredMessage
) -> dict[str, Any]:
    """The text, and where it is from: figures and receipt are the original's."""
    source = {"from": COPIED, "conversation": original, "message": message.id}
    if model := message.content.get("model"):
        source["model"] = str(model)
    content = {"text": message.content["text"], "imported": source}
    if "error" in message.content:
        content["error"] = message.content["error"]
    return rows.message_row(
        key,
        message_id=ids[message.id],
        conversation_id=copy_id,
        parent_id=None if message.parent_id is None else ids[message.parent_id],
        role=message.role,
        content=content,
        now=message.created,
        state=message.state,
    )
