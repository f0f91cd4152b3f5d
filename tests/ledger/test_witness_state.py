"""What a witness has cosigned it never forgets: killed anywhere, asked at once by many, shown two histories."""

import hashlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import naive_tree
from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.comparison import Evidence, Fault
from commun.ledger.cosignature import open_checkpoint, time_of
from commun.ledger.errors import BadLogKey, BadPolicy
from commun.ledger.keys import ED25519, ED25519_COSIGNATURE, ML_DSA_44, SignerKey
from commun.ledger.merkle import leaf_hash
from commun.ledger.note import Note, Signature, read_signature_lines
from commun.ledger.witness import NotConsistent, NotWitnessed, OtherSize, Submission
from commun.ledger.witness_keys import LOCAL, find_keys, make_keys, open_keys
from commun.ledger.witness_state import MAX_PROVEN, MAX_TOLD, MAX_UNPROVEN, REPEAT_S, Witness, WitnessUnready
from test_witness import KEY, LEAVES, ORIGIN, head, signed, submission

HASH = hashlib.sha256(ORIGIN.encode()).hexdigest()
FORKED = [leaf_hash(b"another"), *LEAVES[1:]]


@pytest.fixture
def told() -> list[tuple[Evidence, str]]:
    return []


@pytest.fixture
def witness(tmp_path: Path, told: list[tuple[Evidence, str]]) -> Witness:
    return opened(tmp_path, told)


def opened(home: Path, told: list[tuple[Evidence, str]] | None = None) -> Witness:
    told = [] if told is None else told
    made = Witness(home / "witness", home / "keys" / "witness.key", tell=lambda *heard: told.append(heard))
    if not made.logs():
        made.add_log(KEY.verifier, "https://log.example/ours/")
    return made


def cosigned(witness: Witness, old: int, size: int, leaves: list[bytes] = LEAVES) -> int:
    """The size that the lines are for, verified. Raises what the witness does."""
    request = submission(old, size, leaves)
    lines = witness.add_checkpoint(request.data())
    note = request.note.with_signatures(read_signature_lines(lines.decode()))
    keys = [key.verifier for key in witness.keys.signers]
    opened = open_checkpoint(note.data(), log=[KEY.verifier], others=keys)
    assert {item.key for item in opened.cosignatures[1:]} == set(keys)
    assert all(item.time for item in opened.cosignatures[1:])
    return opened.checkpoint.size


def test_a_ledger_is_cosigned_as_it_grows_and_its_last_head_is_there_for_everybody(witness) -> None:
    assert witness.find_checkpoint(HASH) is None
    for old, size in ((0, 1), (1, 1), (1, 5), (5, 20)):
        assert cosigned(witness, old, size) == size
        data = witness.find_checkpoint(HASH)
        assert data is not None
        keys = [key.verifier for key in witness.keys.signers]
        shown = open_checkpoint(data, log=[KEY.verifier], others=keys)
        assert shown.checkpoint == head(size)
        assert [item.key for item in shown.cosignatures] == [KEY.verifier, *keys]
    with pytest.raises(OtherSize) as refused:
        cosigned(witness, 5, 7)
    assert refused.value.size == 20


def test_the_same_head_again_makes_no_work_for_a_while_and_then_gets_a_new_time(tmp_path) -> None:
    clock = [1000.0]
    witness = Witness(tmp_path / "witness", tmp_path / "key", now=lambda: clock[0])
    witness.add_log(KEY.verifier)
    request = submission(0, 7).data()
    first = witness.add_checkpoint(request)
    file = tmp_path / "witness" / "heads" / HASH
    written = file.stat().st_ino
    clock[0] += REPEAT_S - 1
    assert witness.add_checkpoint(submission(7, 7).data()) == first
    assert file.stat().st_ino == written
    for ahead in (1, -100):  # a clock that went back makes no lines of the future
        clock[0] += ahead
        again = witness.add_checkpoint(submission(7, 7).data())
        assert [time_of(line.value) for line in read_signature_lines(again.decode())] == [int(clock[0])] * 2
    extended = Checkpoint(ORIGIN, 7, head(7).root, ("extension",))
    lines = witness.add_checkpoint(Submission.make(7, [], signed(extended)).data())
    assert len(read_signature_lines(lines.decode())) == 1, "another text is another head"


def test_whoever_is_not_listed_is_not_witnessed_and_who_is_removed_is_remembered(witness) -> None:
    cosigned(witness, 0, 5)
    assert witness.remove_log(ORIGIN) == 1
    assert witness.remove_log(ORIGIN) == 0
    assert witness.find_checkpoint(HASH) is None
    with pytest.raises(NotWitnessed):
        cosigned(witness, 5, 7)
    witness.add_log(KEY.verifier)
    with pytest.raises(OtherSize):
        cosigned(witness, 0, 7, FORKED)
    assert cosigned(witness, 5, 7) == 7


