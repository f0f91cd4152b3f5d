"""A whole log verified, ours or not, from nothing but its published files and its key.

Steps (C2SP tlog-tiles, tlog-checkpoint), each of which refuses:

1. the head is a note that the log's key has signed, under its own origin;
2. so is the earlier head, where one is given, and it is not larger;
3. every entry hashes to its place in its tile; every full tile's root stands in the tile above; every tile that the
   head's tree has is there and holds exactly these hashes. So no file of the tree is taken on trust, and none differs;
4. the root that the entries themselves lead to is the head's;
5. after as many entries as the earlier head had, the root was the earlier head's: nothing of what was seen then has
   been changed, removed or put between. (No proof is taken for it: both roots are computed.)

Each file is read once. Memory: one tile for each level and one bundle of entries, whatever the log's size.

Not verified: files that the tree does not need (older partial tiles), and that others are shown the same head: that is
what witnesses are for.

Raises BadProof, MissingTile, BadTile, BadNote, BadCheckpoint, UnknownLog, NotSigned, WrongSignature, ShrunkLog, and
what the reader raises.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from commun.errors import N_
from commun.ledger.cosignature import SignedCheckpoint, open_checkpoint
from commun.ledger.errors import BadProof, LedgerError, MissingTile
from commun.ledger.files import LogReader
from commun.ledger.keys import VerifierKey
from commun.ledger.merkle import Frontier, leaf_hash, root_of_leaves
from commun.ledger.tiles import TILE_WIDTH, FindTile, read_entries, read_tile, tile_in

HEAD: Final = "checkpoint"


class ShrunkLog(LedgerError):
    """``details``: ``old``, ``size``."""

    code = "ledger_shrunk"
    problem = N_("The ledger had %(old)s entries before and has %(size)s now: it went back.")
    cure = N_("Keep both heads as evidence: a ledger only grows.")


@dataclass(frozen=True, slots=True)
class Verified:
    """``data``: the head as it was read, to be given as ``since`` the next time. ``since``: the earlier one."""

    head: SignedCheckpoint
    data: bytes
    since: SignedCheckpoint | None

    @property
    def size(self) -> int:
        return self.head.checkpoint.size


def verify_log(
    reader: LogReader,
    keys: Sequence[VerifierKey],
    *,
    since: bytes | None = None,
    origin: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _size: None,
) -> Verified:
    """``keys``: the log's; ``since``: an earlier head of it; ``origin``: where its keys have other names than it.

    ``progress`` is told how many entries of how many are done, at times.
    """
    data = reader.find_checkpoint()
    if data is None:
        raise MissingTile(tile=HEAD)
    head = open_checkpoint(data, log=keys, origin=origin)
    earlier = None if since is None else open_checkpoint(since, log=keys, origin=origin)
    size = head.checkpoint.size
    if earlier is not None:
        if earlier.checkpoint.origin != head.checkpoint.origin:
            raise BadProof(reason="the earlier head is another log's")
        if earlier.checkpoint.size > size:
            raise ShrunkLog(old=earlier.checkpoint.size, size=size)
    tree = _Tree(size, reader.find)
    stop = size if earlier is None else earlier.checkpoint.size
    for index in range(-(-size // TILE_WIDTH)):
        leaves = tree.read(index)
        if earlier is not None and index == stop // TILE_WIDTH:
            _check_root(tree.root_with(leaves[: stop % TILE_WIDTH]), earlier, "what it had before has changed")
        tree.add(leaves)
        progress(min(size, (index + 1) * TILE_WIDTH), size)
    root = tree.finish()
    _check_root(root, head, "its entries lead to another root than its head has")
    if earlier is not None and stop == size:
        _check_root(root, earlier, "what it had before has changed")
    return Verified(head, data, earlier)


def _check_root(root: bytes, head: SignedCheckpoint, reason: str) -> None:
    if root != head.checkpoint.root:
        raise BadProof(reason=reason)


class _Tree:
    """Grown from the entries, compared with the tiles on the way."""

    def __init__(self, size: int, find: FindTile) -> None:
        self._size = size
        self._find = find
        self._tiles = Frontier()  # over the roots of level 0's full tiles
        self._rest: Sequence[bytes] = ()  # the leaves after them
        self._rows: list[list[bytes]] = []  # from level 1 on: hashes whose tile is not full yet
        self._counts: list[int] = []  # how many tiles of that level are done

    def read(self, index: int) -> list[bytes]:
        """The leaf hashes of one tile, out of its entries."""
        leaves = [leaf_hash(entry) for entry in read_entries(index, self._size, self._find)]
        if b"".join(leaves) != read_tile(tile_in(0, index, self._size), self._find):
            raise BadProof(reason="an entry is not the one in the tree")
        return leaves

    def root_with(self, leaves: Sequence[bytes]) -> bytes:
        """Of the tree so far and these."""
        low = Frontier().extend(leaves)
        return Frontier(self._tiles.size * TILE_WIDTH + low.size, self._tiles.hashes + low.hashes).root()

    def add(self, leaves: Sequence[bytes]) -> None:
        if len(leaves) < TILE_WIDTH:
            self._rest = leaves
            return
        root = root_of_leaves(leaves)
        self._tiles = self._tiles.extend([root])
        self._push(0, root)

    def _push(self, above: int, root: bytes) -> None:
        """The root of a full tile of level ``above`` goes into the next level's row."""
        if above == len(self._rows):
            self._rows.append([])
            self._counts.append(0)
        row = self._rows[above]
        row.append(root)
        if len(row) == TILE_WIDTH:
            self._compare(above)
            full = root_of_leaves(row)
            row.clear()
            self._counts[above] += 1
            self._push(above + 1, full)

    def finish(self) -> bytes:
        """The last tiles, which are not full; then the root."""
        for at, row in enumerate(self._rows):
            if row:
                self._compare(at)
        return self.root_with(self._rest)

    def _compare(self, at: int) -> None:
        tile = tile_in(at + 1, self._counts[at], self._size)
        if read_tile(tile, self._find) != b"".join(self._rows[at]):
            raise BadProof(reason="a tile's root is not the one in the tile above")
