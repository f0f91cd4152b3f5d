"""The Merkle tree of a log: hashes, roots and four kinds of proof.

Specification:

- RFC 6962 §2.1 (RFC 9162 §2.1.1), SHA-256: a leaf's hash is H(0x00 ‖ entry), a node's H(0x01 ‖ left ‖ right), the root
  of no leaves H(""). The two prefixes keep a node from being passed off as an entry;
- RFC 9162 §2.1.3 inclusion (an entry is in a tree) and §2.1.4 consistency (a tree is the beginning of another);
- draft-ietf-plants-merkle-tree-certs §4: the same for a *subtree*, the leaves from ``start`` to before ``end``, where
  ``start`` is a multiple of the smallest power of two that is not below ``end - start``;
- a proof is a sequence of hashes, the lowest first. Making one names the nodes it needs and asks a ``NodeReader`` for
  them all at once; checking one needs nothing else. A reader is trusted: who receives a proof checks it.

Refuses: a hash of another length than 32 bytes (before anything is computed with it), a proof with one hash too many or
too few, consistency from the empty tree (it would say nothing), numbers that are not whole or above 2^63 - 1.

Two trees of one size are decided before lengths are: they are consistent if their roots are the same bytes and the
proof is empty. An empty subtree's root is that of no leaves, whatever the tree around it; of that tree nothing is said.

Raises OutOfRange and BadProof; nothing else.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from commun.ledger.errors import BadProof, OutOfRange

HASH_SIZE: Final = 32
MAX_SIZE: Final = 2**63 - 1  # what a signed 64-bit integer holds, as in every other implementation
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Node:
    """The root of a complete subtree: ``2**level`` leaves from ``index * 2**level``; level 0 is the leaves."""

    level: int
    index: int


class NodeReader(Protocol):
    def read_nodes(self, nodes: Sequence[Node]) -> Sequence[bytes]:
        """The nodes' hashes, in the same order. Raises a LedgerError for one that it does not have."""


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_row(row: bytes) -> bytes:
    """The root above a power of two of hashes that lie one after the other, as in a tile."""
    while len(row) > HASH_SIZE:
        pairs = range(0, len(row), 2 * HASH_SIZE)
        row = b"".join([hashlib.sha256(b"\x01" + row[at : at + 2 * HASH_SIZE]).digest() for at in pairs])
    return row


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree as it grows: the roots of its complete subtrees, the largest first; one for each 1 bit of ``size``."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        check_number(self.size)
        if len(self.hashes) != self.size.bit_count() or any(len(item) != HASH_SIZE for item in self.hashes):
            raise OutOfRange(reason="a frontier has another number or length of hashes than its size asks for")

    def extend(self, leaf_hashes: Iterable[bytes]) -> "Frontier":
        size, hashes = self.size, list(self.hashes)
        for leaf in leaf_hashes:
            _check_hashes(leaf)
            merged, rest = leaf, size
            while rest & 1:
                merged = node_hash(hashes.pop(), merged)
                rest >>= 1
            hashes.append(merged)
            size += 1
        return Frontier(size, tuple(hashes))

    def root(self) -> bytes:
        return _fold(self.hashes)


def root_of_leaves(leaf_hashes: Iterable[bytes]) -> bytes:
    return Frontier().extend(leaf_hashes).root()


def root_of_tree(size: int, reader: NodeReader) -> bytes:
    return root_of_subtree(0, size, reader)


def root_of_subtree(start: int, end: int, reader: NodeReader) -> bytes:
    check_subtree(start, end)
    return _fold(_read(reader, nodes_of_subtree(start, end)))


def nodes_of_subtree(start: int, end: int) -> tuple[Node, ...]:
    """The complete subtrees that make up a valid subtree, from left to right."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return tuple(nodes)


def prove_inclusion(index: int, size: int, reader: NodeReader) -> tuple[bytes, ...]:
    return prove_subtree_inclusion(index, 0, size, reader)


def prove_subtree_inclusion(index: int, start: int, end: int, reader: NodeReader) -> tuple[bytes, ...]:
    check_subtree(start, end)
    check_number(index)
    if not start <= index < end:
        raise OutOfRange(reason="the index is outside the tree")
    siblings = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return _prove(siblings, reader)


def prove_consistency(old: int, size: int, reader: NodeReader) -> tuple[bytes, ...]:
    """That the tree of ``old`` leaves, at least one, is the beginning of the tree of ``size``."""
    check_number(old)
    if old == 0:
        raise OutOfRange(reason="nothing can be inconsistent with an empty tree")
    return prove_subtree_consistency(0, old, size, reader)


def prove_subtree_consistency(start: int, end: int, size: int, reader: NodeReader) -> tuple[bytes, ...]:
    check_subtree(start, end)
    check_number(size)
    if end > size:
        raise OutOfRange(reason="the subtree ends after the tree")
    siblings: list[tuple[int, int]] = []
    low, high, whole = 0, size, True  # the part of the tree that holds the subtree's end, on the way down to it
    while start < end and (max(start, low), end) != (low, high):
        middle = low + _split(high - low)
        if end <= middle:
            siblings.append((middle, high))
            high = middle
        else:
            siblings.append((low, middle))
            whole = whole and start >= middle
            low = middle
    if start < end and not whole:
        siblings.append((low, high))  # the subtree's own root is known to whoever checks; a part of it is not
    return _prove(siblings, reader)


def check_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """``leaf``: the entry's leaf hash. ``root``: the root of the tree of ``size`` leaves."""
    check_subtree_inclusion(index=index, start=0, end=size, leaf=leaf, proof=proof, root=root)


