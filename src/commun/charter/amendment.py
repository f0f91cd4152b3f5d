"""A proposed edition while it collects signatures: one file that travels by mail, on a stick, through a browser.

Rules:

- an amendment holds everything that a member needs to read and sign it offline: the new files, the files of the
  edition that it changes (so that the difference can be shown), the board that decides, the four TUF roles, the
  signatures so far;
- nothing in the file is believed: the roles are made again from the files and must be, byte for byte, those in the
  file; the base's files must have the digest that is signed as the base; the base's root must be the one that its
  charter asks for; every signature is verified. Whether that base is what was really adopted, only the published
  charter can say: ``adoption.py`` asks it, and ``signing_status`` where it is handed the root in force;
- a new root stands in it where the board, the quorum or the entrenchment change, or where the mandate grows longer;
  then the old quorum and the new one must sign, and where something entrenched changes, every old guard;
- what a member signs is the same for everybody: root (where there is a new one), targets, snapshot, timestamp, assent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from securesystemslib.signer import Key, Signature
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp

from commun.charter.assents import assent_payload
from commun.charter.canonical import EXTENSION, read_metadata, read_time, time_text
from commun.charter.clauses import Charter
from commun.charter.edition import InForce
from commun.charter.errors import NothingChanges, OtherBase
from commun.charter.keys import key_from_text
from commun.charter.roles import (
    NO_BASE,
    edition_digest,
    find_new_root,
    make_root,
    make_snapshot,
    make_targets,
    make_timestamp,
    signed_bytes,
)
from commun.charter.signing import (
    ASSENT,
    Assent,
    BadDocument,
    NoReason,
    OtherDocument,
    Voters,
    Voting,
    add_signatures,
    check_reason,
    merge,
    payloads,
    read_assents,
    read_signatures,
    sign,
    whole_second,
    with_verified,
)
from commun.charter.source import read_charter
from commun.charter.status import SigningStatus, signing_status
from commun.charter.strict_json import NotStrict, check_fields, read_object

__all__ = [
    "Amendment",
    "BadDocument",
    "Base",
    "NoReason",
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
MAX_DOCUMENT_BYTES: Final = 6_000_000
ID_DIGITS: Final = 12
"""Roles in the order in which they are signed and written."""
ROLES: Final = (Root.type, Targets.type, Snapshot.type, Timestamp.type)


@dataclass(frozen=True, slots=True)
class Base:
    """The edition that an amendment changes, and ``root``: the board that decides on it."""

    number: int
    digest: str
    base_digest: str
    reason: str
    proposed: datetime
    root_version: int
    files: Mapping[str, bytes]
    charter: Charter
    root: Metadata[Root]


@dataclass(frozen=True, slots=True)
class Amendment:
    """``roles``: the TUF roles without signatures, by name; "root" only where there is a new one."""

    base: Base | None
    number: int
    digest: str
    reason: str
    proposed: datetime
    files: Mapping[str, bytes]
    charter: Charter
    roles: Mapping[str, Signed]
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
        return self._metadata(Root.type) if Root.type in self.roles else None

    @property
    def targets(self) -> Metadata[Targets]:
        return self._metadata(Targets.type)

    @property
    def snapshot(self) -> Metadata[Snapshot]:
        return self._metadata(Snapshot.type)

    @property
    def timestamp(self) -> Metadata[Timestamp]:
        return self._metadata(Timestamp.type)

    def board_root(self) -> Root:
        """The board once this is adopted."""
        if self.base is None or Root.type in self.roles:
            root = self.roles[Root.type]
            assert isinstance(root, Root)  # noqa: S101  (what ``_draft`` made)
            return root
        return self.base.root.signed

    def signers(self) -> Mapping[str, Key]:
        """The old board and the new one."""
        old = {} if self.base is None else self.base.root.signed.keys
        return {**old, **self.board_root().keys}

    def voting(self) -> Voting:
        new = _voters("new", self.charter)
        if self.base is None:
            return Voting((new,), frozenset(), entrenched=False)
        old = _voters("old", self.base.charter)
        same = (old.names.keys(), old.quorum) == (new.names.keys(), new.quorum)
        was, becomes = (root.unrecognized_fields[EXTENSION] for root in (self.base.root.signed, self.board_root()))
        entrenched = any(was[field] != becomes[field] for field in ("entrenched", "guards"))
        return Voting((new,) if same else (old, new), frozenset(was["guards"]), entrenched=entrenched)

    def check_board(self, root: Root) -> None:
        """Raises OtherBase where ``root`` is not the one that this amendment takes for the board's."""
        if self.base is None or signed_bytes(self.base.root.signed) != signed_bytes(root):
            raise OtherBase(base=self.base_number, edition=root.version)

    def payloads(self, time: datetime) -> dict[str, bytes]:
        signed = {role: signed_bytes(self.roles[role]) for role in ROLES if role in self.roles}
        return {**signed, ASSENT: assent_payload(self.digest, time_text(time))}

    def with_assents(self, assents: tuple[Assent, ...]) -> "Amendment":
        return replace(self, assents=assents)

    def _metadata(self, role: str) -> Metadata[Any]:
        return Metadata(
            self.roles[role],
            {assent.keyid: Signature(assent.keyid, assent.signature(role)) for assent in self.assents},
        )

    def to_bytes(self) -> bytes:
        """Raises BadDocument where it would be too large to be read again."""
        value = {
            "format": AMENDMENT_FORMAT,
            "base": None if self.base is None else _base_fields(self.base, self.files),
            "files": _texts(self.files),
            "metadata": {role: self._metadata(role).to_dict() for role in ROLES if role in self.roles},
            "assents": assent_list(self.assents),
        }
        data = (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
        if len(data) > MAX_DOCUMENT_BYTES:
            raise BadDocument(reason="it is too large")
        return data

    @staticmethod
    def from_bytes(data: bytes) -> "Amendment":
        """Raises CharterError: BadDocument, CharterMistakes, NotAMember, BadSignature…"""
        try:
            return _read(read_object(data, limit=MAX_DOCUMENT_BYTES))
        except NotStrict as error:
            raise BadDocument(reason=str(error)) from None


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
            newest.root_version,
            dict(newest.files),
            newest.charter,
            base_root,
        )
    return _draft(dict(files), before, reason=check_reason(reason), proposed=whole_second(now))


