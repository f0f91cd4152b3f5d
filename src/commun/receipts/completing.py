"""A bundle that was handed out before its proof was there becomes a whole one.

- ``later`` is the same receipt's bundle as the server gives it now: the same envelope, byte for byte, and the same key;
- its charter and its ledger take the place of what was there; what was disclosed stays, since only its owner has it;
- a proof is never lost: where ``later`` has less, what was there stays, with the seed's entries, which are proven by
  the same head. Nothing is verified here: ``verification.py``.

Raises ReceiptError (BUNDLE_FIELDS) for the bundle of another receipt.
"""

from dataclasses import replace

from commun.receipts.bundle import PENDING, Bundle
from commun.receipts.errors import Reason, ReceiptError


def completed(bundle: Bundle, later: Bundle) -> Bundle:
    if (later.envelope, later.key) != (bundle.envelope, bundle.key):
        raise ReceiptError(Reason.BUNDLE_FIELDS, "what the server gave is the bundle of another receipt")
    is_less = later.ledger.receipt in (None, PENDING)
    return replace(
        bundle,
        charter=bundle.charter if later.charter is None else later.charter,
        ledger=bundle.ledger if is_less else later.ledger,
        seed=bundle.seed if is_less or later.seed is None else later.seed,
    )
