"""THE MAIN PATH: one question and its answer, from the request to what is stored.

Steps (docs/structure.md), in the order of the code below:

1. ``begin`` takes a place, running or waiting, or refuses at once (``admission.py``);
2. the prompt is rendered within the context, what is dropped is told (``prompt.py``);
3. the place in the queue is told until the turn comes;
4. the seed is taken, the engine streams tokens, each with its log-probability;
5. on the last token, stop or failure: the answer is kept in ONE transaction, and only then told as finished.

A turn runs in its own task: it goes on when the reader leaves. Its events are numbered from 1 and kept in memory while
it runs and for a minute after, so that a reload or a second tab resumes where it was; then the stored message speaks.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from commun.assistant.admission import Admission, Ticket
from commun.assistant.energy import EnergyMeter
from commun.assistant.prompt import PreparedPrompt, Question, prepare, sampling_for
from commun.assistant.rules import Rules
from commun.engine.base import (
    Delta,
    Engine,
    EngineInfo,
    EngineState,
    Finish,
    FinishReason,
    Prompt,
    Sampling,
    Score,
)
from commun.errors import CommunError, EngineFailed, EngineLoading, InternalError
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


Watcher = Callable[["Answer", CommunError | None], None]


class Record(Protocol):
    """Where an answer is kept (``store.conversations.OpenTurn``)."""

    async def checkpoint(self, content: dict[str, Any]) -> None: ...

    async def keep(self, content: dict[str, Any], state: MessageState) -> None: ...


@dataclass(slots=True)
class Turn:
    """One running or just finished turn. Owned by its task; readers only follow and may stop it."""

    id: str
    events: list[TurnEvent] = field(default_factory=list)
    ended: bool = False
    stopped: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _writing: asyncio.Task[None] | None = None  # set while a stop may still cut the answer

    def stop(self) -> None:
        """Ends the answer where it is; what has been written is kept. Too late a stop does nothing."""
        if self._writing is not None and not self.stopped:
            self.stopped = True
            self._writing.cancel()

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Within it a stop ends the block; outside, what finishes the turn cannot be cut off."""
        task = self._writing = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if not self.stopped or task is None or task.uncancel() > 0:
                raise
        finally:
            self._writing = None

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
                    while number < len(self.events) and isinstance(more := self.events[number], Delta):
                        piled.append(more)
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


@dataclass(slots=True)
class _Draft:
    """The answer while it is being written. Owned by the turn's task."""

    sampling: Sampling
    prepared: PreparedPrompt | None = None
    deltas: list[Delta] = field(default_factory=list)
    finish: Finish | None = None
    asked: float = field(default_factory=time.monotonic)
    queued_s: float = 0.0
    energy_wh: float = 0.0


