"""A TUF client: ``workflow.py``'s steps in order, with what they need from a repository.

No network and no file here either: bytes come through a ``Fetch``, what was trusted before is kept in a ``Store``.
Rules (numbers are sections of the TUF specification, 1.0.x):

- at most MAX_ROOTS new roots at a time (5.3.3); no file is read beyond its bound, MAX_BYTES, or beyond the length that
  was signed for it, where that is less (5.3.3, 5.4.1, 5.5.1, 5.6.1);
- what has been verified is stored at once and in this order, as it came (5.3.8, 5.4.5, 5.5.7, 5.6.6); what is stored is
  verified again before it is used, and one that no longer holds is as if it were not there;
- 5.6.7  a target is looked for depth first in the order in which the delegations stand; a terminating one ends the
  search for those after it; at most MAX_DELEGATED roles are looked at;
- 5.7  a target's bytes are returned only when length and hashes fit.

Raises subclasses of InvalidCharter only, and whatever ``fetch`` and ``store`` raise themselves.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from tuf.api.metadata import Metadata, MetaFile, TargetFile, Targets

from commun.charter.delegation import check_bytes, check_target_path, metadata_file, role_name, target_file
from commun.charter.errors import InvalidCharter, TooLarge, WrongFile
from commun.charter.workflow import MAX_BYTES, CheckRoot, OnExpiry, Trusted, accept_root

MAX_TARGET_BYTES: Final = 16_000_000  # a target is held in memory
MAX_ROOTS: Final = 256
MAX_DELEGATED: Final = 32


class Fetch(Protocol):
    """The repository, as far away as it may be. Nothing that it returns is believed."""

    def metadata(self, name: str, *, limit: int) -> bytes | None:
        """The file ``name``, such as ``2.root.json``: one safe path component. None where there is no such file.
        More than ``limit`` bytes need not be read: return ``limit + 1`` of them, or raise TooLarge.
        """

    def target(self, path: str, *, limit: int) -> bytes | None:
        """The target at ``path``, which is relative and stays below its folder. The rest as above."""


class Store(Protocol):
    """What was trusted before, by role name (one safe path component). A write happens as a whole or not at all."""

    def read(self, name: str) -> bytes | None: ...
    def write(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...


class Client:
    """One repository. ``refresh`` begins anew from what is stored; the others refresh first where nobody has."""

    def __init__(
        self,
        fetch: Fetch,
        store: Store,
        *,
        now: datetime,
        on_expiry: OnExpiry = "refuse",
        check_root: CheckRoot = accept_root,
    ) -> None:
        self._fetch = fetch
        self._store = store
        self._now = now
        self._on_expiry = on_expiry
        self._check_root = check_root
        self._trusted: Trusted | None = None

    def refresh(self) -> Trusted:
        """The store must hold the first root."""
        self._trusted = None
        root = _given(self._store.read("root"), "root.json")
        trusted = Trusted(root, now=self._now, on_expiry=self._on_expiry, check_root=self._check_root)
        self._follow_roots(trusted)
        self._update_timestamp(trusted)
        self._update_snapshot(trusted)
        self._update_targets(trusted, "targets", "root")
        self._trusted = trusted
        return trusted

    def find_target(self, path: str) -> TargetFile | None:
        check_target_path(path)
        trusted = self._trusted or self.refresh()
        waiting, looked_at = [("targets", "root")], 0
        while waiting and looked_at <= MAX_DELEGATED:
            role, delegator = waiting.pop()
            looked_at += 1
            targets = self._update_targets(trusted, role, delegator).signed
            if path in targets.targets:
                return targets.targets[path]
            children = []
            for child, terminating in targets.delegations.get_roles_for_target(path) if targets.delegations else ():
                children.append((child, role))
                if terminating:
                    waiting = []
                    break
            waiting += reversed(children)
        return None

    def download(self, path: str) -> bytes:
        """The target's bytes, verified."""
        target = self.find_target(path)
        if target is None:
            raise WrongFile(file="targets", reason="no role that is trusted for this target lists it")
        trusted = self._trusted or self.refresh()
        if target.length > MAX_TARGET_BYTES:
            raise TooLarge(file="targets", reason="a target is longer than it may be")
        published = target_file(target, consistent=bool(trusted.root.signed.consistent_snapshot))
        data = _given(self._fetch.target(published, limit=target.length), "targets")
        check_bytes(data, target, file="targets")
        return data

    def _follow_roots(self, trusted: Trusted) -> None:
        for _ in range(MAX_ROOTS):
            name = metadata_file("root", trusted.root.signed.version + 1)
            data = self._fetch.metadata(name, limit=MAX_BYTES["root"])
            if data is None:
                return
            trusted.update_root(data)
            if trusted.rotated:
                # Before the root: after a crash in between, the root is walked to again and nothing is kept by mistake.
                self._store.remove("timestamp")
                self._store.remove("snapshot")
            self._store.write("root", data)

    def _update_timestamp(self, trusted: Trusted) -> None:
        stored = self._store.read("timestamp")
        if stored is not None:
            _holds(trusted.recall_timestamp, stored)
        data = _given(self._fetch.metadata("timestamp.json", limit=MAX_BYTES["timestamp"]), "timestamp.json")
        if trusted.update_timestamp(data):
            self._store.write("timestamp", data)

    def _update_snapshot(self, trusted: Trusted) -> None:
        stored = self._store.read("snapshot")
        if stored is not None and _holds(trusted.recall_snapshot, stored):
            return
        data = self._fetch_listed(trusted, "snapshot", trusted.timestamp.signed.snapshot_meta)
        trusted.update_snapshot(data)
        self._store.write("snapshot", data)

    def _update_targets(self, trusted: Trusted, role: str, delegator: str) -> Metadata[Targets]:
        known = trusted.find_role(role, delegator)
        if known is not None:
            return known
        meta, name = trusted.get_meta(role), role_name(role)
        stored = self._store.read(name)
        if stored is not None and _holds(lambda data: trusted.update_targets(data, role, delegator), stored):
            return trusted.get_role(role)
        data = self._fetch_listed(trusted, role, meta)
        targets = trusted.update_targets(data, role, delegator)
        self._store.write(name, data)
        return targets

    def _fetch_listed(self, trusted: Trusted, role: str, meta: MetaFile) -> bytes:
        bound = MAX_BYTES.get(role, MAX_BYTES["targets"])
        limit = bound if meta.length is None else min(bound, meta.length)
        name = metadata_file(role, meta.version if trusted.root.signed.consistent_snapshot else None)
        return _given(self._fetch.metadata(name, limit=limit), name)


def _holds(check: Callable[[bytes], object], stored: bytes) -> bool:
    """Whether what was stored passes: False is an answer of ``check``'s or its refusal (5: nothing that is stored may
    keep a client from updating).
    """
    try:
        return check(stored) is not False
    except InvalidCharter:
        return False


def _given(data: bytes | None, file: str) -> bytes:
    if data is None:
        raise WrongFile(file=file, reason="it is missing")
    return data
