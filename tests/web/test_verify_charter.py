"""The charter's second verifier, in JavaScript, is held against the first: they accept the same and refuse the same.

The two share no code.
"""

import base64
import random
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any

from charter_batch import asked, differences
from charter_corners import corners, together
from charter_folders import folders
from commun.charter.clauses import CLAUSES, clause_digest
from commun.charter.errors import CharterMistakes
from commun.charter.positions import Unscannable, find_positions
from commun.charter.source import read_charter
from commun.charter.source_text import HIDDEN_CHARACTERS
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
    cases = [*corners(), *together()]
    assert 500 < held_against(cases) < len(cases) - 500


# The specification, which is all that a stranger has

SPECIFICATION = (Path(__file__).parents[2] / "docs" / "spec" / "charter.md").read_text(encoding="utf-8")


def test_its_example_has_the_digests_that_it_tells() -> None:
    charter, default, large = re.findall(r"```toml\n(.*?)```", SPECIFICATION, re.DOTALL)
    prompts = re.findall(r"`([^`]+\.)`", SPECIFICATION[SPECIFICATION.index("both models above, the prompts") :])[:4]
    names = [f"prompts/{name}.{language}.md" for name in ("system", "editor") for language in ("en", "fr")]
    files = {"charter.toml": charter, "models/default.toml": default, "models/large.toml": large}
    files |= dict(zip(names, prompts, strict=True))
    (answer,) = asked(
        [{"job": "charter", "files": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}}]
    )
    told = dict(re.findall(r"(?m)^([a-z.]+) +([0-9a-f]{64})$", SPECIFICATION))
    assert len(told) > 8
    assert told.items() <= answer["digests"].items()
    assert f"`{answer['digests']['sampling']}`" in SPECIFICATION
    assert answer["prompts"] == ["Vous êtes un assistant.", "Vous êtes un assistant.\n\nSoyez bref."]


def test_its_hidden_characters_are_those_that_both_refuse() -> None:
    listed = re.search(r"```\n(0-8 B-1F[^`]+)```", SPECIFICATION)[1].split()  # type: ignore[index]
    ends = [[int(end, 16) for end in each.split("-")] for each in listed]
    points = {point for each in ends for point in range(each[0], each[-1] + 1)}
    assert points == {ord(character) for character in HIDDEN_CHARACTERS}
    near = sorted({max(point + step, 0) for point in points for step in (-1, 0, 1)} - set(range(0xD800, 0xE000)))
    near = [point for point in near if point not in {9, 10}]
    answers = asked([{"job": "hidden", "text": chr(point)} for point in near])
    assert not differences(near, [point in points for point in near], [answer["holds"] for answer in answers])


def test_whatever_the_bytes_it_refuses_and_does_nothing_else() -> None:
    chance = random.Random(SEED)
    nested = b'{"signed":' + b"[" * 100_000 + b"]" * 100_000 + b',"signatures":[]}'
    texts = (
        b"",
        b"{}",
        b"null",
        nested,
        b'{"signed":{},"signatures":[]}',
        b'{"signed":{"__proto__":1},"signatures":{}}',
    )
    predicate = {
        "charter": {"edition": 1, "digest": "ab" * 32, "first_root": "ab" * 32, "stale": False},
        "began": "2026-11-22T09:30:00Z",
    }
    jobs = []
    for text in (*texts, *(chance.randbytes(chance.randint(1, 99)) for _ in range(20))):
        for name in ("metadata/1.targets.json", "metadata/1.root.json", "__proto__"):
            files = {
                "metadata/1.targets.json": base64.b64encode(texts[4]).decode(),
                name: base64.b64encode(text).decode(),
            }
            jobs.append({"job": "adopted", "files": files, "predicate": predicate})
    assert {answer["reason"] for answer in asked(jobs)} == {"charter-invalid"}
