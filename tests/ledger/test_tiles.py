"""Tiles: one path each, what a tree of a size has, nodes out of them, and growing at the edge."""

from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_tree
from commun.ledger import merkle
from commun.ledger.errors import BadProof, BadTile, LedgerError, MissingTile, OutOfRange
from commun.ledger.merkle import EMPTY_ROOT, MAX_SIZE, Node, leaf_hash
from commun.ledger.tiles import (
    TILE_WIDTH,
    Edge,
    Tile,
    TileReader,
    check_tiles,
    pack_entries,
    read_entries,
    read_tile,
    tile_in,
    tiles_between,
    tiles_of,
    unpack_entries,
)
from ledger_vectors import TILES
from naive_tree import Leaves


class Files:
    """Published tiles, by path."""

    def __init__(self, size: int = 0) -> None:
        self.data: dict[str, bytes] = {}
        self.entries: list[bytes] = []
        self.edge = Edge()
        self.append(size)

    def append(self, count: int) -> None:
        old, added = len(self.entries), [f"entry {len(self.entries) + at}".encode() for at in range(count)]
        self.entries += added
        self.edge, tiles = self.edge.grow(map(leaf_hash, added))
        for tile, data in tiles.items():
            self.data[tile.path()] = data
        for tile in tiles_between(old, len(self.entries)):
            if tile.level is None:
                start = tile.index * TILE_WIDTH
                self.data[tile.path()] = pack_entries(self.entries[start : start + tile.width])

    def find(self, tile: Tile) -> bytes | None:
        return self.data.get(tile.path())

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(entry) for entry in self.entries]


@pytest.mark.parametrize(("path", "level", "index", "width"), TILES["paths"])
def test_a_path_reads_and_writes_the_same(path: str, level: int | None, index: int, width: int):
    assert Tile.from_path(path) == Tile(level, index, width)
    assert Tile(level, index, width).path() == path


@pytest.mark.parametrize("path", TILES["refused"])
def test_what_is_no_path_of_a_tile_is_refused(path: str):
    with pytest.raises(BadTile):
        Tile.from_path(path)


