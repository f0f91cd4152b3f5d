"""A TUF repository in Commun's published layout, made with python-tuf alone: the board signs all four roles.

``files`` is the published folder, by relative path; tests change it as an attacker would. ``MemoryFetch`` serves it,
``MemoryStore`` is what a client has trusted.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import (
    TOP_LEVEL_ROLE_NAMES,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = datetime(2027, 11, 22, tzinfo=UTC)


def signed_file(signed: Signed, signers: Sequence[Signer]) -> bytes:
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


class TufRepository:
    def __init__(self, *, members: int = 5, quorum: int = 3, expires: datetime = LATER) -> None:
        self.expires = expires
        self.board: list[Signer] = [CryptoSigner.generate_ed25519() for _ in range(members)]
        self.quorum = quorum
        self.files: dict[str, bytes] = {}
        self.root = Root(version=1, expires=expires, consistent_snapshot=True)
        self.root.unrecognized_fields["x-commun"] = {"format": "commun-root/1", "quorum": quorum, "guards": []}
        self.edition = 0
        self._seat()
        self.put_root(self.board[:quorum])
        self.publish({"charter.toml": b'name = "Test"\n', "prompts/system.en.md": b"Be kind.\n"})

    def replace_member(self, place: int) -> Signer:
        """A new root version, signed by a quorum of the old board and of the new one. The one who left."""
        old = list(self.board)
        self.board[place] = CryptoSigner.generate_ed25519()
        self.next_root({*old[: self.quorum], *self.board[: self.quorum]})
        return old[place]

    def next_root(self, signers: Sequence[Signer] | set[Signer]) -> None:
        self.root.version += 1
        self._seat()
        self.put_root(list(signers))

    def put_root(self, signers: Sequence[Signer]) -> None:
        self.files[f"metadata/{self.root.version}.root.json"] = signed_file(self.root, signers)

    def publish(
        self,
        targets: Mapping[str, bytes],
        *,
        delegations: Delegations | None = None,
        roles: Mapping[str, int] | None = None,
    ) -> None:
        """The next edition. ``roles``: delegated roles that the snapshot lists, with their versions."""
        self.edition += 1
        described = {path: TargetFile.from_data(path, data) for path, data in targets.items()}
        for path, data in targets.items():
            folder, slash, name = path.rpartition("/")
            self.files[f"targets/{folder}{slash}{hashlib.sha256(data).hexdigest()}.{name}"] = data
        self.put("targets", self.targets(described, delegations))
        listed = {"targets": self.edition, **(roles or {})}
        self.put("snapshot", self.snapshot({f"{role}.json": MetaFile(version) for role, version in listed.items()}))
        self.put_timestamp(Timestamp(version=self.edition, expires=self.expires, snapshot_meta=MetaFile(self.edition)))

    def targets(self, targets: Mapping[str, TargetFile], delegations: Delegations | None = None) -> Targets:
        extension = {"format": "commun-edition/1", "edition": self.edition, "root": self.root.version, "reason": "é"}
        return Targets(self.edition, None, self.expires, dict(targets), delegations, {"x-commun": extension})

    def snapshot(self, meta: Mapping[str, MetaFile]) -> Snapshot:
        return Snapshot(version=self.edition, expires=self.expires, meta=dict(meta))

    def put(self, role: str, signed: Signed) -> None:
        self.files[f"metadata/{signed.version}.{role}.json"] = signed_file(signed, self.board[: self.quorum])

    def put_timestamp(self, timestamp: Timestamp) -> None:
        self.files["metadata/timestamp.json"] = signed_file(timestamp, self.board[: self.quorum])

    def first_root(self) -> bytes:
        return self.files["metadata/1.root.json"]

    def _seat(self) -> None:
        self.root.keys.clear()
        for role in TOP_LEVEL_ROLE_NAMES:
            self.root.roles[role].keyids.clear()
            self.root.roles[role].threshold = self.quorum
            for signer in self.board:
                self.root.add_key(signer.public_key, role)


class MemoryFetch:
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []
        self.limits: dict[str, int] = {}

    def metadata(self, name: str, *, limit: int) -> bytes | None:
        return self._read(f"metadata/{name}", limit)

    def target(self, path: str, *, limit: int) -> bytes | None:
        return self._read(f"targets/{path}", limit)

    def _read(self, name: str, limit: int) -> bytes | None:
        self.asked.append(name)
        self.limits[name] = limit
        data = self.files.get(name)
        return None if data is None else data[: limit + 1]


class MemoryStore:
    def __init__(self, root: bytes) -> None:
        self.files = {"root": root}

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        self.files[name] = data

    def remove(self, name: str) -> None:
        self.files.pop(name, None)
