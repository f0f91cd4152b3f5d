"""The vault: what is written into the database can be read only with a secret that the database does not hold.

This docstring is the specification.

Keys
    Each account has one *account key*: a random key pair for HPKE (RFC 9180) with the hybrid KEM
    ML-KEM-768 + X25519, HKDF-SHA256 and AES-256-GCM, so that what is copied today stays sealed if either of the two
    falls. Each conversation has one random 256-bit *conversation key*. Titles and messages are sealed under the
    conversation key; the conversation key is sealed to the account. So the server can always write (it makes the
    conversation key), reads only while it holds the owner's secret, opens a long conversation with one key operation,
    and erases a conversation by dropping one row.

    What somebody says of an answer (``feedback.py``) is sealed by the owner, always at the same length, and that under
    the conversation key: it goes with that key, and who is given that key to read along does not open it. An answer
    that is sent to the administrators (``sent.py``) has a random 256-bit key of its own, sealed to the public key of
    each administrator of that moment, and of the sender where it is sent with a name.

    The private account key is never stored in clear. It is *wrapped*, once for each way in: by secrets with at least
    128 bits of entropy (the token of a session cookie, a recovery code, what a passkey derives) and by what Argon2id
    makes of a password (``passwords.py``), which is as hard to guess as the password is.

Formats (all begin with one version byte; unknown versions are refused)
    ========================  =====================================================================================
    sealed to a public key    ``0x01`` · HPKE encapsulation (1,120 B) · ciphertext · tag (16 B); HPKE ``info`` = context
    sealed by the owner       ``0x02`` · nonce (12 B) · AES-256-GCM ciphertext · tag; key = HKDF-SHA256(private key,
                              "commun vault owner v1"). The same secrecy at a fiftieth of the time and 1.1 kB less, for
                              writers that hold the private key anyway
    content                   ``0x03`` · nonce (12 B) · AES-256-GCM ciphertext · tag, under the conversation key, or a
                              sent answer's own
    wrapped private key       ``0x04`` · nonce (12 B) · AES-256-GCM ciphertext · tag; key = HKDF-SHA256(secret,
                              "commun vault wrap v1")
    under a token             ``0x05`` · nonce (12 B) · AES-256-GCM ciphertext · tag; key = HKDF-SHA256(token,
                              "commun vault token v1"): an API key's or a link's, which the database does not hold
    ========================  =====================================================================================

    Nonces are random. A conversation key seals far fewer than the 2³² messages after which that would matter.

Readers
    An owner may let others read a conversation: its key, and nothing else, is sealed again, first under the token of a
    link (``0x05``) that the database holds a hash of, and when somebody accepts, to their account key; the copy under
    the token is then overwritten. Ending a reading draws a *new* conversation key: everything under the old one (title,
    messages, receipts, thumbs) is sealed again in one transaction, the new key is sealed to the owner and to the public
    keys of those who go on reading, and links that nobody has accepted end. ``readers.py``, ``rekeying.py``.

Context
    Every seal is bound to a *context*: table, column, row id and the facts that must not change unseen (``bind``).
    Bytes moved to another row, column, conversation or account do not open.

What is covered
    A copy of the data folder (database, write-ahead log, backups, server logs) opens nothing and shows no word of a
    title, a question or an answer. Changing or swapping sealed bytes is detected when they are opened. Dropping a
    conversation's key makes what is left of it unreadable, in backups that were made later too.

What is not covered
    - The server holds plaintext and the private key in memory while it answers, and the private key for a few seconds
      after each request (cache of signed-in sessions), and as long as an import of its owner's runs: whoever can read
      its memory can read the chats in use.
    - Whoever can change the program, or the JavaScript that the page loads, can make it hand over what it sees.
    - Metadata is in clear: ``docs/what-is-visible.md`` lists every column and what it reveals, sizes included.
    - Whoever can write to the database can delete rows, put an older version of a row or of the whole file back, and
      choose which branch is shown and in which folder a conversation lies. Only the content of what is shown is
      protected.
    - With every session signed out and every way in lost, the conversations are lost. There is no master key, and no
      administrator's key.
    - Whoever copies the database can try passwords, at the cost of one Argon2id each.
    - Backups made before a deletion still hold what was deleted, sealed.
    - What a reader has read they have read. With a copy of the database from before their reading ended, and their own
      way in, they open what it holds; the new key keeps from them what is stored later. Only the owner's ending changes
      the key: leaving, starting over, a deleted account and a link that expires take a row away, and the key stays. A
      conversation's key opens its receipts, too, and with them what the model was told, the owner's own instructions
      included: the pages leave that out, the key does not.
    - Whoever was sent an answer as an administrator can keep a copy. That something was said of an answer, and on which
      day something was sent to whom, is in clear; so is by whom, where it was sent with a name.

Refuses to
    wrap under a password as it was typed; open what does not name its context; say why a seal did not open.
"""

import hmac
import os
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from commun.errors import N_, CommunError, Refused

_TO_PUBLIC_KEY: Final = b"\x01"
_BY_OWNER: Final = b"\x02"
_CONTENT: Final = b"\x03"
_WRAPPED: Final = b"\x04"
_UNDER_TOKEN: Final = b"\x05"

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_MLKEM_SEED_BYTES: Final = 64  # FIPS 203: d ‖ z
_MLKEM_PUBLIC_BYTES: Final = 1184
_PRIVATE_BYTES: Final = _MLKEM_SEED_BYTES + _KEY_BYTES
_PUBLIC_BYTES: Final = _MLKEM_PUBLIC_BYTES + _KEY_BYTES

