"""The writer dies at every named point, or power fails there: what was answered is in the log, whole, and it goes on.

A child process is killed for real at each point (once by SIGKILL, once by os._exit); opening the log again recovers it.
Power that fails takes more: files that were put in place and not flushed come back empty, cut or not at all. That is
played on the files that the writer had not settled.
"""

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commun.ledger import log as module
from commun.ledger.errors import LedgerError
from commun.ledger.files import CHECKPOINT, LogFolder
from commun.ledger.log import Log, OtherHead
from commun.ledger.merkle import leaf_hash, root_of_leaves
from commun.ledger.opening import create_log, make_key, open_log
from commun.ledger.staging import BadStaging, Batch, Staging, read_batches
from commun.ledger.verification import verify_log

SIZES = (3, 250, 300, 1, 500)
BOUND = 30_000  # so small that batches are settled in between

CHILD = f"""
import os, signal, sys
from pathlib import Path
from commun.ledger import log as module, opening
module.MAX_STAGED_BYTES = {BOUND}
home, stop = Path(sys.argv[1]), int(sys.argv[2])
passed = 0
def reached(point):
    global passed
    passed += 1
    if passed == stop:
        print("killed", point, flush=True)
        os.kill(os.getpid(), signal.SIGKILL) if stop % 2 else os._exit(9)
module.reached = opening.reached = reached
log = opening.open_log(home / "ledger", home / "keys" / "ledger.key", origin="example.org/log")
size = log.head.size
for count in {SIZES}:
    got = log.append([b"entry %d" % number for number in range(size, size + count)])
    size += count
    print("answered", got.start, got.stop, flush=True)
log.close()
print("done", flush=True)
"""


def entry(number: int) -> bytes:
    return b"entry %d" % number


def check_whole(log: Log, least: int) -> None:
    """Nothing that was answered is missing, nothing is there in part, and the files say so by themselves."""
    size = log.head.size
    assert size >= least
    assert size in {sum(SIZES[:count]) for count in range(len(SIZES) + 1)}, "a batch is there as a whole or not at all"
    assert [log.entry(index) for index in range(size)] == [entry(index) for index in range(size)]
    assert log.head.checkpoint.root == root_of_leaves(map(leaf_hash, map(entry, range(size))))
    assert verify_log(LogFolder(log.files.folder), [log.key.verifier]).size == size


def test_killed_at_each_named_point_it_recovers_by_opening(tmp_path) -> None:
    points, stop = [], 0
    while True:
        stop += 1
        home = tmp_path / str(stop)
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(home), str(stop)], capture_output=True, text=True, check=False
        )
        words = [line.split() for line in done.stdout.splitlines()]
        answered = max((int(line[2]) for line in words if line[0] == "answered"), default=0)
        log = open_log(home / "ledger", home / "keys" / "ledger.key", origin="example.org/log")
        check_whole(log, answered)
        assert log.append([b"after"]) == range(log.head.size - 1, log.head.size)
        log.close()
        if words[-1] == ["done"]:
            break
        points.append(" ".join(words[-1][1:]))
        assert done.returncode in {9, -9}, done.stderr
    assert {
        "before the key",
        "grown",
        "staged",
        "before the head",
        "after the head",
        "pruned",
        "settled",
        "cleared",
    } <= set(points)
    assert any(point.startswith("put tile/entries/") for point in points)


class Dead(BaseException):
    """What a test raises where the process would end."""


def run_until(log: Log, stop: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, bytes]:
    """Appends until the point; how many entries were answered, the point ("" where none was left), and the head that
    the disk has for certain.
    """
    passed, answered, size = 0, 0, 0
    certain = log.head.data

    def reached(point: str) -> None:
        nonlocal passed, certain
        passed += 1
        certain = log.head.data if point == "settled" else certain
        if passed == stop:
            raise Dead(point)

    with monkeypatch.context() as patch:
        patch.setattr(module, "reached", reached)
        patch.setattr(module, "MAX_STAGED_BYTES", BOUND)
        try:
            for count in SIZES:
                size += count
                log.append([entry(number) for number in range(size - count, size)])
                answered = size
        except Dead as dead:
            return answered, str(dead), certain
    return answered, "", certain


def killer(stop: int) -> Callable[[str], None]:
    passed = itertools.count(1)

    def reached(point: str) -> None:
        if next(passed) == stop:
            raise Dead(point)

    return reached


def let_go(log: Log) -> None:
    """As the system does with a dead process: nothing is written any more."""
    os.close(log._staging._handle)
    log._lock.release()


