"""Two views of one ledger: they agree, they show two histories, or nobody can say; and the evidence is for anybody."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import naive_tree
from commun.cli import app
from commun.errors import ConfigError, NotFound
from commun.ledger.checkpoint import Checkpoint
from commun.ledger.comparison import BadEvidence, CannotCompare, Evidence, Fault, Seen, beginning_of, compare
from commun.ledger.errors import LedgerError, MissingTile, NotSigned, UnknownLog
from commun.ledger.files import LogFolder
from commun.ledger.keys import SignerKey
from commun.ledger.log import signed_head
from commun.ledger.merkle import EMPTY_ROOT, leaf_hash
from commun.ledger.opening import create_log, make_key

KEY = make_key("log.example/ours")
HEAD = signed_head(Checkpoint(KEY.name, 0, EMPTY_ROOT), KEY)
SIZES = (1, 2, 3, 5, 8, 255, 256, 257, 400, 600)


def entries(count: int, changed: int | None = None) -> list[bytes]:
    """``changed``: the number of the one entry that another history has."""
    return [b"entry %d%s" % (number, b", changed" * (number == changed)) for number in range(count)]


def written(folder: Path, items: list[bytes], key: SignerKey = KEY) -> Path:
    log = create_log(folder, key)
    log.append(items)
    log.close()
    return folder


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    home = tmp_path_factory.mktemp("honest")
    return {size: written(home / str(size), entries(size)) for size in (0, *SIZES)}


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The first entry is another one."""
    home = tmp_path_factory.mktemp("forked")
    return {size: written(home / str(size), entries(size, 0)) for size in SIZES}


def seen(folder: Path) -> Seen:
    reader = LogFolder(folder)
    data = reader.find_checkpoint()
    assert data is not None
    return Seen(data, reader)


def saved(folder: Path) -> Seen:
    return Seen(seen(folder).data)


def test_every_two_sizes_of_one_history_agree_in_either_order(honest) -> None:
    for small in honest.values():
        for large in honest.values():
            assert compare(seen(small), seen(large), [KEY.verifier]).evidence is None


def test_every_two_sizes_of_two_histories_are_shown_by_evidence_that_checks(honest, forked) -> None:
    for ours, folder in honest.items():
        for theirs, other in forked.items():
            if ours == 0:
                continue
            for first, second in ((folder, other), (other, folder)):
                evidence = compare(seen(first), seen(second), [KEY.verifier]).evidence
                assert evidence is not None
                assert evidence.fault is (Fault.OTHER_ROOT if ours == theirs else Fault.OTHER_BEGINNING)
                read = Evidence.from_bytes(evidence.data())
                assert read == evidence
                read.check([KEY.verifier])
                assert [head.size for head in read.heads()] == sorted((ours, theirs))


def test_a_change_anywhere_before_the_smaller_head_is_found_and_one_after_it_is_growth(tmp_path, honest) -> None:
    for changed in (0, 254, 255, 256, 300, 399):
        other = written(tmp_path / str(changed), entries(600, changed))
        evidence = compare(saved(honest[257]), seen(other), [KEY.verifier]).evidence
        assert (evidence is None) == (changed >= 257), changed


def test_a_saved_head_is_compared_where_the_other_side_is_the_larger_one(honest, forked) -> None:
    assert compare(saved(honest[3]), seen(honest[400]), [KEY.verifier]).evidence is None
    assert compare(saved(honest[3]), saved(honest[3]), [KEY.verifier]).evidence is None
    assert compare(saved(honest[0]), saved(honest[400]), [KEY.verifier]).evidence is None
    assert compare(saved(honest[5]), saved(forked[5]), [KEY.verifier]).evidence is not None
    with pytest.raises(CannotCompare, match="saved head"):
        compare(seen(honest[3]), saved(honest[400]), [KEY.verifier])


def test_tiles_that_are_not_the_larger_heads_decide_nothing(tmp_path, honest) -> None:
    """Whoever damages files, or mixes those of two histories, makes no evidence against anybody."""
    large = written(tmp_path / "large", entries(600))
    tile = large / "tile" / "0" / "000"
    whole = tile.read_bytes()
    for damage in (whole[:-1], bytes(len(whole)), whole[32:] + whole[:32]):
        tile.write_bytes(damage)
        with pytest.raises(CannotCompare):
            compare(saved(honest[5]), seen(large), [KEY.verifier])
    tile.unlink()
    with pytest.raises(CannotCompare):
        compare(saved(honest[5]), seen(large), [KEY.verifier])


