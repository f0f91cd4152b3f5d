"""The log on disk: what append promises, one writer, other people's heads, and the queue before it."""

import hashlib
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import wait
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_tree
from commun.ledger import log as module
from commun.ledger import writer as writer_module
from commun.ledger.checkpoint import read_checkpoint
from commun.ledger.cosignature import open_checkpoint, sign_checkpoint
from commun.ledger.errors import BadLogKey, BadProof, LedgerError, MissingTile, OutOfRange
from commun.ledger.files import CHECKPOINT, LedgerBusy, LogFolder, UnsafeLedgerFile
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey
from commun.ledger.log import BadEntry, KeyWithoutLog, LedgerStopped, LedgerUnwritable, Log, OtherHead
from commun.ledger.merkle import check_consistency, check_inclusion, leaf_hash
from commun.ledger.opening import LogWithoutKey, create_log, find_key, local_origin, make_key, open_log, public_origin
from commun.ledger.tiles import Tile, check_tiles, tiles_of
from commun.ledger.verification import verify_log
from commun.ledger.writer import Ledger, LedgerFull

ORIGIN = "example.org/ledger"


def entries(first: int, count: int) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(first, first + count)]


def naive_root(count: int) -> bytes:
    return naive_tree.root([leaf_hash(entry) for entry in entries(0, count)])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def opened(home: Path, origin: str = ORIGIN) -> Log:
    return open_log(home / "ledger", home / "keys" / "ledger.key", origin=origin)


def tree_files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
    }


def test_a_new_log_has_a_signed_head_of_no_entries(home) -> None:
    log = opened(home)
    head = open_checkpoint((home / "ledger" / CHECKPOINT).read_bytes(), log=[log.key.verifier])
    assert (head.checkpoint.origin, head.checkpoint.size) == (ORIGIN, 0)
    log.close()


def test_entries_get_their_indexes_in_order_and_are_found_again(home) -> None:
    log = opened(home)
    assert log.append(entries(0, 3)) == range(3)
    assert log.append([]) == range(3, 3)
    assert log.append(entries(3, 600)) == range(3, 603)
    assert [log.entry(index) for index in (0, 2, 3, 255, 256, 602)] == [
        f"entry {n}".encode() for n in (0, 2, 3, 255, 256, 602)
    ]
    for outside in (-1, 603):
        with pytest.raises(OutOfRange):
            log.entry(outside)
    log.close()


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.integers(0, 600), min_size=1, max_size=8), reopen=st.integers(0, 8))
def test_whatever_the_batches_the_tree_is_the_naive_one(tmp_path_factory, batches, reopen) -> None:
    home = tmp_path_factory.mktemp("home")
    log, size = opened(home), 0
    for number, count in enumerate(batches):
        log.append(entries(size, count))
        size += count
        assert log.head.checkpoint.root == naive_root(size)
        if number == reopen:
            log.close()
            log = opened(home)
    check_tiles(size, naive_root(size), LogFolder(home / "ledger").find)
    assert verify_log(log.files, [log.key.verifier]).size == size
    log.close()


def test_proofs_hold_for_the_published_head(home) -> None:
    log = opened(home)
    log.append(entries(0, 70))
    old = log.head.checkpoint
    log.append(entries(70, 700))
    head = log.head.checkpoint
    for index in (0, 69, 70, 255, 256, 511, 512, 769):
        proof = log.prove(index)
        assert read_checkpoint(proof.note.data())[0] == head
        leaf = leaf_hash(f"entry {index}".encode())
        check_inclusion(index=index, size=head.size, leaf=leaf, proof=proof.hashes, root=head.root)
    check_consistency(old=70, size=head.size, proof=log.prove_growth(70), old_root=old.root, root=head.root)
    with pytest.raises(OutOfRange):
        log.prove(770)
    log.close()


def test_partial_tiles_go_when_the_full_one_is_there_and_not_before(home) -> None:
    log = opened(home)
    for size in range(0, 250, 50):
        log.append(entries(size, 50))
    widths = {f"tile/0/000.p/{width}" for width in range(50, 251, 50)}
    assert widths <= tree_files(home / "ledger"), "every size that had a head keeps its tiles"
    log.append(entries(250, 50))
    assert not [name for name in tree_files(home / "ledger") if name.startswith(("tile/0/000.p", "tile/entries/000.p"))]
    log.close()
    assert tree_files(home / "ledger") == {CHECKPOINT, *(tile.path() for tile in tiles_of(300))}