def _draft(files: Mapping[str, bytes], base: Base | None, *, reason: str, proposed: datetime) -> Amendment:
    """The amendment without signatures: made here, whoever proposes or reads it."""
    charter = read_charter(files)
    root = find_new_root(charter, None if base is None else base.root.signed)
    number = 1 if base is None else base.number + 1
    root_version = root.version if root is not None else base.root_version if base is not None else 1
    base_name = NO_BASE if base is None else {"edition": base.number, "digest": base.digest}
    targets = make_targets(
        charter, files, number=number, root=root_version, base=base_name, reason=reason, proposed=proposed
    )
    digest = edition_digest(targets)
    roles: dict[str, Signed] = {} if root is None else {Root.type: root}
    roles[Targets.type] = targets
    roles[Snapshot.type] = make_snapshot(charter, number=number, digest=digest)
    roles[Timestamp.type] = make_timestamp(charter, number=number, digest=digest)
    return Amendment(base, number, digest, reason, proposed, files, charter, roles)


def _voters(which: Literal["old", "new"], charter: Charter) -> Voters:
    names = {key_from_text(member.key).keyid: member.name for member in charter.board.members}
    return Voters(which, names, charter.board.quorum)


def assent_list(assents: tuple[Assent, ...]) -> list[dict[str, str]]:
    """As it stands in an amendment's file and in the published ``E.assents.json``."""
    return [
        {"keyid": assent.keyid, "time": time_text(assent.time), "sig": assent.signature(ASSENT)}
        for assent in assents
        if assent.time is not None
    ]


_FIELDS: Final[dict[str, Any]] = {
    "format": str,
    "base": (dict, type(None)),
    "files": dict,
    "metadata": dict,
    "assents": list,
}
_BASE_FIELDS: Final[dict[str, Any]] = {
    "edition": int,
    "base": str,
    "reason": str,
    "proposed": str,
    "root": dict,
    "files": dict,
    "unchanged": list,
}
_PROPOSAL_FIELDS: Final[dict[str, Any]] = {
    "format": str,
    "edition": int,
    "root": int,
    "base": dict,
    "reason": str,
    "proposed": str,
}


