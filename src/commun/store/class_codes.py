"""Codes of classes: 50 random bits that a teacher reads aloud and thirty people type.

- Crockford's base 32 (no I, L, O, U), ten symbols in groups of three, three and four;
- case, spaces and dashes are forgiven, and so are the letters that look like digits (O for 0, I and L for 1);
- the code is shown once, and what is stored is its hash. Guessing it here takes longer than any class lasts
  (``web/attempts.py``); what it opens is a temporary chat, and nothing that anybody wrote.
"""

import hashlib
import secrets
from typing import Final

_SYMBOLS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS: Final = (3, 3, 4)
_LOOKALIKES: Final = str.maketrans("OIL", "011", " -–—\u00a0\u202f\t\r\n.")


def new_code() -> str:
    """As it is shown: ``K7Q-M3X-PA9T``."""
    return "-".join("".join(secrets.choice(_SYMBOLS) for _ in range(length)) for length in _GROUPS)


def image_of(typed: str) -> bytes:
    """What the database knows of a code, of whatever was typed instead, too (SHA-256, 32 B)."""
    symbols = typed.upper().translate(_LOOKALIKES)
    return hashlib.sha256(f"commun class code v1\n{symbols}".encode("utf-8", "replace")).digest()
