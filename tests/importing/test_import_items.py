"""Exports as files: split without being built, bounded, and refused where they are damaged or hostile."""

import io
import json
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from commun.importing import items
from commun.importing.items import Export, split
from commun.importing.spool import BadImport, Spool
from exports import chatgpt_zip, two_branches

VALUES = [{"a": '[{"\\\\"}]'}, {"b": ["]", {"c": "\\"}]}, {"d": "é\u2028“"}, [1, 2], {}]


def spool(tmp_path: Path, data: bytes) -> Spool:
    made = Spool(tmp_path)
    for at in range(0, len(data), 1000):
        made.add(data[at : at + 1000])
    return made


def read(tmp_path: Path, data: bytes) -> list[dict[str, Any]]:
    with spool(tmp_path, data) as file:
        return list(Export(file).items())


def zipped(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (zipped("account.json", b'{"format": "commun-account/1"}'), {"format": "commun-account/1"}),
        (zipped("export/account.json", b'{"format": "commun-account/1"}'), {"format": "commun-account/1"}),
        (zipped("a/b/account.json", b'{"format": "commun-account/1"}'), {}),
        (zipped("account.json", b"[1]"), {}),
        (zipped("account.json", b"no JSON"), {}),
        (zipped("account.json", b"[" * 2_000_000), {}),
        (zipped("account.json", b'{"x": "' + bytes([32]) * (items.MAX_ACCOUNT_BYTES + 1) + b'"}'), {}),
        (zipped("../account.json", b"{}"), {}),
        (chatgpt_zip([two_branches()]), {}),
        (b"PK\x03\x04 damaged", {}),
        (b"[]", {}),
    ],
)
def test_what_is_said_of_the_account_is_read_where_it_is_one_and_passed_over_where_not(
    tmp_path: Path, data: bytes, expected: dict[str, Any]
) -> None:
    with spool(tmp_path, data) as file:
        assert Export(file).account() == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_list_is_split_into_its_values_however_it_is_cut(size: int, ascii_only: bool) -> None:
    data = json.dumps(VALUES, ensure_ascii=ascii_only, indent=1).encode()
    found = split(data[at : at + size] for at in range(0, len(data), size))
    assert [json.loads(one or b"") for one in found] == VALUES


def test_one_value_that_is_no_list_is_itself_and_an_empty_list_has_none() -> None:
    assert list(split([b'\xef\xbb\xbf {"a": [1', b', {"b": 2}]}\n'])) == [b'{"a": [1, {"b": 2}]}']
    assert list(split([b" [ ] "])) == []


@pytest.mark.parametrize(
    "data", [b"", b"  ", b"[", b'[{"a": 1}', b'["', b'{"a": "', b"[]]", b"}", b"words", b'"x"', b"3"]
)
def test_what_ends_in_the_middle_or_never_began_is_refused(data: bytes) -> None:
    with pytest.raises(BadImport):
        list(split([data]))


def test_a_value_that_is_too_large_is_skipped_and_the_next_one_is_read() -> None:
    data = json.dumps([{"a": "x" * 500}, {"b": 1}]).encode()
    assert list(split((data[at : at + 10] for at in range(0, len(data), 10)), most=100)) == [None, b'{"b": 1}']


def test_a_large_list_takes_no_more_memory_than_its_largest_value() -> None:
    one = json.dumps({"text": "word " * 20_000}).encode()

    def chunks() -> Any:
        yield b"["
        for number in range(500):
            yield (b"," if number else b"") + one
        yield b"]"

    tracemalloc.start()
    try:
        count = sum(1 for _ in split(chunks()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 500
    assert peak < 4 * len(one), f"{peak} bytes for values of {len(one)}"


def test_a_zip_as_it_comes_is_read_whole_and_in_shards(tmp_path: Path) -> None:
    first, second, third = (two_branches(name) for name in ("one", "two", "three"))
    assert read(tmp_path, chatgpt_zip([first, second])) == [first, second]
    assert read(tmp_path, chatgpt_zip([first], [second, third], [])) == [first, second, third]
    assert read(tmp_path, chatgpt_zip([first], stored=True)) == [first]
    assert read(tmp_path, json.dumps([first, second]).encode()) == [first, second]


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def test_only_files_with_the_names_of_an_export_are_opened(tmp_path: Path) -> None:
    good = json.dumps([{"id": "good"}]).encode()
    names = ("a/b/conversations.json", "conversations.json.txt", "shared_conversations.json", "../x.json", "user.json")
    files = dict.fromkeys(names, b"not json at all") | {"export/conversations.json": good}
    assert read(tmp_path, zipped(files)) == [{"id": "good"}]
    with pytest.raises(BadImport):
        read(tmp_path, zipped({"user.json": good}))


def test_a_bomb_is_refused_before_it_has_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "FREE_BYTES", 1 << 20)
    bomb = zipped({"conversations.json": b"[" + b'{"a": 1}, ' * 2_000_000 + b'{"a": 1}]'})
    with spool(tmp_path, bomb) as file:
        reached: list[int] = []
        with pytest.raises(BadImport):
            list(Export(file, told=reached.append).items())
    assert max(reached) <= len(bomb) * items.MAX_RATIO + items.CHUNK


def test_a_total_beyond_its_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MAX_UNPACKED_BYTES", 3 << 20)
    shard = json.dumps([{"text": os.urandom(700_000).hex()}]).encode()
    with pytest.raises(BadImport):
        read(tmp_path, zipped({f"conversations-{number:03}.json": shard for number in range(4)}))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(tmp_path: Path, method: int) -> None:
    with pytest.raises(BadImport):
        read(tmp_path, zipped({"conversations.json": b"[]"}, method))


def test_a_directory_that_is_larger_than_any_exports_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commun.importing.spool.MAX_READ_BYTES", 70_000)
    files = {f"{number:0200}": b"" for number in range(1000)} | {"conversations.json": b"[]"}
    with pytest.raises(BadImport):
        read(tmp_path, zipped(files))


def test_a_damaged_archive_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    whole = chatgpt_zip([two_branches(str(number)) for number in range(3)])
    for at in range(0, len(whole), 11):
        changed = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        with spool(tmp_path, changed) as file:
            try:
                list(Export(file).items())
            except BadImport:
                continue
    for at in (1, 10, 100, len(whole) // 2, len(whole) - 1):
        with pytest.raises(BadImport):
            read(tmp_path, whole[:at])


def test_nesting_that_is_too_deep_is_one_item_that_is_skipped(tmp_path: Path) -> None:
    deep = b'{"a": ' * 50_000 + b"1" + b"}" * 50_000
    with spool(tmp_path, b"[" + deep + b', {"b": 1}, 3, "x", [4]]') as file:
        export = Export(file)
        assert list(export.items()) == [{"b": 1}]
        assert export.skipped == 2


def test_nothing_of_an_upload_can_be_read_on_the_disk(tmp_path: Path) -> None:
    canary = b"canary-upload-41aa" * 1000
    with spool(tmp_path, canary) as file:
        file._file.flush()
        assert list(tmp_path.iterdir()) == [], "it has no name"
        on_disk = Path(f"/proc/self/fd/{file._file.fileno()}").read_bytes()
        assert len(on_disk) == len(canary)
        assert b"canary" not in on_disk
        for at in (0, 1, 15, 16, 17, 4095, len(canary) - 5):
            file.seek(at)
            assert file.read(40) == canary[at : at + 40]
        file.seek(-10, os.SEEK_END)
        assert file.read() == canary[-10:]
