"""From a published folder to the edition in force.

``load`` in order; each step raises, and nothing is used or trusted before all have held:

1.  what this machine trusts is read (``trust.py``); a published charter that is gone while one is trusted is refused;
2.  ``timestamp.json`` says which edition is the newest; the roots from the first to that edition's are walked
    (``chain.walk_roots``: TUF's workflow, and the entrenchment rule between roots);
3.  the first root is the pinned one, the roots and the number are not older than those trusted;
4.  every edition from the trusted one to the newest is verified (``chain.check_edition``): a jump has gaps, and a gap
    is refused. Where nothing is trusted yet that is every edition from the first on; where the newest is trusted
    already, still the two before it, and as many more as a freeze reaches back. The newest goes through TUF's workflow
    besides;
5.  the freezes and releases of all these are verified (``freezes.py``), and none that was seen before is gone. Where
    the newest is frozen, the last edition that is not frozen itself is in force, under the root of its own time: what
    one member has stopped and no quorum has released does not come back because another member stops what followed
    it. The first cannot be frozen, so that there always is one;
6.  what expired is told: ``stale_since``. It stops nothing: a board that is late must not silence everybody;
7.  ``trust`` is advanced.

A root whose edition is not there yet (somebody is publishing, or died while doing so) must hold by itself, and is
ignored: what it would change is not known here, and nothing is believed of it.

Raises NoCharter, and InvalidCharter's subclasses; nothing else, whatever lies in the folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tuf.api.metadata import Metadata, Root

from commun.charter import trust as trusts
from commun.charter.canonical import digest_of
from commun.charter.chain import (
    Link,
    check_edition,
    check_unfinished_root,
    claimed_root,
    member_names,
    read_newest,
    run_workflow,
    walk_roots,
)
from commun.charter.edition import Edition, Freeze, InForce
from commun.charter.entrenchment import is_signed_by_quorum
from commun.charter.errors import InvalidCharter, MixedEditions, NoCharter, RolledBack, TooFewSignatures
from commun.charter.freezes import FIRST_TO_FREEZE, MAX_FREEZE_BYTES, FreezeState, find_freeze_state
from commun.charter.repository import TIMESTAMP, Repository, freeze_name, targets_name, unfreeze_name

# The newest, the one that its freeze would put back in force, and the one that says who signed that one.
VERIFIED_AT_LEAST: Final = 3
# Where somebody published while it was read, what was read may be of two editions: it is read again.
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Verified:
    """All that held. ``links``: the editions that were verified, oldest first; the last is the newest adopted.
    ``freezes``: of those that were ever frozen, by number. ``unfinished``: whether a root lies there whose edition does
    not.
    """

    in_force: InForce
    roots: tuple[Metadata[Root], ...]
    links: tuple[Link, ...]
    freezes: Mapping[int, FreezeState]
    unfinished: bool

    @property
    def freeze(self) -> FreezeState | None:
        """The newest edition's, released or not."""
        return self.freezes.get(self.in_force.newest.number)

    @property
    def fallback(self) -> Edition | None:
        """What a freeze of the newest edition puts back in force; None where the newest is the first."""
        stopped = _stopped(self.freezes)
        before = (link.edition for link in reversed(self.links[:-1]))
        return next((edition for edition in before if edition.number not in stopped), None)

    @property
    def root(self) -> Metadata[Root]:
        """The board that decides now: the newest edition's."""
        return self.roots[-1]


def load(repository: Repository, trust: Path, *, now: datetime) -> InForce:
    """The edition in force, and ``trust`` advanced to it. ``now``: with its time zone."""
    verified = verify(repository, trust, now=now)
    trusts.advance(
        trust,
        first_root=verified.roots[0],
        root=verified.root,
        timestamp=verified.links[-1].timestamp,
        freezes=verified.freezes,
    )
    return verified.in_force


def stamp(repository: Repository) -> tuple[int, ...]:
    """Changes whenever ``load`` may have another result; costs two calls of os.stat."""
    return repository.stamp()


