"""RFC 6962 §2.1 word for word, by recursion over lists: slow, and obviously right."""

from collections.abc import Sequence
from hashlib import sha256

from commun.ledger.merkle import Node


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), root(leaves[k:])]
    return [*path(m - k, leaves[k:]), root(leaves[:k])]


def proof(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    return subproof(m, leaves, known=True)


def subproof(m: int, leaves: Sequence[bytes], *, known: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if known else [root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known=known), root(leaves[k:])]
    return [*subproof(m - k, leaves[k:], known=False), root(leaves[:k])]


class Leaves:
    """A NodeReader over a list of leaf hashes; remembers what it has computed."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.calls = 0
        self._known: dict[Node, bytes] = {}

    def read_nodes(self, nodes: Sequence[Node]) -> list[bytes]:
        self.calls += 1
        return [self._read(node) for node in nodes]

    def _read(self, node: Node) -> bytes:
        if node not in self._known:
            below = self.leaves[node.index << node.level : (node.index + 1) << node.level]
            assert len(below) == 1 << node.level, "a node that is not complete was asked for"
            self._known[node] = root(below)
        return self._known[node]
