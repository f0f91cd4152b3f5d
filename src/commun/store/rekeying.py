"""Another key for a conversation: all that is sealed under the old one is sealed again, in one transaction.

So a reader who was sent away and kept the old key opens nothing that is stored from then on. ``SEALED`` names every
column under a conversation's key and what each seal is bound to; a column that is added later goes there, and a test
looks at the tables for one that is missing.

What does not open under the old key (a damaged row) stays as it is, is counted and logged: it ends nobody's leaving.

Refuses to do it while an answer is being written: whoever writes it holds the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, Table, delete, exists, select, update

from commun.errors import N_, Conflict
from commun.store import rows
from commun.store.people import Viewer
from commun.store.schema import feedback, messages, readers, receipts, vaults
from commun.store.tree import MessageState
from commun.store.vault import ConversationKey, PublicKey, VaultError, bind

AT_ONCE: Final = 64  # rows in memory

log = structlog.get_logger()


class StillWriting(Conflict):
    code = "still_writing"
    problem = N_("An answer is just being written in this conversation.")
    cure = N_("Wait for its end, or let its owner stop it; then try again.")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of bytes under the conversation's key. ``facts``: what its context names, in this order."""

    table: Table
    column: str
    facts: tuple[str, ...]

    def context(self, row: Row[Any]) -> bytes:
        return bind(self.table.name, self.column, *(getattr(row, name) or "" for name in self.facts))


SEALED: Final = (
    Sealed(messages, "content", ("id", "conversation_id", "parent_id", "role")),
    Sealed(receipts, "sealed", ("id", "message_id", "conversation_id")),
    Sealed(feedback, "sealed", ("message_id", "conversation_id")),
)


def check_not_writing(connection: Connection, conversation_id: str) -> None:
    """Raises StillWriting."""
    running = exists().where(
        messages.c.conversation_id == conversation_id, messages.c.state == MessageState.RUNNING.value
    )
    if connection.execute(select(running)).scalar():
        raise StillWriting


def give_new_key(connection: Connection, viewer: Viewer, row: Row[Any]) -> None:
    """``row``: the viewer's conversation. Who reads it goes on with the new key; links that nobody has accepted end,
    since what they carry is the old one. In a transaction; ``Database.forget`` after it. Raises StillWriting,
    VaultLocked, VaultError.
    """
    check_not_writing(connection, row.id)
    old, new = rows.open_conversation_key(viewer, row), ConversationKey.generate()
    title = rows.seal_title(new, row.id, rows.open_title(old, row))
    damaged = sum(_seal_again(connection, each, row.id, old, new) for each in SEALED)
    if damaged:
        log.warning("rows that do not open were left as they are when a conversation got another key", count=damaged)
    connection.execute(delete(readers).where(readers.c.conversation_id == row.id, readers.c.accepted.is_(None)))
    _seal_to_readers(connection, row.id, new)
    rows.change(connection, row.id, title=title, sealed_key=rows.reseal_by_owner(viewer, row, new))


def _seal_again(
    connection: Connection, sealed: Sealed, conversation_id: str, old: ConversationKey, new: ConversationKey
) -> int:
    """Returns how many rows do not open."""
    (name,) = (column.name for column in sealed.table.primary_key)
    first, column = sealed.table.c[name], sealed.table.c[sealed.column]
    here = sealed.table.c.conversation_id == conversation_id
    ids = connection.execute(select(first).where(here, column.is_not(None))).scalars().all()
    starts = range(0, len(ids), AT_ONCE)
    return sum(_seal_some(connection, sealed, ids[start : start + AT_ONCE], old, new) for start in starts)


def _seal_some(
    connection: Connection, sealed: Sealed, ids: Sequence[Any], old: ConversationKey, new: ConversationKey
) -> int:
    (name,) = (column.name for column in sealed.table.primary_key)
    first, damaged = sealed.table.c[name], 0
    for row in connection.execute(select(sealed.table).where(first.in_(ids))).all():
        context = sealed.context(row)
        try:
            again = new.seal(old.open(getattr(row, sealed.column), context), context)
        except VaultError:
            damaged += 1
            continue
        change = update(sealed.table).where(first == getattr(row, name))
        connection.execute(change.values({sealed.column: again}))
    return damaged


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
