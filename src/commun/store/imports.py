"""Conversations that were brought in from another assistant: stored like one's own, and never twice.

- sealed to the owner's vault, who must be there. What it was called in the export, and each message, is in the sealed
  content; the table has a mark (``vault.AccountKey.mark``) by which a second import finds it, and nobody else anything.
  What another Commun had brought in, and nobody went on with there, has the mark of where it first came from;
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
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, select, update

from commun.importing.outline import ImportedConversation, ImportedMessage
from commun.importing.own import SOURCE as OWN
from commun.store import rows
from commun.store.database import Database
from commun.store.feedback import Opinion, opinion_row
from commun.store.folders import MAX_FOLDERS, MAX_NAME, TooManyFolders, Wanted, as_told, find_or_add, names_of
from commun.store.folders import add as add_folder
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
        marks = [rows.unlocked(viewer).mark(one) for one in _names(found)]
        known = await self._database.read(lambda connection: _find(connection, viewer, found, marks))
        if known is _Known.IN_THE_BIN and await self._database.write(partial(_restored, viewer=viewer, marks=marks)):
            return Stored.NEW
        if known is _Known.THERE:
            return Stored.THERE
        arriving = await asyncio.to_thread(self._sealed, viewer, found)
        await arriving.begin(self._database, now=self._now())
        wanted = self.folders.wanted(viewer, found.source, found.folder, found.folder_id)

        def work(connection: Connection) -> tuple[Stored, bool]:
            if _find(connection, viewer, found, marks) is _Known.THERE:
                return Stored.THERE, False
            if _restored(connection, viewer, marks):
                return Stored.NEW, False
            folder_id, is_made = find_or_add(connection, viewer, wanted, now=self._now())
            arriving.finish(connection, source_mark=marks[0], folder_id=folder_id)
            return Stored.NEW, is_made

        stored, is_made = await self._database.write(work, flush=False)  # the summary is told after the last one
        self.folders.made += is_made
        self.folders.nameless += is_made and not wanted.name
        return stored

    def _sealed(self, viewer: Viewer, found: ImportedConversation) -> Arriving:
        """The rows, in a thread: of what is said no more is sealed than is kept."""
        every = (
            (place, Opinion.of_stranger(one.kept.said)) for place, one in enumerate(found.messages) if one.kept.said
        )
        said = [(place, opinion) for place, opinion in every if opinion]
        believed = dict(said[: self._said_left])
        self.unsaid += len(said) - len(believed)
        self._said_left -= len(believed)
        return _sealed(viewer, found, believed, self._now())

    async def add_empty_folders(self, viewer: Viewer) -> None:
        """Those with instructions in which nothing lies: after something new has come in. Raises VaultLocked."""
        told = {name[:MAX_NAME]: as_told(text) for name, text in self.folders.instructions.items() if name}
        here = await self._database.read(lambda connection: names_of(connection, viewer))
        missing = [name for name, text in told.items() if text and name not in here][: max(0, MAX_FOLDERS - len(here))]

        def work(connection: Connection) -> int:
            for made, name in enumerate(missing):
                try:
                    add_folder(connection, viewer, name, now=self._now(), instructions=told[name])
                except TooManyFolders:  # others were made meanwhile
                    return made
            return len(missing)

        if missing:
            self.folders.made += await self._database.write(work)


def _names(found: ImportedConversation) -> list[bytes]:
    """By which it is found again; the first is the one that it is kept under. Where all of it had come to the other
    Commun from one conversation elsewhere, it is that one: it may come here from there as well.
    """
    names = [(found.source, found.id)]
    origins = {(one.kept.origin, one.kept.conversation) for one in found.messages}
    if len(origins) == 1 and all(origin := origins.pop()):
        names.insert(0, origin)
    return [f"{source}\0{name}".encode(errors="replace") for source, name in names]


class _Known(Enum):
    THERE = "there"
    IN_THE_BIN = "in the bin"
    NOT = "not"


def _find(connection: Connection, viewer: Viewer, found: ImportedConversation, marks: list[bytes]) -> _Known:
    """THERE: brought in before, or an export of this very account's own."""
    which = conversations.c.source_mark.in_(marks)
    own = which | (conversations.c.id == found.id) if found.source == OWN else which
    query = select(conversations.c.id)
    if connection.execute(query.where(rows.owned(viewer), own)).first() is not None:
        return _Known.THERE
    if connection.execute(query.where(rows.owned(viewer, deleted=True), which)).first() is not None:
        return _Known.IN_THE_BIN
    return _Known.NOT


def _restored(connection: Connection, viewer: Viewer, marks: list[bytes]) -> bool:
    deleted = rows.owned(viewer, deleted=True), conversations.c.source_mark.in_(marks)
    return bool(connection.execute(update(conversations).where(*deleted).values(deleted=None)).rowcount)


def _sealed(viewer: Viewer, found: ImportedConversation, said: Mapping[int, Opinion], now: float) -> Arriving:
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
    opinions = {
        ids[place]: opinion_row(viewer, key, opinion, (ids[place], conversation_id), now)
        for place, opinion in said.items()
    }
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
    source = {
        "from": one.kept.origin or found.source,
        "conversation": one.kept.conversation or found.id,
        "message": one.kept.message or one.id,
    }
    if one.model:
        source["model"] = one.model
    if one.missing:
        source["missing"] = "yes"
    return {"text": one.text, "imported": source, **one.kept.facts}
