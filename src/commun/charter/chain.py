"""The chain from the first root to an edition: each step verified on its own, nothing trusted that is not.

Roots follow one by one, by TUF's workflow (``workflow.py``) with ``entrenchment.check_root`` between them. All is read
in its canonical form (``canonical.py``) besides.

An edition E (``check_edition``), given the edition before it:

1.  ``E.targets.json`` is version E, and its ``x-commun`` says so;
2.  its root is the base's root or the one step after it: no root without the edition that shows what it changed; and a
    new root names this very edition, by number and digest: it was signed for this one and counts with no other;
3.  that root's quorum has signed it;
4.  its base is the edition before, by number *and* digest: the editions are a hash chain;
5.  ``E.snapshot.json`` and ``E.timestamp.json`` are version E, signed by the same quorum, expire on the same day and
    name the digest of these very targets: parts of different editions cannot be mixed;
6.  every file that it names has a charter's name, one SHA-256 and one length, and its bytes have both; no other file is
    ever read;
7.  the files are a charter without a mistake;
8.  its board and entrenched clauses are those that the root has signed, and its mandate ends when the metadata does.

Who signed is told, not judged: ``Edition.signatures`` has those who validly signed the targets, and, where the board
changed, those of the old board who signed the new root. Signatures beyond the quorum can be taken out of a folder
unnoticed: that more had signed, only a copy or the ledger tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from tuf.api.metadata import Metadata, Root, Snapshot, T, TargetFile, Targets, Timestamp

from commun.charter.assents import find_assents
from commun.charter.canonical import (
    EXTENSION,
    MAX_METADATA_BYTES,
    digest_of,
    is_digest,
    is_whole,
    read_metadata,
    read_time,
)
from commun.charter.clauses import Charter
from commun.charter.edition import Edition, Signature
from commun.charter.entrenchment import check_brought, check_charter_matches, check_root, is_signed_by_quorum, signers
from commun.charter.errors import (
    BrokenMetadata,
    CharterMistakes,
    InvalidCharter,
    MixedEditions,
    TooFewSignatures,
    TooLarge,
    UnsafeName,
    WrongFile,
    WrongVersion,
)
from commun.charter.keys import key_from_text
from commun.charter.repository import (
    TIMESTAMP,
    Repository,
    assents_name,
    root_name,
    snapshot_name,
    target_name,
    targets_name,
    timestamp_name,
)
from commun.charter.roles import EDITION_FORMAT, mandate_end
from commun.charter.source import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, is_charter_file, read_charter
from commun.charter.workflow import Trusted

MAX_ROOTS: Final = 1024  # changes of a board; python-tuf's own client stops at 256
MAX_EDITIONS: Final = 100_000  # beyond it a number is an attack (fast-forward), not a history
MAX_REASON: Final = 2000  # characters
_EXTENSION_FIELDS: Final = frozenset({"format", "edition", "root", "base", "reason", "proposed"})
_SHA256_ONLY: Final = {"sha256"}


@dataclass(frozen=True, slots=True)
class Link:
    """One verified edition, with what the next one is verified against. ``root``: its board's."""

    edition: Edition
    root: Metadata[Root]
    timestamp: Metadata[Timestamp]


def walk_roots(repository: Repository, *, newest: int, now: datetime) -> tuple[tuple[Metadata[Root], ...], Trusted]:
    """Every root from the first to the one numbered ``newest``, each verified from the one before it, and TUF's
    workflow as it stands after them. The first is verified by itself alone: whoever calls knows, or pins, which one it
    must be.
    """
    if newest > MAX_ROOTS:
        raise TooLarge(file=root_name(newest), reason="more changes of the board than are followed")
    data = repository.get(root_name(1), limit=MAX_METADATA_BYTES)
    roots = [read_metadata(data, Root, file=root_name(1))]
    trusted = Trusted(data, now=now, on_expiry="tell", check_root=check_root)
    while len(roots) < newest:
        file = root_name(len(roots) + 1)
        data = repository.get(file, limit=MAX_METADATA_BYTES)
        roots.append(read_metadata(data, Root, file=file))
        trusted.update_root(data)
    return tuple(roots), trusted


def check_unfinished_root(repository: Repository, newest: Metadata[Root]) -> bool:
    """Whether a root lies there whose edition does not: somebody is publishing at this moment, or died while doing so.

    It must hold as far as it can without the edition that it names, is trusted for nothing, and only one may lie
    there: two would hide what the first changed.
    """
    file = root_name(newest.signed.version + 1)
    data = repository.find(file, limit=MAX_METADATA_BYTES)
    if data is None:
        return False
    check_root(newest, read_metadata(data, Root, file=file))
    beyond = root_name(newest.signed.version + 2)
    if repository.find(beyond, limit=MAX_METADATA_BYTES) is not None:
        raise MixedEditions(file=beyond, reason="a root whose edition was never shown")
    return True


