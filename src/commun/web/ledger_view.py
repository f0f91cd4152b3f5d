"""The ledger as its pages show it: the head, entries in words, the way from an entry to the head.

- made from the published files alone, which everybody has, and from the charter's policy; no account, no database;
- a page of entries reads two bundles at most, a proof one tile for each eight levels: both take the same time in a
  ledger of a hundred entries and in one of a hundred million;
- an entry of a type that is not known here is shown as its bytes, never guessed at;
- times are those in the entries and the witnesses' own; the head has none, so the time at which its file was put in
  place is said to be this server's.

Raises LedgerError, OutOfRange for an entry that is not there. Functions for threads.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.cosignature import open_checkpoint
from commun.ledger.errors import LedgerError, OutOfRange
from commun.ledger.files import CHECKPOINT, LogFolder
from commun.ledger.keys import VerifierKey
from commun.ledger.merkle import check_inclusion, leaf_hash, node_hash, prove_inclusion
from commun.ledger.policy import Policy
from commun.ledger.proof import LogProof
from commun.ledger.tiles import TILE_WIDTH, TileReader, read_entries

PAGE: Final = 100  # entries; below TILE_WIDTH, so that two bundles always hold them


@dataclass(frozen=True, slots=True)
class Head:
    """``data``: as it was signed. ``at``: when this server put it in place (UTC); None where that is not known."""

    checkpoint: Checkpoint
    data: bytes
    at: datetime | None = None

    @property
    def size(self) -> int:
        return self.checkpoint.size


@dataclass(frozen=True, slots=True)
class Entries:
    """``first``: the number of the first one; ``older``: what the next page begins before, or None."""

    head: Head
    first: int
    entries: tuple[bytes, ...]
    older: int | None


@dataclass(frozen=True, slots=True)
class Node:
    """A hash over the entries from ``start`` to before ``end``."""

    start: int
    end: int
    hash: bytes

    @property
    def is_entry(self) -> bool:
        return self.end - self.start == 1


@dataclass(frozen=True, slots=True)
class Rung:
    """One step up: ``below`` and the ``sibling`` that the proof carries make ``above``. ``left``: it stands there."""

    below: Node
    sibling: Node
    above: Node
    left: bool


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry and its way to the head, computed and checked here. ``rungs``: the leaf's first."""

    number: int
    entry: bytes
    leaf: Node
    rungs: tuple[Rung, ...]
    proof: LogProof
    head: Head

    @property
    def top(self) -> Node:
        return self.rungs[-1].above if self.rungs else self.leaf


@dataclass(frozen=True, slots=True)
class WitnessView:
    """``at``: when it countersigned the newest head; None: it has not yet."""

    name: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What the charter asks of witnesses. ``needed`` and ``of``: of a plain "k of n"; 0 where the policy is nested.
    ``fulfilled``: by the newest head.
    """

    witnesses: tuple[WitnessView, ...]
    needed: int
    of: int
    fulfilled: bool
    policy: str


def find_head(folder: LogFolder) -> Head | None:
    """The newest; None where there is no ledger yet."""
    data = folder.find_checkpoint()
    if data is None:
        return None
    at = datetime.fromtimestamp((folder.folder / CHECKPOINT).stat().st_mtime, UTC)
    return Head(read_checkpoint(data)[0], data, at)


def read_page(folder: LogFolder, head: Head, before: int | None = None) -> Entries:
    """The entries before number ``before`` (None: the newest), oldest first."""
    end = head.size if before is None else min(before, head.size)
    start = max(0, end - PAGE)
    found: list[bytes] = []
    for bundle in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
        first = bundle * TILE_WIDTH
        entries = read_entries(bundle, head.size, folder.find)
        found += entries[max(0, start - first) : end - first]
    return Entries(head, start, tuple(found), start or None)


def prove(folder: LogFolder, number: int, heads: Sequence[Head]) -> Proven:
    """Below the first of ``heads`` that has the entry. Raises OutOfRange where none has."""
    head = next((each for each in heads if number < each.size), None)
    if head is None:
        raise OutOfRange(reason="the index is outside the tree")
    entry = read_entries(number // TILE_WIDTH, head.size, folder.find)[number % TILE_WIDTH]
    hashes = prove_inclusion(number, head.size, TileReader(head.size, folder.find))
    leaf = leaf_hash(entry)
    check_inclusion(index=number, size=head.size, leaf=leaf, proof=hashes, root=head.checkpoint.root)
    proof = LogProof.make(index=number, hashes=hashes, checkpoint=head.data)
    return Proven(number, entry, Node(number, number + 1, leaf), rungs(number, head.size, leaf, hashes), proof, head)


def rungs(number: int, size: int, leaf: bytes, hashes: Sequence[bytes]) -> tuple[Rung, ...]:
    """What ``check_inclusion`` computes, step by step."""
    ranges = _siblings(number, size)
    below, found = Node(number, number + 1, leaf), []
    for (start, end), sibling_hash in zip(ranges, hashes, strict=True):
        sibling, left = Node(start, end, sibling_hash), start < below.start
        pair = (sibling.hash, below.hash) if left else (below.hash, sibling.hash)
        above = Node(min(start, below.start), max(end, below.end), node_hash(*pair))
        found.append(Rung(below, sibling, above, left))
        below = above
    return tuple(found)


def _siblings(number: int, size: int) -> list[tuple[int, int]]:
    """The ranges that are joined on the way up, the lowest first (RFC 9162 §2.1.3: split at the largest power of two
    below the width).
    """
    low, high, found = 0, size, []
    while high - low > 1:
        middle = low + (1 << ((high - low - 1).bit_length() - 1))
        if number < middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low = middle
    return found[::-1]


def watched(policy_text: str, head: Head, key: VerifierKey | None) -> Watched | None:
    """None where the charter asks for no witness. ``key``: the ledger's own."""
    policy = Policy.from_bytes(f"{policy_text}\n".encode()) if policy_text else None
    if policy is None or policy.quorum is None:
        return None
    times: dict[VerifierKey, int] = {}
    with contextlib.suppress(LedgerError):  # a line that does not verify counts as nobody's
        keys = [*([key] if key is not None else []), *(each.key for each in policy.logs)]
        others = [each.key for each in policy.witnesses]
        signed = open_checkpoint(head.data, log=keys, others=others)
        times = {each.key: each.time for each in signed.cosignatures if each.time}
    views = tuple(WitnessView(_shown(each.name), _moment(times, each.key)) for each in policy.witnesses)
    standing = policy.standing(times)
    plain = standing.members and not any(member.members for member in standing.members)
    needed, of = (standing.needed, len(standing.members)) if plain else (0, 0)
    return Watched(views, needed, of, standing.fulfilled, policy_text)


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _moment(times: dict[VerifierKey, int], key: VerifierKey) -> datetime | None:
    time = times.get(key)
    try:
        return None if time is None else datetime.fromtimestamp(time, UTC)
    except (OverflowError, OSError, ValueError):  # a witness may sign any 63-bit number
        return None
