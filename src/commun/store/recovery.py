"""Recovery codes: 160 random bits that a person writes down and types again.

- 32 symbols of Crockford's base 32 (no I, L, O, U) and four more that check them, in nine groups of four.
- Case, spaces and dashes are forgiven, and so are the letters that look like digits (O for 0, I and L for 1).
- The check (20 bits of SHA-256) tells a typing error from a code that is simply not this account's.
- The code is shown once; the store keeps only a private key that it wraps (``vault.wrap``), never its hash.
"""

import hashlib
import secrets
from typing import Final

from commun.errors import N_, Refused

_SYMBOLS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SECRET_BYTES: Final = 20
_GROUP: Final = 4
_CHECK_SYMBOLS: Final = 4
_LOOKALIKES: Final = str.maketrans("OIL", "011", " -–—\u00a0\t\r\n.")


class RecoveryCodeMistyped(Refused):
    code = "recovery_code_mistyped"
    problem = N_("This recovery code is not complete or has a typing error.")
    cure = N_("Compare it with what you wrote down: nine groups of four.")


class RecoveryCodeWrong(Refused):
    code = "recovery_code_wrong"
    problem = N_("This recovery code does not open these conversations.")
    cure = N_("Use the code that was made last: a newer one replaces the older.")


def _encode(data: bytes) -> str:
    bits = len(data) * 8
    value = int.from_bytes(data) << (-bits % 5)
    return "".join(_SYMBOLS[value >> shift & 31] for shift in range(bits + (-bits % 5) - 5, -1, -5))


def _check(secret: bytes) -> str:
    return _encode(hashlib.sha256(b"commun recovery code v1" + secret).digest())[:_CHECK_SYMBOLS]


def new_secret() -> bytes:
    return secrets.token_bytes(_SECRET_BYTES)


def write_code(secret: bytes) -> str:
    """The code as it is shown: ``XXXX-XXXX-…``, nine groups."""
    symbols = _encode(secret) + _check(secret)
    return "-".join(symbols[start : start + _GROUP] for start in range(0, len(symbols), _GROUP))


def read_code(code: str) -> bytes:
    """The secret in what a person typed. Raises RecoveryCodeMistyped."""
    symbols = code.upper().translate(_LOOKALIKES)
    if len(symbols) != _SECRET_BYTES * 8 // 5 + _CHECK_SYMBOLS or any(one not in _SYMBOLS for one in symbols):
        raise RecoveryCodeMistyped
    value = 0
    for symbol in symbols[:-_CHECK_SYMBOLS]:
        value = value << 5 | _SYMBOLS.index(symbol)
    secret = value.to_bytes(_SECRET_BYTES)
    if symbols[-_CHECK_SYMBOLS:] != _check(secret):
        raise RecoveryCodeMistyped
    return secret
