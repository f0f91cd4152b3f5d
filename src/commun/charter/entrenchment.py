"""The rule that TUF does not have: an entrenched clause changes only when every guard has signed.

TUF lets a quorum replace the board, the thresholds and every delegation; a threshold of 5 for one file is decoration
where 3 of 5 may rewrite the threshold. So each root's metadata carries, signed, the digests of the entrenched clauses
and the key ids of their guards (``x-commun``), and whoever walks from one root to the next applies, besides TUF's own
rule (the old quorum and the new quorum have signed):

    if (entrenched, guards) differs from the old root's, every old guard must have signed the new root.

A guard need not be a member of the new board: being removed is one of the things that a guard must agree to, where the
guards' list changes by it; and it always does, because guards are members (below).

``check_root`` also holds each root to what a board may be:

- threshold t with 1 <= t <= the number of keys; the four roles have the same keys and the same threshold;
- every key belongs to all four roles; its id is the one computed from it; its encoding is the only one; it is not weak
  (``keys.check_key``): so the same key cannot stand twice, under no other id and in no other spelling;
- ``x-commun`` is well formed: its quorum is the threshold; guards are members, sorted, none twice; where a clause is
  entrenched there is a guard; where "board.quorum" is entrenched its digest is that of the quorum itself, so that the
  threshold cannot be lowered under an unchanged digest, in one step or in several;
- a new root follows the old one by exactly one version, and names a later edition.

``check_charter_matches`` binds a charter to its root, ``check_brought`` a root to the one edition that it was signed
for. The loader asks both for every edition, and allows one root step per edition: so no root counts whose charter was
never shown, nor with a charter other than the one that its signers signed. (A root that lies there without its edition
may hold by itself; it is trusted for nothing.)

Pure functions: no clock, no file, no state.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import rfc8785
from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, Key, Metadata, Role, Root

from commun.charter.canonical import EXTENSION, is_digest, is_whole
from commun.charter.clauses import CLAUSES, Charter, clause_digest
from commun.charter.errors import (
    BadBoard,
    BadKey,
    BrokenMetadata,
    EntrenchmentBroken,
    MixedEditions,
    TooFewSignatures,
    WrongVersion,
)
from commun.charter.keys import key_from_text, text_of_key
from commun.charter.roles import ROOT_FORMAT
from commun.charter.source_schema import MAX_MEMBERS

_EXTENSION_FIELDS: Final = frozenset({"format", "edition", "quorum", "entrenched", "guards"})


def check_root(old: Metadata[Root] | None, new: Metadata[Root]) -> None:
    """Whether ``new`` may follow ``old``; None: it is the first, and needs its own quorum only.

    Raises BadBoard, BrokenMetadata (``x-commun``), WrongVersion, TooFewSignatures, EntrenchmentBroken.
    """
    file = _file(new)
    _check_board(new.signed, file)
    _check_extension(new.signed, file)
    if new.signed.version != (1 if old is None else old.signed.version + 1):
        raise WrongVersion(file=file, reason="it does not follow the root before it")
    if not is_signed_by_quorum(new.signed, new):
        raise TooFewSignatures(file=file, reason="the new board's quorum has not signed it")
    if old is None:
        return
    if brought_by(new.signed)["number"] <= brought_by(old.signed)["number"]:
        raise MixedEditions(file=file, reason="it came with an edition that is not after its old root's")
    if not is_signed_by_quorum(old.signed, new):
        raise TooFewSignatures(file=file, reason="the old board's quorum has not signed it")
    if _guarded(old.signed) != _guarded(new.signed):
        _check_every_guard_signed(old.signed, new, file)


def is_signed_by_quorum(board: Root, metadata: Metadata[Any]) -> bool:
    """Whether enough keys of ``board`` have validly signed; each key counts once."""
    return len(signers(board, metadata)) >= board.roles[Root.type].threshold


def signers(board: Root, metadata: Metadata[Any]) -> tuple[str, ...]:
    """The ids of those keys of ``board`` that have validly signed, in the board's order.

    Only for a board that ``check_root`` has accepted: its four roles are one, so any of them will do.
    """
    result = board.get_verification_result(Root.type, metadata.signed_bytes, metadata.signatures)
    return tuple(result.signed)


def guards_missing(old: Root, new: Metadata[Root]) -> tuple[str, ...]:
    """The old guards whose signatures ``new`` still needs; none where nothing entrenched changes."""
    if _guarded(old) == _guarded(new.signed):
        return ()
    signed = set(signers(old, new))
    return tuple(guard for guard in old.unrecognized_fields[EXTENSION]["guards"] if guard not in signed)


def _check_every_guard_signed(old: Root, new: Metadata[Root], file: str) -> None:
    if guards_missing(old, new):
        raise EntrenchmentBroken(file=file, reason="not every guard of the entrenched clauses has signed it")


def brought_by(root: Root) -> Mapping[str, Any]:
    """The edition that brings this root, as its signers signed it: ``number`` and ``digest``."""
    named: Mapping[str, Any] = root.unrecognized_fields[EXTENSION]["edition"]
    return named


def check_brought(root: Root, number: int, digest: str, *, new: bool, file: str) -> None:
    """Whether edition ``number`` may stand under ``root``. ``new``: it is the first that does; otherwise the root came
    with it or with an older one. Raises MixedEditions.
    """
    named = brought_by(root)
    if named["number"] == number and named["digest"] == digest:
        return
    if new or named["number"] >= number:
        raise MixedEditions(file=file, reason="its root was signed for another edition")


def _guarded(root: Root) -> tuple[Any, Any]:
    extension = root.unrecognized_fields[EXTENSION]
    return extension["entrenched"], extension["guards"]


def _check_board(root: Root, file: str) -> None:
    if root.consistent_snapshot is not True:
        raise BadBoard(file=file, reason="its files are not named by their digests")
    first = root.roles[Root.type]
    for name in sorted(TOP_LEVEL_ROLE_NAMES):
        _check_role(root.roles[name], file)
        if set(root.roles[name].keyids) != set(first.keyids) or root.roles[name].threshold != first.threshold:
            raise BadBoard(file=file, reason="its four roles have not the same keys and threshold")
    if set(root.keys) != set(first.keyids):
        raise BadBoard(file=file, reason="a key belongs to no role, or a role names a key that is not there")
    if len(root.keys) > MAX_MEMBERS:
        raise BadBoard(file=file, reason="it has more keys than a board may have")
    if first.threshold > len(root.keys):
        raise BadBoard(file=file, reason="its threshold is above the number of its keys")
    texts = [_checked_text(key, file) for key in root.keys.values()]
    if len(set(texts)) != len(texts):
        raise BadBoard(file=file, reason="a key stands twice")


def _check_role(role: Role, file: str) -> None:
    if not is_whole(role.threshold, least=1):
        raise BadBoard(file=file, reason="a threshold is below 1")
    if not isinstance(role.keyids, list) or not all(is_digest(keyid) for keyid in role.keyids):
        raise BadBoard(file=file, reason="a key id is not one")
    if len(set(role.keyids)) != len(role.keyids):
        raise BadBoard(file=file, reason="a key stands twice")
    if role.unrecognized_fields:
        raise BadBoard(file=file, reason="a role has a field that is not known")


def _checked_text(key: Key, file: str) -> str:
    """The key's one text form: ``check_key`` refuses every other spelling, and every id but the computed one."""
    try:
        return text_of_key(key)
    except BadKey as error:
        raise BadBoard(file=file, reason="a key is weak, spelt in another form, or under another id") from error


