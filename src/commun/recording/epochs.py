"""Where the seeds of answers come from: secrets of a day, of which the ledger has the digest before the first use.

``receipts/seeds.py`` has the formulas. A receipt tells the epoch (SHA-256 of the secret), the nonce, who drew it,
SHA-256 of the salt that both give, and the value; its bundle has the salt. The ledger publishes the secret GRACE_S
after another has taken its place, and then everybody derives every seed of that day again. The receipt of an answer
that takes longer than that stands after the secret: whoever verifies it is told that its seed proves nothing.

The nonce is drawn by whoever asks. Where they send none, the server draws it, and the receipt says so.
"""

import secrets
from typing import Final

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
from commun.store.epochs import Epochs, StoredEpoch

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
