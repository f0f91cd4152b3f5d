"""``POST /v1/completions``: plain texts or token ids are continued, and scored (``echo`` with ``logprobs``).

Evaluation programs (lm-eval) need it: the log-probabilities of a given text are one prefill, without sampling. With
``logprobs`` 1 the most likely token of each place is told beside the given one; where the answer was drawn at random
(temperature above 0) that too takes a prefill over prompt and answer.
"""

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from commun.api.keys import services_of
from commun.api.models import check_model
from commun.api.requests import CompletionRequest, read
from commun.api.stream import EventStream, ending, while_there
from commun.api.text_wire import Continued, TextChunks, text_completion
from commun.assistant.prompt import Question
from commun.engine.base import Prompt, Score
from commun.errors import InvalidParameter, MessageTooLong, UnsupportedParameter
from commun.store.accounts import Caller

if TYPE_CHECKING:
    from commun.assistant.turn import Assistant

DEFAULT_MAX_TOKENS = 16  # OpenAI's
AT_ONCE = 8  # of one request's prompts; the others wait, so that one request does not fill the waiting room


@dataclass(frozen=True, slots=True)
class Wish:
    """A request whose wishes fit together. ``scored``: the tokens' places are rated by a prefill at the end."""

    asked: CompletionRequest
    max_tokens: int
    seed: int
    scored: bool

    def question(self, prompt: Prompt) -> Question:
        asked = self.asked
        return Question(
            prompt=prompt,
            temperature=asked.temperature,
            top_p=asked.top_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
            stop=asked.stops(),
            # lm-eval counts on the one token after its text, also where that token ends the text.
            ignore_eos=bool(asked.ignore_eos) or (self.max_tokens == 1 and self.scored),
        )


def wish_of(asked: CompletionRequest) -> Wish:
    """Raises InvalidParameter and UnsupportedParameter for what does not go together."""
    max_tokens = DEFAULT_MAX_TOKENS if asked.max_tokens is None else asked.max_tokens
    if max_tokens == 0 and not asked.echo:
        raise InvalidParameter(parameter="max_tokens", reason="0 is only for echo: true")
    drawn = asked.temperature != 0
    scored = asked.logprobs is not None and (bool(asked.echo) or (asked.logprobs > 0 and drawn))
    if asked.stream and scored:
        raise UnsupportedParameter(parameter="logprobs")
    if asked.stream and (max_tokens == 0 or len(asked.prompts()) > 1):
        raise UnsupportedParameter(parameter="stream")
    return Wish(asked, max_tokens, secrets.randbits(32) if asked.seed is None else asked.seed, scored)


async def complete(request: Request, caller: Caller) -> ASGIApp:
    """Continues, or scores."""
    del caller  # nothing is stored
    asked = read(CompletionRequest, await request.body())
    services = services_of(request)
    assistant = services.assistant
    check_model(services, asked.model)
    wish = wish_of(asked)
    try:
        if asked.stream:
            return await _streamed(assistant, wish)
        continued = await while_there(request.receive, _all(assistant, wish))
    except MessageTooLong as error:
        raise MessageTooLong(**error.details, parameter="prompt") from None
    body = text_completion(continued, assistant.info, seed=wish.seed)
    return Response(body, media_type="application/json")


async def _streamed(assistant: "Assistant", wish: Wish) -> EventStream:
    asked = wish.asked
    prompt = await _prompt(assistant, asked.prompts()[0])
    chunks = TextChunks(
        assistant.info,
        wants_usage=asked.wants_usage(),
        token_bytes=None if asked.logprobs is None else assistant.token_bytes,
        most_likely=bool(asked.logprobs),
        echo=_text(assistant, prompt) if asked.echo else "",
    )
    return EventStream(assistant.begin(wish.question(prompt)), chunks)


async def _all(assistant: "Assistant", wish: Wish) -> list[Continued]:
    """Every prompt, AT_ONCE at a time; the first failure is the request's."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(prompt: str | list[int]) -> Continued:
        async with places:
            return await _continued(assistant, wish, prompt)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(prompt)) for prompt in wish.asked.prompts()]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _continued(assistant: "Assistant", wish: Wish, given: str | list[int]) -> Continued:
    asked = wish.asked
    prompt = await _prompt(assistant, given)
    answer = await ending(assistant.begin(wish.question(prompt))) if wish.max_tokens else None
    scores: list[Score] | None = None
    if wish.scored:
        scores = await assistant.score((*_ids(prompt), *(answer.token_ids if answer else ())))
    return Continued(
        answer=answer,
        prompt_ids=prompt.token_ids or (),
        echo=_text(assistant, prompt) if asked.echo else "",
        echoed=bool(asked.echo),
        scores=scores,
        token_bytes=None if asked.logprobs is None else assistant.token_bytes,
        most_likely=bool(asked.logprobs),
    )


async def _prompt(assistant: "Assistant", given: str | list[int]) -> Prompt:
    """Raises InvalidParameter for a prompt without tokens or with unknown ones."""
    prompt = await assistant.encode(given) if isinstance(given, str) else Prompt(token_ids=tuple(given))
    if prompt.token_ids is not None and not prompt.token_ids:
        raise InvalidParameter(parameter="prompt", reason="it has no tokens")
    if not isinstance(given, str) and assistant.info.profile != "remote":
        try:
            for token_id in set(given):
                assistant.token_bytes(token_id)
        except (LookupError, ValueError):
            raise InvalidParameter(parameter="prompt", reason="the model has no such token id") from None
    return prompt


def _ids(prompt: Prompt) -> tuple[int, ...]:
    """Raises UnsupportedParameter where a remote engine keeps its token ids to itself."""
    if prompt.token_ids is None:
        raise UnsupportedParameter(parameter="logprobs")
    return prompt.token_ids


def _text(assistant: "Assistant", prompt: Prompt) -> str:
    if prompt.text is not None:
        return prompt.text
    return b"".join(assistant.token_bytes(token_id) for token_id in _ids(prompt)).decode(errors="replace")