def test_the_list_is_read_again_when_it_has_changed_and_a_mistake_in_it_stops_the_witness(witness, tmp_path) -> None:
    file = tmp_path / "witness" / "logs"
    other = SignerKey("other.example", ED25519, b"o" * 32)
    request = Submission.make(0, [], Note(f"other.example\n1\n{'A' * 43}=\n", (Signature("x", b"1234", b"y"),)))
    with pytest.raises(NotWitnessed):
        witness.add_checkpoint(request.data())
    file.write_text(f"# friends\nlog {KEY.verifier.text()}\n\nlog {other.verifier.text()} https://other.example\n")
    assert [log.key.name for log in witness.logs()] == [ORIGIN, "other.example"]
    for mistake in (
        "log x\n",
        f"log {KEY.verifier.text()}",
        "quorum none\n",
        f"witness a {make_keys('a').lines()[0]}\n",
    ):
        file.write_text(mistake)
        with pytest.raises(WitnessUnready):
            cosigned(witness, 0, 1)
        with pytest.raises(BadPolicy):
            witness.logs()
    file.write_text(f"log {KEY.verifier.text()}\n")
    assert cosigned(witness, 0, 1) == 1
    with pytest.raises(BadPolicy):
        witness.add_log(KEY.verifier)
    with pytest.raises(BadPolicy):
        witness.add_log(other.verifier, "two parts")
    assert file.read_text() == f"log {KEY.verifier.text()}\n"


def test_keys_without_what_they_have_cosigned_sign_nothing(witness, tmp_path) -> None:
    cosigned(witness, 0, 5)
    (tmp_path / "witness").rename(tmp_path / "lost")
    for lost in (witness, opened(tmp_path)):
        if not lost.logs():
            lost.add_log(KEY.verifier)
        with pytest.raises(WitnessUnready):
            lost.add_checkpoint(submission(0, 5, FORKED).data())
    (tmp_path / "lost" / "heads").rename(tmp_path / "witness" / "heads")
    assert cosigned(witness, 5, 7) == 7
    new = Witness(tmp_path / "new", tmp_path / "new.key")
    assert new.find_keys() is None
    assert new.keys.lines() == Witness(tmp_path / "new", tmp_path / "new.key").keys.lines()


def test_a_head_that_is_damaged_on_the_disk_does_not_count_as_none(witness, tmp_path) -> None:
    cosigned(witness, 0, 5)
    file = tmp_path / "witness" / "heads" / HASH
    whole = file.read_bytes()
    for damage in (b"", whole[:40], whole.replace(ORIGIN.encode(), b"other"), bytes(len(whole))):
        file.write_bytes(damage)
        for old, size in ((0, 5), (5, 7), (0, 0)):
            with pytest.raises(WitnessUnready):
                cosigned(witness, old, size)
    file.unlink()
    file.symlink_to("/etc/hostname")
    with pytest.raises(WitnessUnready):
        cosigned(witness, 0, 5)


def test_the_keys_are_made_once_for_their_owner_alone_and_never_again(tmp_path) -> None:
    file = tmp_path / "keys" / "witness.key"
    keys = open_keys(file, name="witness.example/w1")
    assert [key.kind for key in keys.signers] == [ED25519_COSIGNATURE, ML_DSA_44]
    assert file.stat().st_mode & 0o077 == 0
    assert open_keys(file, name="another").lines() == keys.lines()
    assert keys.name == "witness.example/w1"
    assert len({key.seed for key in keys.signers}) == 2
    local = make_keys("")
    assert local.name.startswith(LOCAL)
    assert local.name != make_keys("").name
    with pytest.raises(BadLogKey):
        make_keys("two words")
    for damage in (b"", b"x\n", KEY.text().encode(), f"{KEY.text()}\n{KEY.text()}\n".encode(), b"\xff"):
        file.write_bytes(damage)
        with pytest.raises(BadLogKey):
            find_keys(file)


# --- evidence ---


def test_one_size_with_two_roots_is_kept_as_evidence_that_anybody_can_check(witness, tmp_path, told) -> None:
    cosigned(witness, 0, 7)
    for old in (7, 3, 7):
        with pytest.raises(NotConsistent if old == 7 else OtherSize):
            cosigned(witness, old, 7, FORKED)
    (file,) = (tmp_path / "witness" / "evidence").iterdir()
    assert [name for _, name in told] == [file.name]
    evidence = Evidence.from_bytes(file.read_bytes())
    assert evidence.fault is Fault.OTHER_ROOT
    evidence.check([KEY.verifier])
    assert [item.root for item in evidence.heads()] == [head(7).root, head(7, FORKED).root]
    assert witness.watched()[0].evidence == (file.name,)
    assert cosigned(witness, 7, 8) == 8, "its own history goes on"