class Assistant:
    """Answers questions. The one way from a question to an engine, for page, API and command line alike."""

    def __init__(self, *, engine: Engine, admission: Admission, rules: Rules, meter: EnergyMeter) -> None:
        self._engine = engine
        self._admission = admission
        self._rules = rules
        self._meter = meter
        self._watchers: list[Watcher] = []
        self._turns: dict[str, Turn] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def state(self) -> EngineState:
        return self._engine.state

    @property
    def rules(self) -> Rules:
        return self._rules

    @property
    def running(self) -> int:
        return self._admission.running

    @property
    def waiting(self) -> int:
        return self._admission.waiting

    def begin(self, question: Question, record: Record | None = None, turn_id: str | None = None) -> Turn:
        """Starts a turn and returns it at once. ``turn_id``: the id of the stored answer, if there is one.

        Raises EngineLoading, EngineFailed and QueueFull before anything has started; every later failure is the
        turn's last event.
        """
        self.check_ready()
        turn = Turn(turn_id or secrets.token_urlsafe(12))
        ticket = self._admission.join(lambda place: turn.tell(Queued(place)))
        self._turns[turn.id] = turn
        task = asyncio.create_task(self._run(turn, question, record, ticket))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return turn

    def watch(self, watcher: "Watcher") -> None:
        """``watcher`` is called once for each ended turn (for metrics; it must not keep what was written)."""
        self._watchers.append(watcher)

    def check_ready(self) -> None:
        """Raises EngineLoading or EngineFailed when no question can be taken now."""
        if self._engine.state is EngineState.FAILED:
            raise EngineFailed(retry_after=5)
        if self._engine.state is not EngineState.READY:
            raise EngineLoading(retry_after=3)

    def find(self, turn_id: str) -> Turn | None:
        """A turn that runs, or ended less than REMEMBER_S ago."""
        return self._turns.get(turn_id)

    async def encode(self, text: str) -> Prompt:
        self.check_ready()
        return await self._engine.encode(text)

    async def score(self, token_ids: Sequence[int]) -> list[Score]:
        """Scores of ``token_ids[1:]``: see ``Engine.score``. Takes a place like an answer does."""
        self.check_ready()
        ticket = self._admission.join(lambda _place: None)
        try:
            await ticket.wait()
            return await self._engine.score(token_ids)
        finally:
            ticket.leave()

    def token_bytes(self, token_id: int) -> bytes:
        return self._engine.token_bytes(token_id)

    async def close(self) -> None:
        """Stops every turn; what they have written is kept."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, turn: Turn, question: Question, record: Record | None, ticket: Ticket) -> None:
        draft = _Draft(sampling=sampling_for(self._rules, question, room=1, seed=secrets.randbits(32)))
        error: CommunError | None = None
        state = MessageState.COMPLETE
        try:
            with turn.stoppable():
                await self._write(turn, question, record, ticket, draft)
        except CommunError as failure:
            error = failure
        except asyncio.CancelledError:
            state = MessageState.INTERRUPTED  # the server is closing: keep what there is, then go
        except Exception as failure:
            log.exception("turn failed", turn=turn.id)
            error = InternalError()
            error.__cause__ = failure
        finally:
            ticket.leave()
        if turn.stopped:
            state = MessageState.STOPPED
        if error is not None:
            state = MessageState.FAILED
        await self._finish(turn, record, draft, state, error)

    async def _write(
        self, turn: Turn, question: Question, record: Record | None, ticket: Ticket, draft: _Draft
    ) -> None:
        """Steps 2 to 4. Leaves what was written in ``draft``, whatever ends it."""
        prepared = draft.prepared = await prepare(self._engine, self._rules, question)
        draft.sampling = sampling_for(self._rules, question, prepared.room, draft.sampling.seed)
        await ticket.wait()
        draft.queued_s = time.monotonic() - draft.asked
        turn.tell(Began(prepared.tokens, prepared.dropped_messages))
        reading = self._meter.begin()
        saved = time.monotonic()
        try:
            async with contextlib.aclosing(self._engine.generate(prepared.prompt, draft.sampling)) as stream:
                async for event in stream:
                    if isinstance(event, Finish):
                        draft.finish = event
                        break
                    draft.deltas.append(event)
                    turn.tell(event)
                    if record is not None and time.monotonic() - saved > CHECKPOINT_S:
                        await record.checkpoint(self._answer(draft).as_content())
                        saved = time.monotonic()
        finally:
            draft.energy_wh = self._meter.end(reading)

    async def _finish(
        self, turn: Turn, record: Record | None, draft: _Draft, state: MessageState, error: CommunError | None
    ) -> None:
        """Step 5. The commit point: once ``keep`` has returned, no crash loses the answer; only then it is told."""
        answer = self._answer(draft)
        if record is not None:
            content = answer.as_content() | ({"error": error.code} if error else {})
            try:
                await record.keep(content, state)
            except Exception as failure:
                log.exception("answer could not be kept", turn=turn.id)
                error = InternalError()
                error.__cause__ = failure
        turn.tell(Failed(error, answer) if error else Done(answer))
        for watcher in self._watchers:
            watcher(answer, error)
        asyncio.get_running_loop().call_later(REMEMBER_S, self._turns.pop, turn.id, None)

    def _answer(self, draft: _Draft) -> Answer:
        whole = joined(draft.deltas) if draft.deltas else Delta((), "", ())
        finish = draft.finish
        reason = finish.reason if finish else FinishReason.CANCELLED
        try:
            info = self._engine.info
        except CommunError:
            info = None
        prompt_tokens = draft.prepared.tokens if draft.prepared else 0
        return Answer(
            text=whole.text,
            token_ids=whole.token_ids,
            logprobs=whole.logprobs,
            finish_reason=reason.value,
            prompt_tokens=finish.prompt_tokens if finish else prompt_tokens,
            completion_tokens=finish.completion_tokens if finish else len(whole.token_ids),
            dropped_messages=draft.prepared.dropped_messages if draft.prepared else 0,
            queued_s=draft.queued_s,
            first_token_s=finish.first_token_s if finish else 0.0,
            total_s=finish.total_s if finish else time.monotonic() - draft.asked - draft.queued_s,
            energy_wh=draft.energy_wh,
            energy_method=self._meter.method,
            sampling=draft.sampling,
            engine=info,
        )
