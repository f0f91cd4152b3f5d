"""The key that answers are sealed to while they wait for their audit: made at first use, in a file that only its owner
can read.

- the file is one line: ``commun-audit-key/1:`` and the 96 bytes of a private key (``store/vault.py``) in small
  hexadecimal digits;
- it is not encrypted, since audits run at night: whoever can read the server's files and its database can read the
  answers that wait. What keeps that in bounds is that their owners agreed, that they are few, and that they are erased;
- moved away, it is made anew: what was sealed to the old one cannot be audited any more, and is counted as such.
"""

import contextlib
import re
from pathlib import Path
from typing import Final

from commun.errors import N_, CommunError
from commun.ledger.errors import LedgerError
from commun.ledger.files import read_regular
from commun.recording.receipt_key import MAX_FILE_BYTES, NO_KEY, NOT_PLAIN
from commun.secret_file import write_secret
from commun.store.vault import AccountKey

AUDIT_KEY_FILE: Final = "audit.key"
HEADER: Final = "commun-audit-key/1:"
_TEXT: Final = re.compile(rf"{re.escape(HEADER)}([0-9a-f]{{192}})\n?")


class BadAuditKeyFile(CommunError):
    """``details``: ``file``, ``reason``."""

    code = "bad_audit_key_file"
    status = 500
    problem = N_("The file “%(file)s”, with the key for audits, cannot be used: %(reason)s.")
    cure = N_("Put a copy of it back, or move it away: a new one is made, and what waits for its audit is erased.")


def open_audit_key(path: Path) -> AccountKey:
    """Makes it where it is not. Raises BadAuditKeyFile, OSError."""
    key = find_audit_key(path)
    if key is None:
        made = AccountKey.generate()
        with contextlib.suppress(FileExistsError):  # another process was quicker: its key is the one
            write_secret(path, f"{HEADER}{made.to_bytes().hex()}\n".encode())
        key = find_audit_key(path)
    if key is None:
        raise BadAuditKeyFile(file=path.name, reason=NOT_PLAIN)
    return key


def find_audit_key(path: Path) -> AccountKey | None:
    try:
        data = read_regular(path.parent, path.name, limit=MAX_FILE_BYTES)
    except LedgerError as error:
        raise BadAuditKeyFile(file=path.name, reason=NOT_PLAIN) from error
    if data is None:
        return None
    match = _TEXT.fullmatch(data.decode("ascii", "replace"))
    if match is None:
        raise BadAuditKeyFile(file=path.name, reason=NO_KEY)
    return AccountKey.from_bytes(bytes.fromhex(match[1]))