def test_a_rewritten_beginning_is_shown_by_the_very_proof_that_was_to_hide_it(witness, tmp_path, told) -> None:
    cosigned(witness, 0, 7)
    with pytest.raises(NotConsistent):
        cosigned(witness, 7, 12, FORKED)
    evidence = Evidence.from_bytes(next((tmp_path / "witness" / "evidence").iterdir()).read_bytes())
    assert evidence.fault is Fault.OTHER_BEGINNING
    assert evidence.beginning == naive_tree.root(FORKED[:7])
    evidence.check([KEY.verifier])


def test_a_proof_that_leads_nowhere_is_a_hint_and_never_fills_the_place_of_evidence(witness, tmp_path, told) -> None:
    """A stranger has the log's heads, and makes up proofs for them."""
    leaves = [leaf_hash(b"%d" % number) for number in range(MAX_UNPROVEN + 20)]
    cosigned(witness, 0, 7, leaves)
    for size in range(8, 8 + MAX_UNPROVEN + 5):
        for junk in (b"a", b"b"):
            request = Submission.make(7, [junk * 32], signed(head(size, leaves)))
            with pytest.raises(NotConsistent):
                witness.add_checkpoint(request.data())
    files = list((tmp_path / "witness" / "evidence").iterdir())
    assert len(files) == MAX_UNPROVEN
    assert all(Evidence.from_bytes(file.read_bytes()).fault is Fault.UNPROVEN for file in files)
    assert told[-1][1] == ""
    with pytest.raises(NotConsistent):
        cosigned(witness, 7, 7, FORKED)
    assert told[-1][0].fault is Fault.OTHER_ROOT
    assert told[-1][1]
    assert witness.watched()[0].evidence[0].startswith("other-root")


def test_a_head_sent_again_and_again_is_told_once_also_where_no_more_evidence_is_kept(witness, tmp_path, told) -> None:
    """A stranger has the log's heads; each line of the server's log would cost the stranger one request."""
    leaves = [leaf_hash(b"%d" % number) for number in range(MAX_UNPROVEN + MAX_TOLD + 20)]
    cosigned(witness, 0, 7, leaves)

    def hint(size: int) -> None:
        with pytest.raises(NotConsistent):
            witness.add_checkpoint(Submission.make(7, [b"a" * 32], signed(head(size, leaves))).data())

    for size in range(8, 8 + MAX_UNPROVEN):
        hint(size)
    assert len(told) == MAX_UNPROVEN
    for _ in range(20):
        hint(8 + MAX_UNPROVEN)
    assert len(told) == MAX_UNPROVEN + 1
    for size in range(9 + MAX_UNPROVEN, len(leaves)):
        hint(size)
    assert len(told) == MAX_UNPROVEN + MAX_TOLD, "nor are there more lines than this, whatever is sent"
    with pytest.raises(NotConsistent):
        cosigned(witness, 7, 7, FORKED)
    assert told[-1][0].fault is Fault.OTHER_ROOT, "hints take no place from proofs"


def test_evidence_is_bounded_and_the_first_of_it_stays(witness, tmp_path) -> None:
    cosigned(witness, 0, 7)
    first: set[Path] = set()
    for number in range(MAX_PROVEN + 3):
        with pytest.raises(NotConsistent):
            cosigned(witness, 7, 7, [leaf_hash(b"fork %d" % number), *LEAVES[1:]])
        first = first or set((tmp_path / "witness" / "evidence").iterdir())
    kept = set((tmp_path / "witness" / "evidence").iterdir())
    assert len(kept) == MAX_PROVEN
    assert first <= kept


def test_what_nobody_signed_is_no_evidence(witness, tmp_path, told) -> None:
    cosigned(witness, 0, 7)
    request = Submission.make(7, [], Note(head(7, FORKED).text(), signed(head(7)).signatures))
    with pytest.raises(Exception, match="no valid signature"):
        witness.add_checkpoint(request.data())
    assert not told
    assert not (tmp_path / "witness" / "evidence").exists()


# --- atomic, and kept whatever dies ---


def test_asked_by_many_at_once_it_cosigns_one_history(witness, tmp_path) -> None:
    """Two histories are sent by sixteen threads through two witnesses on one folder; one of them wins, at each step."""
    again = opened(tmp_path)
    signed_roots: list[tuple[int, bytes]] = []
    start = threading.Barrier(16)

    def ask(number: int) -> None:
        leaves = FORKED if number % 2 else LEAVES
        mine = again if number % 4 > 1 else witness
        start.wait()
        old = 0
        for size in (3, 7, 12, 20):
            if old > size:
                continue
            try:
                cosigned(mine, old, size, leaves)
                signed_roots.append((size, naive_tree.root(leaves[:size])))
                old = size
            except OtherSize as error:
                old = error.size
            except NotConsistent:
                return

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signed_roots
    for size, root in signed_roots:
        assert {other for same, other in signed_roots if same == size} == {root}
    assert {root for _, root in signed_roots} <= {naive_tree.root(LEAVES[:size]) for size in (3, 7, 12, 20)} or {
        root for _, root in signed_roots
    } <= {naive_tree.root(FORKED[:size]) for size in (3, 7, 12, 20)}