def read_newest(repository: Repository) -> Metadata[Timestamp]:
    """What ``timestamp.json`` claims; not verified. Its version is the newest edition's number."""
    timestamp = read_metadata(repository.get(TIMESTAMP, limit=MAX_METADATA_BYTES), Timestamp, file=TIMESTAMP)
    if timestamp.signed.version > MAX_EDITIONS:
        raise WrongVersion(file=TIMESTAMP, reason="a number beyond what a history can have")
    return timestamp


def claimed_root(repository: Repository, number: int) -> int:
    """The root that an edition says it was signed under; not verified."""
    targets = _read(repository, targets_name(number), Targets)
    root: int = _checked_extension(targets, number, targets_name(number))["root"]
    return root


def run_workflow(trusted: Trusted, repository: Repository, number: int) -> None:
    """The newest edition's metadata through TUF's own workflow; Commun's rules come on top, not instead.

    The timestamp is read under its lasting name: ``timestamp.json`` may be another edition's by now.
    """
    trusted.update_timestamp(repository.get(timestamp_name(number), limit=MAX_METADATA_BYTES))
    trusted.update_snapshot(repository.get(snapshot_name(number), limit=MAX_METADATA_BYTES))
    trusted.update_targets(repository.get(targets_name(number), limit=MAX_METADATA_BYTES))


def check_edition(
    repository: Repository, number: int, roots: tuple[Metadata[Root], ...], base: Link | None, *, floating: bool = False
) -> Link:
    """Edition ``number``, verified (the steps above). ``base``: the edition before it.

    ``floating``: the base was not verified here, because a later edition's digest is trusted already; then step 4 and
    the base's side of step 2 are left to whoever holds that digest.
    """
    file = targets_name(number)
    targets = _read(repository, file, Targets)
    extension = _checked_extension(targets, number, file)
    root = _root_of(extension["root"], roots, base, file, floating=floating)
    if not is_signed_by_quorum(root.signed, targets):
        raise TooFewSignatures(file=file, reason="the board's quorum has not signed it")
    if not floating:
        _check_base(extension["base"], base, file)
    digest = digest_of(targets.signed_bytes)
    new = not floating and (base is None or base.root.signed.version != root.signed.version)
    check_brought(root.signed, number, digest, new=new, file=file)
    _check_snapshot(repository, root, targets, digest)
    timestamp = _check_timestamp(repository, root, targets, digest)
    files = _read_files(repository, targets.signed, file)
    charter = _read_charter(files)
    check_charter_matches(root.signed, charter, file=file)
    if targets.signed.expires != mandate_end(charter):
        raise MixedEditions(file=file, reason="it does not expire when the charter's mandate ends")
    edition = Edition(
        number=number,
        digest=digest,
        base_digest=extension["base"]["digest"],
        charter=charter,
        files=MappingProxyType(files),
        reason=extension["reason"],
        proposed=read_time(extension["proposed"], file=file),
        root_version=root.signed.version,
        signatures=_signatures(repository, targets, root, charter, base),
        expires=targets.signed.expires,
    )
    return Link(edition, root, timestamp)


def _read(repository: Repository, file: str, kind: type[T]) -> Metadata[T]:
    data = repository.find(file, limit=MAX_METADATA_BYTES)
    if data is None:
        raise WrongVersion(file=file, reason="an edition on the way to the newest is missing")
    return read_metadata(data, kind, file=file)


def _checked_extension(targets: Metadata[Targets], number: int, file: str) -> Mapping[str, Any]:
    extension = targets.signed.unrecognized_fields[EXTENSION]
    if not isinstance(extension, dict) or set(extension) != _EXTENSION_FIELDS or extension["format"] != EDITION_FORMAT:
        raise BrokenMetadata(file=file, reason="its x-commun is not that of an edition")
    base, reason = extension["base"], extension["reason"]
    if not isinstance(base, dict) or set(base) != {"edition", "digest"} or not is_whole(base["edition"]):
        raise BrokenMetadata(file=file, reason="its base is not an edition")
    if not isinstance(base["digest"], str) or not (is_digest(base["digest"]) or base["digest"] == ""):
        raise BrokenMetadata(file=file, reason="its base is not a digest")
    if not isinstance(reason, str) or len(reason) > MAX_REASON:
        raise BrokenMetadata(file=file, reason="its reason is no text, or too long")
    if not is_whole(extension["edition"], least=1) or not is_whole(extension["root"], least=1):
        raise BrokenMetadata(file=file, reason="its edition or root is no number")
    if targets.signed.version != number or extension["edition"] != number:
        raise WrongVersion(file=file, reason="its number is not the one that it stands under")
    return extension


def _root_of(
    version: int, roots: tuple[Metadata[Root], ...], base: Link | None, file: str, *, floating: bool
) -> Metadata[Root]:
    least = 1 if base is None else base.root.signed.version
    most = len(roots) if floating else (1 if base is None else least + 1)
    if not least <= version <= most:
        raise MixedEditions(file=file, reason="its root is neither its base's nor the one step after it")
    if version > len(roots):
        raise MixedEditions(file=file, reason="its root is missing")
    return roots[version - 1]


