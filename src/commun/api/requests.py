"""What a program may ask: OpenAI's parameters, those that Commun grants and those that it refuses.

A parameter is either granted, or refused with an error that names it; nothing is ignored silently. Parameters that
Commun does not have are accepted only with the value that means "as always" (``n`` 1, penalties 0, no tools), because
clients send them unasked. Three parameters of OpenAI's speak of the client's own bookkeeping and never change an
answer; they are accepted and not kept: ``user``, ``safety_identifier``, ``prompt_cache_key``.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from commun.api.schema_bounds import check_bounds
from commun.charter.refused_settings import find_reason
from commun.errors import N_, InvalidParameter, UnsupportedParameter

MAX_STOPS = 4  # OpenAI's bound
MAX_MESSAGES = 4096
MAX_PROMPTS = 128  # of one /v1/completions request: lm-eval's batches
MAX_METADATA = 16  # OpenAI's bound
MAX_SEED = 2**32 - 1
MAX_TOKENS = 2**31 - 1
MAX_TOKEN_ID = 2**31 - 1

Nothing = Annotated[list[Any], Field(max_length=0)]
EmptyObject = Annotated[dict[str, Any], Field(max_length=0)]
Zero = Annotated[float, Field(ge=0, le=0)]
Stop = Annotated[str, Field(min_length=1)]
StopList = Annotated[list[Stop], Field(max_length=MAX_STOPS)]
TokenId = Annotated[int, Field(ge=0, le=MAX_TOKEN_ID)]
TokenIds = Annotated[list[TokenId], Field(min_length=1)]
MaxTokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


ALWAYS_THE_SAME = {
    *("n", "best_of", "presence_penalty", "frequency_penalty", "logit_bias", "top_logprobs", "include_obfuscation"),
    *("tools", "tool_calls", "tool_choice", "parallel_tool_calls", "functions", "function_call"),
    *("modalities", "service_tier", "verbosity", "annotations"),
}


class UnsupportedSampling(UnsupportedParameter):
    """A way of drawing under which no answer could be audited. ``details``: ``parameter``, ``reason``."""

    problem = N_("The parameter “%(parameter)s” is not supported here: %(reason)s.")


class Asked(BaseModel):
    """Unknown fields are errors; numbers are numbers, never strings."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TextPart(Asked):
    type: Literal["text"]
    text: str


def _kind(content: Any) -> str | None:
    return "text" if isinstance(content, str) else "parts" if isinstance(content, list) else None


Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[TextPart], Tag("parts"), Field(min_length=1)],
    Discriminator(_kind),
]


class ChatMessage(Asked):
    """Answers may be sent back as they came: their empty fields are accepted."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    name: None = None
    refusal: None = None
    audio: None = None
    function_call: None = None
    tool_calls: Nothing | None = None
    annotations: Nothing | None = None

    def text(self) -> str:
        content = self.content
        return content if isinstance(content, str) else "".join(part.text for part in content)


class StreamOptions(Asked):
    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class TextFormat(Asked):
    type: Literal["text"]


class JsonObjectFormat(Asked):
    type: Literal["json_object"]


class JsonSchema(Asked):
    """``strict`` changes nothing: the schema is always enforced."""

    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(Asked):
    type: Literal["json_schema"]
    json_schema: JsonSchema


class Extension(Asked):
    """``commun``: what no client of OpenAI's sends unasked."""

    nonce: str | None = Field(
        default=None,
        description="16 to 64 random bytes in small hexadecimal digits, new for each request: with it nobody can "
        "choose the seed. Also as the header Commun-Nonce.",
        json_schema_extra={"pattern": "^(?:[0-9a-f]{2}){16,64}$"},
    )


