"""What the ledger's pages show: entries in words, the way to the head, who watches; at any size, in two bundles."""

import hashlib
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from commun.ledger.cosignature import sign_checkpoint
from commun.ledger.entries import (
    KINDS,
    AuditStatement,
    EditionStatement,
    EpochSecretStatement,
    EpochStatement,
    ModelStatement,
    ReceiptKeyStatement,
    ReceiptStatement,
    RetentionStatement,
    SoftwareStatement,
)
from commun.ledger.errors import BadPolicy, OutOfRange
from commun.ledger.files import LogFolder
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey
from commun.ledger.log import Log
from commun.ledger.merkle import check_inclusion, leaf_hash
from commun.ledger.note import Note
from commun.ledger.opening import open_log
from commun.ledger.policy import Policy
from commun.ledger.tiles import TILE_WIDTH, Tile
from commun.web.ledger_picture import BOX_WIDTH, covers, picture_of
from commun.web.ledger_search import find_entry
from commun.web.ledger_view import PAGE, Head, Node, find_head, prove, read_page, rungs, watched
from commun.web.ledger_words import OTHER, RECEIPT, entry_text, entry_words, in_runs

TIME = "2026-11-22T06:00:00Z"
ORIGIN = "log.example.org/ledger"


def digest(number: object) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def receipt(number: int) -> bytes:
    return ReceiptStatement(digest(number)).data()


@pytest.fixture
def log(tmp_path: Path):
    opened = open_log(tmp_path / "ledger", tmp_path / "keys" / "ledger.key", origin=ORIGIN)
    yield opened
    opened.close()


