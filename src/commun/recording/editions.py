"""Which events of the charter the ledger must have before an edition is in force, and whether it has them.

Rules:

- an event is ``adopted``, ``frozen`` or ``released`` of one edition. The ledger must have every adoption from the first
  to the newest, and every freeze and release that is published, each with that edition's digest;
- what is missing is recorded in the order in which it happened: as the signed documents date it, an adoption after the
  one before it, a freeze after its adoption, a release after its freeze;
- the ledger having another digest for an edition, a newer edition than the published charter, or a freeze or release
  that is not published, is refused: one of the two was exchanged. What a member has stopped does not come back because
  a file is gone. Nothing is recorded then;
- whether something is missing is decided without reading a metadata file. Where it is, the whole charter is verified
  again, from the first root on.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from commun.charter.edition import InForce
from commun.charter.repository import Repository, freeze_name, unfreeze_name
from commun.ledger.entries import EditionStatement, Event, read_statement, time_text
from commun.recording.errors import OlderThanLedger, OtherEditionInLedger, StoppedInLedger
from commun.recording.queue import LedgerQueue
from commun.store.ledger_entries import LedgerEntries, StoredEntry

if TYPE_CHECKING:
    from commun.charter.freezes import FreezeState

ADOPTED: Final = "adopted"
FROZEN: Final = "frozen"
RELEASED: Final = "released"
Name = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Happened:
    """``at``: as its document dates it."""

    number: int
    digest: str
    event: Event
    at: datetime

    @property
    def name(self) -> Name:
        return self.number, self.event


@dataclass(slots=True)
class RecordedEditions:
    """What the ledger has, by number and event: the digests that were ever recorded, and where the first is."""

    _digests: dict[Name, set[str]] = field(default_factory=dict)
    _positions: dict[Name, int] = field(default_factory=dict)

    def add(self, position: int, statement: EditionStatement) -> None:
        name = (statement.number, statement.event)
        self._digests.setdefault(name, set()).add(statement.digest)
        self._positions.setdefault(name, position)

    def note(self, stored: StoredEntry) -> None:
        """An entry of the ledger, whatever its kind."""
        statement = read_statement(stored.entry) if stored.kind == EditionStatement.type else None
        if isinstance(statement, EditionStatement):
            self.add(stored.position, statement)

    def has(self, name: Name) -> bool:
        return name in self._digests

    def find_position(self, name: Name) -> int | None:
        return self._positions.get(name)

    def check(self, number: int, event: str, digest: str) -> None:
        """Raises OtherEditionInLedger."""
        if self._digests.get((number, event), {digest}) != {digest}:
            raise OtherEditionInLedger(edition=number)

    def check_newest(self, number: int) -> None:
        """Raises OlderThanLedger."""
        newest = max((known for known, _ in self._digests), default=0)
        if newest > number:
            raise OlderThanLedger(edition=newest, newest=number)

    def check_stopped(self, frozen: Collection[Name]) -> None:
        """Raises StoppedInLedger."""
        for name in self._digests:
            if name[1] != ADOPTED and name not in frozen:
                raise StoppedInLedger(edition=name[0])

    def is_complete(self, in_force: InForce, frozen: Collection[Name]) -> bool:
        """Whether nothing is missing. ``frozen``: freezes and releases that lie there. Raises as the checks do."""
        newest = in_force.newest
        self.check_newest(newest.number)
        self.check_stopped(frozen)
        for edition in (newest, in_force.edition):
            self.check(edition.number, ADOPTED, edition.digest)
        adopted = ((number, ADOPTED) for number in range(1, newest.number + 1))
        return all(map(self.has, adopted)) and all(map(self.has, frozen))

    def missing(self, happened: Iterable[Happened]) -> list[Happened]:
        """In the order given. Raises OtherEditionInLedger."""
        events = list(happened)
        for one in events:
            self.check(one.number, one.event, one.digest)
        return [one for one in events if not self.has(one.name)]


class EditionEvents:
    """Brings every event of the published charter into the ledger, once. Owned by the recorder, which lets one task at
    a time in. ``folder``: the published charter. ``now``: the clock (UTC).
    """

    def __init__(self, folder: Path, *, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._recorded = RecordedEditions()
        self._recording: dict[Name, Future[int]] = {}  # wait for the disk
        self._admitted: tuple[object, ...] | None = None  # what was complete when last looked at

    async def read(self, entries: LedgerEntries) -> None:
        """What the ledger has."""
        self._recorded = RecordedEditions()
        for stored in await entries.of_kind(EditionStatement.type):
            self._recorded.note(stored)

    def note(self, stored: StoredEntry) -> None:
        """An entry that the ledger has now, whatever its kind."""
        self._recorded.note(stored)

    async def record(self, in_force: InForce, queue: LedgerQueue) -> None:
        """The ledger has every event when this returns. Raises CharterError, LedgerError."""
        repository = Repository(self._folder)
        state = (await asyncio.to_thread(repository.stamp), in_force.edition.digest, in_force.newest.digest)
        if state == self._admitted:
            return
        frozen = await asyncio.to_thread(frozen_names, repository, in_force.newest.number)
        if not self._recorded.is_complete(in_force, frozen):
            happened = await asyncio.to_thread(read_happened, self._folder, now=self._now())
            await self._record(self._recorded.missing(happened), queue)
        self._admitted = state

    async def _record(self, missing: list[Happened], queue: LedgerQueue) -> None:
        """All of them are handed in before the first is waited for: they keep their order."""
        time = time_text(self._now())
        for one in missing:
            if one.name not in self._recording:
                statement = EditionStatement(one.number, one.digest, one.event, time)
                self._recording[one.name] = queue.submit(statement, urgent=True)
        for one in missing:
            position = await queue.position(self._recording[one.name])
            self._recorded.add(position, EditionStatement(one.number, one.digest, one.event, time))
            del self._recording[one.name]


def frozen_names(repository: Repository, newest: int) -> frozenset[Name]:
    """The freezes and releases that lie in the folder, of editions up to ``newest``; nothing of them is read."""
    there = set(repository.names("freezes"))
    return frozenset(
        (number, event)
        for number in range(2, newest + 1)
        for event, name in ((FROZEN, freeze_name(number)), (RELEASED, unfreeze_name(number)))
        if name in there
    )


def read_happened(folder: Path, *, now: datetime) -> list[Happened]:
    """Everything, oldest first. Verifies the whole charter: for a thread. Raises CharterError."""
    from commun.charter.loader import verify  # and with it tuf, only where something is missing

    verified = verify(Repository(folder), None, now=now)
    found: list[Happened] = []
    before: datetime | None = None
    for link in verified.links:
        edition = link.edition
        before = max(edition.proposed, before or edition.proposed)
        found.append(Happened(edition.number, edition.digest, ADOPTED, before))
        state = verified.freezes.get(edition.number)
        if state is not None:
            found += _stopped(edition.number, edition.digest, before, state)
    return sorted(found, key=lambda one: (one.at, one.number))  # stable: an adoption before its freeze


def _stopped(number: int, digest: str, adopted: datetime, state: "FreezeState") -> Iterable[Happened]:
    from commun.charter.canonical import parse_strict, read_time
    from commun.charter.freezes import MAX_FREEZE_BYTES

    at = max(state.at, adopted)
    yield Happened(number, digest, FROZEN, at)
    if state.release_data is not None:
        file = unfreeze_name(number)
        document = parse_strict(state.release_data, file=file, limit=MAX_FREEZE_BYTES)
        yield Happened(number, digest, RELEASED, max(at, read_time(document["signed"]["time"], file=file)))
