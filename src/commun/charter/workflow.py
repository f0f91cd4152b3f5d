"""The TUF client workflow: from a root that is trusted to everything it vouches for, step by step.

Section numbers are those of the TUF specification, 1.0.x. No file, no network, no clock: bytes are handed in
(``client.py`` fetches them), and so is the time, which stands still (5.1). Nothing is held here that is not verified:

- 5.2  the first root is trusted as it is handed in; it must be signed by its own quorum;
- 5.3  roots follow one by one, each exactly one version after the other, each signed by the old quorum and by the new
  one; then ``check_root`` is asked, and only then is the new root trusted. It may add rules: Commun's entrenchment;
- 5.3.10  an expired root, as an expired timestamp, snapshot or targets (5.4.4, 5.5.6, 5.6.5), is refused where
  ``on_expiry`` is "refuse". Where it is "tell" it is used, and ``stale_since`` says since when;
- 5.3.11  ``rotated`` says that a key of timestamp or snapshot was withdrawn: what was trusted of the two is then to be
  forgotten, so that a repository can recover from an attacker who had signed enormous version numbers;
- 5.4  a timestamp of an older version than the last one, or naming an older snapshot, is refused; one of the same
  version is ignored, and the last one stays;
- 5.5  the snapshot has the hash, the length and the version that the timestamp gives; it lists every role that the last
  one listed, none in an older version;
- 5.6  targets have the hash, the length and the version that the snapshot gives, and it lists them;
- one delegator for each delegated role: a second one that leads to the same name is refused, so that nothing verified
  with one delegator's keys is ever believed for another's.

Raises subclasses of InvalidCharter only (``delegation.py``); asked out of order, a RuntimeError.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from commun.charter.delegation import (
    Delegator,
    T,
    check_bytes,
    check_signed,
    metadata_file,
    read_role,
)
from commun.charter.errors import (
    BrokenMetadata,
    InvalidCharter,
    MixedEditions,
    RolledBack,
    WrongVersion,
)

# python-tuf's bounds, which its repositories keep to; a snapshot and a timestamp are small.
MAX_BYTES: Final = {"root": 512_000, "timestamp": 16_384, "snapshot": 2_000_000, "targets": 5_000_000}

M = TypeVar("M", bound=Metadata[Any])
OnExpiry = Literal["refuse", "tell"]
CheckRoot = Callable[[Metadata[Root] | None, Metadata[Root]], None]


class Expired(InvalidCharter):
    """Only where the caller asked for it: in a charter, an expired mandate is told and stops nothing."""

    code = "charter_expired"


def accept_root(old: Metadata[Root] | None, new: Metadata[Root]) -> None:
    """TUF's own rules and none besides."""


