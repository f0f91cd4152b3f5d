"""Conversations: sealed titles and messages, written turn by turn. Every method checks whose they are.

What belongs to another account, was sealed with a key pair that is no longer in use, or does not exist is NotFound:
which of these is nobody's business. A locked vault is VaultLocked. Work on the tables, seals included, runs in the
database's threads (``database.py``), never in the event loop's.
"""

import builtins
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, exists, select, update

from commun.errors import NotFound
from commun.receipts.issue import Receipt
from commun.store import receipts, rows
from commun.store.audit_samples import AuditSamples, erase_of_conversation
from commun.store.database import Database
from commun.store.ledger_entries import add_waiting
from commun.store.people import Caller, Viewer
from commun.store.schema import conversations, messages
from commun.store.search import find
from commun.store.tree import Conversation, Hit, MessageState, StoredMessage, Summary, new_id
from commun.store.turns import OpenTurn, Start
from commun.store.vault import is_sealed_to_public_key

__all__ = ["Conversation", "Conversations", "Hit", "MessageState", "OpenTurn", "StoredMessage", "Summary"]

_RESEAL = (
    update(conversations)
    .where(conversations.c.id == bindparam("one"), conversations.c.sealed_key == bindparam("old"))
    .values(sealed_key=bindparam("new"))
)