CHILD = """
import os, signal, sys
from pathlib import Path
from commun.ledger import witness_state as module
home, stop, requests = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
passed = 0
def reached(point):
    global passed
    passed += 1
    if passed == stop:
        print("killed", point, flush=True)
        os.kill(os.getpid(), signal.SIGKILL) if stop % 2 else os._exit(9)
module.reached = reached
witness = module.Witness(home / "witness", home / "keys" / "witness.key")
for request in requests:
    witness.add_checkpoint(Path(request).read_bytes())
    print("answered", flush=True)
print("done", flush=True)
"""


def test_killed_at_each_point_it_has_told_nobody_what_it_forgets(tmp_path) -> None:
    requests = []
    for old, size in ((0, 3), (3, 12)):
        file = tmp_path / f"{old}-{size}"
        file.write_bytes(submission(old, size).data())
        requests.append(str(file))
    points, stop, done = set(), 0, False
    while not done:
        stop += 1
        home = tmp_path / str(stop)
        opened(home)
        run = [sys.executable, "-c", CHILD, str(home), str(stop), *requests]
        child = subprocess.run(run, capture_output=True, text=True, check=False)
        words = [line.split() for line in child.stdout.splitlines()]
        answered = [0, 3, 12][sum(line[0] == "answered" for line in words)]
        witness = opened(home)
        known = size_of(witness)
        assert known in {answered, {0: 3, 3: 12, 12: 12}[answered]}
        for size in (3, 12):  # a fork of what was answered is never signed
            if size <= answered:
                with pytest.raises((NotConsistent, OtherSize)):
                    cosigned(witness, answered, size, FORKED) if size == answered else cosigned(witness, 0, 20, FORKED)
        assert cosigned(witness, known, 20) == 20, "it goes on with the log's own history"
        done = words[-1] == ["done"]
        if not done:
            points.add(" ".join(words[-1][1:]))
            assert child.returncode in {9, -9}, child.stderr
    assert points == {"checked", "signed", "written", "flushed", "in place", "lasting", "unlocked"}


def size_of(witness: Witness) -> int:
    data = witness.find_checkpoint(HASH)
    return 0 if data is None else read_checkpoint(data)[0].size


def test_a_disk_that_refuses_gives_no_signature(witness, tmp_path, monkeypatch) -> None:
    from commun.ledger import witness_state

    cosigned(witness, 0, 3)

    def fail(_path: Path) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(witness_state, "sync", fail)
        with pytest.raises(WitnessUnready):
            cosigned(witness, 3, 7)
    assert size_of(witness) == 3
    assert cosigned(witness, 3, 7) == 7


def test_evidence_that_was_changed_is_refused(witness, tmp_path) -> None:
    from commun.ledger.comparison import BadEvidence

    cosigned(witness, 0, 7)
    with pytest.raises(NotConsistent):
        cosigned(witness, 7, 12, FORKED)
    data = next((tmp_path / "witness" / "evidence").iterdir()).read_bytes()
    fields = json.loads(data)
    good = signed(head(7)).data().decode()
    for change in (
        {"fault": "other-root"},
        {"fault": "unproven"},
        {"fault": "none"},
        {"fault": []},
        {"first": good, "second": signed(head(12)).data().decode()},
        {"first": fields["second"]},
        {"first": "\ud800"},
        {"first": 3},
        {"second": good.replace("7", "8")},
        {"beginning": ""},
        {"beginning": 1},
        {"proof": []},
        {"proof": ["x"]},
        {"proof": [fields["proof"][0]] * 64},
        {"proof": {}},
        {"format": "commun-ledger-evidence/2"},
        {"more": 1},
    ):
        with pytest.raises(BadEvidence):
            Evidence.from_bytes(json.dumps(fields | change).encode()).check([KEY.verifier])
    for text in (b"", b"[]", b"[" * 100_000, b"\xff", data[:-10]):
        with pytest.raises(BadEvidence):
            Evidence.from_bytes(text)
    stranger = SignerKey(ORIGIN, ED25519, b"s" * 32)
    with pytest.raises(BadEvidence):
        Evidence.from_bytes(data).check([stranger.verifier])
    assert Checkpoint.from_text(Evidence.from_bytes(data).heads()[0].text()) == head(7)
