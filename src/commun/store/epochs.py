"""The secrets that seeds come from: one open at a time. Stored before the ledger hears of it, used after it has."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, update

from commun.store.database import Database
from commun.store.schema import epochs


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

    async def find_open(self) -> StoredEpoch | None:
        """The newest that no other has taken the place of and that the ledger has."""
        query = (
            select(epochs)
            .where(epochs.c.closed.is_(None), epochs.c.position.is_not(None))
            .order_by(epochs.c.opened.desc())
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else StoredEpoch(row.sha256, row.secret, row.opened, row.position)

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

        await self._database.write(work)
