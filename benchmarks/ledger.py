"""What the ledger costs: appending, a receipt's way into it, starting again, proving, the disk.

On one core (the process keeps to one), with entries as receipts make them:

- append: entries a second in batches of 256, every batch under a signed head and on the disk before it is answered; in
  the same run, round by round, what others do: ``tlog-scales`` (tiles and signed heads too; it flushes each file) and
  ``pymerkle`` (SQLite: one transaction and one root for each batch, nothing signed). Each of them has an environment of
  its own (``peers.py``); one that cannot be installed is left out;
- receipts: 100 a second for ``--seconds``, as a server submits them; the slowest must be in within a second;
- at ``--entries``: starting again after a kill and after a clean end, the proof of an entry, the proof of growth, the
  verification of everything, the bytes that an entry takes on the disk.

    python benchmarks/ledger.py [--json] [--entries 1000000] [--seconds 10] [--rounds 5] [--peers FOLDER]

Checked (exit status 1): 30,000 entries/s; receipts in within 1 s; at the full size a start in 1 s and a proof in 2 ms.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import peers
from commun.ledger.entries import ReceiptStatement
from commun.ledger.files import LogFolder
from commun.ledger.log import MAX_BATCH
from commun.ledger.opening import open_log
from commun.ledger.verification import verify_log
from commun.ledger.writer import Ledger
from peers import Missing, say

BATCH = 256
BATCHES = 100
PER_S = 100
LEAST_APPENDS_PER_S = 30_000
MOST_RECEIPT_S = 1.0
MOST_START_S = 1.0
MOST_PROOF_MS = 2.0
PROOFS = 1000

START = """
import sys, time
from pathlib import Path
from commun.ledger.opening import open_log
start = time.perf_counter()
log = open_log(Path(sys.argv[1]) / "ledger", Path(sys.argv[1]) / "keys" / "ledger.key", origin="x")
print(time.perf_counter() - start, log.head.size)
log.close()
"""
SCALES = """
import sys, time
from pathlib import Path
from tlog_scales.signing import PlainEd25519Signer
from tlog_scales.writer import TilesWriter
folder, batch, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
log, signer = TilesWriter.create(folder / "log", "x"), PlainEd25519Signer("x", bytes(range(32)))
start = time.perf_counter()
for at in range(0, batch * count, batch):
    for number in range(at, at + batch):
        log.add_leaf(b'{"sha256":"%064x","type":"commun/receipt/1"}' % number)
    log.commit([signer], gc=False)
print(batch * count / (time.perf_counter() - start))
"""
PYMERKLE = """
import sys, time
from pymerkle import SqliteTree
folder, batch, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tree = SqliteTree(folder + "/tree.db")
start = time.perf_counter()
for at in range(0, batch * count, batch):
    tree.append_entries([b'{"sha256":"%064x","type":"commun/receipt/1"}' % number for number in range(at, at + batch)])
    tree.get_state()
print(batch * count / (time.perf_counter() - start))
"""
OURS = """
import sys, time
from pathlib import Path
from commun.ledger.opening import open_log
folder, batch, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
log = open_log(folder / "ledger", folder / "keys" / "ledger.key", origin="x")
start = time.perf_counter()
for at in range(0, batch * count, batch):
    log.append([b'{"sha256":"%064x","type":"commun/receipt/1"}' % number for number in range(at, at + batch)])
