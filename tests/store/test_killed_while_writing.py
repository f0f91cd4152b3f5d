"""kill -9 at any moment loses no answer that was said to be kept, and leaves no broken conversation."""

import json
import os
import subprocess
import sys
from pathlib import Path

KILLS = 50


def test_fifty_kills_lose_nothing_that_was_kept(tmp_path):
    here = Path(__file__).parent
    seed = os.urandom(4).hex()
    done = subprocess.run(
        [sys.executable, str(here / "killed_writer.py"), str(tmp_path), str(KILLS), seed],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(here), str(here.parent)))},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["wrong"] == [], f"seed {seed}"
    assert result["kills"] == KILLS
    assert result["kept"] > KILLS  # it was really writing
    assert result["interrupted"] > 0  # and really cut
