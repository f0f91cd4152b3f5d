"""A turn that is being stored: how it begins (``Start``) and how its answer is kept (``OpenTurn``)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection, exists, select, update

from commun.errors import Conflict, InvalidParameter, NotFound
from commun.receipts.issue import Receipt
from commun.store import folders, receipts, rows
from commun.store.audit_samples import AuditSamples
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.schema import messages
from commun.store.tree import MessageState, new_id
from commun.store.vault import ConversationKey


@dataclass(slots=True)
class Start:
    """The rows that begin a turn. ``question`` None: another answer to the user's message ``parent_id``. ``folder_id``:
    where a new conversation goes.
    """

    viewer: Viewer
    parent_id: str | None
    question: str | None
    now: float
    folder_id: str | None = None
    conversation_id: str = ""
    question_id: str = field(default_factory=new_id)
    answer_id: str = field(default_factory=new_id)

    def in_new(self, connection: Connection, title: str) -> ConversationKey:
        """In a conversation that begins with it. Raises InvalidParameter, NotFound where the folder is not theirs."""
        if self.question is None or self.parent_id is not None:
            raise InvalidParameter(parameter="parent_id", reason="a new conversation begins with a question")
        if self.folder_id is not None:
            folders.get_owned(connection, self.viewer, self.folder_id)
        self.conversation_id = new_id()
        key = rows.add_conversation(
            connection,
            self.viewer,
            conversation_id=self.conversation_id,
            title=title,
            leaf_id=self.answer_id,
            now=self.now,
            folder_id=self.folder_id,
        )
        self._add(connection, key)
        return key

    def in_known(self, connection: Connection, conversation_id: str) -> ConversationKey:
        """In a conversation that exists. Raises NotFound, Conflict, InvalidParameter."""
        self.conversation_id = conversation_id
        row = rows.get_owned(connection, self.viewer, conversation_id)
        running = exists().where(
            messages.c.conversation_id == conversation_id, messages.c.state == MessageState.RUNNING.value
        )
        if connection.execute(select(running)).scalar():
            raise Conflict
        self._check_parent(connection)
        key = rows.open_conversation_key(self.viewer, row)
        self._add(connection, key)
        rows.change(connection, conversation_id, leaf_id=self.answer_id, updated=self.now)
        return key

    def _check_parent(self, connection: Connection) -> None:
        """A question follows an answer (or nothing), an answer follows a question."""
        role = None
        if self.parent_id is not None:
            role = rows.get_message(connection, self.conversation_id, self.parent_id).role
        if self.question is None:
            if role != "user":
                raise InvalidParameter(parameter="parent_id", reason="only a question can be answered again")
            self.question_id = str(self.parent_id)
        elif role == "user":
            raise InvalidParameter(parameter="parent_id", reason="a question cannot follow a question")

    def _add(self, connection: Connection, key: ConversationKey) -> None:
        added = []
        if self.question is not None:
            added.append(
                rows.message_row(
                    key,
                    message_id=self.question_id,
                    conversation_id=self.conversation_id,
                    parent_id=self.parent_id,
                    role="user",
                    content={"text": self.question},
                    now=self.now,
                )
            )
        added.append(
            rows.message_row(
                key,
                message_id=self.answer_id,
                conversation_id=self.conversation_id,
                parent_id=self.question_id,
                role="assistant",
                content={"text": ""},
                now=self.now,
                state=MessageState.RUNNING,
            )
        )
        rows.add_messages(connection, added)


@dataclass(slots=True)
class OpenTurn:
    """An answer that is being written. Holds the conversation's key in memory while it is."""

    conversation_id: str
    question_id: str
    answer_id: str
    _account_id: str
    _key: ConversationKey = field(repr=False)
    _database: Database = field(repr=False)
    _now: Callable[[], float] = field(repr=False)
    _samples: AuditSamples | None = field(default=None, repr=False)

    async def checkpoint(self, content: dict[str, Any]) -> None:
        """Stores what there is of the answer, which goes on running; after ``keep`` it does nothing."""
        work = partial(self._write, content=content, state=MessageState.RUNNING)
        await self._database.write(work, flush=False)

    async def keep(self, content: dict[str, Any], state: MessageState, receipt: Receipt | None = None) -> None:
        """Stores the finished answer and its receipt, both or neither. When this returns, they survive kill -9 and a
        power cut; if the caller is cancelled, they are stored all the same. Raises NotFound if the conversation was
        purged or the answer is kept already. ``receipt`` None: of an answer that never began.
        """

        def work(connection: Connection) -> None:
            if not self._write(connection, content, state):
                raise NotFound
            now = self._now()
            rows.change(connection, self.conversation_id, updated=now)
            if receipt is not None:
                place = receipts.Place(self._account_id, self.conversation_id, self.answer_id)
                receipts.add(connection, self._key, receipt, place=place, content=content, now=now)
                if self._samples is not None:
                    self._samples.take(connection, receipt, self._account_id)

        await self._database.write(work)

    def _write(self, connection: Connection, content: dict[str, Any], state: MessageState) -> int:
        context = rows.content_context(self.answer_id, self.conversation_id, self.question_id, "assistant")
        sealed = self._key.seal(rows.as_bytes(content), context)
        change = (
            update(messages)
            .where(messages.c.id == self.answer_id, messages.c.state == MessageState.RUNNING.value)
            .values(content=sealed, state=state.value)
        )
        return connection.execute(change).rowcount