class Conversations:
    """All conversations of everybody. ``samples``: where answers are kept for audits; None: nowhere. ``now``: seconds
    since 1970.
    """

    def __init__(
        self, database: Database, *, samples: AuditSamples | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._samples = samples
        self._now = now

    async def list(
        self, viewer: Viewer, *, limit: int | None = None, after: int = 0, folder_id: str | None = None
    ) -> builtins.list[Summary]:
        """Newest first, deleted ones left out; at most ``limit``, without the first ``after``. ``folder_id``: only what
        lies in it; None: all.
        """
        rows.unlocked(viewer)
        running = exists().where(
            messages.c.conversation_id == conversations.c.id, messages.c.state == MessageState.RUNNING.value
        )
        query = (
            select(conversations, running.label("running"))
            .where(rows.owned(viewer))
            .order_by(conversations.c.updated.desc())
            .limit(limit)
            .offset(after or None)
        )
        if folder_id is not None:
            query = query.where(conversations.c.folder_id == folder_id)
        slow: builtins.list[dict[str, Any]] = []

        def work(connection: Connection) -> builtins.list[Summary]:
            found = []
            for row in connection.execute(query):
                key = rows.open_conversation_key(viewer, row)
                if is_sealed_to_public_key(row.sealed_key):
                    resealed = rows.reseal_by_owner(viewer, row, key)
                    slow.append({"one": row.id, "old": row.sealed_key, "new": resealed})
                title = rows.open_title(key, row)
                found.append(
                    Summary(
                        id=row.id,
                        title=title,
                        created=row.created,
                        updated=row.updated,
                        running=bool(row.running),
                        folder_id=row.folder_id,
                        imported=row.imported,
                    )
                )
            return found

        summaries = await self._database.read(work)
        if slow:  # written by the API: sixty times quicker to open from now on
            self._database.post(lambda connection: connection.execute(_RESEAL, slow))
        return summaries

    async def get(self, viewer: Viewer, conversation_id: str) -> Conversation:
        """The whole tree, opened. Raises NotFound."""
        rows.unlocked(viewer)

        def work(connection: Connection) -> Conversation:
            row = rows.get_owned(connection, viewer, conversation_id)
            found = rows.open_conversation(connection, rows.open_conversation_key(viewer, row), row)
            found.folder_id = row.folder_id  # the owner's own: nobody else who opens the conversation is told
            return found

        return await self._database.read(work)

    async def start_turn(
        self,
        viewer: Viewer,
        *,
        conversation_id: str | None,
        parent_id: str | None,
        question: str | None,
        title: str,
        folder_id: str | None = None,
    ) -> OpenTurn:
        """Stores the question and an answer that is running, shows their branch; all or nothing.

        ``conversation_id`` None: a new conversation called ``title``, in ``folder_id``. ``question`` None: another
        answer to the user's message ``parent_id``; else a message of the user's under ``parent_id`` (None: at the
        beginning). Raises Conflict while another answer of this conversation is running, NotFound, InvalidParameter.
        """
        rows.unlocked(viewer)
        start = Start(viewer, parent_id, question, self._now(), folder_id)

        def work(connection: Connection) -> OpenTurn:
            if conversation_id is None:
                key = start.in_new(connection, title)
            else:
                key = start.in_known(connection, conversation_id)
            return OpenTurn(
                start.conversation_id,
                start.question_id,
                start.answer_id,
                viewer.account_id,
                key,
                self._database,
                self._now,
                self._samples,
            )

        return await self._database.write(
            work, flush=False
        )  # nobody was told anything yet: the answer's commit flushes it

    async def record_turn(
        self,
        owner: Caller,
        *,
        title: str,
        question: Sequence[dict[str, Any]],
        answer: dict[str, Any],
        state: MessageState = MessageState.COMPLETE,
        receipt: Receipt | None = None,
        answer_id: str | None = None,
        token: str = "",
    ) -> str:
        """Stores a turn of the API that has ended as a conversation, all or nothing; returns its id. ``question``:
        messages with ``role``, ``text`` and whatever else is to be kept; ``answer``: a content with ``text``;
        ``state``: how the answer ended; ``answer_id``: the turn's, which the answer's message will have; ``token``: the
        API key itself, which opens the receipt later. Raises NoVault.
        """
        now, conversation_id = self._now(), new_id()
        parts = [(part["role"], {name: part[name] for name in part if name != "role"}) for part in question]
        parts.append(("assistant", answer))
        ids: builtins.list[str | None] = [None, *(new_id() for _ in question), answer_id or new_id()]

        def work(connection: Connection) -> str:
            key = rows.add_conversation(
                connection,
                owner,
                conversation_id=conversation_id,
                title=title,
                leaf_id=str(ids[-1]),
                now=now,
            )
            added = [
                rows.message_row(
                    key,
                    message_id=str(ids[place + 1]),
                    conversation_id=conversation_id,
                    parent_id=ids[place],
                    role=role,
                    content={"text": "", **content},
                    now=now,
                    state=state if place == len(question) else MessageState.COMPLETE,
                )
                for place, (role, content) in enumerate(parts)
            ]
            rows.add_messages(connection, added)
            if receipt is not None:
                place = receipts.Place(owner.account_id, conversation_id, str(ids[-1]), owner.key_id, token)
                receipts.add(connection, key, receipt, place=place, content=answer, now=now)
                if self._samples is not None:
                    self._samples.take(connection, receipt, owner.account_id)
            return conversation_id

        return await self._database.write(work)

    async def rename(self, viewer: Viewer, conversation_id: str, title: str) -> None:
        """Raises NotFound."""

        def work(connection: Connection) -> None:
            row = rows.get_owned(connection, viewer, conversation_id)
            key = rows.open_conversation_key(viewer, row)
            rows.change(connection, conversation_id, title=rows.seal_title(key, conversation_id, title))

        await self._database.write(work)

    async def delete(self, viewer: Viewer, conversation_id: str) -> None:
        """Hides it; ``restore`` brings it back until ``purge_deleted`` removes it for good. What of it is kept for an
        audit is erased at once. Raises NotFound.
        """

        def work(connection: Connection) -> int:
            rows.get_owned(connection, viewer, conversation_id)
            rows.change(connection, conversation_id, deleted=self._now())
            return erase_of_conversation(connection, conversation_id)

        if await self._database.write(work):
            await self._database.forget()

    async def restore(self, viewer: Viewer, conversation_id: str) -> None:
        """Raises NotFound, also when there is nothing to undo."""

        def work(connection: Connection) -> None:
            rows.get_owned(connection, viewer, conversation_id, deleted=True)
            rows.change(connection, conversation_id, deleted=None)

        await self._database.write(work)

    async def erase(self, viewer: Viewer, conversation_id: str) -> None:
        """For good, at once, whether it was deleted before or not: no ``restore`` brings it back. Raises NotFound."""
        mine = rows.owned(viewer) | rows.owned(viewer, deleted=True)
        if not await self._purge((conversations.c.id == conversation_id) & mine):
            raise NotFound

    async def choose_leaf(self, viewer: Viewer, conversation_id: str, message_id: str) -> None:
        """Shows the branch that ends in this message. Raises NotFound."""

        def work(connection: Connection) -> None:
            rows.get_owned(connection, viewer, conversation_id)
            rows.get_message(connection, conversation_id, message_id)
            rows.change(connection, conversation_id, leaf_id=message_id)

        await self._database.write(work)

    async def search(self, viewer: Viewer, text: str) -> builtins.list[Hit]:
        """Titles, then messages, newest first; at most ``search.MAX_HITS``."""
        rows.unlocked(viewer)
        return await self._database.read(lambda connection: find(connection, viewer, text))

    async def purge_deleted(self, older_than_s: float) -> int:
        """Removes what was deleted that long ago, keys first to last, and overwrites where it stood, in the
        write-ahead log too. Returns how many conversations. Backups are not touched.
        """
        return await self._purge(conversations.c.deleted <= self._now() - older_than_s)

    async def purge_old(self, older_than_s: float, *, record: Callable[[int], bytes] | None = None) -> int:
        """Removes, in the same way, everybody's conversations whose last message is that old, but none that is just
        being answered, and none that was brought in later. Returns how many. ``record``: what the ledger is told of so
        many; that waits for it from the same transaction on, where there were any.
        """
        running = exists().where(
            messages.c.conversation_id == conversations.c.id, messages.c.state == MessageState.RUNNING.value
        )
        until = self._now() - older_than_s
        came = conversations.c.imported.is_(None) | (conversations.c.imported <= until)
        return await self._purge((conversations.c.updated <= until) & came & ~running, record)

    async def _purge(self, which: ColumnElement[bool], record: Callable[[int], bytes] | None = None) -> int:
        old = select(conversations.c.id).where(which)

        def work(connection: Connection) -> int:
            connection.execute(delete(messages).where(messages.c.conversation_id.in_(old)))
            purged = connection.execute(delete(conversations).where(conversations.c.id.in_(old))).rowcount
            if purged and record is not None:
                add_waiting(connection, new_id(), record(purged), now=self._now())
            return purged

        purged = await self._database.write(work)
        if purged:
            await self._database.forget()
        return purged

    async def recover(self) -> int:
        """At start: what was running when the process ended was interrupted. Returns how many answers."""
        cut = (
            update(messages)
            .where(messages.c.state == MessageState.RUNNING.value)
            .values(state=MessageState.INTERRUPTED.value)
        )
        return await self._database.write(lambda connection: connection.execute(cut).rowcount)