def check_subtree_inclusion(
    *, index: int, start: int, end: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    check_subtree(start, end)
    check_number(index)
    if not start <= index < end:
        raise OutOfRange(reason="the index is outside the tree")
    _check_hashes(leaf, root, *proof)
    place, last, computed = index - start, end - start - 1, leaf
    for sibling in proof:
        if last == 0:
            raise BadProof(reason="it has too many hashes")
        if place & 1 or place == last:
            computed = node_hash(sibling, computed)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise BadProof(reason="it has too few hashes")
    _check_same(computed, root, reason="it leads to another root")


def check_consistency(*, old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> None:
    """That the tree of ``old`` leaves, at least one, is the beginning of the tree of ``size``."""
    check_number(old)
    if old == 0:
        raise OutOfRange(reason="nothing can be inconsistent with an empty tree")
    check_subtree_consistency(start=0, end=old, size=size, proof=proof, subtree_root=old_root, root=root)


def check_subtree_consistency(
    *, start: int, end: int, size: int, proof: Sequence[bytes], subtree_root: bytes, root: bytes
) -> None:
    check_subtree(start, end)
    check_number(size)
    if end > size:
        raise OutOfRange(reason="the subtree ends after the tree")
    if start == end or (start == 0 and end == size):
        if proof:
            raise BadProof(reason="it has too many hashes")
        return _check_same(subtree_root, EMPTY_ROOT if start == end else root, reason="the roots differ")
    _check_hashes(subtree_root, root, *proof)
    first, last, top = start, end - 1, size - 1
    # Up to the largest complete subtree at the end of the subtree: from there on both trees share their nodes.
    same_end = last == top
    while first != last and (last & 1 or same_end):
        first, last, top = first >> 1, last >> 1, top >> 1
    if first == last:
        old, new = _climb(first, last, top, subtree_root, proof)
    elif proof:
        old, new = _climb(first, last, top, proof[0], proof[1:])
    else:
        raise BadProof(reason="it has too few hashes")
    _check_same(old, subtree_root, reason="it leads to another old root")
    return _check_same(new, root, reason="it leads to another root")


def _climb(first: int, last: int, top: int, seed: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of the subtree and of the tree that ``seed`` and the proof lead to; ``first``, ``last``, ``top``: where
    the subtree's first, its last and the tree's last leaf are, on the seed's level.
    """
    old, new = seed, seed
    for sibling in proof:
        if top == 0:
            raise BadProof(reason="it has too many hashes")
        if last & 1 or last == top:
            if first < last:
                old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not last & 1:
                first, last, top = first >> 1, last >> 1, top >> 1
        else:
            new = node_hash(new, sibling)
        first, last, top = first >> 1, last >> 1, top >> 1
    if top != 0:
        raise BadProof(reason="it has too few hashes")
    return old, new


def check_subtree(start: int, end: int) -> None:
    """Raises OutOfRange unless some tree has the leaves from ``start`` to before ``end`` below one node."""
    check_number(start)
    check_number(end)
    if start > end:
        raise OutOfRange(reason="a subtree ends before it starts")
    if start < end and start % (1 << (end - start - 1).bit_length()):
        raise OutOfRange(reason="a subtree starts where none of its size can")


def check_number(value: int) -> None:
    """Raises OutOfRange unless it can be a size, an index or a time."""
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise OutOfRange(reason="a number is not whole, or not from 0 to 2^63 - 1")


def _split(width: int) -> int:
    """The largest power of two below ``width``, which is 2 or more."""
    return 1 << ((width - 1).bit_length() - 1)


def _prove(siblings: Sequence[tuple[int, int]], reader: NodeReader) -> tuple[bytes, ...]:
    """The hash of each range, from the last to the first; every node is asked for in one call."""
    ranges = [nodes_of_subtree(start, end) for start, end in reversed(siblings)]
    hashes = iter(_read(reader, [node for nodes in ranges for node in nodes]))
    return tuple(_fold([next(hashes) for _ in nodes]) for nodes in ranges)


def _read(reader: NodeReader, nodes: Sequence[Node]) -> Sequence[bytes]:
    hashes = reader.read_nodes(nodes) if nodes else ()
    if len(hashes) != len(nodes):
        raise OutOfRange(reason="the reader gave another number of nodes than it was asked for")
    return hashes


def _fold(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY_ROOT
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


def _check_hashes(*values: bytes) -> None:
    if any(len(value) != HASH_SIZE for value in values):
        raise BadProof(reason="a hash has another length than 32 bytes")


def _check_same(left: bytes, right: bytes, *, reason: str) -> None:
    if left != right:
        raise BadProof(reason=reason)
