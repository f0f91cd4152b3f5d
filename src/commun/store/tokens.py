"""Tokens: random secrets that are handed out once, and the short memory of whose they are.

- 256 random bits each. The database holds one-way images only, which are looked up through an index; comparing in
  constant time would add nothing, because an attacker cannot choose what the image of a guess looks like.
- A session's token does two things, under two labels of HKDF-SHA256: ``identify`` finds the session, and
  ``vault.wrap`` opens the account's private key. The first, which is stored, says nothing about the second.
- API keys and links only identify: SHA-256.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from typing import Final, Generic, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

API_KEY_PREFIX: Final = "cm_"
CACHE_TTL_S: Final = 5.0  # how long a revocation by another process (command line) may take to be noticed
CACHE_SIZE: Final = 1024
_TOKEN_BYTES: Final = 32

T = TypeVar("T")


def new_token() -> str:
    """43 characters of URL-safe base 64."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def new_api_key() -> str:
    return API_KEY_PREFIX + new_token()


def identify(session_token: str) -> bytes:
    """What the database knows of a session's token (32 B)."""
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"commun session identify v1")
    return derive.derive(session_token.encode())


def digest(token: str) -> bytes:
    """What the database knows of an API key or a link (SHA-256, 32 B)."""
    return hashlib.sha256(token.encode()).digest()


class Recent(Generic[T]):
    """A small LRU cache whose entries live for seconds. Used by the event loop's thread only.

    A value that was read before a ``clear`` is not remembered after it: ``put`` takes the generation in which the
    reading began, so that a revocation is never overtaken.
    """

    def __init__(self, size: int = CACHE_SIZE, ttl_s: float = CACHE_TTL_S) -> None:
        self._size = size
        self._ttl_s = ttl_s
        self._entries: OrderedDict[bytes, tuple[float, T]] = OrderedDict()
        self.generation = 0

    def find(self, key: bytes) -> T | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] < time.monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: bytes, value: T, generation: int) -> None:
        if generation != self.generation:
            return
        self._entries[key] = (time.monotonic() + self._ttl_s, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        self.generation += 1
        self._entries.clear()
