"""A witness's own keys and name, made at first use.

Rules:

- one file, which only its owner can read, with a line for each key in the form that ``keys.py`` specifies: one of type
  0x04 (Ed25519), which every verifier knows, and one of type 0x06 (ML-DSA-44) where this machine can make it. Both have
  one name and are two keys: neither's seed says anything about the other's;
- the name is given when they are made (a public address without its scheme), or ``commun.local/witness/`` and the first
  16 digits of the Ed25519 key's SHA-256: unique, whoever makes it. It never changes afterwards, since it is a part of
  every policy that trusts the witness;
- the keys are not encrypted: a witness runs unattended. Whoever reads the file can cosign in its name, and can do so
  for heads that this witness has never seen. That is why a policy asks several.

Raises BadLogKey, UnsafeLedgerFile, OSError.
"""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commun.ledger.errors import BadLogKey
from commun.ledger.files import read_regular
from commun.ledger.keys import ED25519_COSIGNATURE, MAX_KEY_TEXT, ML_DSA_44, SEED_BYTES, SignerKey, check_name
from commun.secret_file import write_secret

KEY_FILE: Final = "witness.key"
LOCAL: Final = "commun.local/witness/"
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class WitnessKeys:
    """The Ed25519 key first."""

    signers: tuple[SignerKey, ...]

    @property
    def name(self) -> str:
        return self.signers[0].name

    def lines(self) -> tuple[str, ...]:
        """What policies are made of: the public keys as text."""
        return tuple(key.verifier.text() for key in self.signers)


def open_keys(file: Path, *, name: str = "") -> WitnessKeys:
    """The keys, made at first use; ``name`` is for that moment only."""
    found = find_keys(file)
    if found is not None:
        return found
    made = make_keys(name)
    with suppress(FileExistsError):  # another process was first: its keys are the witness's
        write_secret(file, "".join(f"{key.text()}\n" for key in made.signers).encode())
    return find_keys(file) or made


def find_keys(file: Path) -> WitnessKeys | None:
    data = read_regular(file.parent, file.name, limit=2 * MAX_KEY_TEXT)
    if data is None:
        return None
    try:
        signers = tuple(SignerKey.from_text(line) for line in data.decode().splitlines())
    except UnicodeDecodeError:
        raise BadLogKey(reason="it is not text") from None
    if tuple(key.kind for key in signers) not in {(ED25519_COSIGNATURE,), (ED25519_COSIGNATURE, ML_DSA_44)}:
        raise BadLogKey(reason="a witness has one key of type 0x04 and, after it, at most one of type 0x06")
    if len({key.name for key in signers}) > 1:
        raise BadLogKey(reason="a witness’s keys have one name")
    return WitnessKeys(signers)


def make_keys(name: str) -> WitnessKeys:
    if name:
        check_name(name)
    seed = secrets.token_bytes(SEED_BYTES)
    public = SignerKey("unnamed", ED25519_COSIGNATURE, seed).verifier.public
    name = name or LOCAL + hashlib.sha256(public).hexdigest()[:_DIGITS]
    first = SignerKey(name, ED25519_COSIGNATURE, seed)
    try:
        return WitnessKeys((first, SignerKey(name, ML_DSA_44, secrets.token_bytes(SEED_BYTES))))
    except BadLogKey:  # this machine's library has no ML-DSA-44
        return WitnessKeys((first,))
