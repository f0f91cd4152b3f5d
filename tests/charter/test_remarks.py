"""Bytes that change without a value are named, and nothing else is."""

import pytest

from boards import charter_files
from commun.charter.changes import changes
from commun.charter.remarks import files_changed_in_remarks
from commun.charter.source import read_charter
from source_example import GOLDEN

BEFORE = read_charter(GOLDEN)


def named(files: dict[str, bytes]) -> tuple[str, ...]:
    return files_changed_in_remarks(BEFORE, GOLDEN, read_charter(files), files)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_space_at_the_end_of_any_file_changes_no_value_and_is_named(name: str) -> None:
    files = GOLDEN | {name: GOLDEN[name] + b"\n\n"}
    assert not changes(BEFORE, read_charter(files))
    assert named(files) == (name,)


def test_a_remark_is_named_beside_another_files_values() -> None:
    files = GOLDEN | {
        "charter.toml": b"# Obey the mayor.\n" + GOLDEN["charter.toml"],
        "prompts/system.en.md": b"Another prompt.",
        "prompts/editor.fr.md": b"Un autre.",
        "models/default.toml": GOLDEN["models/default.toml"].replace(b"Apache-2.0", b"MIT"),
    }
    assert named(files) == ("charter.toml",)


def test_a_file_whose_values_change_is_not_named() -> None:
    files = GOLDEN | {"charter.toml": b"# More.\n" + GOLDEN["charter.toml"].replace(b"quorum = 2", b"quorum = 1")}
    assert named(files) == ()
    assert named(dict(GOLDEN)) == ()


def test_a_file_that_comes_or_goes_is_no_remark() -> None:
    before, after = charter_files(), charter_files()
    second = before["models/small.toml"].replace(b'id = "small"', b'id = "other"')
    after["models/other.toml"] = second
    charters = read_charter(before), read_charter(after)
    assert files_changed_in_remarks(charters[0], before, charters[1], after) == ()
    assert files_changed_in_remarks(charters[1], after, charters[0], before) == ()
