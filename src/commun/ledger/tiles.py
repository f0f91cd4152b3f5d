"""Tiles: a log as plain files that any web server can publish.

Specification (C2SP tlog-tiles v0.1.0, "Merkle Tree", "Partial Tiles", "Log entries"):

- ``tile/<L>/<N>[.p/<W>]`` holds up to 256 hashes, one after the other: at level 0 the leaves', above it the roots of
  the *full* tiles of the level below. L is 0 to 63; N is written in groups of three digits, all but the last after
  an ``x`` (1234067 is ``x001/x234/067``); W, 1 to 255, is there for a tile that is not full;
- ``tile/entries/<N>[.p/<W>]`` holds the entries of level 0's tile N, each after its length in two bytes, big-endian: an
  entry has 65,535 bytes at most;
- of a tree of size s, level l's last tile has floor(s / 256^l) mod 256 hashes; one with none does not exist;
- the full tile may be there where the partial one is not any more: it begins with the same hashes.

One path has one writing; any other is refused. Read data is checked for its length here and for its truth by whoever
verifies the root that comes out of it: ``check_tiles`` does so for a whole tree.

Raises BadTile, MissingTile, OutOfRange, and BadProof from ``check_tiles``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from commun.ledger.errors import BadProof, BadTile, MissingTile
from commun.ledger.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    MAX_SIZE,
    Node,
    check_number,
    leaf_hash,
    root_of_leaves,
    root_of_row,
    root_of_tree,
)

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 2**TILE_HEIGHT
MAX_LEVEL: Final = 63
MAX_ENTRY_BYTES: Final = 65_535
MAX_PATH: Final = 64
MAX_ENTRIES_BYTES: Final = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)  # of one file of entries
_LENGTH_BYTES: Final = 2
_PATH: Final = re.compile(
    r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
)


@dataclass(frozen=True, slots=True)
class Tile:
    """``level`` None: the entries below level 0's tile ``index``. ``width``: hashes or entries in it."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise BadTile(reason="a tile's level is not from 0 to 63")
        if not 0 <= self.index <= MAX_SIZE or not 1 <= self.width <= TILE_WIDTH:
            raise BadTile(reason="a tile's number or width is out of bounds")

    @classmethod
    def from_path(cls, path: str) -> "Tile":
        match = _PATH.fullmatch(path) if len(path) <= MAX_PATH else None
        if match is None:
            raise BadTile(reason="this is no tile's path")
        level = None if match[1] == "entries" else int(match[1])
        tile = cls(level, int(match[2].replace("/", "").replace("x", "")), int(match[3] or TILE_WIDTH))
        if tile.path() != path:
            raise BadTile(reason="a tile's path has another writing")
        return tile

    def path(self) -> str:
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level is None else self.level
        return f"tile/{level}/{number}" + ("" if self.is_full else f".p/{self.width}")

    @property
    def is_full(self) -> bool:
        return self.width == TILE_WIDTH

    def full(self) -> "Tile":
        return Tile(self.level, self.index)


# Gives a tile's bytes, or None where it is not there. Files, a database, HTTP: the pure core does not know.
FindTile = Callable[[Tile], bytes | None]


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a tree of ``size`` leaves, entries first, then level by level."""
    return tiles_between(0, size)


def tiles_between(old: int, size: int) -> Iterator[Tile]:
    """The tiles that a tree of ``size`` has and one of ``old`` does not: what growing it must write."""
    check_number(old)
    check_number(size)
    for level in (None, *range(MAX_LEVEL + 1)):
        shift = TILE_HEIGHT * (level or 0)
        before, now = old >> shift, size >> shift
        if now == 0:
            return
        if before == now:
            continue
        for index in range(before // TILE_WIDTH, now // TILE_WIDTH):
            yield Tile(level, index)
        if now % TILE_WIDTH:
            yield Tile(level, now // TILE_WIDTH, now % TILE_WIDTH)


def tile_in(level: int | None, index: int, size: int) -> Tile:
    """The tile of that number, as wide as a tree of ``size`` leaves has it. Raises BadTile where it has none."""
    check_number(size)
    full = Tile(level, index)
    width = (size >> TILE_HEIGHT * (full.level or 0)) - index * TILE_WIDTH
    if width < 1:
        raise BadTile(reason="a tree of this size has no such tile")
    return Tile(level, index, min(width, TILE_WIDTH))


def read_tile(tile: Tile, find: FindTile) -> bytes:
    """A tile's hashes, one after the other, out of itself or of the full tile that took its place."""
    data = find(tile)
    if data is None and not tile.is_full:
        data = find(tile.full())
        if data is not None:
            _check_width(data, TILE_WIDTH)
            data = data[: tile.width * HASH_SIZE]
    if data is None:
        raise MissingTile(tile=tile.path())
    _check_width(data, tile.width)
    return data