def _check_extension(root: Root, file: str) -> None:
    extension = root.unrecognized_fields.get(EXTENSION)
    if not isinstance(extension, dict) or set(extension) != _EXTENSION_FIELDS or extension["format"] != ROOT_FORMAT:
        raise BrokenMetadata(file=file, reason="its x-commun is not that of a root")
    edition = extension["edition"]
    if not isinstance(edition, dict) or set(edition) != {"number", "digest"}:
        raise BrokenMetadata(file=file, reason="it names no edition")
    if not is_whole(edition["number"], least=1) or not is_digest(edition["digest"]):
        raise BrokenMetadata(file=file, reason="it names no edition")
    if not is_whole(extension["quorum"]) or extension["quorum"] != root.roles[Root.type].threshold:
        raise BadBoard(file=file, reason="its quorum is not its threshold")
    _check_guards(root, extension["guards"], file)
    entrenched = extension["entrenched"]
    if not isinstance(entrenched, dict) or not all(map(is_digest, entrenched.values())):
        raise BrokenMetadata(file=file, reason="its entrenched clauses are not digests")
    if not set(entrenched) <= set(CLAUSES):
        raise BrokenMetadata(file=file, reason="it entrenches what is no clause")
    if entrenched and not extension["guards"]:
        raise BadBoard(file=file, reason="it entrenches clauses that nobody guards")
    if entrenched.get("board.quorum", (digest := _quorum_digest(extension["quorum"]))) != digest:
        raise EntrenchmentBroken(file=file, reason="its threshold is not the quorum that it entrenches")


def _check_guards(root: Root, guards: Any, file: str) -> None:
    if not isinstance(guards, list) or not all(map(is_digest, guards)):
        raise BrokenMetadata(file=file, reason="its guards are not key ids")
    if guards != sorted(set(guards)):
        raise BrokenMetadata(file=file, reason="its guards are not sorted, or one stands twice")
    if not set(guards) <= set(root.keys):
        raise BadBoard(file=file, reason="a guard is not a member of the board")


def _quorum_digest(quorum: int) -> str:
    """As ``clause_digest`` makes it of the clause "board.quorum", which is a number alone."""
    return hashlib.sha256(rfc8785.dumps(quorum)).hexdigest()


def check_charter_matches(root: Root, charter: Charter, *, file: str) -> None:
    """Whether ``charter`` is the one whose board and entrenched clauses ``root`` has signed.

    ``root`` has passed ``check_root``. Raises MixedEditions (another board), EntrenchmentBroken (an entrenched clause,
    the list or the guards are others).
    """
    try:
        keyids = {member.name: key_from_text(member.key).keyid for member in charter.board.members}
    except BadKey as error:
        raise BadBoard(file=file, reason="the charter names a key that no board may have") from error
    if len(set(keyids.values())) != len(charter.board.members) or set(keyids.values()) != set(root.keys):
        raise MixedEditions(file=file, reason="the charter's board is not the one that its root names")
    if charter.board.quorum != root.roles[Root.type].threshold:
        raise MixedEditions(file=file, reason="the charter's quorum is not the threshold of its root")
    entrenched, guards = _guarded(root)
    if {name: clause_digest(charter, name) for name in charter.entrenched.clauses} != entrenched:
        raise EntrenchmentBroken(file=file, reason="an entrenched clause is not as its root has it")
    if sorted(keyids.get(name, "") for name in charter.entrenched.guards) != guards:
        raise EntrenchmentBroken(file=file, reason="the guards are not those of its root")


def _file(root: Metadata[Root]) -> str:
    return f"metadata/{root.signed.version}.root.json"