def verify(repository: Repository, trust: Path | None, *, now: datetime) -> Verified:
    """Steps 1 to 6: as ``load``, and writes nothing. ``trust`` None: every edition from the first, nothing pinned."""
    for _ in range(ATTEMPTS):
        before = repository.stamp()
        try:
            return _verify(repository, trust, now=now)
        except InvalidCharter:
            if repository.stamp() == before:
                raise
    return _verify(repository, trust, now=now)


def _verify(repository: Repository, trust: Path | None, *, now: datetime) -> Verified:
    trusted = trusts.NOTHING if trust is None else trusts.read_trust(trust)
    if not repository.has_charter():
        if trusted.first_root is not None:
            raise RolledBack(file=TIMESTAMP, reason="the published charter is gone")
        raise NoCharter
    timestamp = read_newest(repository)
    number = timestamp.signed.version
    roots, workflow = walk_roots(repository, newest=claimed_root(repository, number), now=now)
    trusted.check_roots(roots)
    if not is_signed_by_quorum(roots[-1].signed, timestamp):
        raise TooFewSignatures(file=TIMESTAMP, reason="the board's quorum has not signed it")
    trusted.check_number(number, file=TIMESTAMP)
    unfinished = check_unfinished_root(repository, roots[-1])
    links = _check_editions(repository, roots, trusted, number)
    run_workflow(workflow, repository, number)
    if links[-1].timestamp.signed_bytes != timestamp.signed_bytes or links[-1].root is not roots[-1]:
        raise MixedEditions(file=TIMESTAMP, reason="it is not the timestamp of the newest edition")
    freezes = _freezes(repository, links, trusted)
    in_force = _in_force(links, freezes, now, first_root=digest_of(roots[0].signed_bytes))
    return Verified(in_force, roots, links, freezes, unfinished)


def _check_editions(
    repository: Repository, roots: tuple[Metadata[Root], ...], trusted: trusts.Trust, number: int
) -> tuple[Link, ...]:
    back = _back_to(repository, trusted, number - 1)
    first = max(1, min(trusted.number, number - VERIFIED_AT_LEAST + 1, back - 1))
    links: list[Link] = []
    for edition in range(first, number + 1):
        base = links[-1] if links else None
        link = check_edition(repository, edition, roots, base, floating=base is None and edition > 1)
        trusted.check_digest(edition, link.edition.digest, file=targets_name(edition))
        links.append(link)
    return tuple(links)


def _back_to(repository: Repository, trusted: trusts.Trust, number: int) -> int:
    """The last edition up to ``number`` that is not frozen: by what lies there, or did, and is not verified yet."""
    while number >= FIRST_TO_FREEZE:
        frozen = repository.find(freeze_name(number), limit=MAX_FREEZE_BYTES) or trusted.find_freeze(number)
        if frozen is None or repository.find(unfreeze_name(number), limit=MAX_FREEZE_BYTES) is not None:
            break
        number -= 1
    return number


def _freezes(repository: Repository, links: tuple[Link, ...], trusted: trusts.Trust) -> Mapping[int, FreezeState]:
    found = {}
    for link in links:
        number, root = link.edition.number, link.root.signed
        state = find_freeze_state(repository, edition=number, digest=link.edition.digest, root=root)
        trusted.check_freeze(number, state)
        if state is not None:
            found[number] = state
    return MappingProxyType(found)


def _in_force(
    links: tuple[Link, ...], freezes: Mapping[int, FreezeState], now: datetime, *, first_root: str
) -> InForce:
    newest = links[-1].edition
    stopped = _stopped(freezes)
    edition = next(link.edition for link in reversed(links) if link.edition.number not in stopped)
    freeze = None
    if edition is not newest:
        state = freezes[newest.number]
        member = member_names(newest.charter)[state.keyid]
        freeze = Freeze(newest.number, newest.digest, member, state.keyid, state.at, state.reason)
    ends = (edition.expires, newest.expires, links[-1].root.signed.expires)
    stale_since = min((end for end in ends if end <= now), default=None)
    between = tuple(link.edition for link in links if edition.number < link.edition.number < newest.number)
    return InForce(edition, newest, freeze, stale_since, first_root, between)


def _stopped(freezes: Mapping[int, FreezeState]) -> frozenset[int]:
    return frozenset(number for number, state in freezes.items() if not state.released)
