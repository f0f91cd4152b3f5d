"""Which keys ``charter.toml`` and ``models/<id>.toml`` have, of which kind and within which bounds.

The one list: the reader follows it, docs/spec/charter.md shows it (a test compares the two), the cures quote its
examples. A path names tables with dots; ``[]`` after a name is an array of tables.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from commun.charter.clauses import CLAUSES, CONTEXT_POLICIES, FORMAT, LANGUAGES, SOURCES, Profile, TemporaryRule

MAX_MEMBERS: Final = 60  # everybody's signatures fit a timestamp of 16 kB, the usual bound of TUF clients
MAX_PERSONAS: Final = 50
MAX_TOKENS: Final = 2**31
MAX_DAYS: Final = 36_500
MAX_MODEL_FILES: Final = 1_000
MAX_CONVERTED: Final = 100
MAX_FILE_SIZE: Final = 2**53 - 1  # RFC 8785: the whole numbers that every reader of JSON has exactly
MAX_POLICY: Final = 16 << 10
MAX_PLACES: Final = 6
MAX_ITEM: Final = 200  # characters of one entry of a list
FIRST_DAY: Final = date(2000, 1, 1)
LAST_DAY: Final = date(2199, 12, 31)  # the day after it still is a date
MODEL_FORMATS: Final = ("gguf-converted", "openvino", "remote")

PERSONA_ID: Final = r"[a-z0-9][a-z0-9-]{0,31}"
MODEL_ID: Final = r"[a-z0-9][a-z0-9._-]{0,63}"
VERSION: Final = r"(?:0|[1-9][0-9]{0,5})(?:\.(?:0|[1-9][0-9]{0,5})){0,3}"
TOOL: Final = r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}"
SHA256: Final = r"[0-9a-f]{64}"
LINK: Final = r"https?://[^\s]{1,2000}"


class Kind(StrEnum):
    """As the specification calls it."""

    LINE = "line"  # a text without line breaks
    TEXT = "text"
    TEXTS = "list of texts"
    WHOLE = "whole number"
    NUMBER = "number"
    YES_NO = "true or false"
    DATE = "date"
    DIGESTS = "digests by version"  # a table whose names are free


@dataclass(frozen=True, slots=True)
class Key:
    """``least`` and ``most``: of a number; of a text, its characters; of a list, its entries. ``form``: a regular
    expression for the whole text, or for each entry. ``example``: as TOML.
    """

    path: str
    kind: Kind
    example: str
    least: int | Decimal = 1
    most: int | Decimal = 0
    choices: tuple[str, ...] = ()
    form: str = ""
    required: bool = True

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    def bounds(self) -> str:
        """As the specification shows them."""
        if self.choices:
            return ", ".join(f"`{choice}`" for choice in self.choices)
        if self.kind in (Kind.WHOLE, Kind.NUMBER):
            return f"{self.least} to {self.most}"
        if self.kind is Kind.DATE:
            return f"{FIRST_DAY} to {LAST_DAY}"
        if self.kind in (Kind.LINE, Kind.TEXT):
            return f"{self.least} to {self.most} characters"
        return f"at most {self.most}" if self.kind in (Kind.TEXTS, Kind.DIGESTS) else ""


def _line(path: str, most: int, example: str, **more: object) -> Key:
    return Key(path, Kind.LINE, f'{path.rpartition(".")[2]} = "{example}"', most=most, **more)  # type: ignore[arg-type]


def _choice(path: str, choices: tuple[str, ...]) -> Key:
    return Key(path, Kind.LINE, f'{path.rpartition(".")[2]} = "{choices[0]}"', choices=choices)


def _texts(path: str, most: int, en: str, fr: str, *, kind: Kind = Kind.TEXT) -> tuple[Key, Key]:
    return (
        Key(f"{path}.en", kind, f'en = "{en}"', most=most),
        Key(f"{path}.fr", kind, f'fr = "{fr}"', most=most),
    )


def _yes_no(path: str) -> Key:
    return Key(path, Kind.YES_NO, f"{path.rpartition('.')[2]} = true")


def _whole(path: str, least: int, most: int, example: int) -> Key:
    return Key(path, Kind.WHOLE, f"{path.rpartition('.')[2]} = {example}", least=least, most=most)


def _list(path: str, most: int, example: str, *, choices: tuple[str, ...] = (), form: str = "") -> Key:
    return Key(path, Kind.TEXTS, f"{path.rpartition('.')[2]} = [{example}]", most=most, choices=choices, form=form)


def _bounds(path: str, kind: Kind, least: str, most: str, examples: tuple[str, str, str]) -> tuple[Key, ...]:
    return tuple(
        Key(f"{path}.{name}", kind, f"{name} = {example}", least=Decimal(least), most=Decimal(most))
        for name, example in zip(("default", "least", "most"), examples, strict=True)
    )


CHARTER_KEYS: Final = (
    _choice("format", (FORMAT,)),
    _line("name", 120, "Commun"),
    *_texts("purpose", 4_000, "It answers questions.", "Il répond aux questions."),
    Key("mandate.until", Kind.DATE, "until = 2027-11-22"),
    _whole("board.quorum", 1, MAX_MEMBERS, 2),
    _line("board.members[].name", 80, "Anne Martin"),
    _line("board.members[].key", 400, "ed25519:…"),
    _list("entrenched.clauses", len(CLAUSES), '"purpose", "board.quorum"', choices=tuple(CLAUSES)),
    _list("entrenched.guards", MAX_MEMBERS, '"Anne Martin"'),
    _choice("prompts.language", LANGUAGES),
    _line("prompts.persona", 32, "editor", least=0),
    _line("personas[].id", 32, "editor", form=PERSONA_ID),
    *_texts("personas[].name", 60, "Editor", "Rédaction", kind=Kind.LINE),
    *_texts("personas[].about", 400, "Short, precise sentences.", "Des phrases courtes et précises."),
    _line("models.default", 64, "default", form=MODEL_ID),
    _choice("sampling.profile", tuple(Profile)),
    _yes_no("sampling.caller_seed"),
    *_bounds("sampling.temperature", Kind.NUMBER, "0", "2", ("0.3", "0", "2")),
    *_bounds("sampling.top_p", Kind.NUMBER, "0.000001", "1", ("0.95", "0.001", "1")),
    *_bounds("sampling.max_tokens", Kind.WHOLE, "1", str(MAX_TOKENS), ("1024", "1", "131072")),
    _choice("context.policy", CONTEXT_POLICIES),
    _whole("context.answer_reserve", 1, MAX_TOKENS, 512),
    _whole("context.most_tokens", 1, MAX_TOKENS, 131_072),
    _yes_no("callers.system_messages"),
    _yes_no("callers.plain_completions"),
    _yes_no("callers.structured_output"),
    _yes_no("callers.stop_strings"),
    _yes_no("callers.ignore_eos"),
    _whole("retention.days", 0, MAX_DAYS, 365),
    Key("retention.hold_until", Kind.DATE, "hold_until = 2027-06-30", required=False),
    _choice("temporary.rule", tuple(TemporaryRule)),
    Key("audit.sample_rate", Kind.NUMBER, "sample_rate = 0.01", least=Decimal(0), most=Decimal(1)),
    *_texts("disclosure", 1_000, "You are talking with an AI.", "Vous parlez avec une IA."),
    _list("sources.allowed", len(SOURCES), '"documents"', choices=SOURCES),
    _list("tools.allowed", 100, "", form=TOOL),
    _line("software.least", 27, "0.1", form=VERSION),
    _line("software.below", 27, "1.0", form=VERSION),
    Key("witnesses.policy", Kind.TEXT, 'policy = ""', least=0, most=MAX_POLICY),
)

MODEL_KEYS: Final = (
    _line("id", 64, "default", form=MODEL_ID),
    _line("name", 200, "SmolLM2 135M Instruct"),
    _line("family", 64, "llama"),
    _whole("context_length", 1, MAX_TOKENS, 8192),
    _choice("format", MODEL_FORMATS),
    _line("licence", 200, "Apache-2.0"),
    _line("source", 2_000, "https://example.org/model"),
    _line("training_summary", 2_000, "https://example.org/card", least=0, form=LINK, required=False),
    _line("digest", 64, "0123…", least=0, form=SHA256, required=False),
    _line("url", 2_000, "https://models.example.org/v1", least=0, required=False),
    _line("remote_model", 200, "qwen3-8b", least=0, required=False),
    Key("converted", Kind.DIGESTS, '"2026.4.1.0" = "0123…"', most=MAX_CONVERTED, form=SHA256, required=False),
    _line("files[].path", 400, "model.gguf"),
    _whole("files[].size", 0, MAX_FILE_SIZE, 98_000_000),
    _line("files[].sha256", 64, "0123…", form=SHA256),
)

OPTIONAL_TABLES: Final = frozenset({"personas[]", "files[]", "audit"})
MOST_TABLES: Final = {"board.members[]": MAX_MEMBERS, "personas[]": MAX_PERSONAS, "files[]": MAX_MODEL_FILES}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the schema: its keys and tables by name; ``path`` as in a key, ending in ``[]`` for an array."""

    path: str
    parts: "dict[str, Table | Key]"

    @property
    def is_array(self) -> bool:
        return self.path.endswith("[]")


def tree_of(keys: tuple[Key, ...]) -> Table:
    root = Table("", {})
    for key in keys:
        table, way = root, ""
        for part in key.path.split(".")[:-1]:
            way = f"{way}.{part}" if way else part
            inner = table.parts.setdefault(part.removesuffix("[]"), Table(way, {}))
            assert isinstance(inner, Table)  # noqa: S101  (a schema whose key is also a table is our own mistake)
            table = inner
        table.parts[key.name] = key
    return root


CHARTER: Final = tree_of(CHARTER_KEYS)
MODEL: Final = tree_of(MODEL_KEYS)


def fits(form: str, text: str) -> bool:
    return re.fullmatch(form, text) is not None
