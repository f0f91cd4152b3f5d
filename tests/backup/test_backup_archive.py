"""The backup's file: what is written is read again, and nothing that somebody else might have written."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from commun.backup.archive import (
    BLOCK,
    MANIFEST,
    BackupChanged,
    BackupExists,
    BadBackup,
    Manifest,
    Part,
    open_archive,
    part_of,
    write_archive,
)

FILES = {"commun.db": b"rows", "charter/metadata/timestamp.json": b"{}", "ledger/tile/0/000.p/1": bytes(700)}


def manifest_of(parts: list[Part]) -> Manifest:
    return Manifest(1_790_000_000, "1.0", True, None, tuple(parts))


def written(tmp_path: Path) -> Path:
    paths = []
    for name, data in FILES.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    parts = [part_of(name, path) for name, path in zip(FILES, paths, strict=True)]
    target = tmp_path / "backup.tar"
    write_archive(target, manifest_of(parts), paths)
    return target


def unpacked(file: Path, folder: Path) -> None:
    folder.mkdir()
    with open_archive(file) as archive:
        archive.unpack(folder)


def test_what_was_written_is_read_again_and_any_tar_can_look_into_it(tmp_path: Path) -> None:
    file = written(tmp_path)
    unpacked(file, tmp_path / "out")
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    with tarfile.open(file, "r:") as tar:
        assert tar.getnames() == [MANIFEST, *FILES]
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "out" / "commun.db").stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = written(tmp_path)
    before = file.read_bytes()
    with pytest.raises(BackupExists):
        written(tmp_path)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "data"]


def test_a_file_that_changes_while_it_is_written_leaves_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "commun.db"
    path.write_bytes(b"rows")
    part = part_of("commun.db", path)
    for changed in (b"rowz", b"row"):
        path.write_bytes(changed)
        with pytest.raises(BackupChanged):
            write_archive(tmp_path / "backup.tar", manifest_of([part]), [path])
    assert [path.name for path in tmp_path.iterdir()] == ["commun.db"]


@pytest.mark.parametrize(
    "name",
    [
        *("../escape", "/etc/passwd", "charter/../../escape", "charter//x", "charter/.lock", "keys/./x", "home/x"),
        *("charter", "commun.db/x", "ledger/tile\\x", "keys/a\nb", "keys/é", "ledger-before/x", ""),
    ],
)
def test_a_name_that_no_data_folder_has_is_refused(tmp_path: Path, name: str) -> None:
    file = hostile(tmp_path, [member(name, b"x")], [Part(name, 1, digest(b"x"))])
    with pytest.raises(BadBackup):
        unpacked(file, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    assert not (tmp_path / "escape").exists()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def member(name: str, data: bytes, change: Callable[[tarfile.TarInfo], None] = lambda _info: None) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    change(info)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + data + bytes(-len(data) % BLOCK)


def hostile(tmp_path: Path, members: list[bytes], parts: list[Part], after: bytes = bytes(2 * BLOCK)) -> Path:
    """An archive of a good manifest and these members."""
    file = tmp_path / "hostile.tar"
    file.write_bytes(member(MANIFEST, manifest_of(parts).data()) + b"".join(members) + after)
    return file


def links(info: tarfile.TarInfo) -> None:
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"


def hard_links(info: tarfile.TarInfo) -> None:
    info.type, info.linkname = tarfile.LNKTYPE, "/etc/passwd"


def is_device(info: tarfile.TarInfo) -> None:
    info.type = tarfile.CHRTYPE


def is_folder(info: tarfile.TarInfo) -> None:
    info.type = tarfile.DIRTYPE


def is_sparse(info: tarfile.TarInfo) -> None:
    info.type = tarfile.GNUTYPE_SPARSE


def is_extended(info: tarfile.TarInfo) -> None:
    info.type = tarfile.XHDTYPE


def is_larger(info: tarfile.TarInfo) -> None:
    info.size = 1 << 40


@pytest.mark.parametrize("change", [links, hard_links, is_device, is_folder, is_sparse, is_extended, is_larger])
def test_whatever_is_no_plain_file_of_its_size_is_refused(
    tmp_path: Path, change: Callable[[tarfile.TarInfo], None]
) -> None:
    file = hostile(tmp_path, [member("commun.db", b"rows", change)], [Part("commun.db", 4, digest(b"rows"))])
    with pytest.raises(BadBackup):
        unpacked(file, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir()) or not (tmp_path / "out" / "commun.db").read_bytes()


GOOD = Part("commun.db", 4, digest(b"rows"))


@pytest.mark.parametrize(
    ("members", "parts", "after"),
    [
        ([member("commun.db", b"rowz")], [GOOD], bytes(1024)),
        ([member("commun.toml", b"rows")], [GOOD], bytes(1024)),
        ([member("commun.db", b"rows")], [Part("commun.db", 5, digest(b"rows"))], bytes(1024)),
        ([member("commun.db", b"rows")], [Part("commun.db", 1 << 50, digest(b"rows"))], bytes(1024)),
        ([member("commun.db", b"rows")], [Part("commun.db", -4, digest(b"rows"))], bytes(1024)),
        ([member("commun.db", b"rows")] * 2, [GOOD, GOOD], bytes(1024)),
        ([member("keys/a", b"rows"), member("keys/A", b"rows")], [Part("keys/a", 4, GOOD.sha256), Part("keys/A", 4, GOOD.sha256)], b""),
        ([member("commun.db", b"rows")], [GOOD], member("commun.toml", b"")),
        ([], [GOOD], bytes(4096)),
        ([member("commun.db", b"rows")[:514]], [GOOD], b""),
    ],
    ids=["damaged", "another", "longer", "bomb", "negative", "twice", "case", "more", "missing", "cut"],
)  # fmt: skip
def test_what_the_manifest_does_not_say_is_refused(
    tmp_path: Path, members: list[bytes], parts: list[Part], after: bytes
) -> None:
    with pytest.raises(BadBackup):
        unpacked(hostile(tmp_path, members, parts, after), tmp_path / "out")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no tar at all" * 100,
        member(MANIFEST, b"{}"),
        member(MANIFEST, b'{"format": "commun-backup/2"}'),
        member(MANIFEST, b"[" * 100_000),
        member("other.json", manifest_of([]).data()),
    ],
    ids=["empty", "noise", "nothing", "newer", "deep", "another"],
)
def test_what_does_not_begin_with_a_manifest_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "hostile.tar"
    file.write_bytes(data + bytes(1024))
    with pytest.raises(BadBackup):
        unpacked(file, tmp_path / "out")


def test_a_compressed_archive_is_not_opened(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo(MANIFEST))
    file = tmp_path / "packed.tar"
    file.write_bytes(packed.getvalue())
    with pytest.raises(BadBackup):
        unpacked(file, tmp_path / "out")


def test_every_byte_that_is_flipped_is_noticed_or_means_nothing(tmp_path: Path) -> None:
    """A header's mode, owner or time is nobody's business: such a flip changes no file that is restored."""
    whole = written(tmp_path).read_bytes()
    for at in range(0, len(whole), 7):
        flipped = tmp_path / "flipped.tar"
        flipped.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        out = tmp_path / f"out{at}"
        try:
            unpacked(flipped, out)
        except BadBackup:
            continue
        for name, data in FILES.items():
            assert (out / name).read_bytes() == data
    assert os.path.lexists(tmp_path / "backup.tar")
