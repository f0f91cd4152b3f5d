"""The keys of logs and witnesses: names, text forms, what a key must not be, raw signatures.

Specification (C2SP signed-note v1.0.0, "Verifier keys" and "Signature types"; tlog-cosignature v1.1.0-rc.1, "Format"):

- a verifier key's text is ``name+hex(key id)+base64(type ‖ public key)``; the key id is the first four bytes of
  SHA-256(name ‖ 0x0A ‖ type ‖ public key) and must be the one written;
- types: 0x01 Ed25519 (a note's text), 0x04 Ed25519 cosignature (with its time), 0x06 ML-DSA-44 cosignature. A key signs
  for one type only;
- a name is not empty, has no Unicode space, no plus and no control character, and at most 255 bytes of UTF-8 (what
  ML-DSA-44's message has room for);
- a private key's text is Go's: ``PRIVATE+KEY+name+hex(key id)+base64(type ‖ seed)``, the seed 32 bytes for every type
  here (FIPS 204's ξ for ML-DSA-44);
- base64 is RFC 4648 §4 in its one canonical form: padded, and no bit set that says nothing;
- Ed25519 is RFC 8032. A public key is looked at when it is made known, by its text or its bytes: refused are an
  encoding that is not the canonical one, what is no point of the curve, and the eight points of small order, with which
  one signature fits many texts. (Verifiers disagree about those keys only.) The check is ``commun/ed25519.py``.

Raises BadLogKey and WrongSignature; nothing else.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from commun.ed25519 import PointFault, find_point_fault
from commun.ledger.errors import BadLogKey, WrongSignature

ED25519: Final = 0x01
ED25519_COSIGNATURE: Final = 0x04
ML_DSA_44: Final = 0x06
PUBLIC_BYTES: Final = {ED25519: 32, ED25519_COSIGNATURE: 32, ML_DSA_44: 1312}
SIGNATURE_BYTES: Final = {ED25519: 64, ED25519_COSIGNATURE: 64, ML_DSA_44: 2420}
SEED_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
MAX_NAME_BYTES: Final = 255
MAX_KEY_TEXT: Final = 4096  # a name of 255 bytes and the 1752 characters of an ML-DSA-44 key, with room

# Unicode's White_Space, written out, so that no version of Unicode decides what a name is.
SPACES: Final = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(
    map(chr, range(0x2000, 0x200B))
)
# What a name may not have: those, a plus, control characters, and halves of characters.
_NOT_IN_NAMES: Final = re.compile(f"[+\x00-\x1f\ud800-\udfff{''.join(sorted(SPACES))}]")
_PRIVATE: Final = "PRIVATE+KEY+"
_KEY_TEXT: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name, for one type of signature. Making one checks it."""

    name: str
    kind: int
    public: bytes = field(repr=False)
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        _check_public(self.kind, self.public)
        object.__setattr__(self, "key_id", key_id_of(self.name, self.kind, self.public))

    @classmethod
    def from_text(cls, text: str) -> "VerifierKey":
        name, key_id, material = _read(text)
        key = cls(name, material[0], material[1:])
        if key.key_id != key_id:
            raise BadLogKey(reason="its key id is another one than its key has")
        return key

    def text(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes((self.kind,)) + self.public)}"

    def check_raw(self, signature: bytes, message: bytes) -> None:
        """``message``: all the bytes that the type of signature signs. Raises WrongSignature."""
        if len(signature) != SIGNATURE_BYTES[self.kind]:
            raise WrongSignature(key=self.name)
        try:
            if self.kind == ML_DSA_44:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            raise WrongSignature(key=self.name) from None


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key under a name, for one type of signature. Nothing prints its seed."""

    name: str
    kind: int
    seed: bytes = field(repr=False)
    verifier: VerifierKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise BadLogKey(reason="its seed has another length than 32 bytes")
        if self.kind not in PUBLIC_BYTES:
            raise BadLogKey(reason="its type of signature is not known here")
        public = self._private().public_key().public_bytes_raw()
        object.__setattr__(self, "verifier", VerifierKey(self.name, self.kind, public))

    @classmethod
    def from_text(cls, text: str) -> "SignerKey":
        if not text.startswith(_PRIVATE):
            raise BadLogKey(reason="it is no private key")
        name, key_id, material = _read(text.removeprefix(_PRIVATE))
        key = cls(name, material[0], material[1:])
        if key.verifier.key_id != key_id:
            raise BadLogKey(reason="its key id is another one than its key has")
        return key

    def text(self) -> str:
        """Whoever reads this can sign: it goes into a file that only the ledger's owner can read, and nowhere else."""
        secret = to_base64(bytes((self.kind,)) + self.seed)
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{secret}"

    def sign_raw(self, message: bytes) -> bytes:
        return self._private().sign(message)

    def _private(self) -> Ed25519PrivateKey | MLDSA44PrivateKey:
        if self.kind != ML_DSA_44:
            return Ed25519PrivateKey.from_private_bytes(self.seed)
        try:
            return MLDSA44PrivateKey.from_seed_bytes(self.seed)
        except UnsupportedAlgorithm as error:
            raise BadLogKey(reason="this machine's cryptographic library has no ML-DSA-44") from error


def key_id_of(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes((kind,)) + public).digest()[:KEY_ID_BYTES]


def is_name(text: str) -> bool:
    """Whether a signature line may carry it as its key's name; other notes' names may be longer than ours."""
    return bool(text) and _NOT_IN_NAMES.search(text) is None


def check_name(text: str) -> None:
    """Raises BadLogKey unless a key that is known here may be called so."""
    if not is_name(text) or len(text.encode()) > MAX_NAME_BYTES:
        raise BadLogKey(reason="its name is empty, has a space, a plus or a control character, or is too long")


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """None for anything but the one canonical form."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if to_base64(data) == text else None


def _read(text: str) -> tuple[str, bytes, bytes]:
    match = _KEY_TEXT.fullmatch(text) if len(text) <= MAX_KEY_TEXT else None
    if match is None:
        raise BadLogKey(reason="it is not a name, a key id and a key with plus signs between them")
    material = from_base64(match[3])
    if not material:
        raise BadLogKey(reason="its key is not base64")
    return match[1], bytes.fromhex(match[2]), material


def _check_public(kind: int, public: bytes) -> None:
    if kind not in PUBLIC_BYTES:
        raise BadLogKey(reason="its type of signature is not known here")
    if len(public) != PUBLIC_BYTES[kind]:
        raise BadLogKey(reason="it has another length than keys of its type")
    if kind == ML_DSA_44:
        try:
            MLDSA44PublicKey.from_public_bytes(public)
        except UnsupportedAlgorithm as error:
            raise BadLogKey(reason="this machine's cryptographic library has no ML-DSA-44") from error
    else:
        _check_point(public)


def _check_point(public: bytes) -> None:
    match find_point_fault(public):
        case PointFault.NOT_CANONICAL:
            raise BadLogKey(reason="its encoding is not the canonical one")
        case PointFault.SMALL_ORDER:
            raise BadLogKey(reason="it is one of the weak points of Ed25519, with which a signature fits many texts")
        case PointFault.NOT_ON_CURVE:
            raise BadLogKey(reason="it is not a point of the curve")
