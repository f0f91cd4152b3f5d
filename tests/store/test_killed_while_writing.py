"""kill -9 at any moment loses no answer that was said to be kept, and leaves no broken conversation.

In the suite 15 kills. As many as ADR 2 tells of::

    KILLS=50 python -m pytest tests/store/test_killed_while_writing.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path

KILLS = int(os.environ.get("KILLS", "15"))


def test_kills_lose_nothing_that_was_kept(tmp_path):
    here = Path(__file__).parent
    seed = os.urandom(4).hex()
    done = subprocess.run(
        [sys.executable, str(here / "killed_writer.py"), str(tmp_path), str(KILLS), seed],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(here), str(here.parent)))},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["wrong"] == [], f"seed {seed}"
    assert result["kills"] == KILLS
    assert result["kept"] > KILLS  # it was really writing
    assert result["interrupted"] > 0  # and really cut
