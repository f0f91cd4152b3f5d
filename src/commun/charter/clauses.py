"""What a charter says: every clause, typed. Each is read from the source folder by ``source.py``; docs/spec/charter.md
describes them for the people who write one.

Rules:

- a charter is a value: frozen, comparable, without behaviour beyond looking things up;
- decimal numbers are ``Decimal``, never floats, so that what is signed, shown and compared is the same;
- a clause has a dotted name (CLAUSES); ``clause_value`` gives it as plain JSON data (numbers that are no integers as
  decimal strings) and ``clause_digest`` its SHA-256 over RFC 8785 bytes: this is what entrenchment compares.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Literal

import rfc8785

FORMAT: Final = "commun-charter/1"
LANGUAGES: Final = ("en", "fr")
CONTEXT_POLICIES: Final = ("oldest-turns-first",)
SOURCES: Final = ("documents", "feeds", "web")
PERSONA_NONE: Final = ""


@dataclass(frozen=True, slots=True)
class Texts:
    """The same text in both languages."""

    en: str
    fr: str

    def in_language(self, language: str) -> str:
        return self.fr if language == "fr" else self.en


@dataclass(frozen=True, slots=True)
class Member:
    """``key``: the public key's text form (``keys.py``), such as ``ed25519:`` and 64 hexadecimal digits."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Board:
    """``quorum``: how many members must sign an amendment, 1 to the number of members."""

    quorum: int
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Entrenched:
    """``clauses``: names out of CLAUSES. ``guards``: names of members; all of them together must sign a change of an
    entrenched clause, of the list or of the guards.
    """

    clauses: tuple[str, ...]
    guards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Persona:
    """A tone that the board has adopted; ``prompt`` is added after the system prompt."""

    id: str
    name: Texts
    about: Texts
    prompt: Texts


@dataclass(frozen=True, slots=True)
class Prompts:
    """``language``: of the prompt where the caller names none. ``persona``: who answers where nobody chose, an id or
    PERSONA_NONE. ``system``: stands first in every prompt.
    """

    language: str
    persona: str
    system: Texts


@dataclass(frozen=True, slots=True)
class ModelFile:
    """``path`` relative with slashes; ``size`` in bytes; ``sha256`` in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Model:
    """One adopted model.

    ``format``: "gguf-converted", "openvino", or "remote" for another server. ``digest``: SHA-256 of the manifest, hex
    (``engine/manifest.py``), "" for a remote one. ``converted``: for a converted model, pairs of an engine version and
    the digest of what that version's conversion loads. ``url`` and ``remote_model``: of a remote one; its weights
    cannot be checked, and the charter's page says so. ``training_summary``: a link, or "".
    """

    id: str
    name: str
    family: str
    context_length: int
    format: Literal["gguf-converted", "openvino", "remote"]
    licence: str
    source: str
    training_summary: str
    digest: str
    files: tuple[ModelFile, ...]
    converted: tuple[tuple[str, str], ...]
    url: str
    remote_model: str


@dataclass(frozen=True, slots=True)
class Models:
    """``default``: the id of the model that answers; ``adopted``: all that may."""

    default: str
    adopted: tuple[Model, ...]

    def get(self, model_id: str) -> Model:
        """Raises KeyError."""
        return next(model for model in self.adopted if model.id == model_id)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number that a caller may set from ``least`` to ``most``; ``default`` where nobody does."""

    default: Decimal
    least: Decimal
    most: Decimal


class Profile(StrEnum):
    EXACT = "exact"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class Sampling:
    """``max_tokens``: whole numbers. ``caller_seed``: whether a caller may choose the seed."""

    profile: Profile
    caller_seed: bool
    temperature: Bounds
    top_p: Bounds
    max_tokens: Bounds


@dataclass(frozen=True, slots=True)
class Context:
    """``policy``: what is dropped when a conversation no longer fits, out of CONTEXT_POLICIES. ``answer_reserve``:
    tokens kept free for the answer. ``most_tokens``: the context that is used, at most the model's own.
    """

    policy: str
    answer_reserve: int
    most_tokens: int


@dataclass(frozen=True, slots=True)
class Callers:
    """What a program may ask for: system messages of its own (after the charter's), plain completions (without any
    system prompt), answers bound to a JSON schema, stop strings, writing on after the end (for benchmarks).
    """

    system_messages: bool
    plain_completions: bool
    structured_output: bool
    stop_strings: bool
    ignore_eos: bool


@dataclass(frozen=True, slots=True)
class Retention:
    """``days``: after its last message a conversation is kept so long; 0: until its owner deletes it. ``hold_until``:
    the last day (UTC) of a legal hold, which lets nothing that is stored be erased (``hold.py``); None: there is none.
    """

    days: int
    hold_until: date | None = None