def test_what_is_too_long_or_too_much_is_refused_and_nothing_is_written(home) -> None:
    log = opened(home)
    log.append([b"x" * 65_535, b""])
    for refused in ([b"x" * 65_536], [b"x"] * 4097, [b"x" * 60_000] * 300):
        with pytest.raises(BadEntry):
            log.append(refused)
    assert log.head.size == 2
    assert log.entry(0) == b"x" * 65_535
    assert log.entry(1) == b""
    log.close()


def test_the_key_is_its_owners_only_and_names_the_log_for_ever(home) -> None:
    log = opened(home)
    log.append(entries(0, 5))
    log.close()
    file = home / "keys" / "ledger.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["ledger.key"]
    again = opened(home, origin="elsewhere.example")
    assert (again.key.name, again.head.checkpoint.origin, again.head.size) == (ORIGIN, ORIGIN, 5)
    again.close()


def test_a_logs_name_is_unique_and_stable() -> None:
    digest = hashlib.sha256(b"the first root").hexdigest()
    assert local_origin(digest) == f"commun.local/{digest[:16]}"
    assert public_origin("https://chat.example.org/ledger/") == "chat.example.org/ledger"
    for text in ("", "x", digest.upper()):
        with pytest.raises(BadLogKey):
            local_origin(text)
    for url in ("chat.example.org", "https://user@chat.example.org/", ""):
        with pytest.raises(BadLogKey):
            public_origin(url)


def test_a_key_whose_log_is_gone_is_refused(home) -> None:
    opened(home).close()
    (home / "ledger" / CHECKPOINT).unlink()
    with pytest.raises(KeyWithoutLog):
        opened(home)


def test_a_log_whose_key_is_gone_is_refused(home) -> None:
    log = opened(home)
    log.append(entries(0, 1))
    log.close()
    (home / "keys" / "ledger.key").unlink()
    with pytest.raises(LogWithoutKey):
        opened(home)
    (home / "ledger" / CHECKPOINT).unlink()
    with pytest.raises(LogWithoutKey):
        opened(home)


def test_another_logs_key_opens_nothing(home) -> None:
    opened(home).close()
    with pytest.raises(LedgerError):
        Log(home / "ledger", make_key(ORIGIN))
    with pytest.raises(LedgerError):
        Log(home / "ledger", make_key("other.example"))
    opened(home).close()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b"\xff",
        b"PRIVATE+KEY+a+00000000+AAAA\n",
        SignerKey("w", ED25519_COSIGNATURE, bytes(32)).text().encode(),
    ],
)
def test_a_damaged_key_file_is_refused(home, text) -> None:
    opened(home).close()
    (home / "keys" / "ledger.key").write_bytes(text)
    with pytest.raises(BadLogKey):
        find_key(home / "keys" / "ledger.key")
    with pytest.raises(BadLogKey):
        opened(home)


SECOND = """
import sys
from pathlib import Path
from commun.ledger.files import LedgerBusy
from commun.ledger.opening import open_log
home = Path(sys.argv[1])
try:
    open_log(home / "ledger", home / "keys" / "ledger.key", origin="x")
except LedgerBusy:
    print("busy")
"""


def second_process(home: Path) -> str:
    return subprocess.run([sys.executable, "-c", SECOND, str(home)], capture_output=True, text=True, check=True).stdout


def test_a_second_process_on_the_same_folder_refuses_until_the_first_has_ended(home) -> None:
    log = opened(home)
    log.append(entries(0, 3))
    assert second_process(home) == "busy\n"
    with pytest.raises(LedgerBusy):
        opened(home)
    log.append(entries(3, 3))
    log.close()
    assert second_process(home) == ""
    assert opened(home).head.size == 6


def test_a_head_that_somebody_else_put_there_stops_the_writer(home) -> None:
    log = opened(home)
    log.append(entries(0, 3))
    earlier = (home / "ledger" / CHECKPOINT).read_bytes()
    log.append(entries(3, 3))
    (home / "ledger" / CHECKPOINT).write_bytes(earlier)
    with pytest.raises(OtherHead):
        log.append(entries(6, 1))
    with pytest.raises(LedgerStopped):
        log.append(entries(6, 1))
    assert (home / "ledger" / CHECKPOINT).read_bytes() == earlier, "nothing is signed over it"
    log.close()


@pytest.mark.parametrize("damage", [b"", b"not a note", None])
def test_a_head_that_disappears_or_is_damaged_while_the_log_is_open_stops_the_writer(home, damage) -> None:
    log = opened(home)
    log.append(entries(0, 3))
    if damage is None:
        (home / "ledger" / CHECKPOINT).unlink()
    else:
        (home / "ledger" / CHECKPOINT).write_bytes(damage)
    with pytest.raises(LedgerError):
        log.append(entries(3, 1))
    with pytest.raises(LedgerStopped):
        log.append(entries(3, 1))
    log.close()