class Counted(LogFolder):
    """Which files were read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.read: list[str] = []

    def find(self, tile: Tile) -> bytes | None:
        self.read.append(tile.path())
        return super().find(tile)


def filled(log: Log, count: int) -> Counted:
    log.append([receipt(number) for number in range(count)])
    return Counted(log.files.folder)


def head_of(folder: LogFolder) -> Head:
    head = find_head(folder)
    assert head is not None
    return head


# --- words


def test_every_type_of_entry_has_its_sentence() -> None:
    examples = {
        EditionStatement(2, digest(1), "adopted", TIME): "Edition 2 was adopted",
        EditionStatement(2, digest(1), "frozen", TIME): "Edition 2 was frozen",
        EditionStatement(2, digest(1), "released", TIME): "Edition 2 was released",
        ModelStatement(digest(1), "openvino", "2026.4", "b", "exact", TIME): f"A model was loaded: {digest(1)[:16]}…",
        EpochStatement(digest(1)): "A secret for seeds was committed to",
        EpochSecretStatement.of(bytes(32)): "A secret for seeds was published: every seed of it can be derived again",
        ReceiptStatement(digest(1)): "A receipt",
        RetentionStatement(12, 0, 30, TIME): "12 conversations were erased, being older than 30 days",
        RetentionStatement(1, 0, 30, TIME): "One conversation was erased, being older than 30 days",
        AuditStatement(
            2, 2, 0, 0, 1, "exact", "0.02", "a.example", TIME
        ): "Answers were audited: 2, none of them incon",
        AuditStatement(2, 1, 0, 1, 0, "exact", "0.02", "a.example", TIME): "Answers were audited: 2, of which 1 were",
        AuditStatement(
            0, 0, 0, 0, 7, "none", "0.02", "a.example", TIME
        ): "Answers that were drawn for an audit could not",
        ReceiptKeyStatement(f"ed25519:{'ab' * 32}", "added", TIME): "A key that signs receipts was added: ed25519:abab",
        ReceiptKeyStatement(f"ed25519:{'ab' * 32}", "retired", TIME): "A key that signed receipts was retired",
    }
    software = SoftwareStatement({"python": "3.11.9", "commun": "0.1.0"}, TIME)
    found = {type(statement).type for statement in examples} | {software.type}
    assert found == set(KINDS)
    for statement, sentence in examples.items():
        words = entry_words(7, statement.data(), "en")
        assert words.said.startswith(sentence)
        assert words.kind != OTHER
        assert (words.at is not None) == hasattr(statement, "time")
    assert entry_words(7, software.data(), "en").said == "Commun 0.1.0 started (python 3.11.9)"


@pytest.mark.parametrize("data", [b"", b"\xff\x00", b'{"type":"commun/later/1"}', b"<script>alert(1)</script>" * 999])
def test_what_is_not_known_is_shown_as_its_bytes_and_never_guessed_at(data: bytes) -> None:
    assert entry_words(7, data, "en").kind == OTHER
    text = entry_text(data)
    assert len(text) < 6000
    assert not re.search("[\x00-\x1f]", text)


def test_what_could_be_taken_for_something_else_is_named() -> None:
    assert "⟦" in entry_text("a\u202eb".encode())


def test_receipts_in_a_row_are_one_line_and_everything_else_is_its_own() -> None:
    epoch = EpochStatement(digest(1)).data()
    data = [receipt(0), receipt(1), epoch, *map(receipt, range(3, 8)), epoch, epoch, receipt(10)]
    runs = list(in_runs(entry_words(number, each, "en") for number, each in enumerate(data)))
    assert [len(run) for run in runs] == [1, 1, 1, 5, 1, 1, 1]
    assert [each.number for run in runs for each in run] == list(range(11))
    assert {each.kind for each in runs[3]} == {RECEIPT}


# --- a page


@pytest.mark.parametrize("count", [1, 2, PAGE, PAGE + 1, TILE_WIDTH, TILE_WIDTH + 1, TILE_WIDTH + 60, 3 * TILE_WIDTH])
def test_the_pages_together_have_every_entry_once_and_each_reads_two_bundles_at_most(log: Log, count: int) -> None:
    folder = filled(log, count)
    seen: list[bytes] = []
    before: int | None = None
    while True:
        folder.read.clear()
        page = read_page(folder, head_of(folder), before)
        assert len(folder.read) <= 2
        assert len(page.entries) <= PAGE
        seen = [*page.entries, *seen]
        if page.older is None:
            break
        assert page.older == page.first
        before = page.older
    assert seen == [receipt(number) for number in range(count)]


def test_a_page_before_what_is_not_there_yet_is_the_newest(log: Log) -> None:
    folder = filled(log, 10)
    newest = read_page(folder, head_of(folder))
    assert read_page(folder, head_of(folder), 10**18) == newest
    assert read_page(folder, head_of(folder), 0).entries == ()


def test_a_ledger_of_no_entries_and_none_at_all(log: Log, tmp_path: Path) -> None:
    assert read_page(log.files, head_of(log.files)).entries == ()
    assert find_head(LogFolder(tmp_path / "nowhere")) is None


# --- the way to the head


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 255, 256, 257, 700])
def test_each_step_is_what_a_verifier_computes_and_ends_at_the_root(log: Log, count: int) -> None:
    folder = filled(log, count)
    head = head_of(folder)
    for number in sorted({0, count // 2, count - 1, count // 3}):
        proven = prove(folder, number, [head])
        assert proven.entry == receipt(number)
        assert proven.top == Node(0, count, head.checkpoint.root)
        below = proven.leaf
        assert below.hash == leaf_hash(proven.entry)
        for rung in proven.rungs:
            assert rung.below == below
            assert rung.left == (rung.sibling.end == below.start)
            assert rung.sibling.start in {below.end, 0} or rung.left
            assert rung.above.end - rung.above.start == (below.end - below.start) + (
                rung.sibling.end - rung.sibling.start
            )
            below = rung.above
        assert [rung.sibling.hash for rung in proven.rungs] == list(proven.proof.hashes)


def test_a_way_of_forty_levels_is_forty_rows_and_as_wide_as_one_of_four(log: Log) -> None:
    size, chance = 2**40, random.Random(7)
    small = prove(filled(log, 13), 5, [head_of(log.files)])
    for number in (0, size - 1, chance.randrange(size), chance.randrange(size)):
        hashes = [chance.randbytes(32) for _ in range(40)]
        way = rungs(number, size, bytes(32), hashes)
        assert len(way) == 40
        assert (way[-1].above.start, way[-1].above.end) == (0, size)
        check_inclusion(index=number, size=size, leaf=bytes(32), proof=hashes, root=way[-1].above.hash)
        picture = picture_of(replace(small, number=number, leaf=way[0].below, rungs=way), "en")
        assert len(picture.boxes) == 81
        assert picture.width <= picture_of(small, "en").width
        assert all(len(box.covers) <= len("× 1,099,511,627,776") for box in picture.boxes)  # squeezed to its box


def test_the_proof_is_below_the_first_head_that_has_the_entry(log: Log) -> None:
    folder = filled(log, 10)
    early = head_of(folder)
    log.append([receipt(10)])
    late = head_of(folder)
    assert prove(folder, 9, [early, late]).head == early
    assert prove(folder, 10, [early, late]).head == late
    with pytest.raises(OutOfRange):
        prove(folder, 11, [early, late])


def test_the_picture_has_a_box_for_every_hash_on_the_side_on_which_it_is_joined(log: Log) -> None:
    folder = filled(log, 13)
    for number in range(13):
        proven = prove(folder, number, [head_of(folder)])
        picture = picture_of(proven, "en")
        assert len(picture.boxes) == 1 + 2 * len(proven.rungs)
        path = next(box.x for box in picture.boxes if box.kind == "head")
        carried = [box for box in picture.boxes if box.kind == "carried"]
        assert [box.x < path for box in carried] == [rung.left for rung in reversed(proven.rungs)]
        assert {box.x for box in picture.boxes if box.kind in {"path", "entry"}} == {path}
        assert all(box.x >= 0 and box.x + BOX_WIDTH <= picture.width for box in picture.boxes)
        assert all(box.y >= 0 and box.foot <= picture.height for box in picture.boxes)


def test_a_box_says_which_entries_or_how_many() -> None:
    assert covers(Node(41, 42, b""), "en") == "41"
    assert covers(Node(0, 2048, b""), "en") == "0 – 2,047"
    assert covers(Node(2**39, 2**40, b""), "en") == "× 549,755,813,888"


# --- who watches

WITNESSES = [
    SignerKey(f"witness.example/{name}", ED25519_COSIGNATURE, bytes([at]) * 32) for at, name in enumerate("abc")
]
POLICY = "\n".join(
    [
        *(
            f"witness {name} {key.verifier.text()} https://{name}.example/"
            for name, key in zip("abc", WITNESSES, strict=True)
        ),
        "group two 2 a b c",
        "quorum two",
    ]
)


def cosigned(log: Log, *keys: SignerKey, time: int = 1_795_000_000) -> Head:
    head = head_of(log.files)
    signatures = [sign_checkpoint(head.checkpoint, key, time=time) for key in keys]
    return Head(head.checkpoint, Note.from_bytes(head.data).with_signatures(signatures).data(), head.at)


def test_who_has_countersigned_is_verified_and_counted(log: Log) -> None:
    filled(log, 3)
    key = log.key.verifier
    for signed, fulfilled in ((0, False), (1, False), (2, True), (3, True)):
        found = watched(POLICY, cosigned(log, *WITNESSES[:signed]), key)
        assert found is not None
        assert (found.needed, found.of, found.fulfilled) == (2, 3, fulfilled)
        assert [each.name for each in found.witnesses] == ["a", "b", "c"]
        assert [each.at is not None for each in found.witnesses] == [at < signed for at in range(3)]


def test_a_line_that_does_not_verify_is_nobodys(log: Log) -> None:
    filled(log, 3)
    head = cosigned(log, WITNESSES[0])
    wrong = Head(head.checkpoint, head.data[:-6] + b"AAAA=\n", head.at)
    found = watched(POLICY, wrong, log.key.verifier)
    assert found is not None
    assert not found.fulfilled
    assert all(each.at is None for each in found.witnesses)


def test_a_time_that_no_calendar_has_is_no_time(log: Log) -> None:
    filled(log, 3)
    found = watched(POLICY, cosigned(log, *WITNESSES[:2], time=2**62), log.key.verifier)
    assert found is not None
    assert found.fulfilled
    assert [each.at for each in found.witnesses] == [None, None, None]


def test_a_time_of_zero_is_nobodys_countersignature(log: Log) -> None:
    filled(log, 3)
    found = watched(POLICY, cosigned(log, *WITNESSES, time=0), log.key.verifier)
    assert found is not None
    assert not found.fulfilled
    assert [each.at for each in found.witnesses] == [None, None, None]


def test_no_policy_and_a_policy_of_none_ask_for_no_witness(log: Log) -> None:
    filled(log, 3)
    assert watched("", head_of(log.files), log.key.verifier) is None
    assert watched("quorum none", head_of(log.files), log.key.verifier) is None
    with pytest.raises(BadPolicy):
        watched("quorum nobody", head_of(log.files), log.key.verifier)


def test_a_nested_policy_is_not_put_into_one_number(log: Log) -> None:
    filled(log, 3)
    nested = POLICY.replace("group two 2 a b c\nquorum two", "group ab any a b\ngroup all all ab c\nquorum all")
    Policy.from_bytes(f"{nested}\n".encode())
    found = watched(nested, head_of(log.files), log.key.verifier)
    assert found is not None
    assert (found.needed, found.of) == (0, 0)


# --- looking for a receipt


def test_an_erased_conversations_receipt_is_found_in_the_ledger_itself(log: Log) -> None:
    folder = filled(log, 700)
    for number in (0, 255, 256, 699):
        assert find_entry(folder, receipt(number)) == number
    assert find_entry(folder, receipt(700)) is None
    assert find_entry(folder, receipt(5)[:-1]) is None
    assert find_entry(LogFolder(folder.folder / "nowhere"), receipt(5)) is None
