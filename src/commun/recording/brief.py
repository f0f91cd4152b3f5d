"""Recording without holding the ledger: for a command that answers (``commun chat``), beside a server or without one.

Rules:

- the ledger is opened for as long as it takes to record an edition, a key and a secret, and again at the end for the
  receipts; in between another process may have it. A process that dies before the end loses nothing: its receipts are
  rows of the database, and whoever opens the ledger next records them;
- where a server has the ledger (LedgerBusy), it does the recording: an edition is in force here once the server has
  recorded it, with every freeze and release, which takes a second or two after it was adopted; receipts are left to the
  server, which looks for such rows every few seconds. What the ledger says against an edition refuses it here, too;
- a secret that seeds come from is looked up before each question: one whose day is over, or that a server beside has
  closed, is followed by another. Without one the seed is drawn, and the receipt says so;
- other statements (a model was loaded) are stored, and left to whoever opens the ledger next in the same way;
- anything else that the ledger refuses, refuses the edition.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from commun.charter.edition import InForce
from commun.charter.repository import Repository
from commun.errors import CommunError
from commun.ledger.entries import EditionStatement, ReceiptKeyStatement, Statement, read_statement
from commun.ledger.files import LedgerBusy
from commun.ledger.keys import VerifierKey
from commun.ledger.log import Head, LedgerStopped, Log
from commun.ledger.opening import find_key
from commun.places import CHARTER_FOLDER, KEYS_FOLDER
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt
from commun.receipts.statement import Seed
from commun.recording.editions import RecordedEditions, frozen_names
from commun.recording.epochs import Nonces, is_over
from commun.recording.errors import LedgerRefuses
from commun.recording.receipt_key import RECEIPT_KEY_FILE, find_receipt_key
from commun.recording.recorder import LEDGER_KEY_FILE, Recorder
from commun.recording.statements import active_keys
from commun.store.epochs import StoredEpoch
from commun.store.ledger_entries import LedgerEntries
from commun.store.receipts import Receipts
from commun.store.tree import new_id

BESIDE_S: Final = 5.0  # how long a server beside may take to record an edition, before it is refused here
LOOK_S: Final = 0.2

log = structlog.get_logger()


class BriefRecorder:
    """What a ``Recorder`` is to the assistant and to ``Bundles``. ``now``: the clock (UTC)."""

    log: Log | None = None
    witnessed: Head | None = None

    def __init__(
        self,
        *,
        home: Path,
        public_url: str,
        entries: LedgerEntries,
        receipts: Receipts,
        now: Callable[[], datetime],
    ) -> None:
        self._home = home
        self._entries = entries
        self._now = now
        self._make: Callable[[], Recorder] = partial(
            Recorder, home=home, public_url=public_url, entries=entries, receipts=receipts, now=now, announces=False
        )
        self._verifier: VerifierKey | None = None
        self._signer: ReceiptSigner | None = None
        self._epoch: StoredEpoch | None = None
        self._nonces = Nonces(entries.epochs)
        self._waiting = False

    @property
    def origin(self) -> str:
        return self._verifier.name if self._verifier else ""

    @property
    def verifier(self) -> VerifierKey | None:
        return self._verifier

    def signer(self) -> ReceiptSigner:
        """Raises LedgerStopped before an edition is in force."""
        if self._signer is None:
            raise LedgerStopped
        return self._signer

    async def check_nonce(self, nonce: bytes | None) -> None:
        """Another secret where the one before must not be used any more. Raises NonceUsed."""
        self._epoch = await self._entries.epochs.find_open()
        if self._epoch is None or is_over(self._epoch, now=self._now().timestamp()):
            await self._renew()
        await self._nonces.check(self._epoch, nonce)

    def seed(self, nonce: bytes | None) -> Seed:
        """Raises NonceUsed."""
        return self._nonces.seed(self._epoch, nonce)

    def withdraw(self, seed: Seed) -> None:
        self._nonces.withdraw(seed)

    def submit(self, receipt: Receipt) -> None:
        """After its commit: the row is what counts, and ``close`` sees to it."""
        del receipt
        self._waiting = True

    def post(self, statement: Statement) -> None:
        """Recorded at the end, or by the server beside."""
        self._entries.wait(new_id(), statement.data(), now=self._now().timestamp())
        self._waiting = True

    def expect(self) -> None:
        """The database has an entry that waits, written with what it tells: recorded as a posted one."""
        self._waiting = True

    async def admit(self, in_force: InForce) -> None:
        """As ``Recorder.admit``."""
        recorder = self._make()
        try:
            await recorder.admit(in_force)
            self._verifier, self._signer, self._epoch = recorder.verifier, recorder.signer(), recorder.epoch
        except LedgerRefuses as refused:
            if not isinstance(refused.error, LedgerBusy):
                raise
            await self._admit_beside(in_force, refused)
        finally:
            await recorder.close()

    async def close(self) -> None:
        """Records the receipts, where no server does. The database must still be open."""
        if not self._waiting:
            return
        recorder = self._make()
        try:
            await recorder.open_known()  # what the ledger lacks is submitted
        except LedgerBusy:
            pass  # the server beside looks for such rows
        except (CommunError, OSError) as error:
            log.warning("receipts wait for the ledger", error=str(error))
        finally:
            await recorder.close()

    async def _renew(self) -> None:
        """Where a server has the ledger it does it within seconds, and publishes what it closes an hour later at the
        earliest: until then the one that is still open will do.
        """
        recorder = self._make()
        try:
            self._epoch = await recorder.renew_epoch()
        except LedgerBusy:
            pass
        except (CommunError, OSError) as error:
            log.warning("seeds come from no secret", error=str(error))
            self._epoch = None
        finally:
            await recorder.close()

    async def _admit_beside(self, in_force: InForce, refused: LedgerRefuses) -> None:
        """Another process has the ledger: what it has recorded is read in the database."""
        for _ in range(round(BESIDE_S / LOOK_S)):
            if await self._is_recorded(in_force):
                return
            await asyncio.sleep(LOOK_S)
        raise refused

    async def _is_recorded(self, in_force: InForce) -> bool:
        """Raises what ``Recorder.admit`` does of an edition that the ledger says is another, older or stopped."""
        editions = RecordedEditions()
        for stored in await self._entries.of_kind(EditionStatement.type):
            editions.note(stored)
        repository = Repository(self._home / CHARTER_FOLDER)
        frozen = await asyncio.to_thread(frozen_names, repository, in_force.newest.number)
        if not editions.is_complete(in_force, frozen):
            return False
        keys = self._home / KEYS_FOLDER
        key = await asyncio.to_thread(find_key, keys / LEDGER_KEY_FILE)
        signer = await asyncio.to_thread(find_receipt_key, keys / RECEIPT_KEY_FILE)
        epoch = await self._entries.epochs.find_open()
        if key is None or signer is None or epoch is None:
            return False
        if signer.key.text() not in active_keys(await self._statements(ReceiptKeyStatement.type)):
            return False
        self._verifier, self._signer, self._epoch = key.verifier, signer, epoch
        return True

    async def _statements(self, kind: str) -> list[Statement]:
        return [read_statement(stored.entry) for stored in await self._entries.of_kind(kind)]
