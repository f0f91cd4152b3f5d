"""A seed that neither who answers nor who asks can choose (scheme ``derived/2``), recomputed.

    S     = HMAC-SHA-256(secret, "commun-seed/2" ‖ newline ‖ N)
    T     = SHA-256("commun-receipt-id/2" ‖ newline ‖ epoch ‖ N)
    value = the last four bytes, big-endian, of SHA-256(S ‖ N ‖ T)

``secret`` is an epoch's, of which the ledger has the SHA-256 (``epoch``, 32 bytes) before it is used; N is the nonce,
drawn by whoever asks; T is the receipt's id. Secret and nonce fix everything else, so that nothing is left to try for
who answers; who asks does not know the secret. A nonce serves once in an epoch: whoever has seen S could choose by it.

Pure; SHA-256 of S stands in the receipt, S in the bundle, the secret in the ledger once its epoch is over.
"""

import hashlib
import hmac
import re
from typing import Final

SECRET_BYTES: Final = 32
SALT_BYTES: Final = 32
LEAST_NONCE_BYTES: Final = 16
MOST_NONCE_BYTES: Final = 64
_SALT_LABEL: Final = b"commun-seed/2\n"
_ID_LABEL: Final = b"commun-receipt-id/2\n"
_VALUE_BYTES: Final = 4
_NONCE: Final = re.compile(rf"(?:[0-9a-f]{{2}}){{{LEAST_NONCE_BYTES},{MOST_NONCE_BYTES}}}")


def read_nonce(text: str) -> bytes | None:
    """From small hexadecimal digits; None: it is no nonce."""
    if not _NONCE.fullmatch(text):
        return None
    return bytes.fromhex(text)


def epoch_of(secret: bytes) -> str:
    """Hex."""
    return hashlib.sha256(secret).hexdigest()


def salt_of(secret: bytes, nonce: bytes) -> bytes:
    """S."""
    return hmac.digest(secret, _SALT_LABEL + nonce, hashlib.sha256)


def salt_digest(salt: bytes) -> str:
    """As the statement has it, hex."""
    return hashlib.sha256(salt).hexdigest()


def derived_receipt_id(epoch: str, nonce: bytes) -> str:
    """T, hex. ``epoch``: hex."""
    return hashlib.sha256(_ID_LABEL + bytes.fromhex(epoch) + nonce).hexdigest()


def value_of(salt: bytes, nonce: bytes, receipt: str) -> int:
    """``receipt``: T, hex."""
    digest = hashlib.sha256(salt + nonce + bytes.fromhex(receipt)).digest()
    return int.from_bytes(digest[-_VALUE_BYTES:], "big")
