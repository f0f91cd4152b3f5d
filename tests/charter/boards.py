"""Boards for the tests: members with real keys, and charters that name them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache

from securesystemslib.signer import Signer

from commun.charter.keys import SoftwareKey, make_key, text_of_key

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
NAMES = ("Ada", "Benoît", "Chloé", "Dara", "Élise")


@cache
def member(name: str) -> SoftwareKey:
    """The same key for the same name, in one run."""
    return make_key()


def signer(name: str) -> Signer:
    return member(name).signer


def charter_files(
    names: Sequence[str] = NAMES,
    *,
    quorum: int = 3,
    until: str = "2027-12-31",
    purpose: str = "To help.",
    system: str = "You answer briefly.",
    entrenched: Sequence[str] = (),
    guards: Sequence[str] = (),
    keys: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """A whole charter's folder. ``keys``: texts of keys that are not ``member``'s."""
    texts = {name: text_of_key(signer(name).public_key) for name in names if name not in (keys or {})} | dict(
        keys or {}
    )
    members = "\n".join(f'[[board.members]]\nname = "{name}"\nkey = "{texts[name]}"' for name in names)

    def listed(items: Sequence[str]) -> str:
        return "[" + ", ".join(f'"{item}"' for item in items) + "]"

    charter = f"""
format = "commun-charter/1"
name = "Town hall"
[purpose]
en = "{purpose}"
fr = "Aider."
[mandate]
until = {until}
[board]
quorum = {quorum}
{members}
[entrenched]
clauses = {listed(entrenched)}
guards = {listed(guards)}
[prompts]
language = "en"
persona = ""
[models]
default = "small"
[sampling]
profile = "exact"
caller_seed = true
temperature = {{ default = 0.7, least = 0, most = 2 }}
top_p = {{ default = 0.95, least = 0.1, most = 1 }}
max_tokens = {{ default = 1024, least = 1, most = 8192 }}
[context]
policy = "oldest-turns-first"
answer_reserve = 512
most_tokens = 8192
[callers]
system_messages = true
plain_completions = true
structured_output = true
stop_strings = true
ignore_eos = false
[retention]
days = 0
[temporary]
rule = "offered"
[disclosure]
en = "This is an AI."
fr = "Ceci est une IA."
[sources]
allowed = []
[tools]
allowed = []
[software]
least = "0.1"
below = "1.0"
[witnesses]
policy = ""
"""
    model = f"""
id = "small"
name = "Small"
family = "llama"
context_length = 8192
format = "gguf-converted"
licence = "Apache-2.0"
source = "https://models.example/small"
training_summary = ""
digest = "2e52e0bd2697039eb78784db49ca121ac4313dea28fd9dfbc216526f18cbc089"
[[files]]
path = "small.gguf"
size = 1234
sha256 = "{"cd" * 32}"
[converted]
"2026.4.1.0" = "{"ef" * 32}"
"""
    return {
        "charter.toml": charter.encode(),
        "prompts/system.en.md": system.encode(),
        "prompts/system.fr.md": "Vous répondez brièvement.".encode(),
        "models/small.toml": model.encode(),
    }
