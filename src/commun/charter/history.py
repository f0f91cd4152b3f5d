"""Every edition since the first, each verified under the board of its time.

- ``editions`` and ``get_edition``: for pages that show what was adopted; verified from the first root on, each time;
- ``verify_all``: what an outsider with a copy of the folder can know without trusting anybody's machine: every root
  step with the entrenchment rule, every edition with its files, the hash chain between them, every freeze. It pins
  nothing: whether the first root is the right one is for people to compare (its digest is on the charter's page);
- ``find_findings``: what lies in the folder and no metadata accounts for. It is told, not refused: nobody reads those
  files, and a left-over of a publication that died is no attack.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from commun.charter.canonical import digest_of
from commun.charter.chain import member_names
from commun.charter.edition import Edition, InForce
from commun.charter.loader import Verified, verify
from commun.charter.repository import (
    AMENDMENTS,
    LOCK,
    TIMESTAMP,
    Repository,
    assents_name,
    freeze_name,
    is_repository_name,
    root_name,
    snapshot_name,
    target_name,
    targets_name,
    timestamp_name,
    unfreeze_name,
)
from commun.errors import N_, NotFound

EXTRA: Final = N_("No metadata accounts for this file; nothing reads it.")
UNFINISHED: Final = N_("Left by a publication that has not ended; adopting the same amendment again ends it.")
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)  # whether anything is stale is not asked here


@dataclass(frozen=True, slots=True)
class Finding:
    """``file``: its name, whatever cannot be printed replaced. ``problem``: a message id."""

    file: str
    problem: str


@dataclass(frozen=True, slots=True)
class PastFreeze:
    """An edition that was frozen: by whom, when, why, and whether the quorum released it."""

    edition: int
    member: str
    at: datetime
    reason: str
    released: bool


def editions(repository: Repository) -> tuple[Edition, ...]:
    """Oldest first. Raises as ``loader.load`` does."""
    return verify_all(repository, now=_ANY_TIME)[1]


def get_edition(repository: Repository, number: int) -> Edition:
    """Raises NotFound, and as ``editions`` does."""
    found = next((edition for edition in editions(repository) if edition.number == number), None)
    if found is None:
        raise NotFound
    return found


def verify_all(repository: Repository, *, now: datetime) -> tuple[InForce, tuple[Edition, ...]]:
    """From the first root on, whatever this machine trusts. Raises as ``loader.load`` does."""
    verified = verify(repository, None, now=now)
    return verified.in_force, tuple(link.edition for link in verified.links)


def freezes(repository: Repository) -> tuple[PastFreeze, ...]:
    """Every freeze there ever was, oldest first. Raises as ``loader.load`` does."""
    verified = verify(repository, None, now=_ANY_TIME)
    charters = {link.edition.number: link.edition.charter for link in verified.links}
    return tuple(
        PastFreeze(number, member_names(charters[number])[state.keyid], state.at, state.reason, state.released)
        for number, state in verified.freezes.items()
    )


def find_findings(repository: Repository) -> tuple[Finding, ...]:
    """Sorted by file name. Raises as ``loader.load`` does."""
    verified = verify(repository, None, now=_ANY_TIME)
    known = set(_accounted(verified))
    next_root = root_name(verified.root.signed.version + 1)
    found = [
        Finding(_printable(name), UNFINISHED if name == next_root else EXTRA)
        for name in repository.names("")
        if name not in known and not _is_local(name)
    ]
    return tuple(found)


def _printable(name: str) -> str:
    """Anybody may have named a file so that it speaks to a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)


def _is_local(name: str) -> bool:
    """Amendments in flight, and the lock: no part of what is published."""
    return name == LOCK or (name.startswith(f"{AMENDMENTS}/") and is_repository_name(name))


def _accounted(verified: Verified) -> Iterator[str]:
    yield TIMESTAMP
    yield from (root_name(version) for version in range(1, len(verified.roots) + 1))
    for link in verified.links:
        yield from _files_of(link.edition)


def _files_of(edition: Edition) -> Iterable[str]:
    number = edition.number
    yield from (targets_name(number), snapshot_name(number), timestamp_name(number), assents_name(number))
    yield from (freeze_name(number), unfreeze_name(number))
    yield from (target_name(path, digest_of(data)) for path, data in edition.files.items())
