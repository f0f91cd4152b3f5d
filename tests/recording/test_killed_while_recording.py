"""Killed at any point between the database's commit and the ledger's, each receipt is in the ledger exactly once.

In the suite of each kind of point the first, the second and the last. All of them::

    EVERY_POINT=1 python -m pytest tests/recording/test_killed_while_recording.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("killed_recorder.py")


def test_every_committed_receipt_is_in_the_ledger_once_whenever_the_process_died(home) -> None:
    path = os.pathsep.join((str(SCRIPT.parent), str(SCRIPT.parents[1])))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(home)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["wrong"] == []
    assert {
        "before the key",
        "before begin",
        "grown",
        "staged",
        "before the head",
        "after the head",
        "after keep",
        "before learn",
        "after learn",
        "before place",
        "before publish",
        "after publish",
    } <= set(result["points"])
    assert result["points"].count("after keep") >= 1