def test_heads_of_others_are_compared_with_nothing(tmp_path, honest) -> None:
    stranger = make_key("log.example/ours")
    other = written(tmp_path / "stranger", entries(9), stranger)
    with pytest.raises(NotSigned):
        compare(seen(honest[5]), seen(other), [KEY.verifier])
    elsewhere = make_key("log.example/elsewhere")
    third = written(tmp_path / "elsewhere", entries(9), elsewhere)
    with pytest.raises(UnknownLog):
        compare(seen(honest[5]), seen(third), [KEY.verifier])
    with pytest.raises(CannotCompare, match="two ledgers"):
        compare(seen(honest[5]), seen(third), [KEY.verifier, elsewhere.verifier])


def test_what_a_proof_says_of_the_beginning_is_what_the_naive_tree_says() -> None:
    leaves = [leaf_hash(entry) for entry in entries(70)]
    for size in range(1, 70):
        for old in range(1, size):
            proof = naive_tree.proof(old, leaves[:size])
            is_node = old & (old - 1) == 0
            assert beginning_of(old, size, proof) == (None if is_node else naive_tree.root(leaves[:old])), (old, size)
            assert beginning_of(old, size, [*proof, bytes(32)]) is None
            assert beginning_of(old, size, proof[:-1]) is None
            assert beginning_of(old, size, [b"short", *proof[1:]]) is None
    assert beginning_of(0, 5, []) is None
    assert beginning_of(5, 5, []) is None


def test_evidence_cannot_be_made_of_heads_that_agree(honest) -> None:
    first, second = (seen(honest[size]).data for size in (5, 400))
    for evidence in (
        Evidence(Fault.OTHER_ROOT, first, first),
        Evidence(Fault.OTHER_ROOT, first, second),
        Evidence(Fault.OTHER_BEGINNING, first, second, bytes(32), (bytes(32),)),
        Evidence(Fault.OTHER_BEGINNING, first, first, bytes(32)),
        Evidence(Fault.OTHER_BEGINNING, second, first, bytes(32)),
        Evidence(Fault.UNPROVEN, first, second, b"", (bytes(32),)),
    ):
        with pytest.raises(BadEvidence):
            evidence.check([KEY.verifier])


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3)
)


@given(st.binary(max_size=200), st.sampled_from(["format", "fault", "first", "second", "beginning", "proof"]), PARTS)
def test_nothing_but_a_refusal_escapes_a_file_of_evidence(data: bytes, field: str, value: object) -> None:
    fields = json.loads(Evidence(Fault.UNPROVEN, HEAD, HEAD, b"", (bytes(32),)).data())
    for text in (data, json.dumps(fields | {field: value}).encode(), json.dumps(value).encode()):
        with contextlib.suppress(LedgerError):
            Evidence.from_bytes(text).check([KEY.verifier])


# --- commun ledger compare ---


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    def command(*words: str | Path) -> Result:
        all_ = ["ledger", "compare", *map(str, words), "--home", str(tmp_path / "home")]
        result = CliRunner().invoke(app, all_)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return command


def test_the_command_tells_agreement_by_status_0_and_two_histories_by_3(run, tmp_path, honest, forked) -> None:
    vkey = KEY.verifier.text()
    agreed = run(honest[3], honest[400], "--vkey", vkey)
    assert agreed.exit_code == 0
    assert "They agree" in agreed.stdout
    assert "400 entries" in agreed.stdout
    head, file = tmp_path / "head", tmp_path / "evidence.json"
    head.write_bytes(seen(honest[257]).data)
    assert run(head, honest[400], "--vkey", vkey, "--evidence", file).exit_code == 0
    assert not file.exists()
    for other, fault in ((forked[400], "other-beginning"), (forked[257], "other-root")):
        split = run(head, other, "--vkey", vkey, "--evidence", file)
        assert split.exit_code == 3
        assert "TWO HISTORIES" in split.stdout
        assert json.loads(file.read_bytes())["fault"] == fault
        Evidence.from_bytes(file.read_bytes()).check([KEY.verifier])


def test_the_command_says_why_it_cannot_compare(run, tmp_path, honest) -> None:
    vkey = KEY.verifier.text()
    head = tmp_path / "head"
    head.write_bytes(seen(honest[400]).data)
    with pytest.raises(CannotCompare):
        run(head, honest[3], "--vkey", vkey)
    with pytest.raises(MissingTile):
        run(tmp_path / "nothing", honest[3], "--vkey", vkey)
    with pytest.raises(NotSigned):
        run(honest[3], honest[3], "--vkey", make_key(KEY.name).verifier.text())
    with pytest.raises(NotFound):
        run(honest[3], honest[3])
    (tmp_path / "large").write_bytes(bytes(2_000_000))
    with pytest.raises(ConfigError):
        run(tmp_path / "large", honest[3], "--vkey", vkey)
