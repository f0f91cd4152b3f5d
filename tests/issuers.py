"""A real issuer with a test key, before a ledger and a table in memory."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from commun.assistant.issuing import Issuer, utc_now
from commun.engine.base import low_32_bits
from commun.receipts.bundle import PENDING, Bundle, Logged, ShownSeed
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt
from commun.receipts.seeds import salt_of
from commun.receipts.statement import BY_CALLER, BY_SERVER, Scheme, Seed
from commun.receipts.verification import Report, Trust, verify

SIGNER = ReceiptSigner(hashlib.sha256(b"commun test issuer, not a secret").digest())
ORIGIN = "ledger.example.org/tests"
EPOCH = hashlib.sha256(b"commun test epoch, not a secret").digest()


@dataclass
class MemoryLogbook:
    """``issuing.Logbook``: what was submitted, in order."""

    origin: str = ORIGIN
    submitted: list[Receipt] = field(default_factory=list)

    def submit(self, receipt: Receipt) -> None:
        self.submitted.append(receipt)

    withdrawn: list[Seed] = field(default_factory=list)

    async def check_nonce(self, nonce: bytes | None) -> None: ...

    def seed(self, nonce: bytes | None) -> Seed:
        drawn = secrets.token_bytes(32) if nonce is None else nonce
        salt = hmac.digest(EPOCH, b"commun-seed/2\n" + drawn, hashlib.sha256)
        epoch = hashlib.sha256(EPOCH)
        receipt = hashlib.sha256(b"commun-receipt-id/2\n" + epoch.digest() + drawn).digest()
        value = low_32_bits(salt + drawn + receipt)
        by = BY_SERVER if nonce is None else BY_CALLER
        salt_sha256 = hashlib.sha256(salt).hexdigest()
        return Seed(Scheme.DERIVED, value, epoch.hexdigest(), salt_sha256, drawn.hex(), by)

    def withdraw(self, seed: Seed) -> None:
        self.withdrawn.append(seed)


@dataclass
class MemoryReceipts:
    """``issuing.NobodysReceipts``. ``broken``: nothing can be kept."""

    broken: bool = False
    kept: list[Receipt] = field(default_factory=list)

    async def keep(self, receipt: Receipt) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.kept.append(receipt)


@dataclass
class TestIssuer:
    """``issuer`` and what it writes to."""

    __test__ = False

    logbook: MemoryLogbook = field(default_factory=MemoryLogbook)
    nobodys: MemoryReceipts = field(default_factory=MemoryReceipts)
    now: Callable[[], datetime] = utc_now

    @property
    def issuer(self) -> Issuer:
        return Issuer(lambda: SIGNER, self.logbook, self.nobodys, now=self.now)


def issuer() -> Issuer:
    """One of whose receipts nothing is asked."""
    return TestIssuer().issuer


def with_seed(bundle: Bundle, seed: Seed) -> Bundle:
    """The salt of a derived one shown."""
    if seed.scheme is not Scheme.DERIVED:
        return bundle
    return replace(bundle, seed=ShownSeed(salt_of(EPOCH, bytes.fromhex(seed.nonce))))


def verified(receipt: Receipt) -> Report:
    """Its bundle, everything disclosed, without the charter's files and the ledger's proof."""
    bundle = with_seed(receipt.bundle(ledger=Logged(receipt=PENDING)), receipt.statement.seed)
    return verify(bundle.data(), Trust(keys=(SIGNER.key.text(),)))
