"""THE MAIN PATH: one question and its answer, from the request to what is stored.

Steps (DESIGN §3), in the order of ``Assistant._answer``:

1. a place among the running answers is waited for (``admission.py``); the place in the queue is told;
2. the prompt is rendered within the context, what is dropped is told (``prompt.py``);
3. the seed is taken, the engine streams tokens, each with its log-probability;
4. on the last token, stop or failure: the answer is kept in ONE transaction, and only then told as finished.

A turn runs in its own task: it goes on when the reader leaves. Its events are numbered from 1 and kept in memory while
it runs and for a minute after, so that a reload or a second tab resumes where it was; then the stored message speaks.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.prompt import PreparedPrompt, Question, prepare
from commun.assistant.rules import Rules
from commun.engine.base import Delta, Engine, EngineInfo, Finish, FinishReason, Sampling, Score
from commun.errors import CommunError, InternalError
from commun.store.conversations import MessageState

CHECKPOINT_S = 2.0  # a crash loses at most this much of an unfinished answer
REMEMBER_S = 60.0  # how long a finished turn's events can still be followed

log = structlog.get_logger()


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
    """The answer is whole and, where it is to be kept, kept."""

    answer: "Answer"


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer ended with an error; what had been written of it is kept."""

    error: CommunError
    answer: "Answer"


TurnEvent = Queued | Began | Delta | Done | Failed


@dataclass(frozen=True, slots=True)
class Answer:
    """All that is known of one answer: the page shows it, the store seals it, a receipt will commit to it.

    ``logprobs``: one per token id, or empty. Times in seconds. ``energy_wh``: an estimate, by ``energy_method``.
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

    def as_content(self) -> dict[str, Any]:
        """Plain data for the sealed message."""
        info = self.engine
        return {
            "text": self.text,
            "token_ids": list(self.token_ids),
            "logprobs": [round(value, 7) for value in self.logprobs],
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
        }


class Record(Protocol):
    """Where an answer is kept (``store.conversations.OpenTurn``)."""

    async def checkpoint(self, content: dict[str, Any]) -> None: ...

    async def keep(self, content: dict[str, Any], state: MessageState) -> None: ...


@dataclass(slots=True)
class Turn:
    """One running or just finished turn. Owned by its task; readers only follow."""

    id: str
    events: list[TurnEvent] = field(default_factory=list)
    ended: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Ends the answer where it is; what has been written is kept."""
        self._stop.set()

    @property
    def stopping(self) -> asyncio.Event:
        return self._stop

    def tell(self, event: TurnEvent) -> None:
        self.events.append(event)
        self.ended = isinstance(event, Done | Failed)
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self, after: int = 0) -> AsyncIterator[tuple[int, TurnEvent]]:
        """Events with numbers above ``after``, as they come; ends after Done or Failed. Deltas that piled up while
        the reader was busy come as one, under the last one's number.
        """
        number = after
        while True:
            news = self._news
            while number < len(self.events):
                event = self.events[number]
                number += 1
                if isinstance(event, Delta):
                    piled = [event]
                    while number < len(self.events) and isinstance(self.events[number], Delta):
                        piled.append(self.events[number])  # type: ignore[arg-type]
                        number += 1
                    event = joined(piled)
                yield number, event
            if self.ended:
                return
            await news.wait()


def joined(deltas: list[Delta]) -> Delta:
    """Several deltas as one."""
    if len(deltas) == 1:
        return deltas[0]
    return Delta(
        token_ids=tuple(token for delta in deltas for token in delta.token_ids),
        text="".join(delta.text for delta in deltas),
        logprobs=tuple(value for delta in deltas for value in delta.logprobs),
    )
