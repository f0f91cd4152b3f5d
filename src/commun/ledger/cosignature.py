r"""Cosignatures: what a witness states about a checkpoint or a subtree, and when.

Specification (C2SP tlog-cosignature v1.1.0-rc.1):

- a signature line's value is the time, 8 bytes big-endian, and the signature: 64 bytes for type 0x04, 2420 for 0x06;
- type 0x04 (Ed25519) signs ``cosignature/v1``, ``time T`` and the whole text of the checkpoint, extensions included;
- type 0x06 (ML-DSA-44, FIPS 204, empty context) signs ``"subtree/v1\n\0" ‖ name ‖ time ‖ origin ‖ start ‖ end ‖ hash``:
  names after a length byte, numbers of 8 bytes. It names the cosigner, and does not cover extensions;
- a time is in seconds since the Epoch, at most 2^63 - 1. For type 0x06 zero means that no statement is made that this
  was the largest tree seen; it must be zero for a subtree that does not start at leaf 0;
- a log may sign its own checkpoint with type 0x06 as well.

The statement is "as of this time, the largest consistent tree of this origin that I saw has this root". Whether a time
is in the future is for callers who have a clock. Refuses to sign what a verifier could not read: an origin above 255
bytes for type 0x06, and extensions under a signature that would not cover them.

Raises WrongSignature, BadLogKey, BadCheckpoint, OutOfRange.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.errors import BadCheckpoint, BadLogKey, NotSigned, OutOfRange, UnknownLog, WrongSignature
from commun.ledger.keys import ED25519, ED25519_COSIGNATURE, MAX_NAME_BYTES, ML_DSA_44, SignerKey, VerifierKey
from commun.ledger.merkle import HASH_SIZE, check_number, check_subtree
from commun.ledger.note import Note, NoteVerifier, Signature, Verifier, sign_note

TIME_BYTES: Final = 8
LABEL: Final = b"subtree/v1\n\x00"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified line. ``time``: seconds since the Epoch; None for a log's signature of type 0x01, which has none."""

    key: VerifierKey
    time: int | None


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A head that its log's key has signed; ``cosignatures``: every known key that did, the log's own first."""

    checkpoint: Checkpoint
    note: Note
    cosignatures: tuple[Cosignature, ...]

    @property
    def dated(self) -> frozenset[VerifierKey]:
        """The keys that have stated when: these alone count as witnesses."""
        return frozenset(item.key for item in self.cosignatures if item.time)


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """Types 0x04 and 0x06."""

    key: VerifierKey

    def __post_init__(self) -> None:
        if self.key.kind not in {ED25519_COSIGNATURE, ML_DSA_44}:
            raise BadLogKey(reason="a key of this type makes no cosignatures")

    def check(self, text: str, value: bytes) -> None:
        try:
            message = cosigned_message(self.key, Checkpoint.from_text(text), time_of(value))
        except OutOfRange:
            raise WrongSignature(key=self.key.name) from None
        self.key.check_raw(value[TIME_BYTES:], message)


def verifier_for(key: VerifierKey) -> Verifier:
    return NoteVerifier(key) if key.kind == ED25519 else CosignatureVerifier(key)


def open_checkpoint(
    data: bytes, *, log: Sequence[VerifierKey], others: Sequence[VerifierKey] = (), origin: str | None = None
) -> SignedCheckpoint:
    """A head that at least one of the log's keys has signed.

    ``log``: each stands for the origin that is its name, or for ``origin`` where that is given (a log whose keys are
    called otherwise). ``others``: witnesses. Also raises UnknownLog, NotSigned, BadNote.
    """
    checkpoint, note = read_checkpoint(data)
    logs = [key for key in log if (origin or key.name) == checkpoint.origin]
    if not logs:
        raise UnknownLog
    witnesses = [key for key in others if key not in logs]
    known = {(key.name, key.key_id): key for key in (*logs, *witnesses)}
    signed = [
        _statement(known[item.name, item.key_id], item)
        for item in note.verified([verifier_for(key) for key in (*logs, *witnesses)])
    ]
    signed.sort(key=lambda item: item.key not in logs)
    if signed[0].key not in logs:
        raise NotSigned
    return SignedCheckpoint(checkpoint, note, tuple(signed))


def sign_checkpoint(checkpoint: Checkpoint, key: SignerKey, *, time: int = 0) -> Signature:
    """A line below the checkpoint's text, of the key's type; ``time`` is for types 0x04 and 0x06."""
    if key.kind == ED25519:
        return sign_note(checkpoint.text(), key)
    if key.kind == ML_DSA_44 and checkpoint.extensions:
        raise BadCheckpoint(reason="this type of signature would not cover its extension lines")
    message = cosigned_message(key.verifier, checkpoint, time)
    return Signature(key.name, key.verifier.key_id, time.to_bytes(TIME_BYTES, "big") + key.sign_raw(message))


def cosigned_message(key: VerifierKey, checkpoint: Checkpoint, time: int) -> bytes:
    """The bytes that a cosignature of the key's type signs."""
    check_number(time)
    if key.kind == ED25519_COSIGNATURE:
        return f"cosignature/v1\ntime {time}\n{checkpoint.text()}".encode()
    return subtree_message(key, origin=checkpoint.origin, start=0, end=checkpoint.size, root=checkpoint.root, time=time)


def subtree_message(key: VerifierKey, *, origin: str, start: int, end: int, root: bytes, time: int) -> bytes:
    """``root``: of the leaves from ``start`` to before ``end``. Key type 0x06 only."""
    if key.kind != ML_DSA_44:
        raise BadLogKey(reason="only ML-DSA-44 keys sign subtrees")
    check_subtree(start, end)
    check_number(time)
    if start and time:
        raise OutOfRange(reason="a subtree that does not start at leaf 0 is signed without a time")
    log = origin.encode()
    if not 0 < len(log) <= MAX_NAME_BYTES:
        raise BadCheckpoint(reason="its origin is empty or too long for this type of signature")
    if len(root) != HASH_SIZE:
        raise BadCheckpoint(reason="its root is not 32 bytes")
    name = key.name.encode()
    return b"".join((LABEL, _short(name), _long(time), _short(log), _long(start), _long(end), root))


def sign_subtree(key: SignerKey, *, origin: str, start: int, end: int, root: bytes, time: int = 0) -> Signature:
    """A subtree that starts after leaf 0 has no checkpoint; its line travels where a protocol says."""
    message = subtree_message(key.verifier, origin=origin, start=start, end=end, root=root, time=time)
    return Signature(key.name, key.verifier.key_id, _long(time) + key.sign_raw(message))


def check_subtree_cosignature(key: VerifierKey, value: bytes, *, origin: str, start: int, end: int, root: bytes) -> int:
    """The time that was signed. ``value``: of the signature line."""
    check_subtree(start, end)
    try:
        time = time_of(value)
        message = subtree_message(key, origin=origin, start=start, end=end, root=root, time=time)
    except OutOfRange:
        raise WrongSignature(key=key.name) from None
    key.check_raw(value[TIME_BYTES:], message)
    return time


def time_of(value: bytes) -> int:
    """The time in a cosignature's value; raises OutOfRange. Not verified by itself."""
    if len(value) < TIME_BYTES:
        raise OutOfRange(reason="a cosignature has no time")
    time = int.from_bytes(value[:TIME_BYTES], "big")
    check_number(time)
    return time


def _statement(key: VerifierKey, signature: Signature) -> Cosignature:
    return Cosignature(key, None if key.kind == ED25519 else time_of(signature.value))


def _short(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def _long(number: int) -> bytes:
    return number.to_bytes(TIME_BYTES, "big")
