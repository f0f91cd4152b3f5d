"""Between the event loop and the ledger's own thread: what was submitted, and what became of it.

Rules:

- everything that goes into the ledger while this process has it open goes through here, so that with each new head all
  of it is known: entries by their positions, receipts by theirs. They are written to the database once for each head;
- a receipt is in flight from ``submit`` until the database has its position, and an entry that waits until its row is
  gone. Neither is submitted again meanwhile;
- who looks for rows without a position (``busy``) skips what was in flight, or became so, while it looked: what it has
  read may be older than what became known;
- where the database refuses, it is tried again with the next head and with each ``settle``.

Owned by the event loop.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import structlog

from commun.ledger.entries import Statement
from commun.ledger.errors import LedgerError
from commun.ledger.log import Head, LedgerUnwritable, Log
from commun.ledger.writer import Ledger
from commun.store.ledger_entries import Learnt, LedgerEntries, StoredEntry

log = structlog.get_logger()
OnHead = Callable[[Head, tuple[StoredEntry, ...]], None]
POSITION_S: Final = 10.0  # a disk that takes longer for one entry refuses
WRITTEN: Final = ""  # the kind of a receipt's entry: its row has the position, and no copy of it is kept


@dataclass(frozen=True, slots=True)
class _Submitted:
    index: Future[int]
    entry: bytes
    kind: str
    name: str = ""  # of a receipt, or of an entry that waits


class LedgerQueue:
    """Owns ``ledger_log`` from now on. ``on_head``: called in the event loop with each new head and what it added."""

    def __init__(self, ledger_log: Log, entries: LedgerEntries, *, on_head: OnHead) -> None:
        self.log = ledger_log
        self.key = ledger_log.key.verifier.text()
        self.trouble: LedgerError | None = None
        self._entries = entries
        self._on_head = on_head
        self.loop = asyncio.get_running_loop()
        self._submitted: deque[_Submitted] = deque()
        self._in_flight: set[str] = set()
        self._busy: set[str] = set()
        self._unwritten: list[Learnt] = []
        self._writing: asyncio.Task[None] | None = None
        self._ledger = Ledger(
            ledger_log,
            on_head=lambda head: self._tell(self._headed, head),
            on_trouble=lambda error: self._tell(self._troubled, error),
        )

    @property
    def has_stopped(self) -> bool:
        """For good: only a restart helps. A disk that refuses is tried again."""
        return self.trouble is not None and not isinstance(self.trouble, LedgerUnwritable)

    def submit(self, statement: Statement, *, urgent: bool = False) -> Future[int]:
        """Raises LedgerFull, LedgerStopped."""
        entry = statement.data()
        index = self._ledger.submit(entry, urgent=urgent)
        self._submitted.append(_Submitted(index, entry, statement.type))
        return index

    async def position(self, index: Future[int]) -> int:
        """Of an entry that was submitted. Raises LedgerError: not there yet, and it may come to be (LedgerUnwritable);
        who keeps ``index`` can ask again, and nothing is submitted twice.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(index)), POSITION_S)
        except TimeoutError:
            raise self.trouble or LedgerUnwritable() from None

    def submit_waiting(self, name: str, statement: Statement) -> None:
        """An entry that is stored under ``name`` until the ledger has it. As ``submit_receipt``."""
        self._submit(name, statement.data(), statement.type)

    def submit_receipt(self, receipt: str, entry: bytes) -> None:
        """``receipt``: its id. Nothing where it is in flight. Never raises: what is not queued is found by its row."""
        self._submit(receipt, entry, WRITTEN)

    def _submit(self, name: str, entry: bytes, kind: str) -> None:
        if name in self._in_flight or self.has_stopped:
            return
        try:
            index = self._ledger.submit(entry)
        except LedgerError as error:
            log.warning("an entry waits for the ledger", code=error.code)
            return
        self._in_flight.add(name)
        self._busy.add(name)
        self._submitted.append(_Submitted(index, entry, kind, name))

    def busy(self) -> set[str]:
        """What is in flight; those that come to be are added to it, until this is called again."""
        self._busy = set(self._in_flight)
        return self._busy

    async def settle(self) -> None:
        """What is known is in the database when this returns, or it refuses."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await self._writing

    async def close(self) -> None:
        """Integrates what is queued, closes the log, writes what became known."""
        await asyncio.to_thread(self._ledger.close)
        await asyncio.sleep(0)  # what the thread has told meanwhile
        await self.settle()

    def _tell(self, what: Callable[..., None], told: Head | LedgerError) -> None:
        """In the ledger's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended: opening the ledger finds it
            self.loop.call_soon_threadsafe(what, told)

    def _headed(self, head: Head) -> None:
        self.trouble = None
        entries: list[StoredEntry] = []
        receipts: list[tuple[str, int]] = []
        waited: list[str] = []
        while self._submitted and _is_under(self._submitted[0], head):
            one = self._submitted.popleft()
            position = one.index.result()
            if one.kind == WRITTEN:
                receipts.append((one.name, position))
                continue
            entries.append(StoredEntry(position, one.kind, one.entry))
            if one.name:
                waited.append(one.name)
        root = head.checkpoint.root
        self._unwritten.append(Learnt(head.size, root, tuple(entries), tuple(receipts), tuple(waited)))
        if self._writing is None or self._writing.done():
            self._writing = self.loop.create_task(self._write())
        self._on_head(head, tuple(entries))

    def _troubled(self, error: LedgerError) -> None:
        if type(error) is not type(self.trouble):
            log.error("the ledger takes nothing", code=error.code, problem=error.text())
        self.trouble = error
        if self.has_stopped:  # the rows have no position: the next start finds them
            self._submitted.clear()
            self._in_flight.clear()

    async def _write(self) -> None:
        while self._unwritten:
            several = tuple(self._unwritten)
            try:
                await self._entries.learn(self.key, _joined(several))
            except Exception:  # whatever the database says: the ledger has it, and it is tried again
                log.exception("positions in the ledger could not be stored")
                return
            del self._unwritten[: len(several)]
            for one in several:
                self._in_flight.difference_update(name for name, _ in one.receipts)
                self._in_flight.difference_update(one.no_longer_waiting)


def _is_under(one: _Submitted, head: Head) -> bool:
    return one.index.done() and one.index.exception() is None and one.index.result() < head.size


def _joined(several: tuple[Learnt, ...]) -> Learnt:
    last = several[-1]
    return Learnt(
        last.size,
        last.root,
        tuple(entry for one in several for entry in one.entries),
        tuple(receipt for one in several for receipt in one.receipts),
        tuple(name for one in several for name in one.no_longer_waiting),
    )
