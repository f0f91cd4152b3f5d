"""The charter's second verifier, in JavaScript, is held against the first: they accept the same and refuse the same.

The two share no code.
"""

import base64
import tomllib
from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

from charter_batch import asked, differences
from charter_corners import corners
from charter_folders import folders
from commun.charter.clauses import CLAUSES, clause_digest
from commun.charter.errors import CharterMistakes
from commun.charter.positions import Unscannable, find_positions
from commun.charter.source import read_charter
from toml_documents import documents

SEED = 20261122


# TOML


class Written:
    """A decimal as it is written; no two readers of binary fractions have to agree."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("_", "")


def plain(value: Any) -> Any:
    """As charter_batch.mjs tells values; of a time its kind only."""
    if isinstance(value, dict):
        return {"table": [[name, plain(item)] for name, item in value.items()]}
    if isinstance(value, list):
        return {"list": [plain(item) for item in value]}
    if isinstance(value, bool | str):
        return value
    if isinstance(value, datetime | time):
        return "moment" if isinstance(value, datetime) else "time"
    kind, text = ("whole", str(value)) if isinstance(value, int) else ("date", str(value))
    return {"decimal": value.text} if isinstance(value, Written) else {kind: text}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kind, inner = next(iter(value.items()))
        if kind in {"moment", "time"}:
            return kind
        if kind == "table":
            return {kind: [[name, without_times(item)] for name, item in inner]}
        return {kind: [without_times(item) for item in inner] if kind == "list" else inner}
    return value


def read_here(text: str) -> Any:
    """As the first verifier reads TOML: its bounds, then ``tomllib``. None: refused."""
    try:
        find_positions(text)
        return plain(tomllib.loads(text, parse_float=Written))
    except (Unscannable, ValueError, ArithmeticError, RecursionError):
        return None


def test_toml_is_read_and_refused_alike() -> None:
    texts = list(documents(SEED, 700))
    expected = [read_here(text) for text in texts]
    answers = asked([{"job": "toml", "text": text} for text in texts])
    found = [without_times(answer["value"]) if "value" in answer else None for answer in answers]
    assert not differences(texts, expected, found)
    refused = expected.count(None)
    assert 500 < refused < len(texts) - 500, (refused, len(texts))


# The folder


def clauses_here(files: Mapping[str, bytes]) -> dict[str, str] | None:
    try:
        charter = read_charter(files)
    except CharterMistakes:
        return None
    return {name: clause_digest(charter, name) for name in CLAUSES}


def held_against(cases: list[dict[str, bytes]]) -> int:
    """How many of them both refuse."""
    expected = [clauses_here(files) for files in cases]
    encoded = [{name: base64.b64encode(data).decode() for name, data in files.items()} for files in cases]
    answers = asked([{"job": "charter", "files": files} for files in encoded])
    assert not differences(cases, expected, [answer.get("digests") for answer in answers])
    assert {answer["reason"] for answer in answers if "reason" in answer} == {"charter-invalid"}
    return expected.count(None)


def test_a_charter_is_read_and_refused_alike() -> None:
    assert 150 < held_against(list(folders(SEED, 400))) < 300


def test_each_corner_of_the_rules_is_read_alike() -> None:
    cases = list(corners())
    assert 500 < held_against(cases) < len(cases) - 500
