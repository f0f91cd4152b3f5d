"""Running the verifier's JavaScript under node. Where node is missing a test is skipped; in CI (CI=true) it fails."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
RUN_S = 900


def node() -> str:
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail("in CI this must run: node is missing")
        pytest.skip("node is missing")
    return found


def answers(program: str, module: Path, jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the program of this folder says of each job; a crash is never an answer."""
    lines = "\n".join(map(json.dumps, jobs))
    command = [node(), str(HERE / program), str(module)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=RUN_S, check=True)
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert len(found) == len(jobs)
    assert [each for each in found if "crash" in each] == []
    return found