def _check_base(named: Mapping[str, Any], base: Link | None, file: str) -> None:
    number, digest = (0, "") if base is None else (base.edition.number, base.edition.digest)
    if named["edition"] != number or named["digest"] != digest:
        raise MixedEditions(file=file, reason="it was not made on the edition before it")


def _check_snapshot(repository: Repository, root: Metadata[Root], targets: Metadata[Targets], digest: str) -> None:
    file = snapshot_name(targets.signed.version)
    snapshot = _read(repository, file, Snapshot)
    listed = {name: meta.to_dict() for name, meta in snapshot.signed.meta.items()}
    if listed != {"targets.json": {"version": targets.signed.version}}:
        raise MixedEditions(file=file, reason="it names other metadata than its edition's")
    _check_binding(snapshot, root, targets, digest, file)


def _check_timestamp(
    repository: Repository, root: Metadata[Root], targets: Metadata[Targets], digest: str
) -> Metadata[Timestamp]:
    file = timestamp_name(targets.signed.version)
    timestamp = _read(repository, file, Timestamp)
    if timestamp.signed.snapshot_meta.to_dict() != {"version": targets.signed.version}:
        raise MixedEditions(file=file, reason="it names other metadata than its edition's")
    _check_binding(timestamp, root, targets, digest, file)
    return timestamp


def _check_binding(
    metadata: Metadata[T], root: Metadata[Root], targets: Metadata[Targets], digest: str, file: str
) -> None:
    if not is_signed_by_quorum(root.signed, metadata):
        raise TooFewSignatures(file=file, reason="the board's quorum has not signed it")
    if metadata.signed.version != targets.signed.version:
        raise WrongVersion(file=file, reason="its number is not the one that it stands under")
    if metadata.signed.unrecognized_fields[EXTENSION] != {"targets": digest}:
        raise MixedEditions(file=file, reason="it was signed for another edition")
    if metadata.signed.expires != targets.signed.expires:
        raise MixedEditions(file=file, reason="it expires on another day than its edition")


def _read_files(repository: Repository, targets: Targets, file: str) -> dict[str, bytes]:
    if len(targets.targets) > MAX_FILES:
        raise TooLarge(file=file, reason="it names more files than a charter may have")
    total = 0
    for path, target in targets.targets.items():
        if not is_charter_file(path):
            raise UnsafeName(file=file, reason="it names a file that no charter has")
        _check_target(target, file)
        total += target.length
    if total > MAX_TOTAL_BYTES:
        raise TooLarge(file=file, reason="its files are larger than a charter may be")
    return {path: _read_file(repository, path, target) for path, target in targets.targets.items()}


def _check_target(target: TargetFile, file: str) -> None:
    if not isinstance(target.hashes, dict) or set(target.hashes) != _SHA256_ONLY or target.unrecognized_fields:
        raise BrokenMetadata(file=file, reason="a file has other fields than a length and a SHA-256")
    if not is_digest(target.hashes["sha256"]) or not is_whole(target.length):
        raise BrokenMetadata(file=file, reason="a length or a SHA-256 is not one")
    if target.length > MAX_FILE_BYTES:
        raise TooLarge(file=file, reason="a file is larger than a charter's may be")


def _read_file(repository: Repository, path: str, target: TargetFile) -> bytes:
    name = target_name(path, target.hashes["sha256"])
    try:
        data = repository.find(name, limit=target.length)
    except TooLarge as error:
        raise WrongFile(file=path, reason="it is longer than what was signed") from error
    if data is None:
        raise WrongFile(file=path, reason="the file is missing")
    if len(data) != target.length or digest_of(data) != target.hashes["sha256"]:
        raise WrongFile(file=path, reason="its bytes are not those that were signed")
    return data


def _read_charter(files: Mapping[str, bytes]) -> Charter:
    try:
        return read_charter(files)
    except CharterMistakes as error:
        raise InvalidCharter(file="charter.toml", reason="it was adopted with mistakes") from error


def _signatures(
    repository: Repository, targets: Metadata[Targets], root: Metadata[Root], charter: Charter, base: Link | None
) -> tuple[Signature, ...]:
    """Those who signed the targets, and the old board's members who signed a new root; in the charter's order."""
    signed = set(signers(root.signed, targets))
    keys = dict(root.signed.keys)
    names = member_names(charter)
    guards: list[str] = []
    if base is not None:
        keys = base.root.signed.keys | keys
        names |= {keyid: name for keyid, name in member_names(base.edition.charter).items() if keyid not in names}
        guards = base.root.signed.unrecognized_fields[EXTENSION]["guards"]
        if base.root.signed.version != root.signed.version:
            signed |= set(signers(base.root.signed, root))
    file, digest = assents_name(targets.signed.version), digest_of(targets.signed_bytes)
    assents = find_assents(repository, file, digest, {keyid: keys[keyid] for keyid in signed})
    return tuple(
        Signature(name, keyid, assents.get(keyid), keyid in guards) for keyid, name in names.items() if keyid in signed
    )


def member_names(charter: Charter) -> dict[str, str]:
    """By key id."""
    return {key_from_text(member.key).keyid: member.name for member in charter.board.members}