def _read(value: dict[str, Any]) -> Amendment:
    check_fields(value, _FIELDS)
    if value["format"] != AMENDMENT_FORMAT:
        raise NotStrict("its format is not known here")
    files = _bytes(value["files"])
    base = None if value["base"] is None else _read_base(value["base"], files)
    metadata = {
        role: check_fields(part, {"signed": dict, "signatures": list}) for role, part in value["metadata"].items()
    }
    if Targets.type not in metadata:
        raise NotStrict("a role is missing or unknown")
    proposal = check_fields(metadata[Targets.type]["signed"].get(EXTENSION), _PROPOSAL_FIELDS)
    if check_reason(proposal["reason"]) != proposal["reason"]:
        raise NotStrict("its reason has space around it")
    amendment = _draft(files, base, reason=proposal["reason"], proposed=read_time(proposal["proposed"], file=""))
    if {role: part["signed"] for role, part in metadata.items()} != {
        role: signed.to_dict() for role, signed in amendment.roles.items()
    }:
        raise NotStrict("what would be signed is not what its files say")
    return with_verified(amendment, _read_all_signatures(metadata, value["assents"]))


def _read_all_signatures(metadata: Mapping[str, dict[str, Any]], assents: Any) -> list[Assent]:
    by_role = {role: read_signatures(part["signatures"]) for role, part in metadata.items()}
    times = read_assents(assents)
    if any(set(signatures) != set(times) for signatures in by_role.values()):
        raise NotStrict("a member has signed only a part of it")
    return [
        Assent(
            keyid,
            time,
            tuple(sorted([(ASSENT, sig), *((role, signatures[keyid]) for role, signatures in by_role.items())])),
        )
        for keyid, (time, sig) in times.items()
    ]


def _base_fields(base: Base, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Files that the amendment leaves as they are stand in it once."""
    same = sorted(name for name, data in base.files.items() if files.get(name) == data)
    return {
        "edition": base.number,
        "base": base.base_digest,
        "reason": base.reason,
        "proposed": time_text(base.proposed),
        "root": base.root.to_dict(),
        "files": _texts({name: data for name, data in base.files.items() if name not in same}),
        "unchanged": same,
    }


def _read_base(value: dict[str, Any], files: Mapping[str, bytes]) -> Base:
    check_fields(value, _BASE_FIELDS)
    before = _bytes(value["files"])
    for name in value["unchanged"]:
        if not isinstance(name, str) or name not in files or name in before:
            raise NotStrict("its base names a file that is not there")
        before[name] = files[name]
    root = read_metadata(json.dumps(value["root"]).encode(), Root, file="root")
    charter = read_charter(before)
    expected = make_root(charter, version=root.signed.version).to_dict()
    if {**root.signed.to_dict(), "expires": ""} != {**expected, "expires": ""}:
        raise NotStrict("its base has another board than the one that its root names")
    number = value["edition"]
    if number < 1:
        raise NotStrict("its base has no number")
    proposed = read_time(value["proposed"], file="")
    # The edition before the base is known by its digest alone.
    named = {"edition": number - 1, "digest": value["base"]}
    digest = edition_digest(
        make_targets(
            charter,
            before,
            number=number,
            root=root.signed.version,
            base=named,
            reason=value["reason"],
            proposed=proposed,
        )
    )
    return Base(number, digest, value["base"], value["reason"], proposed, root.signed.version, before, charter, root)


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    try:
        return {name: files[name].decode("utf-8") for name in sorted(files)}
    except UnicodeError:
        raise BadDocument(reason="a file is not UTF-8 text") from None


def _bytes(texts: dict[str, Any]) -> dict[str, bytes]:
    if not all(isinstance(text, str) for text in texts.values()):
        raise NotStrict("a file is no text")
    return {name: text.encode("utf-8") for name, text in texts.items()}
