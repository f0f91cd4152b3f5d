"""The board's keys: their text form, their files, what a key must not be.

Rules:

- text form: ``ed25519:`` and 64 lower-case hexadecimal digits, or ``ecdsa-p256:`` and the base64 of the
  SubjectPublicKeyInfo (DER, uncompressed point): one key has one text, so that texts can be compared;
- ``check_key`` refuses what no board may hold: another type or scheme, a key id that is not the one computed from the
  key, an encoding that is not the canonical one, a point that is not on the curve, one of the eight small-order points
  of Ed25519 (with those, one signature fits many messages), however it is written;
- a key file is JSON: the public key readable, the private one sealed with AES-256-GCM under a key that Argon2id makes
  from the passphrase; every other field is bound as additional data, so that a changed one does not open;
- how much work a file asks for is bounded before the work begins: a hostile file costs at most MAX_MEMORY_KIB;
- a new passphrase has MIN_PASSPHRASE characters or more; ``suggest_passphrase`` makes one of 93 bits. Letters that
  look the same but are written in two ways in Unicode count as the same (NFKC).
"""

import base64
import binascii
import json
import math
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from commun.charter.errors import BadKey, BadKeyFile, BadPassphrase, CharterError
from commun.charter.strict_json import NotStrict, check_fields, read_object
from commun.ed25519 import PointFault, find_point_fault
from commun.errors import N_

KEY_FORMAT: Final = "commun-key/1"
MAX_KEY_FILE_BYTES: Final = 4096
MAX_KEY_TEXT: Final = 256
MIN_PASSPHRASE: Final = 12
MAX_PASSPHRASE: Final = 1024
# RFC 9106, the second recommended setting: 64 MiB, three passes, four lanes.
MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 4
MAX_MEMORY_KIB: Final = 256 * 1024
MAX_PASSES: Final = 8
MAX_LANES: Final = 8
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12

CONSONANTS: Final = "bdfgjklmnprstvz"
VOWELS: Final = "aeiou"
WORDS: Final = 5
SYLLABLES: Final = 3
PASSPHRASE_BITS: Final = int(WORDS * SYLLABLES * math.log2(len(CONSONANTS) * len(VOWELS)))  # 93

_ED25519_HEX: Final = re.compile(r"[0-9a-f]{64}")


class WeakPassphrase(CharterError):
    """``details``: ``least``, ``most`` (characters)."""

    code = "weak_passphrase"
    status = 422
    problem = N_("A passphrase has %(least)s characters at least, and %(most)s at most.")
    cure = N_("Take a sentence that only you would write, or the one that is suggested.")


def key_from_text(text: str) -> SSlibKey:
    """Raises BadKey."""
    if len(text) > MAX_KEY_TEXT:
        raise BadKey(reason="it is too long")
    kind, _, rest = text.partition(":")
    if kind == "ed25519":
        if not _ED25519_HEX.fullmatch(rest):
            raise BadKey(reason="an Ed25519 key has 64 hexadecimal digits, in small letters")
        key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(rest)))
    elif kind == "ecdsa-p256":
        key = SSlibKey.from_crypto(_p256_from_base64(rest))
    else:
        raise BadKey(reason="it begins neither with ed25519: nor with ecdsa-p256:")
    check_key(key)
    return key


def text_of_key(key: Key) -> str:
    """Raises BadKey for a key that has no text form."""
    check_key(key)
    if key.keytype == "ed25519":
        return f"ed25519:{key.keyval['public']}"
    return f"ecdsa-p256:{base64.b64encode(_der(_p256_from_pem(key.keyval['public']))).decode()}"


def check_key(key: Key) -> None:
    """Raises BadKey unless a board may hold this key."""
    if not isinstance(key, SSlibKey) or key.unrecognized_fields or set(key.keyval) != {"public"}:
        raise BadKey(reason="it has fields that no board's key has")
    public = key.keyval["public"]
    if (key.keytype, key.scheme) == ("ed25519", "ed25519"):
        _check_ed25519(public)
        canonical = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    elif (key.keytype, key.scheme) == ("ecdsa", "ecdsa-sha2-nistp256"):
        canonical = SSlibKey.from_crypto(_p256_from_pem(public))
    else:
        raise BadKey(reason="it is neither an Ed25519 nor an ECDSA P-256 key")
    if key != canonical:
        raise BadKey(reason="its encoding or its key id is not the canonical one")


def _check_ed25519(public: str) -> None:
    if not _ED25519_HEX.fullmatch(public):
        raise BadKey(reason="an Ed25519 key has 64 hexadecimal digits, in small letters")
    match find_point_fault(bytes.fromhex(public)):
        case PointFault.NOT_CANONICAL:
            raise BadKey(reason="its encoding or its key id is not the canonical one")
        case PointFault.SMALL_ORDER:
            raise BadKey(reason="it is one of the weak points of Ed25519, with which a signature fits many texts")
        case PointFault.NOT_ON_CURVE:
            raise BadKey(reason="it is not a point of the curve")


def _p256_from_base64(text: str) -> EllipticCurvePublicKey:
    try:
        der = base64.b64decode(text, validate=True)
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey(reason="an ECDSA key is the base64 of its DER form") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise BadKey(reason="it is not a key on the curve P-256")
    if base64.b64encode(_der(key)).decode() != text:
        raise BadKey(reason="its encoding or its key id is not the canonical one")
    return key


