"""The one place that writes this Commun's ledger while it runs, and that knows how far the ledger has come.

Rules:

- an edition is in force only once the ledger has it (``admit``), with every edition, freeze and release before it
  (``editions.py``); so are the key that signs receipts and the secret that seeds come from (``epochs.py``). What the
  ledger says otherwise, or cannot take, refuses the edition: nothing is answered then, and the reason is told;
- a receipt is handed over after its commit (``submit``). It is queued, never waited for; what could not be queued, or
  was not yet in the ledger when the process died, is found again: its row has no position;
- never twice: opening reads in the ledger what the database does not know of it yet, before anything is submitted
  again. While the ledger is open no other process writes to it, and what this one submits is remembered until the
  database has its position. A row that somebody else has written (``commun chat``) is submitted when two looks,
  POLL_S apart, have found it without one: its own process may be about to;
- positions are written once for each head, never one by one, and with them up to where the database knows the ledger;
- a day's secret is published an hour after another has taken its place, once, and after the receipts that came from it;
- a ledger that is shorter than it was, or another, is refused (``catching_up.py``). One under a new key is a new one,
  under a new name, too: every receipt that is still here is recorded in it again.

Owned by the event loop; the ledger's own thread (``ledger/writer.py``) reports to it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from commun.charter.edition import InForce
from commun.charter.errors import CharterError
from commun.errors import CommunError
from commun.ledger.entries import (
    ReceiptKeyStatement,
    ReceiptStatement,
    Statement,
    read_statement,
)
from commun.ledger.errors import LedgerError
from commun.ledger.keys import VerifierKey
from commun.ledger.log import Head, LedgerStopped, LedgerUnwritable, Log
from commun.ledger.opening import open_log
from commun.ledger.policy import Standing
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, LEDGER_FOLDER
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt
from commun.receipts.statement import Seed
from commun.recording.catching_up import catch_up, new_origin
from commun.recording.confirmation import Confirmation
from commun.recording.cosignatures import WitnessState
from commun.recording.editions import EditionEvents
from commun.recording.epochs import OpenEpoch
from commun.recording.errors import LedgerRefuses
from commun.recording.queue import LedgerQueue
from commun.recording.receipt_key import RECEIPT_KEY_FILE, open_receipt_key
from commun.recording.statements import key_statements, software_statement
from commun.store.epochs import StoredEpoch
from commun.store.ledger_entries import LedgerEntries, StoredEntry
from commun.store.receipts import Receipts
from commun.store.tree import new_id

LEDGER_KEY_FILE: Final = "ledger.key"
POLL_S: Final = 5.0
MAX_AT_ONCE: Final = 4096  # of them submitted at a time

log = structlog.get_logger()


class Recorder:
    """``home``: the data folder. ``public_url``: "" where there is none. ``now``: the clock (UTC). ``announces``: a
    start of this is one of a server, which the ledger is told.
    """

    def __init__(
        self,
        *,
        home: Path,
        public_url: str,
        entries: LedgerEntries,
        receipts: Receipts,
        now: Callable[[], datetime],
        announces: bool = True,
    ) -> None:
        self._home = home
        self._public_url = public_url
        self._entries = entries
        self._receipts = receipts
        self._now = now
        self._announces = announces
        self._queue: LedgerQueue | None = None
        self._confirmation: Confirmation | None = None
        self._policy = ""
        self._signer: ReceiptSigner | None = None
        self._editions = EditionEvents(home / CHARTER_FOLDER, now=now)
        self._epoch = OpenEpoch(entries.epochs, now=now)
        self._seen: set[str] = set()  # without a position when last looked
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    # How far the ledger has come

    @property
    def log(self) -> Log | None:
        return self._queue.log if self._queue else None

    @property
    def origin(self) -> str:
        """Empty before there is a ledger."""
        return self._queue.log.key.name if self._queue else ""

    @property
    def verifier(self) -> VerifierKey | None:
        return self._queue.log.key.verifier if self._queue else None

    @property
    def head(self) -> Head | None:
        return self._queue.log.head if self._queue else None

    @property
    def witnessed(self) -> Head | None:
        """What proofs are made against; None: no head fulfils the charter's policy yet."""
        head = self.head
        return None if head is None or self._confirmation is None else self._confirmation.find(head)

    @property
    def trouble(self) -> LedgerError | None:
        """Why the ledger has stopped or is behind; None: it goes on."""
        return self._queue.trouble if self._queue else None

    @property
    def epoch(self) -> StoredEpoch | None:
        """The one that seeds come from; None before there is one."""
        return self._epoch.stored

    def standing(self) -> Standing | None:
        """How far the witnesses have come with the head that proofs are made against, where there is none yet with the
        newest one; None where the charter asks for none.
        """
        head = self.witnessed or self.head
        return None if head is None or self._confirmation is None else self._confirmation.standing(head)

    def witness_states(self) -> tuple[WitnessState, ...]:
        """Every witness of the charter in force, in its order; empty where nobody is asked."""
        return () if self._confirmation is None else self._confirmation.states()

    def signer(self) -> ReceiptSigner:
        """Of receipts: its key is recorded before any of them. Raises LedgerStopped before there is a ledger."""
        if self._signer is None:
            raise LedgerStopped
        return self._signer

    # Opening

    async def open(self) -> None:
        """At the start, where there is a ledger already. What stands in the way is told by ``admit``."""
        try:
            await self.open_known()
        except CommunError as error:
            log.warning("the ledger cannot be opened", code=error.code, problem=error.text())
        except OSError:
            log.exception("the ledger cannot be opened")

    async def open_known(self) -> None:
        """As ``open``. Raises LedgerError, BadReceiptKeyFile, OSError."""
        if (self._home / KEYS_FOLDER / LEDGER_KEY_FILE).exists():
            async with self._one_at_a_time:
                await self._open("")

    async def _open(self, first_root: str) -> None:
        """``first_root``: the charter's, for a new ledger's name. Raises LedgerError, BadReceiptKeyFile, OSError."""
        if self._queue is not None:
            return
        folder, keys = self._home / LEDGER_FOLDER, self._home / KEYS_FOLDER
        is_new = not (keys / LEDGER_KEY_FILE).exists()
        origin = await new_origin(self._entries, self._public_url, first_root) if is_new else ""
        opened = await asyncio.to_thread(open_log, folder, keys / LEDGER_KEY_FILE, origin=origin)
        try:
            signer = await asyncio.to_thread(open_receipt_key, keys / RECEIPT_KEY_FILE)
            caught_up = await catch_up(opened, self._entries, self._receipts, now=self._now())
            await self._editions.read(self._entries)
            await self._epoch.read(self._entries)
            told = await self._key_statements(signer.key.text())
            self._queue = LedgerQueue(opened, self._entries, on_head=self._headed)
        except BaseException:
            await asyncio.to_thread(opened.close)
            raise
        keep = partial(self._entries.keep_witnessed, self._queue.key)
        self._confirmation = Confirmation(opened, stored=caught_up.known.witnessed, keep=keep, asks=self._announces)
        for statement in told:  # before the first receipt: what is queued keeps its order
            self._queue.submit(statement)
        self._signer = signer
        if self._announces:
            self._soon(self._announce())
        self._seen = {*caught_up.unlogged, *caught_up.waiting}
        for name, entry in islice(caught_up.waiting.items(), MAX_AT_ONCE):
            self._queue.submit_waiting(name, read_statement(entry))
        for name, digest in islice(caught_up.unlogged.items(), MAX_AT_ONCE):
            self._queue.submit_receipt(name, ReceiptStatement(digest).data())

    async def _key_statements(self, key: str) -> list[ReceiptKeyStatement]:
        before = [read_statement(stored.entry) for stored in await self._entries.of_kind(ReceiptKeyStatement.type)]
        return key_statements(before, key, now=self._now())

    async def _announce(self) -> None:
        self._queued().submit(await asyncio.to_thread(software_statement, now=self._now()))

    # Editions

    async def admit(self, in_force: InForce) -> None:
        """The ledger has every event of the charter when this returns. Raises CharterError: LedgerRefuses,
        OtherEditionInLedger, OlderThanLedger.
        """
        try:
            async with self._one_at_a_time:
                await self._open(in_force.first_root)
                self._use_policy(in_force)
                self._check_going()
                await self._editions.record(in_force, self._queued())
                await self._epoch.ensure(self._queued())
        except CharterError:
            raise
        except CommunError as error:
            raise LedgerRefuses(error) from error
        except OSError as error:
            raise LedgerRefuses(LedgerUnwritable()) from error
        except Exception as error:  # whatever it is: nothing may be answered that cannot be recorded
            log.exception("the ledger could not be opened or written to")
            raise LedgerRefuses(LedgerUnwritable()) from error

    def _check_going(self) -> None:
        """Raises why the ledger takes nothing more until a restart."""
        if self._queue is not None and self._queue.has_stopped:
            raise self._queue.trouble or LedgerStopped

    def _use_policy(self, in_force: InForce) -> None:
        """Raises BadPolicy, which no verified charter does."""
        policy = in_force.charter.witnesses.policy
        if self._confirmation is not None and policy != self._policy:
            self._confirmation.use(policy)
            self._policy = policy

    # Seeds

    async def check_nonce(self, nonce: bytes | None) -> None:
        """Raises NonceUsed."""
        await self._epoch.check_nonce(nonce)

    def seed(self, nonce: bytes | None) -> Seed:
        """Of the open epoch. Raises NonceUsed."""
        return self._epoch.seed(nonce)

    def withdraw(self, seed: Seed) -> None:
        """Its turn did not begin."""
        self._epoch.withdraw(seed)

    async def renew_epoch(self) -> StoredEpoch:
        """The one that seeds come from now. Raises LedgerError, BadReceiptKeyFile, OSError."""
        await self.open_known()
        async with self._one_at_a_time:
            epoch = await self._epoch.ensure(self._queued())
        await self.publish_secrets()
        return epoch

    async def publish_secrets(self) -> None:
        """Those that are due."""
        if self._queue is not None and not self._queue.has_stopped:
            await self._epoch.publish_due(self._queue)

    # Writing

    def submit(self, receipt: Receipt) -> None:
        """After its commit. Never blocks, never raises: what is not queued is found again by its row."""
        if self._queue is not None:
            self._queue.submit_receipt(receipt.statement.receipt, receipt.entry)

    async def record(self, statement: Statement) -> int:
        """Its position. Raises LedgerError: not there yet, and it may come to be (LedgerUnwritable)."""
        queue = self._queued()
        return await queue.position(queue.submit(statement, urgent=True))

    def post(self, statement: Statement) -> None:
        """Nobody waits. It is stored until the ledger has it: a disk that refuses, or a process that dies, loses it
        not.
        """
        name = new_id()
        self._entries.wait(name, statement.data(), now=self._now().timestamp())
        if self._queue is not None:
            self._queue.submit_waiting(name, statement)

    def _queued(self) -> LedgerQueue:
        if self._queue is None:
            raise LedgerStopped
        return self._queue

    def _headed(self, head: Head, entries: tuple[StoredEntry, ...]) -> None:
        for stored in entries:
            self._editions.note(stored)
        if self._confirmation is not None:
            self._confirmation.notice(head)

    # While it runs

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.look()
            except Exception:  # the database or the disk: the next look tries again
                log.exception("the ledger could not be looked after")

    async def look(self) -> None:
        """Receipts without a position, and entries that wait, seen twice; a day's secret that has ended."""
        if self._queue is None or self._queue.has_stopped:
            return
        await self._queue.settle()
        busy = self._queue.busy()
        unlogged = await self._receipts.unlogged(MAX_AT_ONCE)
        for name, digest in unlogged:
            if name in self._seen and name not in busy:
                self._queue.submit_receipt(name, ReceiptStatement(digest).data())
        waiting = await self._entries.waiting(MAX_AT_ONCE)
        for name, entry in waiting:
            if name in self._seen and name not in busy:
                self._queue.submit_waiting(name, read_statement(entry))
        self._seen = {name for name, _ in (*unlogged, *waiting)}
        async with self._one_at_a_time:
            if self._epoch.stored is not None:
                await self._epoch.ensure(self._queued())
            await self.publish_secrets()

    async def close(self) -> None:
        """Integrates what is queued. The database must still be open."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._confirmation is not None:
            await self._confirmation.close()
        if self._queue is not None:
            queue, self._queue = self._queue, None
            await queue.close()

    def _soon(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("recording failed", error=type(task.exception()).__name__)
