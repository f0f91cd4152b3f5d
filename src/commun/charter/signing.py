"""What members sign, one by one and anywhere, until it is enough.

A document that collects signatures is an Amendment (``amendment.py``) or a Release (``release.py``). Rules:

- a member signs all of a document's payloads or none: half a signature is refused;
- every signature is verified when it is added, read or merged. One that does not fit is refused with BadSignature, one
  of a key that may not sign with NotAMember: nothing is dropped silently;
- order does not matter. Copies of one document that were signed apart are merged; copies of different documents are
  not. Where one member signed twice, the earlier signature stays (among equals the smaller bytes), in any order;
- "assent" is among an amendment's payloads: when the member signed, by the member's own clock and under the same key.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol, Self, TypeVar

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature, Signer
from tuf.api.metadata import Root

from commun.charter.canonical import is_hex, read_time
from commun.charter.errors import BadSignature, BrokenMetadata, CharterError, NotAMember, OtherBase
from commun.charter.keys import key_from_text
from commun.charter.strict_json import NotStrict, check_fields
from commun.errors import N_

ASSENT: Final = "assent"
MAX_REASON: Final = 2000
MAX_SIGNATURE_HEX: Final = 160  # Ed25519 has 128 digits, ECDSA P-256 in DER up to 144
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


class BadDocument(CharterError):
    """``details``: ``reason``."""

    code = "bad_amendment"
    status = 422
    problem = N_("This file cannot be signed or adopted: %(reason)s.")
    cure = N_("Ask whoever sent it for the file again.")


class OtherDocument(CharterError):
    code = "other_amendment"
    status = 409
    problem = N_("These files do not hold the same amendment.")
    cure = N_("Merge only copies of one amendment; “commun charter status” shows the number of each.")


class OtherBoard(OtherBase):
    """``details``: ``base`` (the edition that the document was made on)."""

    code = "amendment_other_board"
    problem = N_("This was made on edition %(base)s for another board than the one that decides now.")
    cure = N_("Propose it again on the newest edition, and let it be signed again.")


class NoReason(CharterError):
    """``details``: ``most``."""

    code = "no_reason"
    status = 422
    problem = N_("A reason is needed, in 1 to %(most)s characters.")
    cure = N_("Say in a sentence why: everybody will read it.")


@dataclass(frozen=True, slots=True, order=True)
class Assent:
    """All that one member has signed of one document. ``time``: None in a document that has none of its own.
    ``signatures``: pairs of a payload's name and the signature in hex, by name.
    """

    keyid: str
    time: datetime | None
    signatures: tuple[tuple[str, str], ...]

    def signature(self, payload: str) -> str:
        return dict(self.signatures)[payload]


@dataclass(frozen=True, slots=True)
class Voters:
    """One board that decides: ``names`` by key id. ``which``: "old" only where the board changes."""

    which: Literal["old", "new"]
    names: Mapping[str, str]
    quorum: int


@dataclass(frozen=True, slots=True)
class Voting:
    """``guards``: key ids of those who guard the entrenched clauses; all needed where ``entrenched``."""

    boards: tuple[Voters, ...]
    guards: frozenset[str]
    entrenched: bool


class Signable(Protocol):
    """A document that collects signatures."""

    @property
    def assents(self) -> tuple[Assent, ...]: ...

    def signers(self) -> Mapping[str, Key]:
        """Who may sign, by key id."""

    def payloads(self, time: datetime) -> dict[str, bytes]:
        """The exact bytes to be signed, by name."""

    def with_assents(self, assents: tuple[Assent, ...]) -> Self: ...

    def voting(self) -> Voting:
        """Whose signatures it needs."""

    def check_board(self, root: Root) -> None:
        """Raises OtherBoard where another board than this one decides on it."""


D = TypeVar("D", bound=Signable)


def payloads(document: Signable, *, time: datetime) -> dict[str, bytes]:
    """What a signer signs, in this order. The same ``time`` goes with the signatures to ``add_signatures``."""
    return document.payloads(whole_second(time))


def sign(document: D, signer: Signer, *, now: datetime) -> D:
    """Raises NotAMember before the key is used, and BadSignature where it signed something else."""
    keyid = signer.public_key.keyid
    if document.signers().get(keyid) != signer.public_key:
        raise NotAMember
    time = whole_second(now)
    return _with(
        document, keyid, time, {name: signer.sign(data).signature for name, data in document.payloads(time).items()}
    )


def add_signatures(document: D, public_key_text: str, signatures: Mapping[str, str], *, time: datetime) -> D:
    """Signatures made elsewhere, in a browser: hex, by the names of ``payloads``, made for this ``time``.

    Raises BadKey, NotAMember, BadSignature.
    """
    return _with(document, key_from_text(public_key_text).keyid, whole_second(time), signatures)


def merge(first: D, *others: D) -> D:
    """One document with everybody's signatures. Raises OtherDocument."""
    merged = first
    for other in others:
        same_text = type(other) is type(first) and other.payloads(_ANY_TIME) == first.payloads(_ANY_TIME)
        if not same_text or other.signers() != first.signers():
            raise OtherDocument
        merged = with_verified(merged, other.assents)
    return merged