class TemporaryRule(StrEnum):
    OFFERED = "offered"
    ONLY = "only"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Temporary:
    rule: TemporaryRule


@dataclass(frozen=True, slots=True)
class Audit:
    """``sample_rate``: which share of the answers whose owner agrees is drawn for an audit by others; 0: none."""

    sample_rate: Decimal


@dataclass(frozen=True, slots=True)
class Allowed:
    """Names of sources or tools that may be used; none, unless named."""

    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Software:
    """Versions of Commun that may run this charter: ``least`` <= version < ``below``, numbers with dots."""

    least: str
    below: str


@dataclass(frozen=True, slots=True)
class Witnesses:
    """``policy``: a C2SP tlog-policy text, or "" for none."""

    policy: str


@dataclass(frozen=True, slots=True)
class Mandate:
    """``until``: the last day (UTC). After it the charter goes on, and is called stale everywhere."""

    until: date


@dataclass(frozen=True, slots=True)
class Charter:
    name: str
    purpose: Texts
    mandate: Mandate
    board: Board
    entrenched: Entrenched
    prompts: Prompts
    personas: tuple[Persona, ...]
    models: Models
    sampling: Sampling
    context: Context
    callers: Callers
    retention: Retention
    temporary: Temporary
    audit: Audit
    disclosure: Texts
    sources: Allowed
    tools: Allowed
    software: Software
    witnesses: Witnesses

    def persona(self, persona_id: str) -> Persona | None:
        return next((persona for persona in self.personas if persona.id == persona_id), None)

    def system_prompt(self, language: str, persona_id: str) -> str:
        """The system prompt in one language, with the persona's after it."""
        persona = self.persona(persona_id)
        texts = [self.prompts.system.in_language(language)]
        if persona is not None:
            texts.append(persona.prompt.in_language(language))
        return "\n\n".join(text.strip() for text in texts)


# Every clause that can be entrenched, named in a refusal and compared. "board.members" is not among those that
# can be entrenched usefully (guards are), but it has a name.
CLAUSES: Final[dict[str, Callable[[Charter], Any]]] = {
    "name": lambda c: c.name,
    "purpose": lambda c: c.purpose,
    "mandate": lambda c: c.mandate,
    "board.quorum": lambda c: c.board.quorum,
    "board.members": lambda c: c.board.members,
    "entrenched": lambda c: c.entrenched,
    "prompts": lambda c: c.prompts,
    "personas": lambda c: c.personas,
    "models": lambda c: c.models,
    "sampling": lambda c: c.sampling,
    "sampling.profile": lambda c: c.sampling.profile,
    "sampling.caller_seed": lambda c: c.sampling.caller_seed,
    "sampling.temperature": lambda c: c.sampling.temperature,
    "sampling.top_p": lambda c: c.sampling.top_p,
    "sampling.max_tokens": lambda c: c.sampling.max_tokens,
    "context": lambda c: c.context,
    "callers": lambda c: c.callers,
    "callers.system_messages": lambda c: c.callers.system_messages,
    "callers.plain_completions": lambda c: c.callers.plain_completions,
    "callers.structured_output": lambda c: c.callers.structured_output,
    "callers.stop_strings": lambda c: c.callers.stop_strings,
    "callers.ignore_eos": lambda c: c.callers.ignore_eos,
    "retention": lambda c: c.retention,
    "retention.days": lambda c: c.retention.days,
    "retention.hold_until": lambda c: c.retention.hold_until,
    "temporary": lambda c: c.temporary,
    "audit": lambda c: c.audit,
    "disclosure": lambda c: c.disclosure,
    "sources": lambda c: c.sources,
    "tools": lambda c: c.tools,
    "software": lambda c: c.software,
    "witnesses": lambda c: c.witnesses,
}


def clause_value(charter: Charter, name: str) -> Any:
    """One clause as plain JSON data. Raises KeyError for a name that is no clause."""
    return plain(CLAUSES[name](charter))


def clause_digest(charter: Charter, name: str) -> str:
    """SHA-256, hex, over the RFC 8785 bytes of ``clause_value``."""
    return hashlib.sha256(rfc8785.dumps(clause_value(charter, name))).hexdigest()


def plain(value: Any) -> Any:
    """JSON data out of clauses: objects, lists, strings, whole numbers, booleans; None by itself, but no part of an
    object: a clause of before there was the part has the digest that it had.
    """
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: plain(part) for name, part in parts.items() if part is not None}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, StrEnum) else value