@pytest.mark.parametrize("size", [1, 255, 256, 300, 513])
def test_a_log_whose_right_edge_was_changed_is_not_opened(home, size) -> None:
    log = opened(home)
    log.append(entries(0, size))
    log.close()
    for tile in (tile for tile in tiles_of(size) if not tile.is_full):
        path = home / "ledger" / tile.path()
        honest = path.read_bytes()
        path.write_bytes(honest[:-1] + bytes([honest[-1] ^ 1]))
        with pytest.raises(BadProof):
            opened(home)
        path.write_bytes(honest[:-1])
        with pytest.raises(LedgerError):
            opened(home)
        path.unlink()
        with pytest.raises(MissingTile):
            opened(home)
        path.write_bytes(honest)
    opened(home).close()


def test_a_link_in_the_folder_is_never_followed(home, tmp_path) -> None:
    log = opened(home)
    log.append(entries(0, 3))
    log.close()
    tile = home / "ledger" / Tile(0, 0, 3).path()
    elsewhere = tmp_path / "elsewhere"
    tile.rename(elsewhere)
    tile.symlink_to(elsewhere)
    with pytest.raises(UnsafeLedgerFile):
        opened(home)


def test_a_full_disk_decides_nothing_and_the_same_entries_may_come_again(home, monkeypatch) -> None:
    log = opened(home)
    log.append(entries(0, 3))

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("commun.ledger.staging._flush", full)
        with pytest.raises(LedgerUnwritable):
            log.append(entries(3, 300))
    assert log.head.size == 3
    assert log.append(entries(3, 300)) == range(3, 303)
    log.close()
    log = opened(home)
    assert log.head.checkpoint.root == naive_root(303)
    log.close()


def test_a_disk_that_fills_while_publishing_delays_the_head_and_loses_nothing(home, monkeypatch) -> None:
    log = opened(home)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LogFolder, "put", full)
        assert log.append(entries(0, 300)) == range(300), "it is decided"
        assert (log.is_behind, log.head.size) == (True, 0)
        with pytest.raises(LedgerUnwritable):
            log.append(entries(300, 1))
    assert log.append(entries(300, 1)) == range(300, 301)
    assert (log.is_behind, log.head.checkpoint.root) == (False, naive_root(301))
    log.close()


def test_what_witnesses_sign_stands_below_the_head_and_stays_after_a_restart(home) -> None:
    witness = SignerKey("witness.example", ED25519_COSIGNATURE, bytes(32))
    log = opened(home)
    log.append(entries(0, 3))
    old = log.head.checkpoint
    assert log.add_signatures(old, [sign_checkpoint(old, witness, time=7)])
    log.append(entries(3, 1))
    assert not log.add_signatures(old, [sign_checkpoint(old, witness, time=8)]), "the head is another one by now"
    new = log.head.checkpoint
    assert log.add_signatures(new, [sign_checkpoint(new, witness, time=9)])
    log.close()
    log = opened(home)
    signed = open_checkpoint(log.head.data, log=[log.key.verifier], others=[witness.verifier])
    assert [item.time for item in signed.cosignatures] == [None, 9]
    assert log.append(entries(4, 1)) == range(4, 5)
    log.close()


def test_a_head_that_nothing_else_has_a_copy_of_is_on_the_disk_before_it_takes_the_old_ones_place(
    home, monkeypatch
) -> None:
    log = opened(home)
    log.append(entries(0, 3))
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("sync"), sync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda path, target: (steps.append("replace"), replace(path, target))[1])
    witness = SignerKey("witness.example", ED25519_COSIGNATURE, bytes(32))
    log.add_signatures(log.head.checkpoint, [sign_checkpoint(log.head.checkpoint, witness, time=7)])
    assert steps == ["sync", "replace", "sync"]
    log.close()


