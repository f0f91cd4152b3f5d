"""Published charters for the tests: editions made, signed and laid into a folder, by the rules or against them.

``Draft`` is one edition before it is published; an attack changes it, signs what it has keys for, and ``lay``s it: lay
writes without any check, as somebody does who holds the disk. ``publish`` is the honest way.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from boards import NAMES, NOW, charter_files, member
from commun.charter.assents import assent_payload
from commun.charter.canonical import canonical, digest_of, time_text
from commun.charter.clauses import Charter
from commun.charter.edition import InForce
from commun.charter.loader import load, verify
from commun.charter.repository import (
    TIMESTAMP,
    Repository,
    assents_name,
    freeze_name,
    root_name,
    snapshot_name,
    target_name,
    targets_name,
    timestamp_name,
    unfreeze_name,
)
from commun.charter.roles import make_root, make_snapshot, make_targets, make_timestamp, root_version
from commun.charter.source import read_charter

QUORUM = NAMES[:3]


@dataclass
class Draft:
    """``root``: the one that it is published under; ``new_root``: whether that is a new one."""

    number: int
    files: dict[str, bytes]
    charter: Charter
    root: Metadata[Root]
    new_root: bool
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]
    assents: list[dict[str, str]] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return digest_of(self.targets.signed_bytes)

    def metadata(self) -> list[Metadata[Any]]:
        return [*([self.root] if self.new_root else []), self.targets, self.snapshot, self.timestamp]

    def sign(self, names: Iterable[str], *, at: datetime = NOW) -> "Draft":
        for name in names:
            signer = member(name).signer
            for metadata in self.metadata():
                metadata.sign(signer, append=True)
            signature = signer.sign(assent_payload(self.digest, time_text(at)))
            self.assents.append({"keyid": signature.keyid, "time": time_text(at), "sig": signature.signature})
        return self

    def rebind(self) -> "Draft":
        """After the targets were changed: what names them by their digest names the one that they have now."""
        if self.new_root:
            named = {"number": self.number, "digest": self.digest}
            self.root.signed.unrecognized_fields["x-commun"]["edition"] = named
        for metadata in (self.snapshot, self.timestamp):
            metadata.signed.unrecognized_fields["x-commun"] = {"targets": self.digest}
        return self

    def documents(self) -> dict[str, bytes]:
        found = {
            targets_name(self.number): self.targets.to_bytes(),
            snapshot_name(self.number): self.snapshot.to_bytes(),
            timestamp_name(self.number): self.timestamp.to_bytes(),
            TIMESTAMP: self.timestamp.to_bytes(),
            assents_name(self.number): canonical({"assents": self.assents}),
        }
        if self.new_root:
            found[root_name(self.root.signed.version)] = self.root.to_bytes()
        return found | {target_name(path, digest_of(data)): data for path, data in self.files.items()}


def draft(files: Mapping[str, bytes], base: Draft | None = None, *, reason: str = "Because.") -> Draft:
    """The edition after ``base``, unsigned."""
    charter = read_charter(files)
    number = 1 if base is None else base.number + 1
    version = root_version(charter, None if base is None else base.root.signed)
    targets = make_targets(
        charter,
        files,
        number=number,
        root=version,
        base={"edition": number - 1, "digest": "" if base is None else base.digest},
        reason=reason,
        proposed=NOW,
    )
    digest = digest_of(Metadata(targets).signed_bytes)
    if base is not None and base.root.signed.version == version:
        root = base.root
    else:
        root = Metadata(make_root(charter, version=version, edition=number, digest=digest))
    return Draft(
        number,
        dict(files),
        charter,
        root,
        base is None or root is not base.root,
        Metadata(targets),
        Metadata(make_snapshot(charter, number=number, digest=digest)),
        Metadata(make_timestamp(charter, number=number, digest=digest)),
    )


def lay(folder: Path, documents: Mapping[str, bytes]) -> None:
    for name, data in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class Commun:
    """A published charter and what one machine trusts of it."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "charter"
        self.trust = home / "charter-trust"
        self.repository = Repository(self.folder)
        self.drafts: list[Draft] = []

    def load(self, *, now: datetime = NOW, trust: str = "charter-trust") -> InForce:
        return load(self.repository, self.trust.with_name(trust), now=now)

    def publish(self, edition: Draft) -> InForce:
        self.repository.publish(edition.documents(), check=lambda view: verify(view, self.trust, now=NOW))
        self.drafts.append(edition)
        return self.load()

    def lay(self, edition: Draft) -> Draft:
        lay(self.folder, edition.documents())
        return edition

    def draft(self, files: Mapping[str, bytes] | None = None, *, reason: str = "Because.", **charter: Any) -> Draft:
        """On the newest edition."""
        base = self.drafts[-1] if self.drafts else None
        return draft(files or charter_files(**charter), base, reason=reason)

    def adopt(self, by: Sequence[str] = QUORUM, **charter: Any) -> InForce:
        return self.publish(self.draft(**charter).sign(by))

    def freeze(self, by: str = NAMES[4], *, edition: Draft | None = None, reason: str = "It insults people.") -> None:
        lay(self.folder, freeze_documents(edition or self.drafts[-1], by, reason=reason))

    def release(self, names: Sequence[str] = QUORUM, *, edition: Draft | None = None) -> None:
        target = edition or self.drafts[-1]
        frozen = json.loads((self.folder / freeze_name(target.number)).read_bytes())["signed"]
        signed = {
            "_type": "commun-unfreeze/1",
            "edition": target.number,
            "digest": target.digest,
            "freeze": digest_of(canonical(frozen)),
            "time": time_text(NOW),
        }
        lay(self.folder, {unfreeze_name(target.number): document(signed, names)})


def freeze_documents(edition: Draft, by: str, *, reason: str = "It insults people.") -> dict[str, bytes]:
    signed = {
        "_type": "commun-freeze/1",
        "edition": edition.number,
        "digest": edition.digest,
        "reason": reason,
        "time": time_text(NOW),
    }
    return {freeze_name(edition.number): document(signed, [by])}


def document(signed: Mapping[str, Any], names: Iterable[str]) -> bytes:
    signatures = [member(name).signer.sign(canonical(signed)) for name in names]
    return canonical(
        {"signed": dict(signed), "signatures": [{"keyid": one.keyid, "sig": one.signature} for one in signatures]}
    )


def five_editions(home: Path) -> Commun:
    """Three of five adopt five editions; with the third, everybody removes Élise and Fanny joins."""
    commun = Commun(home)
    commun.adopt(purpose="One.")
    commun.adopt(purpose="Two.")
    commun.adopt(NAMES[:3], purpose="Three.", names=[*NAMES[:4], "Fanny"])
    commun.adopt(purpose="Four.", names=[*NAMES[:4], "Fanny"])
    commun.adopt(purpose="Five.", names=[*NAMES[:4], "Fanny"])
    return commun


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edits a JSON document in place."""
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(json.dumps(value, separators=(",", ":"), sort_keys=True).encode())


LATER = NOW + timedelta(days=3650)