@pytest.mark.parametrize(("entry", "size", "path"), TILES["entry_tiles"])
def test_an_entry_is_in_its_file(entry: int, size: int, path: str):
    assert tile_in(None, entry // TILE_WIDTH, size).path() == path


@pytest.mark.parametrize(
    ("level", "index", "width"), [(-1, 0, 256), (64, 0, 256), (0, -1, 256), (0, 2**63, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_that_cannot_be_one_is_not_made(level: int, index: int, width: int):
    with pytest.raises(BadTile):
        Tile(level, index, width)


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts():
    full, partial = Counter(), {}
    for tile in tiles_of(70_000):
        if tile.is_full:
            full[tile.level] += 1
        else:
            partial[tile.level] = tile.width
    for level, (count, width) in TILES["size_70000"].items():
        assert full[int(level)] == count
        assert partial[int(level)] == width
    assert set(full) | set(partial) == {None, 0, 1, 2}
    assert (full[None], partial[None]) == (273, 112)


def test_a_tree_of_256_has_a_full_tile_and_the_next_levels_first_hash():
    assert [tile.path() for tile in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == []


@pytest.mark.parametrize(
    ("old", "size"), [(0, 1), (1, 1), (255, 256), (256, 257), (100, 600), (65_535, 65_537), (7, 66_000)]
)
def test_growing_writes_what_the_larger_tree_has_and_the_smaller_has_not(old: int, size: int):
    assert set(tiles_between(old, size)) == set(tiles_of(size)) - set(tiles_of(old))


def test_the_tiles_of_the_largest_tree_are_found_without_counting():
    tile = tile_in(0, MAX_SIZE // TILE_WIDTH, MAX_SIZE)
    assert tile.width == 255
    assert Tile.from_path(tile.path()) == tile
    assert tile_in(7, 0, MAX_SIZE).width == 127
    for level, index in ((8, 0), (7, 1), (0, MAX_SIZE)):
        with pytest.raises(BadTile):
            tile_in(level, index, MAX_SIZE)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 512, 700])
def test_every_proof_out_of_tiles_is_the_naive_trees(size: int):
    files = Files(size)
    leaves = files.leaves
    naive, tiles = Leaves(leaves), TileReader(size, files.find)
    assert merkle.root_of_tree(size, tiles) == files.edge.root() == naive_tree.root(leaves)
    for index in {0, 1, 2, 127, 255, 256, 300, size // 2, size - 2, size - 1}:
        if 0 <= index < size:
            assert merkle.prove_inclusion(index, size, tiles) == merkle.prove_inclusion(index, size, naive)
            assert merkle.prove_consistency(index + 1, size, tiles) == merkle.prove_consistency(index + 1, size, naive)
    check_tiles(size, files.edge.root(), files.find)


def test_a_tree_of_three_levels_is_read_and_checked():
    files = Files(65_536 + 300)
    size = len(files.entries)
    root = merkle.root_of_leaves(files.leaves)
    assert files.edge.root() == root
    assert Edge.read(size, files.find) == files.edge
    check_tiles(size, root, files.find)
    reader = TileReader(size, files.find)
    for index in (0, 65_535, 65_536, size - 1):
        proof = merkle.prove_inclusion(index, size, reader)
        leaf = leaf_hash(files.entries[index])
        merkle.check_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=root)


def test_older_trees_are_read_out_of_the_newest_tiles():
    files = Files()
    roots = {0: EMPTY_ROOT}
    for count in (1, 3, 96, 155, 1, 1, 300):
        files.append(count)
        roots[len(files.entries)] = files.edge.root()
    full_only = {path: data for path, data in files.data.items() if ".p/" not in path}
    newest = {tile.path(): files.data[tile.path()] for tile in tiles_of(len(files.entries))}

    def find(tile: Tile) -> bytes | None:
        return (newest | full_only).get(tile.path())

    for size in (256, 257 - 1):
        assert merkle.root_of_tree(size, TileReader(size, lambda tile: files.data.get(tile.path()))) == roots[size]
    for size in (1, 4, 100, 255):
        assert merkle.root_of_tree(size, TileReader(size, find)) == roots[size]
        assert read_entries(0, size, find) == tuple(files.entries[:size])


@pytest.mark.parametrize("steps", [[1] * 600, [256, 256, 1], [255, 1, 1], [1000], [3, 250, 3, 300, 0, 44]])
def test_an_edge_grows_to_the_same_whatever_the_steps(steps: list[int]):
    grown = Files()
    for count in steps:
        before = len(grown.entries)
        grown.append(count)
        assert Edge.read(len(grown.entries), grown.find) == grown.edge
        assert grown.edge.size == before + count
    once = Files(sum(steps))
    assert grown.edge == once.edge
    assert grown.edge.root() == merkle.root_of_leaves(grown.leaves)
    for path, data in once.data.items():
        assert grown.data[path] == data
    check_tiles(len(grown.entries), grown.edge.root(), grown.find)


def test_growing_names_each_tile_once_and_no_other():
    edge = Edge()
    for count in (1, 254, 1, 1, 255, 600):
        larger, tiles = edge.grow([bytes(32)] * count)
        wanted = [tile for tile in tiles_between(edge.size, larger.size) if tile.level is not None]
        assert list(tiles) == wanted
        assert all(len(data) == tile.width * 32 for tile, data in tiles.items())
        edge = larger
    assert edge.grow([]) == (edge, {})


def test_an_edge_that_cannot_be_one_is_refused():
    for size, rows in ((1, ()), (1, (b"",)), (256, (b"",)), (257, (bytes(32),)), (2, (bytes(32),))):
        with pytest.raises(BadTile):
            Edge(size, rows)
    with pytest.raises(OutOfRange):
        Edge(-1)
    with pytest.raises(BadTile):
        Edge().grow([b"short"])


def test_a_missing_or_cut_tile_is_named():
    files = Files(300)
    reader = TileReader(300, files.find)
    del files.data["tile/0/001.p/44"]
    with pytest.raises(MissingTile) as caught:
        merkle.root_of_tree(300, reader)
    assert caught.value.details == {"tile": "tile/0/001.p/44"}
    files.data["tile/0/001.p/44"] = bytes(32 * 43)
    with pytest.raises(BadTile):
        merkle.root_of_tree(300, reader)
    del files.data["tile/0/001.p/44"]
    files.data["tile/0/001"] = bytes(32 * 255)
    with pytest.raises(BadTile):
        merkle.root_of_tree(300, reader)
    with pytest.raises(MissingTile):
        read_entries(0, 256, lambda _: None)


def test_a_node_that_the_tree_does_not_have_is_refused():
    reader = TileReader(300, Files(300).find)
    for node in (Node(0, 300), Node(8, 1), Node(9, 0), Node(-1, 0), Node(0, -1), Node(64, 0), Node(10**9, 0)):
        with pytest.raises(BadTile):
            reader.read_nodes([node])


@pytest.mark.parametrize(
    "path", ["tile/0/000", "tile/1/000.p/2", "tile/0/002.p/88", "tile/entries/001", "tile/entries/002.p/88"]
)
@pytest.mark.parametrize("at", [5, -1])
def test_one_changed_bit_of_any_tile_is_found(path: str, at: int):
    files = Files(600)
    root = files.edge.root()
    data = bytearray(files.data[path])
    data[at] ^= 1
    files.data[path] = bytes(data)
    with pytest.raises(LedgerError):
        check_tiles(600, root, files.find)


def test_another_root_than_the_tiles_have_is_found():
    files = Files(20)
    with pytest.raises(BadProof):
        check_tiles(20, bytes(32), files.find)
    check_tiles(0, EMPTY_ROOT, files.find)
    with pytest.raises(BadProof):
        check_tiles(0, bytes(32), files.find)


def test_entries_are_packed_after_their_lengths():
    assert pack_entries([b"", b"ab", b"\x00" * 65_535])[:8] == b"\x00\x00\x00\x02ab\xff\xff"
    assert unpack_entries(b"\x00\x00\x00\x02ab", 2) == (b"", b"ab")
    for entries in ([], [b""] * 257, [b"\x00" * 65_536]):
        with pytest.raises(BadTile):
            pack_entries(entries)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x00\x01", b"\x00\x01a", b"\x00\x01a\x00", b"\x00\x01a\x00\x01", b"\x00\x01a\x00\x00\x00"]
)
def test_a_file_with_too_few_or_too_many_entries_is_refused(data: bytes):
    with pytest.raises(BadTile):
        unpack_entries(data, 2)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_packed_entries_come_out_as_they_went_in(entries: list[bytes]):
    assert unpack_entries(pack_entries(entries), len(entries)) == tuple(entries)


@given(st.binary(max_size=400), st.integers(0, 300))
def test_whatever_entries_are_read_from_only_its_error_escapes(data: bytes, count: int):
    try:
        entries = unpack_entries(data, count)
        assert b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries) == data
    except BadTile:
        pass


@given(
    st.text(max_size=80) | st.from_regex(r"tile/(entries|\d{1,3})/(x\d{3}/){0,7}\d{2,4}(\.p/\d{0,3})?", fullmatch=True)
)
def test_whatever_a_path_is_read_from_only_its_error_escapes(path: str):
    with suppress(BadTile):
        assert Tile.from_path(path).path() == path


@given(st.none() | st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_every_tile_has_a_path_that_reads_back(level: int | None, index: int, width: int):
    assert Tile.from_path(Tile(level, index, width).path()) == Tile(level, index, width)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 700), st.dictionaries(st.integers(0, 2), st.binary(max_size=300) | st.none()))
def test_whatever_tiles_hold_only_ledger_errors_escape(size: int, contents: dict[int, bytes | None]):
    def find(tile: Tile) -> bytes | None:
        return contents.get(tile.level or 0, bytes(32 * tile.width))

    for read in (
        lambda: check_tiles(size, bytes(32), find),
        lambda: merkle.root_of_tree(size, TileReader(size, find)),
        lambda: Edge.read(size, find),
        lambda: read_tile(Tile(0, 0, 5), find),
        lambda: read_entries(0, size, find),
    ):
        with suppress(LedgerError):
            read()
