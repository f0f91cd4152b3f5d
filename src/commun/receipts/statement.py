"""The statement: what one answer was made of, as a receipt says it (docs/spec/receipt.md has every field).

Specification:

- in-toto Statement v1; the payload's bytes are RFC 8785's, so that equal statements are equal bytes. No floats:
  decimals are strings in their shortest form (``0.7``, never ``0.70`` or ``7e-1``), times are UTC in whole seconds;
- the predicate's type is ``urn:commun:answer-receipt:v1``: a name and no address, because no host should have to exist,
  or belong to anybody, for a receipt to be read. It is compared byte for byte and never resolved;
- the subject is the answer, by its commitment: a plain digest of a short answer could be guessed;
- every field is there in every receipt, none besides; what has no value says so in the field's own way (``""``, ``[]``,
  ``null`` for a commitment), and a receipt of a stopped or failed turn has the same form as any other;
- it holds nothing that anybody wrote: stop strings and a JSON schema, which callers write, are committed to as the
  texts are.

How the seed came about is ``seed.scheme``, and the rest of the object depends on it:

  =========== ==================================================================================================
  caller      the caller chose ``value``
  drawn       the server drew ``value``; nothing binds it to anything
  remote      another server sampled; ``value`` is what it was asked for
  derived/2   ``value`` and the receipt's id follow from a secret and ``nonce`` (``seeds.py``): the secret's SHA-256 is
              ``epoch``, an entry of the ledger before the turn; the nonce (hex) was drawn by whoever ``nonce_by``
              names, "caller" or "server"; ``salt`` is the SHA-256 of the salt that both give
  derived/1   of older receipts. ``value`` is the last four bytes, big-endian, of SHA-256(salt ‖ nonce ‖ turn id), where
              SHA-256(salt) is ``salt`` and ``nonce`` is "" (or hex). The server drew the turn's id
  =========== ==================================================================================================

Refuses any other writing of the payload (STATEMENT_NOT_CANONICAL), another type (STATEMENT_TYPE), a field that is
missing, unknown, of another type or beyond its bound (STATEMENT_FIELDS), and fields that contradict each other
(STATEMENT_CONTRADICTION). Raises ReceiptError.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import rfc8785

from commun.charter.strict_json import NotStrict, read_object
from commun.receipts.dsse import MAX_PAYLOAD_BYTES, Envelope, canonical_with_ascii_names
from commun.receipts.errors import Reason, ReceiptError
from commun.receipts.fields import check_statement, read_time, time_text

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:commun:answer-receipt:v1"
SUBJECT_NAME: Final = "answer"
SUBJECT_DIGEST: Final = "hmacSha256"  # of in-toto's digest sets: a commitment is no plain SHA-256
RECEIPT_ID_LABEL: Final = b"commun-receipt-id/1\n"
_RECEIPT_ID: Final = re.compile(r"[0-9a-f]{64}")
# Of what draws the tokens. Another one, or another version of one, has another id.
OPENVINO_SAMPLER: Final = "openvino-genai/mt19937-cdf/1"
REMOTE_SAMPLER: Final = "remote"


class State(StrEnum):
    """As ``store``'s MessageState. INTERRUPTED: the server was closed."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


BY_CALLER: Final = "caller"  # who drew a nonce
BY_SERVER: Final = "server"


class Scheme(StrEnum):
    CALLER = "caller"
    DRAWN = "drawn"
    REMOTE = "remote"
    DERIVED = "derived/2"
    DERIVED_BEFORE = "derived/1"  # of older receipts


@dataclass(frozen=True, slots=True)
class Seed:
    """``epoch``, ``salt`` and ``nonce`` (hex): of both derived schemes. ``nonce_by``: of DERIVED only."""

    scheme: Scheme
    value: int
    epoch: str = ""
    salt: str = ""
    nonce: str = ""
    nonce_by: str = ""

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"scheme": self.scheme.value, "value": self.value}
        if self.scheme in (Scheme.DERIVED, Scheme.DERIVED_BEFORE):
            value |= {"epoch": self.epoch, "salt": self.salt, "nonce": self.nonce}
        if self.scheme is Scheme.DERIVED:
            value["nonce_by"] = self.nonce_by
        return value


@dataclass(frozen=True, slots=True)
class CharterUsed:
    """The edition that answered. ``first_root``: digest of the first root's signed bytes, which names the charter
    itself. ``stale``: the board's mandate had ended when the turn began.
    """

    edition: int
    digest: str
    first_root: str
    stale: bool


@dataclass(frozen=True, slots=True)
class EngineUsed:
    """``name`` "": the turn ended before any engine had it. ``version`` "": a remote engine does not tell."""

    name: str
    version: str
    profile: str
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sampler:
    """``temperature`` and ``top_p`` as text: ``decimal_text``."""

    id: str
    temperature: str
    top_p: str
    max_tokens: int
    ignore_eos: bool