def _p256_from_pem(text: str) -> EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey(reason="an ECDSA key is written in PEM") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise BadKey(reason="it is not a key on the curve P-256")
    return key


def _der(key: EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class SoftwareKey:
    """A member's Ed25519 key in memory. ``signer`` signs; its secret is in no text form of this object."""

    public_text: str
    keyid: str
    signer: CryptoSigner = field(repr=False)
    private: Ed25519PrivateKey = field(repr=False)

    def sealed(self, passphrase: str) -> bytes:
        """The key file. Raises WeakPassphrase."""
        check_passphrase(passphrase)
        header = {
            "format": KEY_FORMAT,
            "public": self.public_text,
            "kdf": "argon2id",
            "memory_kib": MEMORY_KIB,
            "passes": PASSES,
            "lanes": LANES,
            "salt": secrets.token_hex(SALT_BYTES),
            "nonce": secrets.token_hex(NONCE_BYTES),
        }
        sealed = _cipher(header, passphrase).encrypt(
            bytes.fromhex(str(header["nonce"])), self.private.private_bytes_raw(), _bound(header)
        )
        return (json.dumps(header | {"sealed": sealed.hex()}, indent=1) + "\n").encode()

    @staticmethod
    def open(data: bytes, passphrase: str) -> "SoftwareKey":
        """Raises BadKeyFile, BadPassphrase."""
        header = _read_key_file(data)
        sealed = header.pop("sealed")
        if len(passphrase) > MAX_PASSPHRASE:
            raise BadPassphrase
        try:
            secret = _cipher(header, passphrase).decrypt(
                bytes.fromhex(header["nonce"]), bytes.fromhex(sealed), _bound(header)
            )
        except (InvalidTag, UnicodeError):
            raise BadPassphrase from None
        key = _software_key(Ed25519PrivateKey.from_private_bytes(secret))
        if key.public_text != header["public"]:
            raise BadKeyFile(reason="it holds another private key than its public one says")
        return key


def make_key() -> SoftwareKey:
    return _software_key(Ed25519PrivateKey.generate())


def public_text_in(data: bytes) -> str:
    """The public key that a key file names; opening it needs the passphrase. Raises BadKeyFile."""
    return str(_read_key_file(data)["public"])


def check_passphrase(passphrase: str) -> None:
    """Raises WeakPassphrase: by its length alone, for rules about kinds of letters make passphrases worse."""
    if not MIN_PASSPHRASE <= len(passphrase) <= MAX_PASSPHRASE:
        raise WeakPassphrase(least=MIN_PASSPHRASE, most=MAX_PASSPHRASE)


def suggest_passphrase() -> str:
    """Five made-up words of three syllables, PASSPHRASE_BITS bits, sayable in both languages."""

    def word() -> str:
        return "".join(secrets.choice(CONSONANTS) + secrets.choice(VOWELS) for _ in range(SYLLABLES))

    return "-".join(word() for _ in range(WORDS))


def _software_key(private: Ed25519PrivateKey) -> SoftwareKey:
    signer = CryptoSigner(private)
    return SoftwareKey(text_of_key(signer.public_key), signer.public_key.keyid, signer, private)


_KEY_FILE_FIELDS: Final[dict[str, type]] = {
    "format": str,
    "public": str,
    "kdf": str,
    "memory_kib": int,
    "passes": int,
    "lanes": int,
    "salt": str,
    "nonce": str,
    "sealed": str,
}
_SEALED_BYTES: Final = 32 + 16


def _read_key_file(data: bytes) -> dict[str, Any]:
    try:
        fields = check_fields(read_object(data, limit=MAX_KEY_FILE_BYTES), _KEY_FILE_FIELDS)
        lengths = {name: len(_from_hex(fields[name])) for name in ("salt", "nonce", "sealed")}
    except NotStrict as error:
        raise BadKeyFile(reason=str(error)) from None
    if fields["format"] != KEY_FORMAT or fields["kdf"] != "argon2id":
        raise BadKeyFile(reason="its format is not known here")
    if lengths != {"salt": SALT_BYTES, "nonce": NONCE_BYTES, "sealed": _SEALED_BYTES}:
        raise BadKeyFile(reason="a field has another length")
    lanes = fields["lanes"]
    if not (
        1 <= fields["passes"] <= MAX_PASSES
        and 1 <= lanes <= MAX_LANES
        and 8 * lanes <= fields["memory_kib"] <= MAX_MEMORY_KIB
    ):
        raise BadKeyFile(reason="opening it would cost too much memory or time")
    try:
        key = key_from_text(fields["public"])
    except BadKey:
        raise BadKeyFile(reason="its public key cannot be used") from None
    if key.keytype != "ed25519":
        raise BadKeyFile(reason="its public key cannot be used")
    return fields


def _from_hex(text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except ValueError:
        raise NotStrict("a field is not hexadecimal") from None


def _cipher(header: dict[str, Any], passphrase: str) -> AESGCM:
    derivation = Argon2id(
        salt=bytes.fromhex(header["salt"]),
        length=32,
        iterations=header["passes"],
        lanes=header["lanes"],
        memory_cost=header["memory_kib"],
    )
    return AESGCM(derivation.derive(unicodedata.normalize("NFKC", passphrase).encode("utf-8")))


def _bound(header: dict[str, Any]) -> bytes:
    """The additional data: everything in the file but what is sealed."""
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
