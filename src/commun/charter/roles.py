"""The four TUF roles of one edition, made from its charter and its files.

Rules:

- deterministic: whoever has the files, the edition before and the reason makes the same bytes, wherever and whenever;
  an amendment is checked by making it again;
- all four roles have the same keys (the board) and the same threshold (the quorum); targets, snapshot and timestamp
  carry the edition's number as their version, and bind each other by the edition's digest;
- everything expires at the end of the mandate's last day (UTC);
- a new root is needed where the board, the quorum or the entrenchment change, and where the mandate goes beyond what
  the root in force allows (``root_version``);
- a root names the edition that brings it, by number and digest, so that a signature on a root is one on that edition,
  and through its base on every edition before it; it counts with no other. No circle: targets name a root by its
  version alone. Make the targets first, then the root.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from tuf.api.metadata import MetaFile, Role, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from commun.charter.canonical import EXTENSION, canonical, digest_of, time_text
from commun.charter.clauses import Charter, clause_digest
from commun.charter.errors import BadBoard
from commun.charter.keys import key_from_text

# What is signed must not change with the version of a library.
SPECIFICATION: Final = "1.0.31"
ROOT_FORMAT: Final = "commun-root/1"
EDITION_FORMAT: Final = "commun-edition/1"
NO_BASE: Final[Mapping[str, Any]] = {"edition": 0, "digest": ""}


def mandate_end(charter: Charter) -> datetime:
    """The first moment after the mandate. Raises BadBoard where no date can say it."""
    try:
        return datetime.combine(charter.mandate.until, time(), UTC) + timedelta(days=1)
    except OverflowError:
        raise BadBoard(file="charter.toml", reason="its mandate ends beyond what a date can say") from None


def make_root(charter: Charter, *, version: int, edition: int, digest: str) -> Root:
    """The board as TUF knows it. ``edition``, ``digest``: of the edition that brings it. Raises BadBoard, BadKey."""
    keys = {member.name: key_from_text(member.key) for member in charter.board.members}
    by_id = {key.keyid: key for key in keys.values()}
    if len(by_id) != len(charter.board.members):
        raise BadBoard(file="charter.toml", reason="two members have the same name or the same key")
    if not 1 <= charter.board.quorum <= len(by_id):
        raise BadBoard(file="charter.toml", reason="its quorum is not between 1 and the number of members")
    if not set(charter.entrenched.guards) <= set(keys):
        raise BadBoard(file="charter.toml", reason="a guard is not a member")
    extension = {
        "format": ROOT_FORMAT,
        "edition": {"number": edition, "digest": digest},
        "quorum": charter.board.quorum,
        "entrenched": {name: clause_digest(charter, name) for name in charter.entrenched.clauses},
        "guards": sorted(keys[name].keyid for name in set(charter.entrenched.guards)),
    }
    return Root(
        version,
        SPECIFICATION,
        mandate_end(charter),
        {keyid: by_id[keyid] for keyid in sorted(by_id)},
        {
            role: Role(sorted(by_id), charter.board.quorum)
            for role in (Root.type, Targets.type, Snapshot.type, Timestamp.type)
        },
        consistent_snapshot=True,
        unrecognized_fields={EXTENSION: extension},
    )


def root_version(charter: Charter, base: Root | None) -> int:
    """Of the root that this charter needs: ``base``'s where that one still says what it says, the next one otherwise.
    Raises BadBoard, BadKey.
    """
    if base is None:
        return 1
    root = make_root(charter, version=base.version, edition=1, digest="")
    same = _without_edition(root) == _without_edition(base) and root.expires <= base.expires
    return base.version if same else base.version + 1


def _without_edition(root: Root) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a root says of the board, whichever edition brought it."""
    extension = root.unrecognized_fields[EXTENSION]
    return root.keys, {name: value for name, value in extension.items() if name != "edition"}


def make_targets(
    charter: Charter,
    files: Mapping[str, bytes],
    *,
    number: int,
    root: int,
    base: Mapping[str, Any],
    reason: str,
    proposed: datetime,
) -> Targets:
    """``root``: the version of the newest root once this edition is adopted. ``base``: edition and digest."""
    extension = {
        "format": EDITION_FORMAT,
        "edition": number,
        "root": root,
        "base": dict(base),
        "reason": reason,
        "proposed": time_text(proposed),
    }
    return Targets(
        number,
        SPECIFICATION,
        mandate_end(charter),
        {path: TargetFile.from_data(path, files[path], ["sha256"]) for path in sorted(files)},
        unrecognized_fields={EXTENSION: extension},
    )


def make_snapshot(charter: Charter, *, number: int, digest: str) -> Snapshot:
    return Snapshot(
        number,
        SPECIFICATION,
        mandate_end(charter),
        {"targets.json": MetaFile(number)},
        unrecognized_fields={EXTENSION: {"targets": digest}},
    )


def make_timestamp(charter: Charter, *, number: int, digest: str) -> Timestamp:
    return Timestamp(
        number,
        SPECIFICATION,
        mandate_end(charter),
        MetaFile(number),
        unrecognized_fields={EXTENSION: {"targets": digest}},
    )


def signed_bytes(signed: Signed) -> bytes:
    """What a member's key signs of one role."""
    return canonical(signed.to_dict())


def edition_digest(targets: Targets) -> str:
    """The name of an edition everywhere."""
    return digest_of(signed_bytes(targets))
