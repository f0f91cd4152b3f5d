"""A real issuer with a test key, before a ledger and a table in memory."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from commun.assistant.issuing import Issuer, utc_now
from commun.engine.base import low_32_bits
from commun.receipts.bundle import PENDING, Logged
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt
from commun.receipts.statement import Scheme, Seed
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

    def salt(self, turn_id: str) -> bytes:
        return hmac.digest(EPOCH, b"commun-seed/1\n" + turn_id.encode(), hashlib.sha256)

    def seed(self, turn_id: str, nonce: bytes = b"") -> Seed:
        salt = self.salt(turn_id)
        value = low_32_bits(salt + nonce + turn_id.encode())
        return Seed(
            Scheme.DERIVED, value, hashlib.sha256(EPOCH).hexdigest(), hashlib.sha256(salt).hexdigest(), nonce.hex()
        )


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


def verified(receipt: Receipt) -> Report:
    """Its bundle, everything disclosed, without the charter's files and the ledger's proof."""
    data = receipt.bundle(ledger=Logged(receipt=PENDING)).data()
    return verify(data, Trust(keys=(SIGNER.key.text(),)))
