"""What the charter costs: loading and verifying it.

Builds the founding charter with a board of five (three decide) and five editions in a temporary folder, by the
product's own commands' code; then measures, each a median:

- cold: a fresh process loads it, as at the start of the server: the imports, and apart from them the load itself, where
  this machine trusts the newest edition already, and where it trusts nothing yet (every edition is verified then);
- warm: the same process loads it again, as when a new edition was adopted;
- history: every edition verified from the first root on, as the charter's page needs it;
- stamp: how a running server notices that nothing changed;
- turn: the charter's part of each turn, and a whole turn on an engine that answers at once (turn.py).

    python benchmarks/charter.py [--json] [--runs 30]

The limit (issue: "loading and verifying the charter at start at most 50 ms") is checked: exit status 1 above it.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from commun.charter.adoption import adopt
from commun.charter.amendment import propose, sign
from commun.charter.clauses import Member
from commun.charter.history import verify_all
from commun.charter.keys import make_key
from commun.charter.loader import load, stamp, verify
from commun.charter.repository import Repository
from commun.drafting.editing import with_member, with_quorum
from commun.drafting.founding import founding_files
from commun.drafting.models import default_model_clause
from turn import measure_turns

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = ("Ada", "Benoît", "Chloé", "Dara", "Élise")
QUORUM = 3
EDITIONS = 5
LIMIT_MS = 50.0
COLD = """
import sys, time
start = time.perf_counter()
from pathlib import Path
from datetime import datetime, timezone
from commun.charter.loader import load
from commun.charter.repository import Repository
imported = time.perf_counter()
load(Repository(Path(sys.argv[1])), Path(sys.argv[2]), now=datetime(2026, 11, 22, tzinfo=timezone.utc))
print(imported - start, time.perf_counter() - imported)
"""


def publish(home: Path) -> tuple[Path, Path]:
    """The published folder and the trust folder of five editions, each signed by three of five."""
    folder, trust = home / "charter", home / "charter-trust"
    repository = Repository(folder)
    keys = [make_key() for _ in NAMES]
    members = [Member(name, key.public_text) for name, key in zip(NAMES, keys, strict=True)]
    files = founding_files(
        member=members[0], name="Town hall", models=[default_model_clause()], until=date(2027, 12, 31)
    )
    for member in members[1:]:
        files = with_member(files, member)
    files = with_quorum(files, QUORUM)
    base = root = None
    for edition in range(1, EDITIONS + 1):
        files["prompts/system.en.md"] += f"\nThis is edition {edition}.\n".encode()
        amendment = propose(files, base, root, reason="For the measurement.", now=NOW)
        for key in keys[:QUORUM]:
            amendment = sign(amendment, key.signer, now=NOW)
        base = adopt(repository, trust, amendment, now=NOW)
        root = verify(repository, trust, now=NOW).root
    return folder, trust


def measure_cold(folder: Path, trust: Path, *, runs: int, forget: bool) -> tuple[list[float], list[float]]:
    """Milliseconds of importing and of loading, of each fresh process."""
    imports, loads = [], []
    for _ in range(runs):
        if forget:
            shutil.rmtree(trust, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-c", COLD, str(folder), str(trust)], capture_output=True, text=True, check=True
        )
        imported, loaded = map(float, done.stdout.split())
        imports.append(imported * 1000)
        loads.append(loaded * 1000)
    return imports, loads


def measure(call: Callable[[], object], runs: int) -> list[float]:
    """Milliseconds of each call, after one that does not count."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return times


def measure_all(runs: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as home:
        folder, trust = publish(Path(home))
        repository = Repository(folder)
        imports, restarted = measure_cold(folder, trust, runs=runs, forget=False)
        _, first = measure_cold(folder, Path(home) / "new-machine", runs=runs, forget=True)
        return {
            "import_ms": imports,
            "cold_ms": restarted,
            "cold_first_use_ms": first,
            "warm_ms": measure(lambda: load(repository, trust, now=NOW), runs),
            "history_ms": measure(lambda: verify_all(repository, now=NOW), runs),
            "stamp_ms": measure(lambda: stamp(repository), runs),
            **measure_turns(load(repository, trust, now=NOW), runs),
        }


SHOWN = {
    "import_ms": "importing, in a fresh process",
    "cold_ms": "loading, in a fresh process",
    "cold_first_use_ms": "loading, in a fresh process that trusts nothing yet",
    "warm_ms": "loading again",
    "history_ms": "every edition from the first root on",
    "stamp_ms": "noticing that nothing changed",
    "turn_charter_ms": "the charter's part of each turn",
    "turn_ms": "a whole turn on an engine that answers at once",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    medians = {name: statistics.median(times) for name, times in measure_all(options.runs).items()}
    if options.json:
        print(json.dumps({"editions": EDITIONS, "board": len(NAMES), "quorum": QUORUM, "runs": options.runs} | medians))
    else:
        print(f"{QUORUM} of {len(NAMES)}, {EDITIONS} editions, medians of {options.runs}")
        for name, median in medians.items():
            print(f"{median:9.3f} ms  {SHOWN[name]}")
    return int(max(medians["cold_ms"], medians["cold_first_use_ms"]) > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
