"""Whole logs verified from their files: ours, other people's, and every file of them changed."""

import struct
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import naive_tree
from commun.ledger.errors import BadProof, LedgerError, MissingTile, NotSigned, UnknownLog, WrongSignature
from commun.ledger.files import CHECKPOINT, LogFolder
from commun.ledger.keys import VerifierKey
from commun.ledger.opening import create_log, make_key
from commun.ledger.tiles import Tile, tiles_of
from commun.ledger.verification import ShrunkLog, verify_log

ORIGIN = "example.org/ledger"


def entry(number: int) -> bytes:
    return b"entry %d" % number


def our_log(folder: Path, *sizes: int, key=None) -> tuple[VerifierKey, list[bytes]]:
    """A closed log that grew to each size, and every head that it had."""
    log = create_log(folder, key or make_key(ORIGIN))
    heads = [log.head.data]
    for size in sizes:
        log.append([entry(number) for number in range(log.head.size, size)])
        heads.append(log.head.data)
    log.close()
    return log.key.verifier, heads


class Foreign:
    """A log made by the words of the specifications, with none of our code: files by name, as a dictionary."""

    def __init__(self, entries: Sequence[bytes], *, name: str = "other.example/log") -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
        self.name, self.entries = name, list(entries)
        self.files: dict[str, bytes] = {}
        self._tile([sha256(b"\0" + item).digest() for item in self.entries])
        for at in range(0, len(self.entries), 256):
            bundle = self.entries[at : at + 256]
            self._put(
                "entries", at // 256, len(bundle), b"".join(struct.pack(">H", len(item)) + item for item in bundle)
            )
        self.files["checkpoint"] = self.head(len(self.entries))

    def _put(self, level: object, number: int, width: int, data: bytes) -> None:
        path = f"{number % 1000:03}"
        while number >= 1000:
            number //= 1000
            path = f"x{number % 1000:03}/{path}"
        self.files[f"tile/{level}/{path}" + (f".p/{width}" if width < 256 else "")] = data

    def _tile(self, hashes: list[bytes], level: int = 0) -> None:
        above = []
        for at in range(0, len(hashes), 256):
            tile = hashes[at : at + 256]
            self._put(level, at // 256, len(tile), b"".join(tile))
            if len(tile) == 256:
                above.append(naive_tree.root(tile))
        if above:
            self._tile(above, level + 1)

    def head(self, size: int) -> bytes:
        root = naive_tree.root([sha256(b"\0" + item).digest() for item in self.entries[:size]])
        text = f"{self.name}\n{size}\n{b64encode(root).decode()}\n"
        signature = self._key_id() + self.key.sign(text.encode())
        return f"{text}\n\N{EM DASH} {self.name} {b64encode(signature).decode()}\n".encode()

    def _key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n\1" + self.key.public_key().public_bytes_raw()).digest()[:4]

    def vkey(self) -> VerifierKey:
        public = b64encode(b"\1" + self.key.public_key().public_bytes_raw()).decode()
        return VerifierKey.from_text(f"{self.name}+{self._key_id().hex()}+{public}")

    def find_checkpoint(self) -> bytes | None:
        return self.files.get("checkpoint")

    def find(self, tile: Tile) -> bytes | None:
        return self.files.get(tile.path())


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 1000, 65_536, 65_537])
def test_a_log_that_others_wrote_holds(size) -> None:
    log = Foreign([entry(number) for number in range(size)])
    asked: list[str] = []
    honest = log.find

    def find(tile: Tile) -> bytes | None:
        asked.append(tile.path())
        return honest(tile)

    log.find = find
    assert verify_log(log, [log.vkey()]).size == size
    assert sorted(asked) == sorted(tile.path() for tile in tiles_of(size)), "each file is read once"


@pytest.mark.parametrize("size", [0, 1, 256, 300, 700])
def test_our_files_are_those_that_others_would_write(tmp_path, size) -> None:
    key, _ = our_log(tmp_path, *({size} - {0}))
    other = Foreign([entry(number) for number in range(size)])
    ours = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert ours.keys() == other.files.keys()
    assert {name: data for name, data in ours.items() if name != CHECKPOINT} == {
        name: data for name, data in other.files.items() if name != CHECKPOINT
    }
    assert verify_log(LogFolder(tmp_path), [key]).size == size


def test_growth_since_every_earlier_head_holds(tmp_path) -> None:
    sizes = (1, 5, 255, 256, 257, 511, 512, 600)
    key, heads = our_log(tmp_path, *sizes)
    for size, head in zip((0, *sizes), heads, strict=True):
        verified = verify_log(LogFolder(tmp_path), [key], since=head)
        assert verified.since is not None
        assert (verified.since.checkpoint.size, verified.size) == (size, 600)
        assert verified.data == heads[-1]


def test_progress_is_told_up_to_the_end(tmp_path) -> None:
    key, _ = our_log(tmp_path, 600)
    told: list[tuple[int, int]] = []
    verify_log(LogFolder(tmp_path), [key], progress=lambda done, size: told.append((done, size)))
    assert told == [(256, 600), (512, 600), (600, 600)]


