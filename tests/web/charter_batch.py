"""Asks the charter's second verifier, in node, and compares its answers with the first one's.

Where node is missing the tests are skipped with their reason; in CI (CI=true) they fail.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

BATCH = Path(__file__).parent / "verify" / "charter_batch.mjs"
RUN_S = 900


def asked(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the verifier answers to each; it never answers with a mistake of its own."""
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail("in CI this must run: node is missing")
        pytest.skip("node is missing")
    lines = "\n".join(map(json.dumps, jobs))
    done = subprocess.run([node, str(BATCH)], input=lines, capture_output=True, text=True, timeout=RUN_S, check=True)
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert len(answers) == len(jobs)
    assert not [answer for answer in answers if "crash" in answer]
    return answers


def differences(cases: Iterable[Any], expected: Iterable[Any], found: Iterable[Any]) -> list[tuple[Any, Any, Any]]:
    return [(case, one, other) for case, one, other in zip(cases, expected, found, strict=True) if one != other]
