"""Another key for a conversation: all that is sealed under the old one is sealed again, and written in one transaction.

So a reader who was sent away and kept the old key opens nothing that is stored from then on. ``SEALED`` names every
column under a conversation's key and what each seal is bound to; a column that is added later goes there, and a test
looks at the tables for one that is missing.

A long conversation takes seconds to open and seal, and there is one writer for everybody. So that is done beforehand,
in a reader's snapshot (``prepare``); the writer writes what is ready (``apply``), and only where every seal is still
the one that was read. Where one is not, nothing is written, and it begins again, ATTEMPTS times at most.

What does not open under the old key (a damaged row) stays as it is, is counted and logged: it ends nobody's leaving.

Refuses to do it while an answer is being written: whoever writes it holds the key.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    update,
)

from commun.errors import N_, Conflict
from commun.store import rows
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.schema import feedback, messages, readers, receipts, vaults
from commun.store.tree import MessageState
from commun.store.vault import ConversationKey, PublicKey, VaultError, bind

ATTEMPTS: Final = 5
SEAL_BEGINS: Final = 13  # bytes: the version and the nonce, which no two seals share

Cell = tuple[bytes, Any, bytes]  # the new seal, the row's key, what the old seal begins with

log = structlog.get_logger()


class StillWriting(Conflict):
    code = "still_writing"
    problem = N_("An answer is just being written in this conversation.")
    cure = N_("Wait for its end, or let its owner stop it; then try again.")


class Changed(StillWriting):
    """Something was written since it was read."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of bytes under the conversation's key. ``facts``: what its context names, in this order."""

    table: Table
    column: str
    facts: tuple[str, ...]

    @property
    def key(self) -> Column[Any]:
        (column,) = self.table.primary_key
        return column

    @property
    def cell(self) -> Column[Any]:
        return self.table.c[self.column]

    def of(self, conversation_id: str) -> ColumnElement[bool]:
        """The rows of a conversation that have something in this column."""
        return and_(self.table.c.conversation_id == conversation_id, self.cell.is_not(None))

    def context(self, row: Row[Any]) -> bytes:
        return bind(self.table.name, self.column, *(getattr(row, name) or "" for name in self.facts))


SEALED: Final = (
    Sealed(messages, "content", ("id", "conversation_id", "parent_id", "role")),
    Sealed(receipts, "sealed", ("id", "message_id", "conversation_id")),
    Sealed(feedback, "sealed", ("message_id", "conversation_id")),
)


@dataclass(slots=True)
class NewKey:
    """A conversation under another key, ready to be written. ``row``: as it was read. ``cells``: of each column.
    ``damaged``: how many do not open.
    """

    row: Row[Any]
    key: ConversationKey = field(repr=False)
    title: bytes
    cells: dict[Sealed, list[Cell]] = field(default_factory=dict, repr=False)
    damaged: int = 0

    def seal_again(self, connection: Connection, sealed: Sealed, old: ConversationKey) -> None:
        cells = self.cells[sealed] = []
        for row in connection.execute(select(sealed.table).where(sealed.of(self.row.id))):
            seal, context = getattr(row, sealed.column), sealed.context(row)
            try:
                again = self.key.seal(old.open(seal, context), context)
            except VaultError:
                self.damaged += 1
                again = seal
            cells.append((again, getattr(row, sealed.key.name), seal[:SEAL_BEGINS]))


def check_not_writing(connection: Connection, conversation_id: str) -> None:
    """Raises StillWriting."""
    running = exists().where(
        messages.c.conversation_id == conversation_id, messages.c.state == MessageState.RUNNING.value
    )
    if connection.execute(select(running)).scalar():
        raise StillWriting


async def give_new_key(
    database: Database, viewer: Viewer, conversation_id: str, and_with_it: Callable[[Connection], None]
) -> None:
    """``and_with_it``: done in the same transaction, before. Who reads the viewer's conversation goes on with the new
    key; links that nobody has accepted end, since what they carry is the old one. ``Database.forget`` after it. Raises
    NotFound, StillWriting, VaultLocked, VaultError, and nothing has changed then.
    """

    def work(connection: Connection, ready: NewKey) -> None:
        and_with_it(connection)
        apply(connection, viewer, ready)

    for left in reversed(range(ATTEMPTS)):
        ready = await database.read(lambda connection: prepare(connection, viewer, conversation_id))
        try:
            await database.write(partial(work, ready=ready))
        except Changed:
            if not left:
                raise
        else:
            break
    if ready.damaged:
        log.warning(
            "rows that do not open were left as they are when a conversation got another key", count=ready.damaged
        )


def prepare(connection: Connection, viewer: Viewer, conversation_id: str) -> NewKey:
    """In one snapshot. Raises NotFound, StillWriting, VaultLocked, VaultError."""
    row = rows.get_owned(connection, viewer, conversation_id)
    check_not_writing(connection, row.id)
    old, new = rows.open_conversation_key(viewer, row), ConversationKey.generate()
    ready = NewKey(row, new, rows.seal_title(new, row.id, rows.open_title(old, row)))
    for each in SEALED:
        ready.seal_again(connection, each, old)
    return ready


def apply(connection: Connection, viewer: Viewer, ready: NewKey) -> None:
    """In a transaction. Raises NotFound, StillWriting; Changed."""
    was = ready.row
    row = rows.get_owned(connection, viewer, was.id)
    check_not_writing(connection, row.id)
    if (row.sealed_key, row.title) != (was.sealed_key, was.title):
        raise Changed
    for sealed, cells in ready.cells.items():
        _write(connection, sealed, row.id, cells)
    connection.execute(delete(readers).where(readers.c.conversation_id == row.id, readers.c.accepted.is_(None)))
    _seal_to_readers(connection, row.id, ready.key)
    rows.change(connection, row.id, title=ready.title, sealed_key=rows.reseal_by_owner(viewer, row, ready.key))


def _write(connection: Connection, sealed: Sealed, conversation_id: str, cells: list[Cell]) -> None:
    """Raises Changed where a row came, went, or has another seal than the one that was read."""
    here = sealed.of(conversation_id)
    if connection.execute(select(func.count()).select_from(sealed.table).where(here)).scalar_one() != len(cells):
        raise Changed
    begins = func.substr(sealed.cell, literal_column("1"), literal_column(f"{SEAL_BEGINS}"))
    change = update(sealed.table).values({sealed.column: bindparam("new")})
    change = change.where(sealed.key == bindparam("row"), begins == bindparam("old"))
    statement = str(change.compile(dialect=connection.dialect))  # run as it is: a third of the time, for many rows
    if cells and connection.exec_driver_sql(statement, cells).rowcount != len(cells):
        raise Changed


def _seal_to_readers(connection: Connection, conversation_id: str, key: ConversationKey) -> None:
    query = (
        select(readers, vaults.c.public_key)
        .join(vaults, vaults.c.id == readers.c.vault_id)
        .where(readers.c.conversation_id == conversation_id)
    )
    for row in connection.execute(query).all():
        context = rows.reader_context(row.id, row.conversation_id, row.account_id, row.vault_id)
        sealed = PublicKey.from_bytes(row.public_key).seal(key.to_bytes(), context)
        connection.execute(update(readers).where(readers.c.id == row.id).values(sealed_key=sealed))