@dataclass(frozen=True, slots=True)
class TileReader:
    """The nodes of a tree of ``size`` leaves, out of its tiles: the ``NodeReader`` that proofs are made with."""

    size: int
    find: FindTile

    def read_nodes(self, nodes: Sequence[Node]) -> Sequence[bytes]:
        tiles: dict[Tile, bytes] = {}
        hashes = []
        for node in nodes:
            level, height = divmod(node.level, TILE_HEIGHT)
            if not 0 <= node.level <= MAX_LEVEL or node.index < 0 or (node.index + 1) << node.level > self.size:
                raise BadTile(reason="a tree of this size has no such node")
            index, place = divmod(node.index << height, TILE_WIDTH)
            tile = tile_in(level, index, self.size)
            if tile not in tiles:
                tiles[tile] = read_tile(tile, self.find)
            hashes.append(root_of_row(tiles[tile][place * HASH_SIZE : (place + (1 << height)) * HASH_SIZE]))
        return hashes


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a growing tree: each level's last tile, where it is not full (b"" where there is none).

    All that a writer needs to append: ``grow`` never reads a full tile again.
    """

    size: int = 0
    rows: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        check_number(self.size)
        widths = [tile_width(level, self.size) for level in range(len(self.rows))]
        if self.size >> TILE_HEIGHT * len(self.rows) or [len(row) for row in self.rows] != [
            width * HASH_SIZE for width in widths
        ]:
            raise BadTile(reason="an edge's tiles have other widths than its size asks for")

    @classmethod
    def read(cls, size: int, find: FindTile) -> "Edge":
        """Of the tree of ``size`` leaves, from at most eight tiles."""
        check_number(size)
        rows: list[bytes] = []
        while size >> TILE_HEIGHT * len(rows):
            level = len(rows)
            width = tile_width(level, size)
            last = size >> TILE_HEIGHT * (level + 1)
            rows.append(read_tile(Tile(level, last, width), find) if width else b"")
        return cls(size, tuple(rows))

    def grow(self, leaf_hashes: Iterable[bytes]) -> tuple["Edge", dict[Tile, bytes]]:
        """The edge of the larger tree, and every tile that it has and this one's tree has not, in an order in which
        they may be written.
        """
        hashes = list(leaf_hashes)
        if any(len(item) != HASH_SIZE for item in hashes):
            raise BadTile(reason="a hash has another length than 32 bytes")
        size = self.size + len(hashes)
        check_number(size)
        added, rows, tiles = b"".join(hashes), [], dict[Tile, bytes]()
        level = 0
        while added or level < len(self.rows):
            row = (self.rows[level] if level < len(self.rows) else b"") + added
            index = self.size >> TILE_HEIGHT * (level + 1)
            changed, added = bool(added), b""
            while len(row) >= TILE_WIDTH * HASH_SIZE:
                full, row = row[: TILE_WIDTH * HASH_SIZE], row[TILE_WIDTH * HASH_SIZE :]
                tiles[Tile(level, index)] = full
                added += root_of_row(full)
                index += 1
            if row and changed:
                tiles[Tile(level, index, len(row) // HASH_SIZE)] = row
            rows.append(row)
            level += 1
        return Edge(size, tuple(rows)), tiles

    def root(self) -> bytes:
        """Of the tree."""
        root = b""
        for row in self.rows:
            hashes = [*_split(row), *([root] if root else [])]
            root = root_of_leaves(hashes) if hashes else b""  # a smaller last one takes its place as it is
        return root or EMPTY_ROOT


def tile_width(level: int, size: int) -> int:
    """How many hashes the level's last tile has where it is not full; 0 where there is none."""
    return (size >> TILE_HEIGHT * level) % TILE_WIDTH


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """The file of up to 256 entries."""
    if not 1 <= len(entries) <= TILE_WIDTH or any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise BadTile(reason="there are no entries, more than 256, or one of them is longer than 65,535 bytes")
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def unpack_entries(data: bytes, count: int) -> tuple[bytes, ...]:
    """Exactly ``count`` entries, and nothing after them."""
    entries, at = [], 0
    for _ in range(count):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise BadTile(reason="a file of entries is too short")
        entries.append(data[start:at])
    if at != len(data):
        raise BadTile(reason="a file of entries is too long")
    return tuple(entries)


def read_entries(index: int, size: int, find: FindTile) -> tuple[bytes, ...]:
    """The entries of file ``index`` in a tree of ``size``; those of a full file that the tree does not have are cut."""
    tile = tile_in(None, index, size)
    data = find(tile)
    if data is not None:
        return unpack_entries(data, tile.width)
    data = None if tile.is_full else find(tile.full())
    if data is None:
        raise MissingTile(tile=tile.path())
    return unpack_entries(data, TILE_WIDTH)[: tile.width]


def check_tiles(size: int, root: bytes, find: FindTile) -> None:
    """Recomputes a whole tree: every entry's hash stands in its tile, every full tile's root in the tile above, and the
    root is ``root``. Raises BadProof where one of them does not.
    """
    for tile in tiles_of(size):
        if tile.level is None:
            below = [leaf_hash(entry) for entry in read_entries(tile.index, size, find)]
            if b"".join(below) != read_tile(tile_in(0, tile.index, size), find):
                raise BadProof(reason="an entry is not the one in the tree")
        elif tile.level:
            for place, value in enumerate(_split(read_tile(tile, find))):
                index = tile.index * TILE_WIDTH + place
                if root_of_row(read_tile(Tile(tile.level - 1, index), find)) != value:
                    raise BadProof(reason="a tile's root is not the one in the tile above")
    if root_of_tree(size, TileReader(size, find)) != root:
        raise BadProof(reason="it leads to another root")


def _check_width(data: bytes, width: int) -> None:
    if len(data) != width * HASH_SIZE:
        raise BadTile(reason="a tile has another length than its width asks for")


def _split(row: bytes) -> list[bytes]:
    return [row[at : at + HASH_SIZE] for at in range(0, len(row), HASH_SIZE)]
