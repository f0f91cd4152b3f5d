"""A member's brake and the quorum's release, read and verified; ``freezing.py`` writes them.

- ``freezes/E.freeze.json``: {"signed": {"_type": "commun-freeze/1", "edition", "digest", "reason", "time"},
  "signatures"}; valid with the signature of any one key of edition E's board; E is 2 or more, for there must be an
  edition to go back to;
- ``freezes/E.unfreeze.json``: {"signed": {"_type": "commun-unfreeze/1", "edition", "digest", "freeze", "time"},
  "signatures"}; ``freeze`` is the digest of the freeze's signed bytes; valid with a quorum of edition E's board; after
  it the edition cannot be frozen again;
- freezes and releases of older editions stay in force: they decide to which edition a later freeze goes back. Whenever
  they come: a document has no time but its signers' own, so that a freeze by a member, or a release by a quorum, of an
  older edition's board still counts for that edition;
- a document that is there and does not hold is refused, not ignored: whoever can spoil a file must not be able to lift
  a freeze by it, or to make one.

Raises BrokenMetadata, MixedEditions (another edition's), TooFewSignatures, and what the repository raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from securesystemslib.signer import Signature
from tuf.api.metadata import Root

from commun.charter.canonical import (
    canonical,
    check_signatures,
    digest_of,
    is_digest,
    is_whole,
    parse_strict,
    read_time,
)
from commun.charter.errors import BrokenMetadata, MixedEditions, TooFewSignatures
from commun.charter.repository import Repository, freeze_name, unfreeze_name

FREEZE_TYPE: Final = "commun-freeze/1"
UNFREEZE_TYPE: Final = "commun-unfreeze/1"
MAX_FREEZE_BYTES: Final = 100_000
MAX_FREEZE_REASON: Final = 2000  # characters
FIRST_TO_FREEZE: Final = 2
_FREEZE_FIELDS: Final = frozenset({"_type", "edition", "digest", "reason", "time"})
_UNFREEZE_FIELDS: Final = frozenset({"_type", "edition", "digest", "freeze", "time"})


@dataclass(frozen=True, slots=True)
class FreezeState:
    """``keyid``: who froze. ``data`` and ``release_data``: the documents' bytes; the second None while it is frozen."""

    keyid: str
    at: datetime
    reason: str
    signed_digest: str
    data: bytes
    release_data: bytes | None

    @property
    def released(self) -> bool:
        return self.release_data is not None


def find_freeze_state(repository: Repository, *, edition: int, digest: str, root: Root) -> FreezeState | None:
    """Whether the edition was ever frozen, and whether it was released. ``root``: its board, verified."""
    data = repository.find(freeze_name(edition), limit=MAX_FREEZE_BYTES)
    release_data = repository.find(unfreeze_name(edition), limit=MAX_FREEZE_BYTES)
    if data is None:
        if release_data is not None:
            raise MixedEditions(file=unfreeze_name(edition), reason="it releases what was never frozen")
        return None
    state = _read_freeze(data, edition, digest, root, release_data)
    if release_data is not None:
        _check_release(release_data, edition, digest, root, state.signed_digest)
    return state


def _read_freeze(data: bytes, edition: int, digest: str, root: Root, release_data: bytes | None) -> FreezeState:
    file = freeze_name(edition)
    signed, signatures = _read(data, FREEZE_TYPE, _FREEZE_FIELDS, file)
    reason = signed["reason"]
    if not isinstance(reason, str) or len(reason) > MAX_FREEZE_REASON:
        raise BrokenMetadata(file=file, reason="its reason is no text, or too long")
    _check_edition(signed, edition, digest, file)
    if edition < FIRST_TO_FREEZE:
        raise MixedEditions(file=file, reason="the first edition has none before it to go back to")
    signed_bytes = canonical(signed)
    keyids = document_signers(root, signed_bytes, signatures)
    if not keyids:
        raise TooFewSignatures(file=file, reason="no member of the board has signed it")
    at = read_time(signed["time"], file=file)
    return FreezeState(keyids[0], at, reason, digest_of(signed_bytes), data, release_data)


def _check_release(data: bytes, edition: int, digest: str, root: Root, freeze_digest: str) -> None:
    file = unfreeze_name(edition)
    signed, signatures = _read(data, UNFREEZE_TYPE, _UNFREEZE_FIELDS, file)
    _check_edition(signed, edition, digest, file)
    if signed["freeze"] != freeze_digest:
        raise MixedEditions(file=file, reason="it releases another freeze")
    read_time(signed["time"], file=file)
    if len(document_signers(root, canonical(signed), signatures)) < root.roles[Root.type].threshold:
        raise TooFewSignatures(file=file, reason="the board's quorum has not signed it")


def _check_edition(signed: Mapping[str, Any], edition: int, digest: str, file: str) -> None:
    if not is_whole(signed["edition"]) or signed["edition"] != edition or signed["digest"] != digest:
        raise MixedEditions(file=file, reason="it is about another edition")


def _read(data: bytes, kind: str, fields: frozenset[str], file: str) -> tuple[dict[str, Any], list[Any]]:
    document = parse_strict(data, file=file, limit=MAX_FREEZE_BYTES)
    if set(document) != {"signed", "signatures"} or not isinstance(document["signed"], dict):
        raise BrokenMetadata(file=file, reason="it has other parts than signed and signatures")
    signed = document["signed"]
    if set(signed) != fields or signed["_type"] != kind or not is_digest(signed["digest"]):
        raise BrokenMetadata(file=file, reason="a field is missing, unknown or of another type")
    check_signatures(document["signatures"], file=file)
    return signed, document["signatures"]


def document_signers(root: Root, signed_bytes: bytes, signatures: list[Any]) -> tuple[str, ...]:
    """The ids of those keys of the board that have validly signed, in the board's order; each counts once."""
    by_key = {item["keyid"]: Signature(item["keyid"], item["sig"]) for item in signatures}
    return tuple(root.get_verification_result(Root.type, signed_bytes, by_key).signed)