def with_verified(document: D, assents: Iterable[Assent]) -> D:
    """``document`` with these signatures, too, each verified. Raises NotAMember, BadSignature."""
    kept = {assent.keyid: assent for assent in document.assents}
    signers = document.signers()
    for assent in assents:
        _check_assent(document, assent, signers.get(assent.keyid))
        kept[assent.keyid] = min(assent, kept.get(assent.keyid, assent), key=_rank)
    return document.with_assents(tuple(kept[keyid] for keyid in sorted(kept)))


def _check_assent(document: Signable, assent: Assent, key: Key | None) -> None:
    if key is None:
        raise NotAMember
    signed = document.payloads(assent.time or _ANY_TIME)
    if [name for name, _ in assent.signatures] != sorted(signed):
        raise BadSignature
    for name, signature in assent.signatures:
        if not is_signature_by(key, signature, signed[name]):
            raise BadSignature


def is_signature_by(key: Key, signature: Any, data: bytes) -> bool:
    """Whether ``signature`` (hex in small letters) is this key's over ``data``."""
    if not is_hex(signature) or len(signature) > MAX_SIGNATURE_HEX:
        return False
    try:
        key.verify_signature(Signature(key.keyid, signature), data)
    except UnverifiedSignatureError:
        return False
    return True


def check_reason(reason: str) -> str:
    """Without the space around it. Raises NoReason."""
    reason = reason.strip()
    try:
        reason.encode("utf-8")
    except UnicodeError:
        raise NoReason(most=MAX_REASON) from None
    if not 1 <= len(reason) <= MAX_REASON:
        raise NoReason(most=MAX_REASON)
    return reason


def whole_second(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=0)


def read_signatures(value: Any) -> dict[str, str]:
    """A list of ``{"keyid", "sig"}``, no key twice. Raises NotStrict."""
    return _by_key(value, {"keyid": str, "sig": str}, lambda item: str(item["sig"]))


def read_assents(value: Any) -> dict[str, tuple[datetime, str]]:
    """A list of ``{"keyid", "time", "sig"}``, no key twice. Raises NotStrict."""

    def read(item: dict[str, Any]) -> tuple[datetime, str]:
        try:
            return read_time(item["time"], file=""), item["sig"]
        except BrokenMetadata:
            raise NotStrict("a time has another form") from None

    return _by_key(value, {"keyid": str, "time": str, "sig": str}, read)


T = TypeVar("T")


def _by_key(value: Any, types: Mapping[str, type], read: Callable[[dict[str, Any]], T]) -> dict[str, T]:
    if not isinstance(value, list):
        raise NotStrict("the signatures are no list")
    items = {item["keyid"]: read(item) for item in (check_fields(item, types) for item in value)}
    if len(items) != len(value):
        raise NotStrict("a key stands twice among the signatures")
    return items


def _rank(assent: Assent) -> tuple[datetime, tuple[tuple[str, str], ...]]:
    return assent.time or _ANY_TIME, assent.signatures


def _with(document: D, keyid: str, time: datetime, signatures: Mapping[str, str]) -> D:
    has_time = ASSENT in document.payloads(time)
    assent = Assent(keyid, time if has_time else None, tuple(sorted(signatures.items())))
    return with_verified(document, [assent])