class Common(Asked):
    """What both kinds of request share."""

    model: str = Field(description="A model's id from /v1/models; “default” always answers.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    seed: Seed | None = Field(default=None, description="32 bits; the same seed gives the same answer.")
    stop: Stop | StopList | None = None
    n: Literal[1] | None = None
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None
    logit_bias: EmptyObject | None = None
    user: str | None = Field(default=None, description="Accepted and not kept.")
    ignore_eos: bool | None = Field(
        default=None, description="Extension, for benchmarks: write on after the end until max_tokens."
    )

    receipt: Literal["id", "bundle"] | None = Field(
        default=None, description="Extension: “bundle” puts the receipt with all that verifies it into the answer."
    )

    commun: Extension | None = Field(default=None, description="Extension: what makes an answer verifiable.")

    def wants_bundle(self) -> bool:
        return self.receipt == "bundle"

    def stops(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(Common):
    """The body of POST /v1/chat/completions."""

    persona: str | None = Field(
        default=None, max_length=64, description="Extension: an id of the charter's personas; “” for none."
    )
    language: Literal["en", "fr"] | None = Field(
        default=None, description="Extension: the language of the charter's system prompt."
    )
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_tokens: MaxTokens | None = None
    max_completion_tokens: MaxTokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = Field(default=None, discriminator="type")
    store: bool | None = Field(default=None, description="Keep the answer, sealed, in the key's owner's account.")
    metadata: Annotated[dict[str, str], Field(max_length=MAX_METADATA)] | None = Field(
        default=None, description="Only with store: sealed with the answer."
    )
    safety_identifier: str | None = Field(default=None, description="Accepted and not kept.")
    prompt_cache_key: str | None = Field(default=None, description="Accepted; prompts are cached anyway.")
    tools: Nothing | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: Literal[True] | None = None
    functions: Nothing | None = None
    function_call: Literal["none", "auto"] | None = None
    modalities: Annotated[list[Literal["text"]], Field(min_length=1, max_length=1)] | None = None
    service_tier: Literal["auto", "default"] | None = None
    verbosity: Literal["medium"] | None = None
    reasoning_effort: None = None
    prediction: None = None
    audio: None = None
    web_search_options: None = None

    def limit(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    def schema_text(self) -> str | None:
        """The JSON Schema that the answer must satisfy, as JSON text, or None. Raises SchemaTooLarge."""
        wished = self.response_format
        if isinstance(wished, JsonSchemaFormat):
            schema = wished.json_schema.schema_ or {}
            check_bounds(schema)
            return json.dumps(schema)
        return "{}" if isinstance(wished, JsonObjectFormat) else None


class CompletionRequest(Common):
    """The body of POST /v1/completions."""

    prompt: (
        str
        | TokenIds
        | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS)]
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS)]
    )
    max_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS)] | None = Field(default=None, description="By default 16.")
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=1)] | None = None
    best_of: Literal[1] | None = None
    suffix: None = None

    def prompts(self) -> list[str | list[int]]:
        """The prompts one by one: texts or token ids."""
        prompt = self.prompt
        if isinstance(prompt, str):
            return [prompt]
        several: list[str | list[int]] = [each for each in prompt if not isinstance(each, int)]
        return several or [[each for each in prompt if isinstance(each, int)]]


# Fields whose one value means "as always": any other value is a wish that is not granted.
UNSUPPORTED = frozenset(
    name
    for model in (ChatMessage, ChatRequest, CompletionRequest, StreamOptions)
    for name, field in model.model_fields.items()
    if field.annotation is type(None) or name in ALWAYS_THE_SAME
)
REASONS = {
    "missing": "it is required",
    "json_invalid": "the body is not JSON",
    "union_tag_invalid": "it is of a kind that is not known here",
    "union_tag_not_found": "it is of a kind that is not known here",
}

Body = TypeVar("Body", ChatRequest, CompletionRequest)


def read(model: type[Body], body: bytes) -> Body:
    """The request. Raises UnsupportedParameter or InvalidParameter, naming the parameter."""
    try:
        request = model.model_validate_json(body)
    except ValidationError as error:
        raise _named(error, body) from None
    if request.stream_options is not None and not request.stream:
        raise InvalidParameter(parameter="stream_options", reason="it is only for stream: true")
    return request


def _named(error: ValidationError, body: bytes) -> InvalidParameter | UnsupportedParameter:
    """The first error, by the parameter's own name. What the caller wrote stays out of the text."""
    found = error.errors(include_url=False, include_context=False)
    first = found[0]
    if first["type"] == "json_invalid":
        return InvalidParameter(parameter="body", reason=REASONS["json_invalid"])
    document = json.loads(body)
    name, known = _path(first["loc"], document)
    last = known[-1] if known else ""
    if first["type"] == "extra_forbidden" or last in UNSUPPORTED:
        reason = find_reason(str(last)) if len(known) == 1 else None
        return UnsupportedSampling(parameter=name, reason=reason) if reason else UnsupportedParameter(parameter=name)
    if last == "type" and "content" in known:
        return InvalidParameter(parameter=name, reason="only parts of type “text” can be read")
    if len(found) > 1 and found[1]["loc"][:1] == first["loc"][:1] and last in {"prompt", "stop"}:
        return InvalidParameter(parameter=name, reason="no value of this kind is taken here")
    reason = REASONS.get(first["type"]) or first["msg"].replace("Input should", "it should")
    return InvalidParameter(parameter=name or "body", reason=reason[:1].lower() + reason[1:])


def _path(location: Sequence[Any], document: Any) -> tuple[str, list[str | int]]:
    """``messages[0].content`` out of pydantic's location, which also names branches of unions: what is not in the
    document is such a branch, except where a required field is missing, at the end.
    """
    known: list[str | int] = []
    node = document
    for index, part in enumerate(location):
        if (isinstance(node, list) and isinstance(part, int)) or (isinstance(node, dict) and part in node):
            node = node[part]
        elif not isinstance(node, dict) or index < len(location) - 1:
            continue
        known.append(part)
    name = ""
    for part in known:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name[:200], known