class Trusted:
    """What has been verified, in the order root, timestamp, snapshot, targets; out of order is a RuntimeError."""

    def __init__(
        self, root: bytes, *, now: datetime, on_expiry: OnExpiry = "refuse", check_root: CheckRoot = accept_root
    ) -> None:
        self._now = now
        self._on_expiry = on_expiry
        self._check_root = check_root
        self._timestamp: Metadata[Timestamp] | None = None
        self._snapshot: Metadata[Snapshot] | None = None
        self._roles: dict[str, Metadata[Targets]] = {}
        self._delegators = {"targets": "root"}
        self._last_timestamp: Metadata[Timestamp] | None = None
        self._last_snapshot: Metadata[Snapshot] | None = None
        self.rotated = False
        first = read_role(root, Root, file="root.json", limit=MAX_BYTES["root"])
        check_signed(first, "root", first, file="root.json")
        check_root(None, first)
        self._root = first

    @property
    def root(self) -> Metadata[Root]:
        return self._root

    @property
    def timestamp(self) -> Metadata[Timestamp]:
        return _there(self._timestamp)

    @property
    def snapshot(self) -> Metadata[Snapshot]:
        return _there(self._snapshot)

    @property
    def targets(self) -> Metadata[Targets]:
        return self.get_role("targets")

    @property
    def stale_since(self) -> datetime | None:
        """The earliest expiry that has passed, of all that is trusted here."""
        trusted = [self._root, self._timestamp, self._snapshot, *self._roles.values()]
        passed = [one.signed.expires for one in trusted if one is not None and one.signed.is_expired(self._now)]
        return min(passed, default=None)

    def update_root(self, data: bytes) -> None:
        if self._timestamp is not None:
            raise RuntimeError("a root cannot follow once a timestamp is trusted")
        old, number = self._root, self._root.signed.version + 1
        file = metadata_file("root", number)
        new = read_role(data, Root, file=file, limit=MAX_BYTES["root"])
        check_signed(new, "root", old, file=file)
        if new.signed.version != number:
            raise WrongVersion(file=file, reason="its version is not the one after the last")
        check_signed(new, "root", new, file=file)
        self._check_root(old, new)
        self.rotated = self.rotated or _has_rotated(old.signed, new.signed)
        self._root = new

    def recall_timestamp(self, data: bytes) -> None:
        """One that was trusted before: the next is compared with it."""
        self._last_timestamp = self._read(data, Timestamp, "timestamp.json")

    def update_timestamp(self, data: bytes) -> bool:
        """Whether it is a new one; if not, the last one is trusted."""
        if self._snapshot is not None:
            raise RuntimeError("a timestamp cannot follow once a snapshot is trusted")
        file = "timestamp.json"
        self._check_fresh(self._root, "root.json")
        new, last = self._read(data, Timestamp, file), self._last_timestamp
        if last is not None:
            if new.signed.version < last.signed.version:
                raise RolledBack(file=file, reason="its version is older than the one trusted before")
            if new.signed.version == last.signed.version:
                new = last
            elif new.signed.snapshot_meta.version < last.signed.snapshot_meta.version:
                raise RolledBack(file=file, reason="it names an older snapshot than the one trusted before")
        self._check_fresh(new, file)
        self._timestamp = self._last_timestamp = new
        return new is not last

    def recall_snapshot(self, data: bytes) -> bool:
        """One that was trusted before: the next is compared with it. Whether it is still the one that the timestamp
        names; then it is trusted and no other is needed.
        """
        meta, file = self.timestamp.signed.snapshot_meta, "snapshot.json"
        last = self._last_snapshot = self._read(data, Snapshot, file)
        if last.signed.version != meta.version:
            return False
        check_bytes(data, meta, file=file)
        self._check_fresh(last, file)
        self._snapshot = last
        return True

    def update_snapshot(self, data: bytes) -> None:
        if self._roles:
            raise RuntimeError("a snapshot cannot follow once targets are trusted")
        meta, file = self.timestamp.signed.snapshot_meta, "snapshot.json"
        check_bytes(data, meta, file=file)
        new = self._read(data, Snapshot, file)
        if new.signed.version != meta.version:
            raise MixedEditions(file=file, reason="its version is not the one that the timestamp names")
        for name, before in self._last_snapshot.signed.meta.items() if self._last_snapshot is not None else ():
            now = new.signed.meta.get(name)
            if now is None or now.version < before.version:
                raise RolledBack(file=file, reason="it lists an older version than the one trusted before, or none")
        self._check_fresh(new, file)
        self._snapshot = self._last_snapshot = new

    def find_role(self, role: str, delegator: str) -> Metadata[Targets] | None:
        """``role`` where it is trusted already. Raises BrokenMetadata where another role delegates to it, too."""
        if self._delegators.get(role, delegator) != delegator:
            raise BrokenMetadata(file=metadata_file(role, None), reason="two roles delegate to it; only one may")
        return self._roles.get(role)

    def get_role(self, role: str) -> Metadata[Targets]:
        return _there(self._roles.get(role))

    def get_meta(self, role: str) -> MetaFile:
        meta = self.snapshot.signed.meta.get(f"{role}.json")
        if meta is None:
            raise MixedEditions(file=metadata_file(role, None), reason="the snapshot does not list it")
        return meta

    def update_targets(self, data: bytes, role: str = "targets", delegator: str = "root") -> Metadata[Targets]:
        """``delegator`` must be trusted already, and stays the only one of ``role``."""
        meta, file = self.get_meta(role), metadata_file(role, None)
        self.find_role(role, delegator)
        voucher: Delegator = self._root if delegator == "root" else self.get_role(delegator)
        check_bytes(data, meta, file=file)
        new = read_role(data, Targets, file=file, limit=MAX_BYTES["targets"])
        check_signed(new, role, voucher, file=file)
        if new.signed.version != meta.version:
            raise MixedEditions(file=file, reason="its version is not the one that the snapshot names")
        self._check_fresh(new, file)
        self._delegators[role] = delegator
        self._roles[role] = new
        return new

    def _read(self, data: bytes, kind: type[T], file: str) -> Metadata[T]:
        metadata = read_role(data, kind, file=file, limit=MAX_BYTES[kind.type])
        check_signed(metadata, kind.type, self._root, file=file)
        return metadata

    def _check_fresh(self, metadata: Metadata[T], file: str) -> None:
        if self._on_expiry == "refuse" and metadata.signed.is_expired(self._now):
            raise Expired(file=file, reason="it has expired")


def _has_rotated(old: Root, new: Root) -> bool:
    """Whether a key of timestamp or snapshot was withdrawn; a key that only comes in withdraws nobody's trust."""
    return any(set(old.roles[role].keyids) - set(new.roles[role].keyids) for role in ("timestamp", "snapshot"))


def _there(metadata: M | None) -> M:
    if metadata is None:
        raise RuntimeError("asked for before it was trusted")
    return metadata
