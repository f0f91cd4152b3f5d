"""The key that signs receipts: Ed25519, made at first use, in a file that only its owner can read.

- the file is one line: ``commun-receipt-key/1:`` and the 32 bytes of the seed in small hexadecimal digits;
- it is not encrypted, since the server runs unattended: whoever can read the server's files can sign receipts in its
  name. What keeps those in bounds is the ledger, which has an entry for each receipt and for each key;
- moved away, it is made anew: the ledger then says that the old one was retired before the new one's first receipt.
"""

import secrets
from pathlib import Path
from typing import Final

from commun.receipts.dsse import ReceiptSigner
from commun.recording.errors import BadReceiptKeyFile
from commun.recording.key_file import KeyFile

RECEIPT_KEY_FILE: Final = "receipts.key"
HEADER: Final = "commun-receipt-key/1:"
SEED_BYTES: Final = 32
_FILE: Final = KeyFile(HEADER, SEED_BYTES, BadReceiptKeyFile)


def open_receipt_key(path: Path) -> ReceiptSigner:
    """Makes it where it is not. Raises BadReceiptKeyFile, OSError."""
    return ReceiptSigner(_FILE.open(path, lambda: secrets.token_bytes(SEED_BYTES)))


def find_receipt_key(path: Path) -> ReceiptSigner | None:
    """Raises BadReceiptKeyFile."""
    seed = _FILE.find(path)
    return None if seed is None else ReceiptSigner(seed)
