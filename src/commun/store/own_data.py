"""What the tables hold of one account: all of it, by construction. What is sealed is opened elsewhere, or not at all.

Rules:

- a row is the account's where its column ``account_id`` says so, and the account's own row; which tables there are is
  read in the schema, so that one that is added later is in it without a word here;
- no bytes: seals, and hashes of tokens, tell their owner nothing;
- what belongs to somebody else is in no row of it.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, LargeBinary, Table, select

from commun.store import rows
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.schema import accounts, conversations, messages, metadata, receipts

APART: Final = frozenset({conversations.name, messages.name, receipts.name})  # exported conversation by conversation


@dataclass(frozen=True, slots=True)
class Unopened:
    """A conversation that was sealed with an older key pair of its owner's. Times: seconds since 1970."""

    id: str
    created: float
    updated: float


class OwnData:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, viewer: Viewer) -> dict[str, list[dict[str, Any]]]:
        """By table, in the order of the schema; tables without any are left out."""

        def work(connection: Connection) -> dict[str, list[dict[str, Any]]]:
            found = {table.name: _rows(connection, table, viewer) for table in metadata.sorted_tables}
            return {name: those for name, those in found.items() if those}

        return await self._database.read(work)

    async def conversations(self, viewer: Viewer) -> list[str]:
        """Ids of those that open, oldest first. Raises VaultLocked."""
        rows.unlocked(viewer)
        query = select(conversations.c.id).where(rows.owned(viewer)).order_by(conversations.c.created)
        return await self._database.read(lambda connection: list(connection.execute(query).scalars()))

    async def unopened(self, viewer: Viewer) -> list[Unopened]:
        query = (
            select(conversations.c.id, conversations.c.created, conversations.c.updated)
            .where(
                conversations.c.account_id == viewer.account_id,
                conversations.c.vault_id != viewer.vault_id,
                conversations.c.deleted.is_(None),
            )
            .order_by(conversations.c.created)
        )
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [Unopened(row.id, row.created, row.updated) for row in found]


def _rows(connection: Connection, table: Table, viewer: Viewer) -> list[dict[str, Any]]:
    if table.name in APART:
        return []
    owner = table.c.id if table is accounts else table.c.get("account_id")
    if owner is None:
        return []
    told = [column for column in table.c if not isinstance(column.type, LargeBinary)]
    return [dict(row._mapping) for row in connection.execute(select(*told).where(owner == viewer.account_id))]  # noqa: SLF001