def test_the_staged_file_is_emptied_when_it_has_grown_to_its_bound(home, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_STAGED_BYTES", 100_000)
    log = opened(home)
    for size in range(0, 3000, 100):
        log.append(entries(size, 100))
        assert (home / "ledger" / ".staged").stat().st_size <= 100_000
    log.close()
    assert (home / "ledger" / ".staged").stat().st_size == 0


def test_a_closed_log_takes_nothing_and_is_free_for_the_next(home) -> None:
    log = opened(home)
    log.close()
    with pytest.raises(LedgerStopped):
        log.append([b"x"])
    opened(home).close()


def test_a_log_can_be_read_while_it_grows(home) -> None:
    log = opened(home)
    log.append(entries(0, 10))
    wrong: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        reader = LogFolder(home / "ledger")
        try:
            while not done.is_set():
                verify_log(reader, [log.key.verifier])
                log.prove(5)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for size in range(10, 1500, 37):
        log.append(entries(size, 37))
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    log.close()


# The queue


def test_what_many_threads_submit_gets_each_its_own_index(home) -> None:
    ledger = Ledger(opened(home), wait_s=0.05)
    futures = {}

    def submit(name: int) -> None:
        for number in range(200):
            entry = f"{name} {number}".encode()
            futures[entry] = ledger.submit(entry)

    threads = [threading.Thread(target=submit, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait(futures.values(), 20)
    assert sorted(future.result() for future in futures.values()) == list(range(800))
    assert all(ledger.log.entry(future.result()) == entry for entry, future in futures.items())
    ledger.close()


def test_a_lone_entry_is_integrated_within_a_second_and_its_head_is_told(home) -> None:
    heads = []
    ledger = Ledger(opened(home), on_head=heads.append)

    def seconds(number: int) -> tuple[float, float]:
        started = time.monotonic()
        future = ledger.submit(b"alone %d" % number)
        submitted = time.monotonic() - started
        assert future.result(120) == number
        return submitted, time.monotonic() - started

    taken = []
    while len(taken) < 20 and not any(submitted < 0.1 and integrated < 1 for submitted, integrated in taken):
        taken.append(seconds(len(taken)))  # again where the machine was busy with something else
    assert len(taken) < 20, taken
    ledger.close()
    assert [head.size for head in heads] == list(range(1, len(taken) + 1))


def test_what_is_urgent_waits_for_nobody_and_takes_along_what_stands_before_it(home) -> None:
    ledger = Ledger(opened(home), wait_s=60)
    before = ledger.submit(b"not urgent")
    assert ledger.submit(b"urgent", urgent=True).result(timeout=120) == before.result(timeout=120) + 1
    after = ledger.submit(b"not urgent either")
    assert not after.done()
    ledger.close()
    assert after.done()


def test_a_full_batch_does_not_wait(home) -> None:
    ledger = Ledger(opened(home), wait_s=60)
    futures = [ledger.submit(b"%d" % number) for number in range(256)]
    assert futures[-1].result(10) == 255
    ledger.close()


def test_closing_integrates_what_is_queued_and_takes_no_more(home) -> None:
    ledger = Ledger(opened(home), wait_s=60)
    future = ledger.submit(b"last")
    assert not future.cancel()
    ledger.close()
    assert future.result(0) == 0
    with pytest.raises(LedgerStopped):
        ledger.submit(b"later")


def test_a_disk_that_refuses_for_a_while_only_delays(home, monkeypatch) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.02)
    told: list[LedgerError] = []
    honest, fails = os.fdatasync, [3]

    def flush(handle: int) -> None:
        if fails[0]:
            fails[0] -= 1
            raise OSError(5, "Input/output error")
        honest(handle)

    monkeypatch.setattr("commun.ledger.staging._flush", flush)
    ledger = Ledger(opened(home), wait_s=0.01, on_trouble=told.append)
    assert ledger.submit(b"x").result(10) == 0
    assert [type(error) for error in told] == [LedgerUnwritable] * 3
    ledger.close()


def test_a_log_that_stops_tells_everybody_who_waits_and_everybody_after(home) -> None:
    ledger = Ledger(opened(home), wait_s=0.1)
    (home / "ledger" / CHECKPOINT).write_bytes(b"not a note")
    future = ledger.submit(b"x")
    with pytest.raises(LedgerError):
        future.result(10)
    with pytest.raises(LedgerStopped):
        ledger.submit(b"y")
    ledger.close()


def test_the_queue_has_a_bound_and_refuses_what_no_log_takes(home, monkeypatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_QUEUED", 10)
    ledger = Ledger(opened(home), wait_s=60)
    for _ in range(10):
        ledger.submit(b"x")
    with pytest.raises(LedgerFull):
        ledger.submit(b"x")
    with pytest.raises(BadEntry):
        ledger.submit(b"x" * 65_536)
    ledger.close()


def test_a_log_is_made_once(home) -> None:
    key = make_key(ORIGIN)
    create_log(home / "ledger", key).close()
    with pytest.raises(LogWithoutKey):
        create_log(home / "ledger", key)
