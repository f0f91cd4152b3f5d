"""The key that signs receipts: Ed25519, made at first use, in a file that only its owner can read.

- the file is one line: ``commun-receipt-key/1:`` and the 32 bytes of the seed in small hexadecimal digits;
- it is not encrypted, since the server runs unattended: whoever can read the server's files can sign receipts in its
  name. What keeps those in bounds is the ledger, which has an entry for each receipt and for each key;
- moved away, it is made anew: the ledger then says that the old one was retired before the new one's first receipt.
"""

import contextlib
import re
import secrets
from pathlib import Path
from typing import Final

from commun.errors import N_
from commun.ledger.errors import LedgerError
from commun.ledger.files import read_regular
from commun.receipts.dsse import ReceiptSigner
from commun.recording.errors import BadReceiptKeyFile
from commun.secret_file import write_secret

RECEIPT_KEY_FILE: Final = "receipts.key"
HEADER: Final = "commun-receipt-key/1:"
SEED_BYTES: Final = 32
MAX_FILE_BYTES: Final = 1000
_TEXT: Final = re.compile(rf"{re.escape(HEADER)}([0-9a-f]{{64}})\n?")
NO_KEY: Final = N_("it is not a key of this kind")
NOT_PLAIN: Final = N_("it is not a plain file that can be read")


def open_receipt_key(path: Path) -> ReceiptSigner:
    """Makes it where it is not. Raises BadReceiptKeyFile, OSError."""
    signer = find_receipt_key(path)
    if signer is None:
        seed = secrets.token_bytes(SEED_BYTES)
        with contextlib.suppress(FileExistsError):  # another process was quicker: its key is the one
            write_secret(path, f"{HEADER}{seed.hex()}\n".encode())
        signer = find_receipt_key(path)
    if signer is None:
        raise BadReceiptKeyFile(file=path.name, reason=NOT_PLAIN)
    return signer


def find_receipt_key(path: Path) -> ReceiptSigner | None:
    try:
        data = read_regular(path.parent, path.name, limit=MAX_FILE_BYTES)
    except LedgerError as error:
        raise BadReceiptKeyFile(file=path.name, reason=NOT_PLAIN) from error
    if data is None:
        return None
    match = _TEXT.fullmatch(data.decode("ascii", "replace"))
    if match is None:
        raise BadReceiptKeyFile(file=path.name, reason=NO_KEY)
    return ReceiptSigner(bytes.fromhex(match[1]))
