"""What an engine is: the words that the assistant and every engine share.

An engine turns a prompt into tokens. It bounds how many requests run at once, says what it is (name, build, profile,
model) so that a receipt can commit to it, and never hides a failure: a generation ends with exactly one ``Finish``,
or raises one ``CommunError``.
"""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from commun.errors import CommunError

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat, as the model's own chat template takes it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads.

    ``token_ids`` is exact for the embedded engine. A remote engine may not tell them; it then takes ``messages``
    (chat) or ``text`` (plain completion) and ``token_ids`` is None.
    """

    token_ids: tuple[int, ...] | None
    messages: tuple[Message, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the answer is drawn.

    ``temperature`` 0 is greedy. ``top_p`` in (0, 1]. ``max_tokens`` >= 1, in tokens. ``seed`` is 32 bits. ``stop``:
    the text before the first of these strings is the answer. ``json_schema``: a JSON Schema (as JSON text) that the
    answer must satisfy; ``"{}"`` means any JSON object. ``ignore_eos`` is for benchmarks: vLLM's word for it.
    """

    seed: int
    max_tokens: int
    temperature: float
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    json_schema: str | None = None
    ignore_eos: bool = False


class FinishReason(StrEnum):
    STOP = "stop"  # end of text, or a stop string
    LENGTH = "length"  # max_tokens, or the context is full
    CANCELLED = "cancelled"  # the reader asked


@dataclass(frozen=True, slots=True)
class Delta:
    """Newly generated tokens. ``text`` never splits a character, and may be empty or lag behind the ids; the texts of
    all deltas joined are the answer. ``logprobs``: natural logarithm, of the raw model (before temperature and
    top_p), one per id; empty where a remote engine does not tell.
    """

    token_ids: tuple[int, ...]
    text: str
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a generation. Times in seconds, on the monotonic clock, from the call of ``generate``."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    first_token_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Score:
    """The log-probability of one given token after all before it, and the most likely token in its place."""

    token_id: int
    logprob: float
    top_id: int
    top_logprob: float


class EngineState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  # being restarted
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What answers: all that a receipt commits to about the engine. ``model_digest``: SHA-256 of the manifest, hex,
    or "" for a remote model. ``context_length`` in tokens. ``profile``: "exact", "fast" or "remote".
    """

    name: str
    version: str
    profile: str
    model: str
    model_digest: str
    context_length: int
    embedded_default: bool = False
    notes: dict[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """One model, loaded once. All methods may be called from the event loop; none blocks it."""

    @property
    def state(self) -> EngineState: ...

    @property
    def refusal(self) -> CommunError | None:
        """Why it will not answer although it could: its model's files are not those that were adopted."""
        ...

    @property
    def info(self) -> EngineInfo:
        """Raises EngineLoading before the first load has told what it loads."""
        ...

    async def start(self) -> None:
        """Loads the model. Returns when it is ready or raises why it cannot be."""
        ...

    async def close(self) -> None: ...

    async def render(self, messages: Sequence[Message]) -> Prompt:
        """The prompt that asks for the next assistant message, by the model's own chat template."""
        ...

    async def encode(self, text: str) -> Prompt:
        """A plain text as prompt, without any template."""
        ...

    async def count(self, prompt: Prompt) -> int:
        """Length of the prompt in tokens."""
        ...

    async def check_schema(self, schema: str, asker: str = "") -> None:
        """Before a question takes a place: whether ``generate`` would compile this JSON Schema. ``asker``: whose it is;
        they take turns. A remote engine leaves it to its server. Raises InvalidParameter; TooManyWaiting or QueueFull
        where too many are being looked at.
        """
        ...

    def generate(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta | Finish, None]:
        """Streams the answer. Closing the iterator (``aclose``) cancels and frees the slot at once.

        Raises EngineLoading, EngineFailed (in the middle, too), InvalidParameter (a schema that cannot be compiled).
        """
        ...

    async def score(self, token_ids: Sequence[int]) -> list[Score]:
        """Scores of ``token_ids[1:]``, each given all ids before it: one prefill. Raises UnsupportedParameter where a
        remote engine cannot tell.
        """
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that one token stands for (special tokens: their name)."""
        ...


def low_32_bits(digest_input: bytes) -> int:
    """A seed from any bytes: the low 32 bits of their SHA-256."""
    return int.from_bytes(hashlib.sha256(digest_input).digest()[-4:], "big")
