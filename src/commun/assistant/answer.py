"""What a turn tells while it runs, and the answer and the receipt that are left of it."""

from dataclasses import dataclass
from typing import Any

from commun.engine.base import Delta, EngineInfo, Sampling
from commun.errors import CommunError
from commun.receipts.commitments import LOGPROB_UNITS, whole_logprobs
from commun.receipts.issue import Receipt


@dataclass(frozen=True, slots=True)
class Queued:
    """Waiting. ``place`` 1 is next."""

    place: int


@dataclass(frozen=True, slots=True)
class Began:
    """The prompt is ready and the engine has it. ``dropped_messages``: how many of the oldest were left out."""

    prompt_tokens: int
    dropped_messages: int


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is whole; it is kept where it is to be kept, and so is its receipt."""

    answer: "Answer"
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer ended with an error; what had been written of it is kept. ``receipt`` None: it could not be kept."""

    error: CommunError
    answer: "Answer"
    receipt: Receipt | None


TurnEvent = Queued | Began | Delta | Done | Failed


@dataclass(frozen=True, slots=True)
class Answer:
    """All that is known of one answer: the page shows it, the store seals it, its receipt commits to it.

    ``logprobs``: one per token id, or empty. Times in seconds. ``energy_wh``: an estimate, by ``energy_method``.
    ``edition`` and ``charter``: number and digest of the edition that it was written under. ``persona``: an id, or "".
    ``stale``: whether the charter's mandate had ended when the turn began. ``instructed``: whether whoever asked added
    a system message to the charter's.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    dropped_messages: int
    queued_s: float
    first_token_s: float
    total_s: float
    energy_wh: float
    energy_method: str
    sampling: Sampling
    engine: EngineInfo | None
    edition: int
    charter: str
    persona: str
    language: str
    stale: bool
    instructed: bool = False

    def as_content(self) -> dict[str, Any]:
        """Plain data for the sealed message."""
        info = self.engine
        return {
            "text": self.text,
            "token_ids": list(self.token_ids),
            "logprobs": [whole / LOGPROB_UNITS for whole in whole_logprobs(self.logprobs)],
            "finish_reason": self.finish_reason,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "dropped_messages": self.dropped_messages,
            "queued_s": round(self.queued_s, 4),
            "first_token_s": round(self.first_token_s, 4),
            "total_s": round(self.total_s, 4),
            "energy_wh": round(self.energy_wh, 6),
            "energy_method": self.energy_method,
            "seed": self.sampling.seed,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "max_tokens": self.sampling.max_tokens,
            "model": info.model if info else "",
            "engine": f"{info.name} {info.version} {info.profile}" if info else "",
            "edition": self.edition,
            "charter": self.charter,
            "persona": self.persona,
            "language": self.language,
            "stale": self.stale,
            "instructed": self.instructed,
        }


def joined(deltas: list[Delta]) -> Delta:
    """Several deltas as one."""
    if len(deltas) == 1:
        return deltas[0]
    return Delta(
        token_ids=tuple(token for delta in deltas for token in delta.token_ids),
        text="".join(delta.text for delta in deltas),
        logprobs=tuple(value for delta in deltas for value in delta.logprobs),
    )
