"""Where the seeds of answers come from: secrets of a day, of which the ledger has the digest before the first use.

``receipts/seeds.py`` has the formulas. A receipt tells the epoch (SHA-256 of the secret), the nonce, who drew it,
SHA-256 of the salt that both give, and the value; its bundle has the salt. The ledger publishes the secret GRACE_S
after another has taken its place, and then everybody derives every seed of that day again. The receipt of an answer
that takes longer than that stands after the secret: whoever verifies it is told that its seed proves nothing.

The nonce is drawn by whoever asks. Where they send none, the server draws it, and the receipt says so.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Final

from commun.ledger.entries import EpochSecretStatement, EpochStatement, read_statement
from commun.receipts.seeds import (
    SECRET_BYTES,
    derived_receipt_id,
    epoch_of,
    salt_digest,
    salt_of,
    value_of,
)
from commun.receipts.statement import BY_CALLER, BY_SERVER, Scheme, Seed
from commun.recording.errors import NonceUsed
from commun.recording.queue import LedgerQueue
from commun.store.epochs import Epochs, StoredEpoch
from commun.store.ledger_entries import LedgerEntries
from commun.store.tree import new_id

EPOCH_S: Final = 86_400.0
GRACE_S: Final = 3_600.0  # between the end of a secret's use and its publication
NONCE_BYTES: Final = 32  # of those that are drawn here
SEED_BITS: Final = 32


def new_epoch(*, now: float) -> StoredEpoch:
    """Not in the ledger yet. ``now``: seconds since 1970."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return StoredEpoch(epoch_of(secret), secret, now, None)


def is_over(epoch: StoredEpoch, *, now: float) -> bool:
    """Also where the clock was set back: a day that never ends would be one."""
    return not 0 <= now - epoch.opened < EPOCH_S


def seed_of(epoch: StoredEpoch | None, nonce: bytes | None) -> Seed:
    """Derived from the open epoch; drawn where there is none (nothing is answered then, but for tests). ``nonce`` None:
    the caller sent none.
    """
    if epoch is None:
        return drawn_seed()
    if nonce is None:
        return derived_seed(epoch, secrets.token_bytes(NONCE_BYTES), by=BY_SERVER)
    return derived_seed(epoch, nonce, by=BY_CALLER)


def derived_seed(epoch: StoredEpoch, nonce: bytes, *, by: str) -> Seed:
    salt = salt_of(epoch.secret, nonce)
    value = value_of(salt, nonce, derived_receipt_id(epoch.sha256, nonce))
    return Seed(Scheme.DERIVED, value, epoch.sha256, salt_digest(salt), nonce.hex(), by)


def drawn_seed() -> Seed:
    """Where there is no epoch: nothing binds it to anything, and the receipt says so."""
    return Seed(Scheme.DRAWN, secrets.randbits(SEED_BITS))


class Nonces:
    """Which nonces of callers have served in an epoch: a second time whoever asks would know the seed.

    Those of this process are remembered from their turn's beginning on, so that a running turn counts; those before it
    left a receipt, or the trace of one that was erased (``store.epochs``).
    """

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self._epoch = ""
        self._begun: set[bytes] = set()

    async def check(self, epoch: StoredEpoch | None, nonce: bytes | None) -> None:
        """Before anything is done. Raises NonceUsed."""
        if nonce is None or epoch is None:
            return
        receipt = derived_receipt_id(epoch.sha256, nonce)
        if self._is_begun(epoch, receipt) or await self._epochs.is_spent(receipt):
            raise NonceUsed

    def seed(self, epoch: StoredEpoch | None, nonce: bytes | None) -> Seed:
        """For a turn that begins now: its nonce has served. Raises NonceUsed."""
        if nonce is not None and epoch is not None:
            receipt = derived_receipt_id(epoch.sha256, nonce)
            if self._is_begun(epoch, receipt):
                raise NonceUsed
            self._begun.add(bytes.fromhex(receipt))
        return seed_of(epoch, nonce)

    def withdraw(self, seed: Seed) -> None:
        """The turn was refused before it began."""
        if seed.scheme is Scheme.DERIVED:
            self._begun.discard(bytes.fromhex(derived_receipt_id(seed.epoch, bytes.fromhex(seed.nonce))))

    def _is_begun(self, epoch: StoredEpoch, receipt: str) -> bool:
        if epoch.sha256 != self._epoch:
            self._epoch = epoch.sha256
            self._begun.clear()
        return bytes.fromhex(receipt) in self._begun


class OpenEpoch:
    """The secret that seeds come from now, from its digest's entry to the entry with which it is published. Owned by
    the recorder, which lets one task at a time in. ``now``: the clock (UTC).
    """

    def __init__(self, epochs: Epochs, *, now: Callable[[], datetime]) -> None:
        self._epochs = epochs
        self._now = now
        self._nonces = Nonces(epochs)
        self._coming: tuple[StoredEpoch, Future[int]] | None = None  # waits for the disk
        self.stored: StoredEpoch | None = None

    async def check_nonce(self, nonce: bytes | None) -> None:
        """Raises NonceUsed."""
        await self._nonces.check(self.stored, nonce)

    def seed(self, nonce: bytes | None) -> Seed:
        """Raises NonceUsed."""
        return self._nonces.seed(self.stored, nonce)

    def withdraw(self, seed: Seed) -> None:
        self._nonces.withdraw(seed)

    async def read(self, entries: LedgerEntries) -> None:
        """What the ledger has published is not used again, and what was lost before it was used is published in its
        turn.
        """
        opened = [(one.position, read_statement(one.entry)) for one in await entries.of_kind(EpochStatement.type)]
        published = [read_statement(one.entry) for one in await entries.of_kind(EpochSecretStatement.type)]
        await self._epochs.note_in_ledger(
            {one.sha256: position for position, one in opened if isinstance(one, EpochStatement)},
            [one.epoch for one in published if isinstance(one, EpochSecretStatement)],
            now=self._now().timestamp(),
        )

    async def ensure(self, queue: LedgerQueue) -> StoredEpoch:
        """One whose day is not over, and whose digest the ledger has. Raises LedgerError."""
        now = self._now().timestamp()
        if self.stored is None:
            self.stored = await self._epochs.find_open()
        if self.stored is not None and not is_over(self.stored, now=now):
            return self.stored
        if self._coming is None:
            epoch = new_epoch(now=now)
            await self._epochs.add(epoch)  # first: a secret whose digest is published is never lost
            self._coming = epoch, queue.submit(EpochStatement(epoch.sha256), urgent=True)
        epoch, index = self._coming
        position = await queue.position(index)
        await self._epochs.place(epoch.sha256, position, now=now)
        self.stored, self._coming = replace(epoch, position=position), None
        return self.stored

    async def publish_due(self, queue: LedgerQueue) -> None:
        """Marked and stored in one transaction, and from then on entries that wait like others."""
        now = self._now().timestamp()
        for epoch in await self._epochs.due(now=now, grace_s=GRACE_S):
            statement, name = EpochSecretStatement.of(epoch.secret), new_id()
            if await self._epochs.publish(epoch.sha256, statement.data(), name=name, now=now):
                queue.submit_waiting(name, statement)
