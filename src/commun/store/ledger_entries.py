"""What the database knows of the ledger: up to where, which entries are no receipts, and where receipts are.

The ledger is the truth; these tables are an index of it, made again from it by whoever reads it (``recording``).

Rules:

- one ledger at a time: ``begin`` with another key forgets the entries of the one before and the positions of receipts,
  so that they are recorded in the new one. Which ledgers there were, and how far they had come, is not forgotten;
- ``learn`` writes positions, entries and the size up to which all is known in one transaction: the size never runs
  ahead of what it stands for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from commun.ledger.entries import EditionStatement, Event, read_statement
from commun.store.database import Database
from commun.store.epochs import Epochs
from commun.store.receipts import MAX_ASKED, place_rows
from commun.store.schema import epochs, ledger_entries, ledger_waiting, ledgers, receipts

MAX_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """``kind``: the statement's type."""

    position: int
    kind: str
    entry: bytes


@dataclass(frozen=True, slots=True)
class KnownLedger:
    """``key``: the verifier key's text. ``root``: of the tree of ``size``. ``witnessed``: a signed head, or None.
    ``replaced``: another ledger took its place.
    """

    key: str
    size: int
    root: bytes
    witnessed: bytes | None
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became known up to ``size``: entries that are no receipts, receipts by id with their positions, and the
    names of entries that wait no more.
    """

    size: int
    root: bytes
    entries: tuple[StoredEntry, ...] = ()
    receipts: tuple[tuple[str, int], ...] = ()
    no_longer_waiting: tuple[str, ...] = ()


def add_waiting(connection: Connection, name: str, entry: bytes, *, now: float) -> None:
    """In the transaction of what the entry tells."""
    connection.execute(insert(ledger_waiting), {"id": name, "created": now, "entry": entry})


class LedgerEntries:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.epochs = Epochs(database)

    async def find_known(self, key: str) -> KnownLedger | None:
        """None: this ledger is not the one that these tables are of."""
        return next((known for known in await self.all_known() if known.key == key and not known.replaced), None)

    async def all_known(self) -> list[KnownLedger]:
        """Those before it, too: one that comes back must be what it was."""
        found = await self._database.read(lambda connection: connection.execute(select(ledgers)).all())
        return [KnownLedger(row.key, row.size, row.root, row.witnessed, bool(row.replaced)) for row in found]

    async def begin(self, key: str, *, root: bytes, now: float) -> None:
        """``root``: of the empty tree. ``now``: seconds since 1970."""

        def work(connection: Connection) -> None:
            connection.execute(delete(ledgers).where(ledgers.c.key == key))
            connection.execute(update(ledgers).where(ledgers.c.replaced.is_(None)).values(replaced=now))
            if connection.execute(select(ledgers.c.key)).first() is not None:
                connection.execute(update(receipts).values(position=None))
            connection.execute(delete(ledger_entries))
            connection.execute(update(epochs).values(position=None))
            connection.execute(insert(ledgers), {"key": key, "size": 0, "root": root})

        await self._database.write(work)

    async def learn(self, key: str, learnt: Learnt) -> None:
        """Not flushed: what a power cut takes is read in the ledger again."""

        def work(connection: Connection) -> None:
            place_rows(connection, learnt.receipts)
            if learnt.no_longer_waiting:
                gone = ledger_waiting.c.id.in_(learnt.no_longer_waiting)
                connection.execute(delete(ledger_waiting).where(gone))
            if learnt.entries:
                rows = [{"position": one.position, "kind": one.kind, "entry": one.entry} for one in learnt.entries]
                connection.execute(insert(ledger_entries).prefix_with("OR REPLACE"), rows)
            grown = (
                update(ledgers)
                .where(ledgers.c.key == key, ledgers.c.size <= learnt.size)
                .values(size=learnt.size, root=learnt.root)
            )
            connection.execute(grown)

        await self._database.write(work, flush=False)

    def wait(self, name: str, entry: bytes, *, now: float) -> None:
        """Posted: never blocks. An entry that the ledger does not have yet, under a name of its own."""
        self._database.post(lambda connection: add_waiting(connection, name, entry, now=now))

    async def waiting(self, limit: int) -> list[tuple[str, bytes]]:
        """(name, entry), oldest first."""
        query = select(ledger_waiting).order_by(ledger_waiting.c.created).limit(limit)
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [(row.id, row.entry) for row in found]

    async def find_waiting(self, there: Sequence[bytes]) -> tuple[str, ...]:
        """Names of what waits and is among these entries, which the ledger has."""

        def work(connection: Connection) -> tuple[str, ...]:
            found: list[str] = []
            for start in range(0, len(there), MAX_ASKED):
                some = ledger_waiting.c.entry.in_(there[start : start + MAX_ASKED])
                found += connection.execute(select(ledger_waiting.c.id).where(some)).scalars()
            return tuple(found)

        return await self._database.read(work) if there else ()

    async def keep_witnessed(self, key: str, note: bytes) -> None:
        kept = update(ledgers).where(ledgers.c.key == key).values(witnessed=note)
        await self._database.write(lambda connection: connection.execute(kept))

    async def add(self, position: int, kind: str, entry: bytes) -> None:
        row = {"position": position, "kind": kind, "entry": entry}
        await self._database.write(
            lambda connection: connection.execute(insert(ledger_entries).prefix_with("OR REPLACE"), row), flush=False
        )

    async def of_kind(self, kind: str) -> list[StoredEntry]:
        """In the ledger's order."""
        query = select(ledger_entries).where(ledger_entries.c.kind == kind).order_by(ledger_entries.c.position)
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [StoredEntry(row.position, row.kind, row.entry) for row in found]

    async def find(self, entry: bytes) -> StoredEntry | None:
        """The first that is written so, among those of its kind: an entry has one writing."""
        kind = read_statement(entry).type
        query = (
            select(ledger_entries)
            .where(ledger_entries.c.kind == kind, ledger_entries.c.entry == entry)
            .order_by(ledger_entries.c.position)
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else StoredEntry(row.position, row.kind, row.entry)

    async def newest(self, limit: int, *, below: int | None = None) -> list[StoredEntry]:
        """Newest first, at most MAX_SHOWN. ``below``: only those before this position."""
        query = select(ledger_entries).order_by(ledger_entries.c.position.desc()).limit(min(limit, MAX_SHOWN))
        if below is not None:
            query = query.where(ledger_entries.c.position < below)
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [StoredEntry(row.position, row.kind, row.entry) for row in found]

    async def find_edition(self, number: int, event: Event = "adopted") -> StoredEntry | None:
        """The first that says so."""
        for stored in await self.of_kind(EditionStatement.type):
            statement = read_statement(stored.entry)
            if isinstance(statement, EditionStatement) and (statement.number, statement.event) == (number, event):
                return stored
        return None

    async def last_position(self) -> int | None:
        """Of what these tables know; None: of nothing."""

        def work(connection: Connection) -> int | None:
            ends = [
                connection.execute(select(func.max(table.c.position))).scalar() for table in (ledger_entries, receipts)
            ]
            return max((int(end) for end in ends if end is not None), default=None)

        return await self._database.read(work)
