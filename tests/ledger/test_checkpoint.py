"""Checkpoints: three lines, one writing."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.ledger.checkpoint import Checkpoint, read_checkpoint, read_number
from commun.ledger.errors import BadCheckpoint, BadNote
from commun.ledger.merkle import EMPTY_ROOT, MAX_SIZE, leaf_hash
from ledger_vectors import NOTES

# golang.org/x/mod/sumdb/tlog, note_test.go: its root is the leaf hash of "hello world".
GO = "go.sum database tree\n123456789012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n"
ROOT = "TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0="


def test_gos_example_reads_and_writes_the_same():
    checkpoint = Checkpoint.from_text(GO)
    assert checkpoint == Checkpoint("go.sum database tree", 123456789012, leaf_hash(b"hello world"))
    assert checkpoint.text() == GO


def test_the_specifications_example_reads_and_writes_the_same():
    data = NOTES["c2sp_cosigned"].encode()
    checkpoint, note = read_checkpoint(data)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert note.text == checkpoint.text()
    assert note.data() == data
    assert [line.name for line in note.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]


def test_extension_lines_are_carried():
    checkpoint = Checkpoint.from_text(GO + "one\ntwo lines\n")
    assert checkpoint.extensions == ("one", "two lines")
    assert checkpoint.text() == GO + "one\ntwo lines\n"


def test_the_empty_tree_has_one_root():
    assert Checkpoint("log.example", 0, EMPTY_ROOT).text().split("\n")[1] == "0"
    with pytest.raises(BadCheckpoint):
        Checkpoint.from_text(f"log.example\n0\n{ROOT}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "log.example\n",
        "log.example\n1\n",
        f"log.example\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"log.example\n1\n\n{ROOT}\n",
        f"log.example\n1\n{ROOT}\n\n",
        f"log.example\n1\n{ROOT}\nx\n\n",
        f"log.example\n01\n{ROOT}\n",
        f"log.example\n+1\n{ROOT}\n",
        f"log.example\n-1\n{ROOT}\n",
        f"log.example\n 1\n{ROOT}\n",
        f"log.example\n1 \n{ROOT}\n",
        f"log.example\n1_0\n{ROOT}\n",
        f"log.example\n0x1\n{ROOT}\n",
        f"log.example\n1.0\n{ROOT}\n",
        f"log.example\n١\n{ROOT}\n",
        f"log.example\n\n{ROOT}\n",
        f"log.example\n{2**63}\n{ROOT}\n",
        f"log.example\n{2**64 + 1}\n{ROOT}\n",
        "log.example\n1" + "0" * 10_000 + f"\n{ROOT}\n",
        f"log.example\n1\n{ROOT[:-1]}\n",
        f"log.example\n1\n{ROOT} \n",
        "log.example\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb1=\n",
        "log.example\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBTOOBIG=\n",
        "log.example\n1\nYmFuYW5hcw==\n",
        "log.example\n1\nThisIsn'tBase64\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str):
    with pytest.raises(BadCheckpoint):
        Checkpoint.from_text(text)


def test_what_no_checkpoint_can_say_is_not_made():
    for origin, size, root, extensions in (
        ("", 1, bytes(32), ()),
        ("a\nb", 1, bytes(32), ()),
        ("a", -1, bytes(32), ()),
        ("a", MAX_SIZE + 1, bytes(32), ()),
        ("a", True, bytes(32), ()),
        ("a", 1, bytes(31), ()),
        ("a", 1, bytes(32), ("",)),
        ("a", 1, bytes(32), ("x\n",)),
    ):
        with pytest.raises(BadCheckpoint):
            Checkpoint(origin, size, root, extensions)
    for origin in ("a\tb", "a\x00", "\ud800"):
        with pytest.raises(BadNote):
            Checkpoint(origin, 1, bytes(32))


def test_numbers_have_one_writing():
    assert [read_number(text) for text in ("0", "7", "10", str(MAX_SIZE))] == [0, 7, 10, MAX_SIZE]
    for text in ("", "00", "07", " 7", "7\n", "-0", "+7", "1e3", "²", "٣", str(MAX_SIZE + 1), "9" * 19, "9" * 5000):
        assert read_number(text) is None


@given(st.text(max_size=100), st.integers(), st.text(max_size=60), st.lists(st.text(max_size=9), max_size=3))
def test_whatever_a_checkpoint_is_read_from_only_ledger_errors_escape(origin, size, root, lines):
    for text in (origin, "\n".join([origin, str(size), root, *lines, ""]), "\n".join([origin, "5", ROOT, *lines, ""])):
        with suppress(BadCheckpoint, BadNote):
            assert Checkpoint.from_text(text).text() == text


@given(st.binary(max_size=200))
def test_whatever_a_signed_checkpoint_is_read_from_only_ledger_errors_escape(data: bytes):
    whole = NOTES["c2sp_cosigned"].encode()
    for candidate in (data, data + whole, whole + data, whole[:60] + data + whole[60:]):
        with suppress(BadCheckpoint, BadNote):
            checkpoint, note = read_checkpoint(candidate)
            assert note.data() == candidate
            assert checkpoint.text() == note.text
