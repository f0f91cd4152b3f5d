"""The secrets that seeds come from: one open at a time. Stored before the ledger hears of it, used after it has.

Rules:

- a secret is published once: ``publish`` marks it and stores its entry for the ledger in one transaction, and entries
  that wait are recorded exactly once (``recording``). The one in use is none of those that are ``due``;
- what the ledger has published is never used again, also where the database is an older copy: ``note_in_ledger``;
- an hour that the clock was set back into begins anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, or_, select, update

from commun.store.database import Database
from commun.store.schema import epochs, ledger_waiting, receipts, spent_nonces


@dataclass(frozen=True, slots=True)
class StoredEpoch:
    """``sha256``: of the secret, hex. ``opened``: seconds since 1970. ``position``: None where the ledger may lack
    it.
    """

    sha256: str
    secret: bytes = field(repr=False)
    opened: float
    position: int | None


class Epochs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, sha256: str) -> StoredEpoch | None:
        query = select(epochs).where(epochs.c.sha256 == sha256)
        return _epoch(await self._database.read(lambda connection: connection.execute(query).first()))

    async def find_open(self) -> StoredEpoch | None:
        """The newest that no other has taken the place of, that the ledger has and has not published."""
        query = (
            select(epochs)
            .where(epochs.c.closed.is_(None), epochs.c.position.is_not(None), epochs.c.published.is_(None))
            .order_by(epochs.c.opened.desc())
        )
        return _epoch(await self._database.read(lambda connection: connection.execute(query).first()))

    async def is_spent(self, receipt_id: str) -> bool:
        """Whether there is, or was since the open secret is in use, a receipt of this id."""
        there = select(
            or_(
                exists().where(receipts.c.id == receipt_id),
                exists().where(spent_nonces.c.receipt_id == receipt_id),
            )
        )
        return bool(await self._database.read(lambda connection: connection.execute(there).scalar()))

    async def add(self, epoch: StoredEpoch) -> None:
        """On the disk when this returns: a secret whose hash is published is never lost."""
        row = {"sha256": epoch.sha256, "secret": epoch.secret, "opened": epoch.opened, "position": epoch.position}
        await self._database.write(lambda connection: connection.execute(insert(epochs), row))

    async def place(self, sha256: str, position: int, *, now: float) -> None:
        """The ledger has it: from now on it is the open one."""

        def work(connection: Connection) -> None:
            others = update(epochs).where(epochs.c.sha256 != sha256, epochs.c.closed.is_(None))
            connection.execute(others.values(closed=now))
            connection.execute(update(epochs).where(epochs.c.sha256 == sha256).values(position=position))
            connection.execute(delete(spent_nonces))  # of secrets that are not in use any more

        await self._database.write(work)

    async def due(self, *, now: float, grace_s: float) -> list[StoredEpoch]:
        """Those whose secret may be published, oldest first: another took their place ``grace_s`` ago, and the ledger
        has every receipt that ended until then.
        """

        def work(connection: Connection) -> list[StoredEpoch]:
            over = epochs.c.closed.is_not(None), epochs.c.position.is_not(None), epochs.c.published.is_(None)
            connection.execute(update(epochs).where(*over, epochs.c.closed > now).values(closed=now))
            waits = exists().where(receipts.c.position.is_(None), receipts.c.created <= epochs.c.closed + grace_s)
            query = select(epochs).where(*over, epochs.c.closed + grace_s <= now, ~waits).order_by(epochs.c.opened)
            return [found for row in connection.execute(query) if (found := _epoch(row)) is not None]

        return await self._database.write(work)

    async def publish(self, sha256: str, entry: bytes, *, name: str, now: float) -> bool:
        """Marks it, and stores ``entry`` under ``name`` until the ledger has it. False: it was marked already."""

        def work(connection: Connection) -> bool:
            mine = epochs.c.sha256 == sha256, epochs.c.closed.is_not(None), epochs.c.published.is_(None)
            if connection.execute(update(epochs).where(*mine).values(published=now)).rowcount != 1:
                return False
            connection.execute(insert(ledger_waiting), {"id": name, "created": now, "entry": entry})
            return True

        return await self._database.write(work)

    async def note_in_ledger(self, opened: Mapping[str, int], published: Iterable[str], *, now: float) -> None:
        """What the ledger has of them: positions by ``sha256``, and which it has published."""
        told = list(published)

        def work(connection: Connection) -> None:
            unplaced = select(epochs.c.sha256).where(epochs.c.position.is_(None))
            for sha256 in connection.execute(unplaced).scalars().all():
                if sha256 in opened:
                    known = update(epochs).where(epochs.c.sha256 == sha256)
                    connection.execute(known.values(position=opened[sha256], closed=now))  # it was never used
            for sha256 in told:
                unmarked = update(epochs).where(epochs.c.sha256 == sha256, epochs.c.published.is_(None))
                connection.execute(unmarked.values(published=now, closed=now))

        await self._database.write(work)


def _epoch(row: Row[Any] | None) -> StoredEpoch | None:
    return None if row is None else StoredEpoch(row.sha256, row.secret, row.opened, row.position)
