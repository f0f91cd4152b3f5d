"""What a program is answered, as types: for the OpenAPI document and the tests. The bytes are made in ``wire.py``."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Finish = Literal["stop", "length"]


class Told(BaseModel):
    """Exactly these fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Usage(Told):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class DisclosedValue(Told):
    """``salt``: base64. ``value``: a text, or a list of numbers, texts or messages."""

    salt: str
    value: str | list[Any]


class LoggedEntry(Told):
    entry: str
    proof: str


class LedgerPart(Told):
    """``receipt``: a C2SP tlog-proof, “pending” before there is one, null where there is no ledger."""

    key: str
    receipt: str | None
    edition: LoggedEntry | None


class SeedPart(Told):
    """``salt``: base64. ``opened``: the secret's digest in the ledger. ``secret``: the secret, once it is published."""

    salt: str
    opened: LoggedEntry | None
    secret: LoggedEntry | None


class Bundle(Told):
    """All that is needed to verify one answer offline: docs/spec/receipt.md. ``seed``: in “commun-bundle/2” alone,
    where it was derived from a nonce.
    """

    format: Literal["commun-bundle/1", "commun-bundle/2"]
    envelope: str
    key: str
    disclosed: dict[str, DisclosedValue | None]
    charter: dict[str, str] | None
    ledger: LedgerPart
    seed: SeedPart | None = None


class Receipt(Told):
    """``bundle``: where the request's ``receipt`` is “bundle”."""

    id: str = Field(pattern="^[0-9a-f]{64}$")
    bundle: Bundle | None = None


Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class AnyExtension(Told):
    """Commun's own field. ``seed``: the one that was used. ``edition``: number of the charter's edition."""

    seed: Seed | None
    edition: int = Field(ge=1)


class TextExtension(AnyExtension):
    """Of texts. ``seed`` null: each prompt has its own, in its receipt. ``receipts``: one for each prompt that was
    continued.
    """

    receipts: list[Receipt]


class Extension(AnyExtension):
    """Of a chat. ``persona``: who answered, an id of the charter's or “”. ``language``: of the system prompt.
    ``dropped_messages``: how many of the oldest messages were left out because the conversation did not fit the
    context; absent when none were.
    """

    seed: Seed
    receipt: Receipt
    persona: str
    language: Literal["en", "fr"]
    dropped_messages: int = Field(default=0, ge=1)


class TokenLogprob(Told):
    token: str
    bytes: list[int]
    logprob: float
    top_logprobs: list[None] = Field(max_length=0)


class ChatLogprobs(Told):
    content: list[TokenLogprob]
    refusal: None


class AnswerMessage(Told):
    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(Told):
    index: Literal[0]
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: Finish


class ChatCompletion(Told):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice] = Field(min_length=1, max_length=1)
    usage: Usage
    commun: Extension


class TextLogprobs(Told):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class TextChoice(Told):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Finish


class TextCompletion(Told):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice] = Field(min_length=1)
    usage: Usage
    commun: TextExtension


class Model(Told):
    """``max_model_len``: the context in tokens."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int


class ModelList(Told):
    object: Literal["list"]
    data: list[Model]


class Problem(Told):
    message: str
    type: Literal[
        "invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "server_error"
    ]
    param: str | None
    code: str


class ErrorBody(Told):
    error: Problem


class Health(Told):
    status: Literal["alive"]


class Readiness(Told):
    status: Literal["ready", "not ready"]
    charter: Literal["valid", "stale", "missing", "invalid"]
    engine: Literal["loading", "ready", "failed", "closed"]
    database: Literal["writable", "not writable"]
