"""The key that answers are sealed to while they wait for their audit: made at first use, in a file that only its owner
can read.

- the file is one line: ``commun-audit-key/1:`` and the 96 bytes of a private key (``store/vault.py``) in small
  hexadecimal digits;
- it is not encrypted, since audits run at night: whoever can read the server's files and its database can read the
  answers that wait. What keeps that in bounds is that their owners agreed, that they are few, and that they are erased;
- moved away, it is made anew: what was sealed to the old one cannot be audited any more, and is counted as such.
"""

from pathlib import Path
from typing import Final

from commun.errors import N_, CommunError
from commun.recording.key_file import KeyFile
from commun.store.vault import AccountKey

AUDIT_KEY_FILE: Final = "audit.key"
HEADER: Final = "commun-audit-key/1:"
KEY_BYTES: Final = 96


class BadAuditKeyFile(CommunError):
    """``details``: ``file``, ``reason``."""

    code = "bad_audit_key_file"
    status = 500
    problem = N_("The file “%(file)s”, with the key for audits, cannot be used: %(reason)s.")
    cure = N_("Put a copy of it back, or move it away: a new one is made, and what waits for its audit is erased.")


_FILE: Final = KeyFile(HEADER, KEY_BYTES, BadAuditKeyFile)


def open_audit_key(path: Path) -> AccountKey:
    """Makes it where it is not. Raises BadAuditKeyFile, OSError."""
    return AccountKey.from_bytes(_FILE.open(path, lambda: AccountKey.generate().to_bytes()))


def find_audit_key(path: Path) -> AccountKey | None:
    """Raises BadAuditKeyFile."""
    key = _FILE.find(path)
    return None if key is None else AccountKey.from_bytes(key)