print(batch * count / (time.perf_counter() - start))
"""
OTHERS = {"tlog-scales": ("tlog-scales==0.0.3", SCALES), "pymerkle": ("pymerkle==7.0.0", PYMERKLE)}


def programs(folder: Path) -> dict[str, tuple[Path, str]]:
    """The Python and the program of everybody who can be measured."""
    found = {"commun": (Path(sys.executable), OURS)}
    for name, (pinned, program) in OTHERS.items():
        peers.PINNED.setdefault(name, pinned)
        try:
            found[name] = (peers.environment(name, folder) / "python", program)
        except Missing as error:
            say(f"{name} is left out: {error}")
    return found


def appends(folder: Path, rounds: int) -> dict[str, float]:
    """Entries a second, the median of the rounds; everybody takes turns."""
    rates: dict[str, list[float]] = {}
    everybody = programs(folder)
    for number in range(rounds):
        for name, (python, program) in everybody.items():
            with tempfile.TemporaryDirectory() as home:
                words = [python, "-c", program, home, str(BATCH), str(BATCHES)]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
            rates.setdefault(name, []).append(float(done.stdout))
            say(f"round {number + 1}: {name} {rates[name][-1]:,.0f} entries/s")
    return {name: statistics.median(values) for name, values in rates.items()}


def receipts(seconds: float) -> dict[str, float]:
    """From ``submit`` to the known index, in seconds."""
    took: list[float] = []
    with tempfile.TemporaryDirectory() as home:
        ledger = Ledger(open_log(Path(home) / "ledger", Path(home) / "key", origin="x"))
        start, used = time.perf_counter(), time.process_time()
        for number in range(int(seconds * PER_S)):
            time.sleep(max(0.0, start + number / PER_S - time.perf_counter()))
            submitted = time.perf_counter()
            future = ledger.submit(ReceiptStatement(sha256=f"{number:064x}").data())
            future.add_done_callback(lambda _, submitted=submitted: took.append(time.perf_counter() - submitted))
        ledger.close()
        used = time.process_time() - used
    took.sort()
    return {
        "receipt_median_s": statistics.median(took),
        "receipt_slowest_s": took[-1],
        "receipt_cpu_ms": 1000 * used / len(took),
    }


def start_again(home: str) -> float:
    done = subprocess.run([sys.executable, "-c", START, home], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


def grow(home: str, count: int) -> None:
    """In a child that ends without closing the log: what a kill leaves."""
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    log = open_log(Path(home) / "ledger", Path(home) / "keys" / "ledger.key", origin="x")
    for at in range(0, count, MAX_BATCH):
        log.append([ReceiptStatement(sha256=f"{n:064x}").data() for n in range(at, min(at + MAX_BATCH, count))])
    os._exit(0)


def at_full_size(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        say(f"growing a log of {count:,} entries")
        grow(home, count)
        figures = {"start_after_kill_s": start_again(home), "start_s": start_again(home)}
        log = open_log(Path(home) / "ledger", Path(home) / "keys" / "ledger.key", origin="x")
        chance = random.Random(1)
        inclusion = timed(lambda: log.prove(chance.randrange(count)))
        growth = timed(lambda: log.prove_growth(chance.randrange(1, count)))
        key = log.key.verifier
        log.close()
        begun = time.perf_counter()
        verify_log(LogFolder(Path(home) / "ledger"), [key])
        files = [path.stat() for path in Path(home).rglob("*") if path.is_file()]
        return figures | {
            "proof_ms": statistics.median(inclusion),
            "proof_p99_ms": sorted(inclusion)[int(0.99 * PROOFS)],
            "growth_proof_ms": statistics.median(growth),
            "verify_all_s": time.perf_counter() - begun,
            "bytes_per_entry": sum(file.st_size for file in files) / count,
            "disk_bytes_per_entry": sum(512 * file.st_blocks for file in files) / count,
        }


def timed(call: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(PROOFS):
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1000)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=peers.PEERS)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rates = appends(options.peers, options.rounds)
    figures = receipts(options.seconds) | at_full_size(options.entries)
    if options.json:
        print(json.dumps({"entries": options.entries, "appends_per_s": rates} | figures))
    else:
        for name, rate in rates.items():
            print(f"{rate:12,.0f} entries/s  {name}, batches of {BATCH}")
        for name, value in figures.items():
            print(f"{value:12.4f} {name}")
    return int(
        rates["commun"] < LEAST_APPENDS_PER_S
        or figures["receipt_slowest_s"] > MOST_RECEIPT_S
        or max(figures["start_s"], figures["start_after_kill_s"]) > MOST_START_S
        or figures["proof_ms"] > MOST_PROOF_MS
    )


if __name__ == "__main__":
    sys.exit(main())
