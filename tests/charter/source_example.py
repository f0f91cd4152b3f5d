"""The golden charter, which is the specification's own example, and what goes wrong when it is changed."""

import re
from pathlib import Path

import pytest

from commun.charter.errors import CharterMistakes
from commun.charter.source import read_charter

SPECIFICATION = (Path(__file__).parents[2] / "docs/spec/charter.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", SPECIFICATION, re.DOTALL)

# The golden charter is the specification's own.
GOLDEN = {
    "charter.toml": EXAMPLES[0].encode(),
    "models/default.toml": EXAMPLES[1].encode(),
    "models/large.toml": EXAMPLES[2].encode(),
    "prompts/system.en.md": b"You are an assistant.\n",
    "prompts/system.fr.md": "Vous êtes un assistant.\n".encode(),
    "prompts/editor.en.md": b"Be short.\n",
    "prompts/editor.fr.md": b"Soyez bref.\n",
}


def changed(file: str, old: str, new: str) -> dict[str, bytes]:
    text = GOLDEN[file].decode()
    assert text.count(old) >= 1, old
    return {**GOLDEN, file: text.replace(old, new, 1).encode()}


def told(files) -> list[tuple[str, int, str, str]]:
    """Each mistake as a person reads it: file, line, problem, cure."""
    with pytest.raises(CharterMistakes) as caught:
        read_charter(files)
    return sentences(caught.value)


def sentences(error: CharterMistakes) -> list[tuple[str, int, str, str]]:
    filled = []
    for mistake in error.mistakes:
        details = dict(mistake.details)
        filled.append((mistake.file, mistake.line, mistake.problem % details, mistake.cure % details))
    return filled


def line_of(data: bytes, text: str) -> int:
    """Where ``text`` first stands in a file; 0 where it does not, or where there is none to look for."""
    before, found, _ = data.decode().partition(text or "\0none")
    return before.count("\n") + 1 if found else 0
