"""Conversations that were brought in from another assistant: stored like one's own, and never twice.

- sealed to the owner's vault, who must be there. What it was called in the export, and each message, is in the sealed
  content; the table has a mark (``vault.AccountKey.mark``) by which a second import finds it, and nobody else anything;
- a conversation is there whole or not at all (``pieces.py``), and what an import that breaks off has brought in stays:
  the next goes on;
- a folder of the export's is the one of that name here, or a new one as long as there is room for it, with what it told
  its answers there. One that the export does not name is found by its mark, whatever its owner calls it now;
- what somebody said of answers comes back with Commun's own export, MOST_SAID at most: each takes 4.6 kB here, however
  short it is there;
- one that is in the bin is taken out of it again instead of being stored twice;
- times are the export's; retention counts from the import (``conversations.imported``), or what is old there would be
  erased the moment it is here.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from sqlalchemy import Connection, select, update

from commun.importing.outline import ImportedConversation, ImportedMessage
from commun.importing.own import SOURCE as OWN
from commun.store import rows
from commun.store.database import Database
from commun.store.feedback import Opinion, opinion_row
from commun.store.folders import Wanted, find_or_add
from commun.store.people import Viewer
from commun.store.pieces import Arriving
from commun.store.schema import conversations
from commun.store.tree import MessageState, new_id
from commun.store.vault import ConversationKey

MOST_SAID: Final = 10_000  # of one import


class Stored(Enum):
    NEW = "new"
    THERE = "there"


@dataclass(slots=True)
class FoldersToo:
    """What an import knows of folders. ``called``: the name of one that the export does not name, from the assistant
    that it is of and a number; ``instructions``: by name. ``made``: how many were made so far, ``nameless`` of them.
    """

    called: Callable[[str, int], str] = "{} {}".format
    instructions: Mapping[str, str] = field(default_factory=dict)
    made: int = 0
    nameless: int = 0

    def wanted(self, viewer: Viewer, source: str, name: str, folder_id: str) -> Wanted:
        if name or not folder_id:
            return Wanted(name, instructions=self.instructions.get(name, ""))
        mark = rows.unlocked(viewer).mark(f"folder\0{source}\0{folder_id}".encode(errors="replace"))
        return Wanted(mark=mark, called=lambda number: self.called(source, number))


class Imports:
    """One import. ``now``: seconds since 1970. ``unsaid``: thumbs and remarks beyond MOST_SAID."""

    def __init__(
        self, database: Database, *, folders: FoldersToo | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._now = now
        self._said_left = MOST_SAID
        self.folders = folders or FoldersToo()
        self.unsaid = 0

    async def add(self, viewer: Viewer, found: ImportedConversation) -> Stored:
        """Raises VaultLocked."""
        mark = rows.unlocked(viewer).mark(f"{found.source}\0{found.id}".encode(errors="replace"))
        if await self._database.read(lambda connection: _is_there(connection, viewer, found, mark)):
            return Stored.THERE
        arriving = await asyncio.to_thread(_sealed, viewer, found, self._now())
        self._bound(arriving.opinions)
        await arriving.begin(self._database, now=self._now())
        wanted = self.folders.wanted(viewer, found.source, found.folder, found.folder_id)

        def work(connection: Connection) -> tuple[Stored, bool]:
            if _is_there(connection, viewer, found, mark):
                return Stored.THERE, False
            if _restored(connection, viewer, mark):
                return Stored.NEW, False
            folder_id, is_made = find_or_add(connection, viewer, wanted, now=self._now())
            arriving.finish(connection, source_mark=mark, folder_id=folder_id)
            return Stored.NEW, is_made

        stored, is_made = await self._database.write(work, flush=False)  # the summary is told after the last one
        self.folders.made += is_made
        self.folders.nameless += is_made and not wanted.name
        return stored

    def _bound(self, opinions: list[dict[str, Any]]) -> None:
        self.unsaid += max(0, len(opinions) - self._said_left)
        del opinions[self._said_left :]
        self._said_left -= len(opinions)

    async def add_empty_folders(self, viewer: Viewer) -> None:
        """Those with instructions in which nothing lies: after something new has come in. Raises VaultLocked."""
        every = [self.folders.wanted(viewer, OWN, name, "") for name in self.folders.instructions]

        def work(connection: Connection) -> int:
            return sum(find_or_add(connection, viewer, one, now=self._now())[1] for one in every if one.instructions)

        self.folders.made += await self._database.write(work)


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
            state=_state(one),
        )
        for place, one in enumerate(found.messages)
    ]
    said = ((place, Opinion.of_stranger(one.kept.said)) for place, one in enumerate(found.messages) if one.kept.said)
    opinions = [
        opinion_row(viewer, key, opinion, (ids[place], conversation_id), now) for place, opinion in said if opinion
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
    return Arriving(viewer, conversation, messages, opinions)


def _state(one: ImportedMessage) -> MessageState:
    """What was being written when it was exported was never finished here."""
    if one.role != "assistant" or one.kept.state not in set(MessageState):
        return MessageState.COMPLETE
    state = MessageState(one.kept.state)
    return MessageState.INTERRUPTED if state is MessageState.RUNNING else state


def _content(found: ImportedConversation, one: ImportedMessage) -> dict[str, Any]:
    source = {"from": one.kept.origin or found.source, "conversation": found.id, "message": one.id}
    if one.model:
        source["model"] = one.model
    if one.missing:
        source["missing"] = "yes"
    return {"text": one.text, "imported": source, **one.kept.facts}
