"""The caller's nonce: what lets nobody else choose the seed (docs/spec/receipt.md, "Seed").

In the header ``Commun-Nonce`` or in the field ``commun.nonce``, 16 to 64 random bytes in small hexadecimal digits.
Where a request has several prompts each has a nonce of its own, which anybody can compute from the caller's.
"""

import hashlib

from starlette.requests import Request

from commun.api.requests import Common
from commun.errors import InvalidParameter
from commun.receipts.seeds import read_nonce

NONCE_HEADER = "commun-nonce"
PARAMETER = "commun.nonce"
_LABEL = b"commun-nonce/1\n"
_PLACE_BYTES = 4


def nonce_of(request: Request, asked: Common) -> bytes | None:
    """None: the caller sent none. Raises InvalidParameter."""
    header = request.headers.get(NONCE_HEADER)
    field = asked.commun.nonce if asked.commun is not None else None
    if header is not None and field is not None and header != field:
        raise InvalidParameter(parameter=PARAMETER, reason="the header Commun-Nonce says something else")
    text = header if field is None else field
    if text is None:
        return None
    nonce = read_nonce(text)
    if nonce is None:
        raise InvalidParameter(parameter=PARAMETER, reason="it is not 16 to 64 bytes in small hexadecimal digits")
    if asked.seed is not None:
        raise InvalidParameter(parameter=PARAMETER, reason="a seed that is chosen needs none")
    return nonce


def nonce_at(nonce: bytes, place: int) -> bytes:
    """Of one of several prompts, counted from 0."""
    return hashlib.sha256(_LABEL + nonce + place.to_bytes(_PLACE_BYTES, "big")).digest()