_SUITE: Final = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class VaultError(CommunError):
    """Sealed bytes do not open: another key, another place, or damage. Which of them is not told."""

    code = "vault_error"
    problem = N_("Something stored could not be opened: it is damaged, or sealed with another key.")
    cure = N_("Reload the page. If it happens again, restore a backup of the data folder.")


class NoVault(Refused):
    """The account has no key pair yet (nobody opened its sign-in link), so nothing can be sealed to it."""

    code = "no_vault"
    problem = N_("This account has no vault yet, so nothing can be stored for it.")
    cure = N_("Open the link that “commun serve” prints once, or send “store”: false.")


def is_sealed_to_public_key(sealed: bytes) -> bool:
    return sealed[:1] == _TO_PUBLIC_KEY


def bind(table: str, column: str, *facts: str) -> bytes:
    """The context of a seal: where it stands and what must not change unseen. Parts may not hold a NUL."""
    parts = (table, column, *facts)
    if any("\x00" in part for part in parts):
        raise VaultError
    return "\x00".join(parts).encode()


def _derive(secret: bytes, label: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=label).derive(secret))


def _encrypt(version: bytes, cipher: AESGCM, plaintext: bytes, context: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return version + nonce + cipher.encrypt(nonce, plaintext, version + context)


def _decrypt(version: bytes, cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    """Raises VaultError, and nothing else."""
    if sealed[:1] != version or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
        raise VaultError
    try:
        return cipher.decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], version + context)
    except InvalidTag:
        raise VaultError from None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Anybody may seal to it. ``raw``: ML-KEM-768 encapsulation key (1,184 B) ‖ X25519 public key (32 B)."""

    raw: bytes
    _key: hpke.MLKEM768X25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Raises VaultError."""
        if len(raw) != _PUBLIC_BYTES:
            raise VaultError
        try:
            key = hpke.MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES]),
                X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:]),
            )
        except ValueError:
            raise VaultError from None
        return cls(raw, key)

    def to_bytes(self) -> bytes:
        return self.raw

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        return _TO_PUBLIC_KEY + _SUITE.encrypt(plaintext, self._key, _TO_PUBLIC_KEY + context)


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The private half. Its bytes: ML-KEM-768 seed (64 B) ‖ X25519 private key (32 B). Never printed."""

    _raw: bytes = field(repr=False)
    _key: hpke.MLKEM768X25519PrivateKey = field(repr=False, compare=False)
    _own: AESGCM = field(repr=False, compare=False)
    public: PublicKey

    @classmethod
    def generate(cls) -> Self:
        return cls.from_bytes(os.urandom(_PRIVATE_BYTES))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Raises VaultError."""
        if len(raw) != _PRIVATE_BYTES:
            raise VaultError
        mlkem = MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(raw[_MLKEM_SEED_BYTES:])
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        return cls(
            raw,
            hpke.MLKEM768X25519PrivateKey(mlkem, x25519),
            _derive(raw, b"commun vault owner v1"),
            PublicKey.from_bytes(public),
        )

    def to_bytes(self) -> bytes:
        return self._raw

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Like sealing to the public key, for a writer who holds the private one: quicker and smaller."""
        return _encrypt(_BY_OWNER, self._own, plaintext, context)

    def mark(self, data: bytes) -> bytes:
        """The same for the same data, and tells nothing of it without this key: HMAC-SHA-256 under a key of its own."""
        derive = HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=b"commun vault mark v1")
        return hmac.digest(derive.derive(self._raw), data, "sha256")

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Opens what was sealed to the public key (60 µs) or by the owner (1 µs). Raises VaultError."""
        if sealed[:1] == _BY_OWNER:
            return _decrypt(_BY_OWNER, self._own, sealed, context)
        if sealed[:1] != _TO_PUBLIC_KEY:
            raise VaultError
        try:
            return _SUITE.decrypt(sealed[1:], self._key, _TO_PUBLIC_KEY + context)
        except (InvalidTag, ValueError):
            raise VaultError from None


@dataclass(frozen=True, slots=True)
class ConversationKey:
    """Seals one conversation's title and messages."""

    _raw: bytes = field(repr=False)
    _cipher: AESGCM = field(repr=False, compare=False)

    @classmethod
    def generate(cls) -> Self:
        return cls.from_bytes(os.urandom(_KEY_BYTES))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Raises VaultError."""
        if len(raw) != _KEY_BYTES:
            raise VaultError
        return cls(raw, AESGCM(raw))

    def to_bytes(self) -> bytes:
        return self._raw

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        return _encrypt(_CONTENT, self._cipher, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Raises VaultError."""
        return _decrypt(_CONTENT, self._cipher, sealed, context)


def wrap(key: AccountKey, secret: bytes, context: bytes) -> bytes:
    """The private key under ``secret``, which must be random (128 bits of entropy at least), not a password."""
    return _encrypt(_WRAPPED, _derive(secret, b"commun vault wrap v1"), key.to_bytes(), context)


def unwrap(wrapped: bytes, secret: bytes, context: bytes) -> AccountKey:
    """Raises VaultError on another secret, another context or damage."""
    return AccountKey.from_bytes(_decrypt(_WRAPPED, _derive(secret, b"commun vault wrap v1"), wrapped, context))


def seal_under(token: str, plaintext: bytes, context: bytes) -> bytes:
    """``token``: random (128 bits of entropy at least), and stored nowhere but as a hash."""
    return _encrypt(_UNDER_TOKEN, _derive(token.encode(), b"commun vault token v1"), plaintext, context)


def open_under(token: str, sealed: bytes, context: bytes) -> bytes:
    """Raises VaultError."""
    return _decrypt(_UNDER_TOKEN, _derive(token.encode(), b"commun vault token v1"), sealed, context)
