"""The envelope: a payload and one signature on it.

Specification (DSSE v1.0.2, github.com/secure-systems-lab/dsse):

- what is signed is PAE("DSSEv1", type, payload): ``DSSEv1``, the type's length, the type, the payload's length, the
  payload, with one space between them; lengths in bytes and decimal digits;
- the envelope is JSON: ``payload`` in base64, ``payloadType``, ``signatures`` with ``keyid`` and ``sig`` (base64).

Narrower here, so that an envelope has one writing and one digest:

- exactly one signature, Ed25519 (RFC 8032), and exactly these fields;
- ``keyid`` is SHA-256 of the public key's 32 bytes, hex;
- the JSON is RFC 8785's, base64 is the canonical one (RFC 4648 §4);
- a public key's text is ``ed25519:`` and 64 small hexadecimal digits. Keys that are not canonical, no point of the
  curve or of small order are refused: with those, one signature fits many messages.

Raises ReceiptError.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from commun.charter.strict_json import NotStrict, check_fields, read_object
from commun.ledger.entries import ReceiptStatement
from commun.ledger.errors import BadLogKey
from commun.ledger.keys import ED25519, VerifierKey, from_base64, to_base64
from commun.receipts.errors import Reason, ReceiptError

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_PAYLOAD_BYTES: Final = 65_536  # a receipt has some 2,000
MAX_ENVELOPE_BYTES: Final = 2 * MAX_PAYLOAD_BYTES
_FORM: Final = {"payload": str, "payloadType": str, "signatures": list}
_SIGNATURE: Final = {"keyid": str, "sig": str}
_KEY: Final = re.compile(r"ed25519:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """A public key that signs receipts. Making one checks it."""

    public: bytes

    def __post_init__(self) -> None:
        try:
            VerifierKey("receipts", ED25519, self.public)  # the checks of its point
        except BadLogKey as error:
            raise ReceiptError(Reason.BAD_KEY, "the receipt's key is none, or a weak one") from error

    @classmethod
    def from_text(cls, text: str) -> "ReceiptKey":
        match = _KEY.fullmatch(text)
        if match is None:
            raise ReceiptError(Reason.BAD_KEY, "a receipt's key is ed25519: and 64 small hexadecimal digits")
        return cls(bytes.fromhex(match[1]))

    def text(self) -> str:
        return f"ed25519:{self.public.hex()}"

    @property
    def keyid(self) -> str:
        return hashlib.sha256(self.public).hexdigest()


@dataclass(frozen=True, slots=True)
class ReceiptSigner:
    """``seed``: 32 bytes, secret; nothing prints it. One made once signs in some 50 µs."""

    seed: bytes = field(repr=False)
    key: ReceiptKey = field(init=False)
    _private: Ed25519PrivateKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_private", private)
        object.__setattr__(self, "key", ReceiptKey(private.public_key().public_bytes_raw()))

    def sign(self, payload: bytes) -> bytes:
        """The envelope."""
        signature = self._private.sign(pre_authentication_encoding(payload))
        return canonical_with_ascii_names(
            {
                "payload": to_base64(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"keyid": self.key.keyid, "sig": to_base64(signature)}],
            }
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """In its form; nothing of it is verified before ``check``. ``data``: its bytes."""

    data: bytes
    payload: bytes
    keyid: str
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> "Envelope":
        try:
            value = check_fields(read_object(data, limit=MAX_ENVELOPE_BYTES), _FORM)
            signature = check_fields(_only(value["signatures"]), _SIGNATURE)
        except NotStrict as error:
            raise ReceiptError(Reason.ENVELOPE_FORM, f"the envelope: {error}") from None
        if value["payloadType"] != PAYLOAD_TYPE:
            raise ReceiptError(Reason.ENVELOPE_FORM, "the envelope holds another type of payload")
        if rfc8785.dumps(value) != data:
            raise ReceiptError(Reason.ENVELOPE_FORM, "the envelope is written otherwise than RFC 8785 has it")
        payload = _decoded(value["payload"])
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ReceiptError(Reason.ENVELOPE_FORM, "the payload is longer than its bound")
        return cls(data, payload, signature["keyid"], _decoded(signature["sig"]))

    def check(self, key: ReceiptKey) -> None:
        """Step 2."""
        if self.keyid != key.keyid:
            raise ReceiptError(Reason.UNKNOWN_KEY, "the envelope names another key")
        message = pre_authentication_encoding(self.payload)
        try:  # another length than 64 bytes is no signature for it either
            Ed25519PublicKey.from_public_bytes(key.public).verify(self.signature, message)
        except InvalidSignature:
            raise ReceiptError(Reason.WRONG_SIGNATURE, "the signature is not this key's on this statement") from None


def canonical_with_ascii_names(value: dict[str, Any]) -> bytes:
    """RFC 8785's bytes, ten times as fast as its library, of data whose names are ASCII (only there is the order of
    code points surely that of UTF-16), without floats and numbers beyond 2^53. Raises UnicodeEncodeError.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _only(signatures: list[Any]) -> Any:
    if len(signatures) != 1:
        raise NotStrict("it has another number of signatures than one")
    return signatures[0]


def pre_authentication_encoding(payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def envelope_digest(envelope: bytes) -> str:
    """SHA-256, hex: what the ledger knows a receipt by."""
    return hashlib.sha256(envelope).hexdigest()


def entry_of(envelope: bytes) -> bytes:
    """The receipt's entry in the ledger: the envelope's digest, under its type's name, and nothing else."""
    return ReceiptStatement(envelope_digest(envelope)).data()


def decoded(text: Any, what: str) -> bytes:
    """Canonical base64. ``what``: our own words for it. Raises ReceiptError."""
    data = from_base64(text) if isinstance(text, str) else None
    if data is None:
        raise ReceiptError(Reason.NOT_BASE64, f"{what} is not base64 in its canonical form")
    return data


def _decoded(text: str) -> bytes:
    return decoded(text, "a part of the envelope")