def lose_power(log: Log, chance: random.Random, certain: bytes) -> None:
    """Each file that is not settled is there, empty, cut, of zeroes, or gone; the head may be the one before."""
    for path in log.files._fresh:
        if not path.exists():
            continue
        data = path.read_bytes()
        if path.name == CHECKPOINT:
            path.write_bytes(chance.choice([data, certain, b"", bytes(len(data))]))
            continue
        left = chance.choice([data, b"", data[: len(data) // 2], bytes(len(data)), None])
        if left is None:
            path.unlink()
        else:
            path.write_bytes(left)


def test_power_fails_at_each_point_and_nothing_that_was_answered_is_lost(tmp_path, monkeypatch) -> None:
    chance = random.Random(20261122)
    stop, seen = 0, set()
    while True:
        stop += 1
        for again in range(2):
            folder, key = tmp_path / f"{stop}-{again}", make_key("example.org/log")
            log = create_log(folder, key)
            answered, point, certain = run_until(log, stop, monkeypatch)
            let_go(log)
            lose_power(log, chance, certain)
            log = Log(folder, key)
            check_whole(log, answered)
            log.append([b"after"])
            log.close()
        if not point:
            break
        seen.add(point)
    assert {"staged", "before the head", "after the head", "settled", "cleared"} <= seen


def test_dying_while_recovering_is_recovered_from(tmp_path, monkeypatch) -> None:
    key = make_key("example.org/log")
    stop, died = 0, True
    while died:
        stop += 1
        folder = tmp_path / str(stop)
        log = create_log(folder, key)
        answered, _, _ = run_until(log, 7, monkeypatch)
        let_go(log)
        with monkeypatch.context() as patch:
            patch.setattr(module, "reached", killer(stop))
            try:
                again = Log(folder, key)
                try:
                    again.close()
                    died = False
                except Dead:
                    let_go(again)
            except Dead:
                pass  # while it was opened: its files were closed on the way out
        log = Log(folder, key)
        check_whole(log, answered)
        log.close()
    assert stop > 3


def staged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Log, bytes]:
    """A log that died with one batch decided and not published, and what is staged."""
    log = create_log(folder, make_key("example.org/log"))
    assert run_until(log, 2, monkeypatch)[:2] == (0, "staged")
    let_go(log)
    return log, (folder / ".staged").read_bytes()


def test_a_batch_whose_record_is_cut_was_never_decided(tmp_path, monkeypatch) -> None:
    log, record = staged(tmp_path / "log", monkeypatch)
    for length in (*range(45), len(record) // 2, len(record) - 1):
        (tmp_path / "log" / ".staged").write_bytes(record[:length])
        again = Log(tmp_path / "log", log.key)
        assert again.head.size == 0
        assert (tmp_path / "log" / ".staged").read_bytes() == b""
        let_go(again)
    (tmp_path / "log" / ".staged").write_bytes(record + b"\0\0\0\0\0\0\1\0the beginning of the next")
    again = Log(tmp_path / "log", log.key)
    assert again.head.size == 3
    again.close()


def test_a_record_with_any_byte_changed_is_dropped_and_never_published(tmp_path, monkeypatch) -> None:
    _, record = staged(tmp_path / "log", monkeypatch)
    for at in range(0, len(record), 7):
        changed = record[:at] + bytes([record[at] ^ 1]) + record[at + 1 :]
        assert read_batches(changed) == ((), 0)
    assert len(read_batches(record)[0]) == 1


def test_batches_that_do_not_follow_from_each_other_are_refused(tmp_path, monkeypatch) -> None:
    log, record = staged(tmp_path / "log", monkeypatch)
    (tmp_path / "log" / ".staged").write_bytes(record + record)
    with pytest.raises(BadStaging):
        Log(tmp_path / "log", log.key)


def test_a_batch_that_grew_from_another_head_than_the_published_is_refused(tmp_path, monkeypatch) -> None:
    log, record = staged(tmp_path / "log", monkeypatch)
    (tmp_path / "log" / ".staged").write_bytes(b"")
    again = Log(tmp_path / "log", log.key)
    again.append([b"something else"])
    again.close()
    (tmp_path / "log" / ".staged").write_bytes(record)
    with pytest.raises(OtherHead):
        Log(tmp_path / "log", log.key)


def test_a_batch_that_another_key_signed_is_refused(tmp_path, monkeypatch) -> None:
    log, _ = staged(tmp_path / "log", monkeypatch)
    stranger = create_log(tmp_path / "other", make_key("example.org/log"))
    run_until(stranger, 2, monkeypatch)
    let_go(stranger)
    (tmp_path / "log" / ".staged").write_bytes((tmp_path / "other" / ".staged").read_bytes())
    before = (tmp_path / "log" / CHECKPOINT).read_bytes()
    with pytest.raises(LedgerError):
        Log(tmp_path / "log", log.key)
    assert (tmp_path / "log" / CHECKPOINT).read_bytes() == before


def test_a_batch_is_read_back_as_it_was(tmp_path) -> None:
    batch = Batch(b"before", b"head", {"tile/0/000": bytes(40), "tile/entries/000": b"x"})
    assert Batch.from_bytes(batch.data()) == batch
    staging = Staging(tmp_path)
    staging.add(batch)
    assert staging.size == (tmp_path / ".staged").stat().st_size
    staging.clear()
    assert (tmp_path / ".staged").read_bytes() == b""
    staging.close()
