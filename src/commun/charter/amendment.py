"""A proposed edition while it collects signatures: one file that travels by mail, on a stick, through a browser.

Rules:

- an amendment holds everything that a member needs to read and sign it offline: the new files, the files of the
  edition that it changes (so that the difference can be shown), the board that decides, the four TUF roles, the
  signatures so far;
- nothing in the file is believed: the roles are made again from the files and must be, byte for byte, those in the
  file; the base's files must have the digest that is signed as the base; the base's root must be the one that its
  charter asks for; every signature is verified. Whether that base is what was really adopted, only the published
  charter can say: ``adoption.py`` asks it, and ``signing_status`` where it is handed the root in force;
- whoever signs signs the base, too: targets name it by its digest, and root, snapshot, timestamp and assent name those
  targets by theirs. So a signature that was won with a base that never was counts nowhere: not with this edition, for
  the published chain has another base, and not with another one, for each part names this one;
- a new root stands in it where the board, the quorum or the entrenchment change, or where the mandate grows longer;
  then the old quorum and the new one must sign, and where something entrenched changes, every old guard;
- what a member signs is the same for everybody: root (where there is a new one), targets, snapshot, timestamp, assent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from securesystemslib.signer import Key, Signature
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp

from commun.charter.assents import assent_payload
from commun.charter.canonical import EXTENSION, time_text
from commun.charter.clauses import Charter
from commun.charter.edition import InForce
from commun.charter.errors import NothingChanges, OtherBase
from commun.charter.keys import key_from_text
from commun.charter.roles import (
    NO_BASE,
    edition_digest,
    make_root,
    make_snapshot,
    make_targets,
    make_timestamp,
    root_version,
    signed_bytes,
)
from commun.charter.signing import (
    ASSENT,
    Assent,
    BadDocument,
    NoReason,
    OtherBoard,
    OtherDocument,
    Voters,
    Voting,
    add_signatures,
    check_reason,
    merge,
    payloads,
    sign,
    whole_second,
)
from commun.charter.source import read_charter
from commun.charter.status import SigningStatus, signing_status

__all__ = [
    "Amendment",
    "BadDocument",
    "Base",
    "NoReason",
    "OtherBoard",
    "OtherDocument",
    "SigningStatus",
    "add_signatures",
    "merge",
    "payloads",
    "propose",
    "sign",
    "signing_status",
]

AMENDMENT_FORMAT: Final = "commun-amendment/1"
MAX_DOCUMENT_BYTES: Final = 4_000_000  # so that an upload of it fits max_body_bytes (4 MiB)
ID_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Base:
    """The edition that an amendment changes, and ``root``: the board that decides on it."""

    number: int
    digest: str
    base_digest: str
    reason: str
    proposed: datetime
    files: Mapping[str, bytes]
    charter: Charter
    root: Root


@dataclass(frozen=True, slots=True)
class Amendment:
    """``roles``: the TUF roles without signatures, by name, "root" only where there is a new one; ``signed``: of each
    the bytes that are signed.
    """

    base: Base | None
    number: int
    digest: str
    reason: str
    proposed: datetime
    files: Mapping[str, bytes]
    charter: Charter
    roles: Mapping[str, Signed]
    signed: Mapping[str, bytes]
    assents: tuple[Assent, ...] = ()
    kind: Literal["edition"] = "edition"

    @property
    def id(self) -> str:
        return self.digest[:ID_DIGITS]

    @property
    def base_number(self) -> int:
        return 0 if self.base is None else self.base.number

    @property
    def base_digest(self) -> str:
        return "" if self.base is None else self.base.digest

    @property
    def root(self) -> Metadata[Root] | None:
        return self.metadata(Root.type) if Root.type in self.roles else None

    @property
    def targets(self) -> Metadata[Targets]:
        return self.metadata(Targets.type)

    @property
    def snapshot(self) -> Metadata[Snapshot]:
        return self.metadata(Snapshot.type)

    @property
    def timestamp(self) -> Metadata[Timestamp]:
        return self.metadata(Timestamp.type)

    def board_root(self) -> Root:
        """The board once this is adopted."""
        if self.base is None or Root.type in self.roles:
            root = self.roles[Root.type]
            assert isinstance(root, Root)  # noqa: S101  (what ``_draft`` made)
            return root
        return self.base.root

    def signers(self) -> Mapping[str, Key]:
        """The old board and the new one."""
        old = {} if self.base is None else self.base.root.keys
        return {**old, **self.board_root().keys}

    def voting(self) -> Voting:
        new = _voters("new", self.charter)
        if self.base is None:
            return Voting((new,), frozenset(), entrenched=False)
        old = _voters("old", self.base.charter)
        same = (old.names.keys(), old.quorum) == (new.names.keys(), new.quorum)
        was, becomes = (root.unrecognized_fields[EXTENSION] for root in (self.base.root, self.board_root()))
        entrenched = any(was[field] != becomes[field] for field in ("entrenched", "guards"))
        return Voting((new,) if same else (old, new), frozenset(was["guards"]), entrenched=entrenched)

    def check_board(self, root: Root) -> None:
        """Raises OtherBoard where ``root`` is not the one that this amendment takes for the board's."""
        if self.base is None or signed_bytes(self.base.root) != signed_bytes(root):
            raise OtherBoard(base=self.base_number)

    def payloads(self, time: datetime) -> dict[str, bytes]:
        return {**self.signed, ASSENT: assent_payload(self.digest, time_text(time))}

    def with_assents(self, assents: tuple[Assent, ...]) -> "Amendment":
        return replace(self, assents=assents)

    def metadata(self, role: str) -> Metadata[Any]:
        return Metadata(
            self.roles[role],
            {assent.keyid: Signature(assent.keyid, assent.signature(role)) for assent in self.assents},
        )

    def to_bytes(self) -> bytes:
        """The file. Raises BadDocument where it would be too large to be read again."""
        from commun.charter.amendment_file import write_amendment

        return write_amendment(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Amendment":
        """Raises CharterError: BadDocument, CharterMistakes, NotAMember, BadSignature…"""
        from commun.charter.amendment_file import read_amendment

        return read_amendment(data)


def propose(
    files: Mapping[str, bytes],
    base: InForce | None,
    base_root: Metadata[Root] | None,
    *,
    reason: str,
    now: datetime,
) -> Amendment:
    """``base_root``: of the newest edition; None, like ``base``, for the first.

    Raises CharterMistakes, NothingChanges, NoReason, BadBoard, OtherBase (``base_root`` is not the newest's).
    """
    before = None
    if base is not None:
        newest = base.newest
        if base_root is None or base_root.signed.version != newest.root_version:
            raise OtherBase(base=newest.number, edition=newest.number)
        if dict(files) == dict(newest.files):
            raise NothingChanges
        before = Base(
            newest.number,
            newest.digest,
            newest.base_digest,
            newest.reason,
            newest.proposed,
            dict(newest.files),
            newest.charter,
            base_root.signed,
        )
    return draft(dict(files), before, reason=check_reason(reason), proposed=whole_second(now))


def draft(files: Mapping[str, bytes], base: Base | None, *, reason: str, proposed: datetime) -> Amendment:
    """The amendment without signatures: made here, whoever proposes or reads it."""
    charter = read_charter(files)
    base_root = None if base is None else base.root
    number = 1 if base is None else base.number + 1
    version = root_version(charter, base_root)
    base_name = NO_BASE if base is None else {"edition": base.number, "digest": base.digest}
    targets = make_targets(
        charter, files, number=number, root=version, base=base_name, reason=reason, proposed=proposed
    )
    digest = edition_digest(targets)
    roles: dict[str, Signed] = {}
    if base_root is None or base_root.version != version:
        roles[Root.type] = make_root(charter, version=version, edition=number, digest=digest)
    roles[Targets.type] = targets
    roles[Snapshot.type] = make_snapshot(charter, number=number, digest=digest)
    roles[Timestamp.type] = make_timestamp(charter, number=number, digest=digest)
    signed = {role: signed_bytes(part) for role, part in roles.items()}
    return Amendment(base, number, digest, reason, proposed, files, charter, roles, signed)


def _voters(which: Literal["old", "new"], charter: Charter) -> Voters:
    names = {key_from_text(member.key).keyid: member.name for member in charter.board.members}
    return Voters(which, names, charter.board.quorum)
