"""Where the seeds of answers come from: secrets of a day, of which the ledger has the digest before the first use.

    S     = HMAC-SHA-256(secret, "commun-seed/1" ‖ newline ‖ turn id)
    value = the last four bytes, big-endian, of SHA-256(S ‖ nonce ‖ turn id)

A receipt tells the epoch (SHA-256 of the secret), SHA-256 of S, the nonce and the value. Secret and turn id fix the
seed, and whoever learns the secret later can check every seed of that day. (Telling it is another matter, and not
done here.)

What this does not give: the server draws the turn id, and it may draw it after it has read the question. It can try ids
until one gives the seed that it would like. Only a nonce of the caller's own could prevent that, in the id's place.
"""

import hashlib
import hmac
import secrets
from typing import Final

from commun.receipts.statement import Scheme, Seed
from commun.store.epochs import StoredEpoch

EPOCH_S: Final = 86_400.0
SECRET_BYTES: Final = 32
LABEL: Final = b"commun-seed/1\n"
_SEED_BYTES: Final = 4


def new_epoch(*, now: float) -> StoredEpoch:
    """Not in the ledger yet. ``now``: seconds since 1970."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return StoredEpoch(hashlib.sha256(secret).hexdigest(), secret, now, None)


def is_over(epoch: StoredEpoch, *, now: float) -> bool:
    """Also where the clock was set back: a day that never ends would be one."""
    return not 0 <= now - epoch.opened < EPOCH_S


def seed_of(epoch: StoredEpoch | None, turn_id: str, nonce: bytes = b"") -> Seed:
    """Derived from the open epoch; drawn where there is none (nothing is answered then, but for tests)."""
    return drawn_seed() if epoch is None else derived_seed(epoch, turn_id, nonce)


def derived_seed(epoch: StoredEpoch, turn_id: str, nonce: bytes = b"") -> Seed:
    name = turn_id.encode()
    salt = hmac.digest(epoch.secret, LABEL + name, hashlib.sha256)
    value = int.from_bytes(hashlib.sha256(salt + nonce + name).digest()[-_SEED_BYTES:], "big")
    return Seed(Scheme.DERIVED, value, epoch=epoch.sha256, salt=hashlib.sha256(salt).hexdigest(), nonce=nonce.hex())


def drawn_seed() -> Seed:
    """Where there is no epoch: nothing binds it to anything, and the receipt says so."""
    return Seed(Scheme.DRAWN, secrets.randbits(8 * _SEED_BYTES))
