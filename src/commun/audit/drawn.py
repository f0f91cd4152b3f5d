"""Which answers are taken for an audit by others: a draw that nobody makes, and that everybody can make again.

    share = the first eight bytes, big-endian, of SHA-256("commun-audit-sample/1" ‖ newline ‖ digest ‖ secret), over 2⁶⁴

``digest``: SHA-256 of the receipt's envelope, 32 bytes, as its entry in the ledger has it. ``secret``: of the epoch
that the receipt's seed is of, 32 bytes. An answer is drawn where its share is below the rate of the charter's clause
``audit``. The envelope is signed before, the secret's digest is in the ledger before, and once the secret is published
anybody can tell which of the ledger's receipts were drawn.
"""

import hashlib
from decimal import Decimal
from fractions import Fraction
from typing import Final

LABEL: Final = b"commun-audit-sample/1\n"
_BYTES: Final = 8


def share_drawn(digest: bytes, secret: bytes) -> Fraction:
    """From 0 to below 1."""
    drawn = hashlib.sha256(LABEL + digest + secret).digest()[:_BYTES]
    return Fraction(int.from_bytes(drawn, "big"), 1 << 8 * _BYTES)


def is_drawn(digest: bytes, secret: bytes, rate: Decimal) -> bool:
    """Exact: no binary fraction stands between the rate and the draw."""
    return share_drawn(digest, secret) < Fraction(rate)
