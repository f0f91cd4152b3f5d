"""A scripted engine for unit tests: says what it is told, as slowly, and fails where it is told.

One token is one word with the white space after it, so a prompt costs its number of words. Ids are handed out in the
order in which words are first met. No test of the real engine's behaviour may rest on this.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence

from commun.engine.base import Delta, EngineInfo, EngineState, Finish, FinishReason, Message, Prompt, Sampling, Score
from commun.errors import CommunError, EngineFailed, EngineLoading, InvalidParameter

WORD = re.compile(r"\s*\S+\s*|\s+")
LOGPROB = -0.25


class FakeEngine:
    """``answer``: the text to say, or a function of prompt and sampling that gives it. ``delay_s`` before each token,
    ``first_delay_s`` before the first one. ``fail_after``: EngineFailed is raised instead of the token of that index
    (0: at once). ``prompt_cost``: tokens of a text; by default its words. ``gate``: when given, nothing is said until
    the test sets it. ``state``: where given, starting does not change it. ``calls``, ``running``, ``most_running``, ``cancelled`` tell the test what happened.
    """

    def __init__(
        self,
        answer: str | Callable[[Prompt, Sampling], str] = "Hello, this is a scripted answer.",
        *,
        delay_s: float = 0,
        first_delay_s: float = 0,
        fail_after: int | None = None,
        context_length: int = 2048,
        prompt_cost: Callable[[str], int] | None = None,
        gate: asyncio.Event | None = None,
        state: EngineState | None = None,
    ) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.first_delay_s = first_delay_s
        self.fail_after = fail_after
        self.prompt_cost = prompt_cost
        self.gate = gate
        self.state = EngineState.READY if state is None else state
        self._stays = state is not None
        self.starts = 0
        self.refusal: CommunError | None = None
        self.info = EngineInfo(
            name="fake",
            version="1",
            profile="exact",
            model="default",
            model_digest="0" * 64,
            context_length=context_length,
        )
        self.calls: list[tuple[Prompt, Sampling]] = []
        self.running = 0
        self.most_running = 0
        self.cancelled = 0
        self._words: list[str] = []
        self._ids: dict[str, int] = {}

    async def start(self) -> None:
        self.starts += 1
        if not self._stays:
            self.state = EngineState.READY

    async def close(self) -> None:
        self.state = EngineState.CLOSED

    async def render(self, messages: Sequence[Message]) -> Prompt:
        text = "\n".join(message.content for message in messages)
        return Prompt(token_ids=self._encode(text), messages=tuple(messages))

    async def encode(self, text: str) -> Prompt:
        return Prompt(token_ids=self._encode(text), text=text)

    async def count(self, prompt: Prompt) -> int:
        return len(prompt.token_ids or ())

    async def check_schema(self, schema: str, asker: str = "") -> None:
        """What is no JSON is refused by ``generate``."""

    async def generate(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Delta | Finish]:
        self._refuse(sampling)
        self.calls.append((prompt, sampling))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            async for part in self._say(prompt, sampling):
                yield part
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def score(self, token_ids: Sequence[int]) -> list[Score]:
        return [Score(token_id=each, logprob=LOGPROB, top_id=each, top_logprob=LOGPROB) for each in token_ids[1:]]

    def token_bytes(self, token_id: int) -> bytes:
        return self._words[token_id].encode()

    async def _say(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Delta | Finish]:
        began = time.monotonic()
        await asyncio.sleep(self.first_delay_s)
        if self.gate is not None:
            await self.gate.wait()
        full = self.answer if isinstance(self.answer, str) else self.answer(prompt, sampling)
        text, stopped = until_stop(full, sampling.stop)
        prompt_tokens = len(prompt.token_ids or ())
        limit = min(sampling.max_tokens, self.info.context_length - prompt_tokens)
        first_token_s = 0.0
        said = 0
        words = WORD.findall(text)
        for word in words[:limit]:
            await asyncio.sleep(self.delay_s)
            if said == self.fail_after:
                raise EngineFailed(retry_after=1)
            first_token_s = first_token_s or time.monotonic() - began
            said += 1
            yield Delta(token_ids=(self._id(word),), text=word, logprobs=(LOGPROB,))
        if said == self.fail_after:
            raise EngineFailed(retry_after=1)
        cut = len(words) > limit or (len(words) == limit and not stopped)
        yield Finish(
            reason=FinishReason.LENGTH if cut else FinishReason.STOP,
            prompt_tokens=prompt_tokens,
            completion_tokens=said,
            first_token_s=first_token_s,
            total_s=time.monotonic() - began,
        )

    def _refuse(self, sampling: Sampling) -> None:
        if self.state is EngineState.LOADING:
            raise EngineLoading(retry_after=1)
        if self.state is not EngineState.READY:
            raise EngineFailed(retry_after=1)
        if sampling.json_schema is not None:
            try:
                json.loads(sampling.json_schema)
            except ValueError as error:
                raise InvalidParameter(parameter="response_format", reason="not JSON") from error

    def _encode(self, text: str) -> tuple[int, ...]:
        words = WORD.findall(text)
        cost = len(words) if self.prompt_cost is None else self.prompt_cost(text)
        ids = [self._id(word) for word in words[:cost]]
        return tuple(ids + [self._id(" ")] * (cost - len(ids)))

    def _id(self, word: str) -> int:
        if word not in self._ids:
            self._ids[word] = len(self._words)
            self._words.append(word)
        return self._ids[word]


def until_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string, and whether there was one."""
    found = [text.find(stop) for stop in stops if stop in text]
    return (text[: min(found)], True) if found else (text, False)
