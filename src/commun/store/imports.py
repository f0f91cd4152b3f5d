"""Conversations that were brought in from another assistant: stored like one's own, and never twice.

- sealed to the owner's vault, who must be there. What it was called in the export, and each message, is in the sealed
  content; the table has a mark (``vault.AccountKey.mark``) by which a second import finds it, and nobody else anything;
- a conversation is there whole or not at all (``pieces.py``), and what an import that breaks off has brought in stays:
  the next goes on;
- a folder of the export's is the one of that name here, or a new one as long as there is room for it;
- one that is in the bin is taken out of it again instead of being stored twice;
- times are the export's; retention counts from the import (``conversations.imported``), or what is old there would be
  erased the moment it is here.
"""

import asyncio
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

from sqlalchemy import Connection, select, update

from commun.importing.outline import ImportedConversation, ImportedMessage
from commun.importing.own import SOURCE as OWN
from commun.store import folders, rows
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.pieces import Arriving
from commun.store.schema import conversations
from commun.store.tree import new_id
from commun.store.vault import ConversationKey


class Stored(Enum):
    NEW = "new"
    THERE = "there"


class Imports:
    """``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def add(self, viewer: Viewer, found: ImportedConversation) -> Stored:
        """Raises VaultLocked."""
        mark = rows.unlocked(viewer).mark(f"{found.source}\0{found.id}".encode(errors="replace"))
        if await self._database.read(lambda connection: _is_there(connection, viewer, found, mark)):
            return Stored.THERE
        arriving = await asyncio.to_thread(_sealed, viewer, found, self._now())
        await arriving.begin(self._database, now=self._now())

        def work(connection: Connection) -> Stored:
            if _is_there(connection, viewer, found, mark):
                return Stored.THERE
            if _restored(connection, viewer, mark):
                return Stored.NEW
            folder_id = folders.find_or_add(connection, viewer, found.folder, now=self._now())
            arriving.finish(connection, source_mark=mark, folder_id=folder_id)
            return Stored.NEW

        return await self._database.write(work, flush=False)  # the summary is told after the last one


def _is_there(connection: Connection, viewer: Viewer, found: ImportedConversation, mark: bytes) -> bool:
    """Brought in before, or an export of this very account's own."""
    which = conversations.c.source_mark == mark
    if found.source == OWN:
        which |= conversations.c.id == found.id
    query = select(conversations.c.id).where(rows.owned(viewer), which)
    return connection.execute(query).first() is not None


def _restored(connection: Connection, viewer: Viewer, mark: bytes) -> bool:
    deleted = rows.owned(viewer, deleted=True), conversations.c.source_mark == mark
    return bool(connection.execute(update(conversations).where(*deleted).values(deleted=None)).rowcount)


def _sealed(viewer: Viewer, found: ImportedConversation, now: float) -> Arriving:
    """The rows, in a thread."""
    key, conversation_id = ConversationKey.generate(), new_id()
    ids = [new_id() for _ in found.messages]
    context = rows.key_context(conversation_id, viewer.account_id, viewer.vault_id)
    messages = [
        rows.message_row(
            key,
            message_id=ids[place],
            conversation_id=conversation_id,
            parent_id=None if one.parent is None else ids[one.parent],
            role=one.role,
            content=_content(found, one),
            now=one.created,
        )
        for place, one in enumerate(found.messages)
    ]
    conversation = {
        "id": conversation_id,
        "account_id": viewer.account_id,
        "vault_id": viewer.vault_id,
        "sealed_key": rows.unlocked(viewer).seal(key.to_bytes(), context),
        "title": rows.seal_title(key, conversation_id, found.title),
        "created": found.created,
        "updated": found.updated,
        "leaf_id": ids[found.leaf],
        "imported": now,
    }
    return Arriving(viewer, conversation, messages)


def _content(found: ImportedConversation, one: ImportedMessage) -> dict[str, Any]:
    source = {"from": found.source, "conversation": found.id, "message": one.id}
    if one.model:
        source["model"] = one.model
    if one.missing:
        source["missing"] = "yes"
    return {"text": one.text, "imported": source}