def test_a_full_tile_serves_where_the_partial_one_is_gone() -> None:
    log = Foreign([entry(number) for number in range(300)])
    later = Foreign([entry(number) for number in range(512)])
    for name in ("tile/0/001", "tile/entries/001"):
        del log.files[f"{name}.p/44"]
        log.files[name] = later.files[name]
    assert verify_log(log, [log.vkey()]).size == 300


@pytest.mark.parametrize("size", [1, 3, 300, 513])
def test_any_byte_changed_in_any_file_is_found(tmp_path, size) -> None:
    """Every byte of the head, a sample of each tile's, whatever it stands for: hash, length or entry."""
    key, _ = our_log(tmp_path, size)
    names = [CHECKPOINT, *(tile.path() for tile in tiles_of(size))]
    for name in names:
        honest = (tmp_path / name).read_bytes()
        places = range(len(honest)) if name == CHECKPOINT else sorted({0, 1, 2, len(honest) // 2, len(honest) - 1})
        for at in places:
            for bit in (1, 128):
                (tmp_path / name).write_bytes(honest[:at] + bytes([honest[at] ^ bit]) + honest[at + 1 :])
                with pytest.raises(LedgerError):
                    verify_log(LogFolder(tmp_path), [key])
        for other in (b"", honest[:-1], honest + b"\0", honest + honest):
            (tmp_path / name).write_bytes(other)
            with pytest.raises(LedgerError):
                verify_log(LogFolder(tmp_path), [key])
        (tmp_path / name).unlink()
        with pytest.raises(MissingTile):
            verify_log(LogFolder(tmp_path), [key])
        (tmp_path / name).write_bytes(honest)
    assert verify_log(LogFolder(tmp_path), [key]).size == size


def swap(files: dict[str, bytes], first: str, second: str) -> None:
    files[first], files[second] = files[second], files[first]


LIES: dict[str, Callable[[Foreign], object]] = {
    "two bundles change places": lambda log: swap(log.files, "tile/entries/000", "tile/entries/001"),
    "two tiles change places": lambda log: swap(log.files, "tile/0/000", "tile/0/001"),
    "bundles and tiles change places together": lambda log: (
        swap(log.files, "tile/0/000", "tile/0/001"),
        swap(log.files, "tile/entries/000", "tile/entries/001"),
    ),
    "a head over entries that are not there": lambda log: log.files.update(
        {"checkpoint": Foreign([*log.entries[:-1], b"another"]).head(600)}
    ),
    "an older head": lambda log: log.files.update({"checkpoint": log.head(3).replace(b"\n3\n", b"\n600\n")}),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found(name) -> None:
    log = Foreign([entry(number) for number in range(600)])
    LIES[name](log)
    with pytest.raises(LedgerError):
        verify_log(log, [log.vkey()])


@pytest.mark.parametrize("place", [0, 41, 42, 255, 256, 299])
def test_history_rewritten_and_signed_again_is_found_with_an_earlier_head(place) -> None:
    honest = [entry(number) for number in range(600)]
    earlier = Foreign(honest[:300]).head(300)
    rewritten = [*honest]
    rewritten[place] = b"something else"
    log = Foreign(rewritten)
    assert verify_log(log, [log.vkey()]).size == 600, "by itself it is a good log"
    with pytest.raises(BadProof):
        verify_log(log, [log.vkey()], since=earlier)
    shortened = Foreign([*honest[:place], *honest[place + 1 :]])
    with pytest.raises(BadProof):
        verify_log(shortened, [log.vkey()], since=earlier)


@pytest.mark.parametrize("size", [1, 255, 256, 300, 512])
def test_another_tree_of_the_same_size_and_a_smaller_one_are_found(size) -> None:
    honest = [entry(number) for number in range(size)]
    log = Foreign(honest)
    with pytest.raises(BadProof):
        verify_log(Foreign([*honest[:-1], b"other"]), [log.vkey()], since=log.head(size))
    with pytest.raises(ShrunkLog):
        verify_log(Foreign(honest[:-1]), [log.vkey()], since=log.head(size))


def test_a_head_by_another_key_or_of_another_log_is_refused(tmp_path) -> None:
    log, other = Foreign([b"x"]), Foreign([b"x"], name="third.example")
    with pytest.raises(UnknownLog):
        verify_log(log, [other.vkey()])
    with pytest.raises(LedgerError):
        verify_log(log, [log.vkey()], since=other.head(1))
    with pytest.raises(BadProof):
        verify_log(log, [log.vkey(), other.vkey()], since=other.head(1))
    stranger = make_key(log.name).verifier
    with pytest.raises(NotSigned):
        verify_log(log, [stranger])
    log.files["checkpoint"] = log.files["checkpoint"].replace(b"\n1\n", b"\n2\n", 1)
    with pytest.raises(WrongSignature):
        verify_log(log, [log.vkey()])


def test_a_log_without_a_head_is_missing() -> None:
    log = Foreign([])
    log.files.clear()
    with pytest.raises(MissingTile):
        verify_log(log, [log.vkey()])