@dataclass(frozen=True, slots=True)
class ContextUsed:
    """Messages of the conversation (the system message is none of them) that the model was given, and that were left
    out, by which policy. ``kind``: "chat", or "text" for a plain text that is continued.
    """

    kind: str
    policy: str
    kept: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Statement:
    """``receipt``: ``receipt_id``, or ``seeds.derived_receipt_id``. ``began`` and ``ended``: of the turn (UTC).
    ``error``: its code, "" for none. ``finish``: why the engine ended: "stop", "length" or "cancelled". ``model``: id
    and manifest digest ("": a remote one). ``sources`` and ``tools``: names, sorted. ``ledger``: the origin, "" for
    none. ``commitments``: by field, hex.
    """

    receipt: str
    state: State
    error: str
    finish: str
    began: datetime
    ended: datetime
    charter: CharterUsed
    model_id: str
    model_digest: str
    engine: EngineUsed
    software: str
    sampler: Sampler
    seed: Seed
    context: ContextUsed
    persona: str
    language: str
    sources: tuple[str, ...]
    tools: tuple[str, ...]
    prompt_tokens: int
    answer_tokens: int
    commitments: Mapping[str, str | None]
    ledger: str

    def payload(self) -> bytes:
        """The bytes that are signed. Raises ReceiptError where they would be no receipt."""
        value = self.to_json()
        check_statement(value)
        if all(map(str.isascii, self.engine.notes)):
            return canonical_with_ascii_names(value)
        return rfc8785.dumps(value)

    def to_json(self) -> dict[str, Any]:
        digest = {SUBJECT_DIGEST: self.commitments["answer_text"]}
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": SUBJECT_NAME, "digest": digest}],
            "predicateType": PREDICATE_TYPE,
            "predicate": self._predicate(),
        }

    def _predicate(self) -> dict[str, Any]:
        charter, sampler, context, engine = self.charter, self.sampler, self.context, self.engine
        return {
            "receipt": self.receipt,
            "state": self.state.value,
            "error": self.error,
            "finish": self.finish,
            "began": time_text(self.began),
            "ended": time_text(self.ended),
            "charter": {
                "edition": charter.edition,
                "digest": charter.digest,
                "first_root": charter.first_root,
                "stale": charter.stale,
            },
            "model": {"id": self.model_id, "digest": self.model_digest},
            "engine": {
                "name": engine.name,
                "version": engine.version,
                "profile": engine.profile,
                "notes": dict(engine.notes),
            },
            "software": self.software,
            "sampler": {
                "id": sampler.id,
                "temperature": sampler.temperature,
                "top_p": sampler.top_p,
                "max_tokens": sampler.max_tokens,
                "ignore_eos": sampler.ignore_eos,
            },
            "seed": self.seed.to_json(),
            "context": {
                "kind": context.kind,
                "policy": context.policy,
                "kept": context.kept,
                "dropped": context.dropped,
            },
            "persona": self.persona,
            "language": self.language,
            "sources": list(self.sources),
            "tools": list(self.tools),
            "tokens": {"prompt": self.prompt_tokens, "answer": self.answer_tokens},
            "commitments": dict(self.commitments),
            "ledger": self.ledger,
        }

    @classmethod
    def from_envelope(cls, envelope: bytes) -> "Statement":
        """What the envelope holds; its signature is not verified. Raises ReceiptError."""
        return cls.from_payload(Envelope.from_bytes(envelope).payload)

    @classmethod
    def from_payload(cls, payload: bytes) -> "Statement":
        """Step 3. Raises ReceiptError."""
        try:
            value = read_object(payload, limit=MAX_PAYLOAD_BYTES)
        except NotStrict as error:
            raise ReceiptError(Reason.STATEMENT_NOT_CANONICAL, f"the statement: {error}") from None
        try:
            canonical = rfc8785.dumps(value)
        except (rfc8785.CanonicalizationError, RecursionError):
            canonical = b""
        if canonical != payload:
            raise ReceiptError(
                Reason.STATEMENT_NOT_CANONICAL, "the statement is written otherwise than RFC 8785 has it"
            )
        if value.get("_type") != STATEMENT_TYPE or value.get("predicateType") != PREDICATE_TYPE:
            raise ReceiptError(Reason.STATEMENT_TYPE, "this is a statement of another type")
        check_statement(value)
        return cls._from_checked(value["predicate"])

    @classmethod
    def _from_checked(cls, value: dict[str, Any]) -> "Statement":
        seed = value["seed"]
        return cls(
            receipt=value["receipt"],
            state=State(value["state"]),
            error=value["error"],
            finish=value["finish"],
            began=read_time(value["began"]),
            ended=read_time(value["ended"]),
            charter=CharterUsed(**value["charter"]),
            model_id=value["model"]["id"],
            model_digest=value["model"]["digest"],
            engine=EngineUsed(**value["engine"]),
            software=value["software"],
            sampler=Sampler(**value["sampler"]),
            seed=Seed(**{**seed, "scheme": Scheme(seed["scheme"])}),
            context=ContextUsed(**value["context"]),
            persona=value["persona"],
            language=value["language"],
            sources=tuple(value["sources"]),
            tools=tuple(value["tools"]),
            prompt_tokens=value["tokens"]["prompt"],
            answer_tokens=value["tokens"]["answer"],
            commitments=value["commitments"],
            ledger=value["ledger"],
        )


def receipt_id(turn_id: str) -> str:
    """Hex, where the seed is not derived from a nonce. A turn's own id opens pages; its receipt's id only names it."""
    return hashlib.sha256(RECEIPT_ID_LABEL + turn_id.encode()).hexdigest()


def is_receipt_id(text: str) -> bool:
    return _RECEIPT_ID.fullmatch(text) is not None


def decimal_text(number: float | Decimal) -> str:
    """The number as it was written, in its one form: 0.7 for 0.70, 1 for 1.0."""
    text = format(Decimal(str(number)).normalize(), "f")
    return "0" if text == "-0" else text
