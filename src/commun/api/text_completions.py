"""``POST /v1/completions``: plain texts or token ids are continued, and scored (``echo`` with ``logprobs``).

Evaluation programs (lm-eval) need it: the log-probabilities of a given text are one prefill, without sampling. With
``logprobs`` 1 the most likely token of each place is told beside the given one; where the answer was drawn at random
(temperature above 0) that too takes a prefill over prompt and answer.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from commun.api.begun import begun, receipt_header
from commun.api.edition import charter_headers
from commun.api.keys import services_of
from commun.api.models import check_model
from commun.api.nonce import nonce_at, nonce_of
from commun.api.receipts import BUNDLES_AT_ONCE, told
from commun.api.requests import CompletionRequest, read
from commun.api.stream import EventStream, ending, while_there
from commun.api.text_wire import Continued, TextChunks, text_completion
from commun.assistant.admission import Share
from commun.assistant.bounds import check_plain_completions
from commun.assistant.engines import Terms
from commun.assistant.question import Question
from commun.engine.base import Prompt, Score
from commun.errors import InvalidParameter, MessageTooLong, UnsupportedParameter
from commun.store.accounts import Caller

DEFAULT_MAX_TOKENS = 16  # OpenAI's
AT_ONCE = 8  # of one request's prompts; the others wait, so that one request does not fill the waiting room


@dataclass(frozen=True, slots=True)
class Wish:
    """A request whose wishes fit together. ``drawn_seed``: one for all prompts, where the caller names neither a seed
    nor a ``nonce``. ``scored``: the tokens' places are rated by a prefill at the end. ``share``: whose it is.
    """

    asked: CompletionRequest
    max_tokens: int
    drawn_seed: int
    scored: bool
    share: Share
    nonce: bytes | None

    def nonces(self) -> list[bytes | None]:
        """For each prompt: the caller's own where there is one, else made of it."""
        count = len(self.asked.prompts())
        if self.nonce is None or count == 1:
            return [self.nonce] * count
        return [nonce_at(self.nonce, place) for place in range(count)]

    def question(self, prompt: Prompt, nonce: bytes | None) -> Question:
        asked = self.asked
        return Question(
            prompt=prompt,
            temperature=asked.temperature,
            top_p=asked.top_p,
            max_tokens=self.max_tokens,
            seed=asked.seed,
            drawn_seed=self.drawn_seed if nonce is None else None,
            nonce=nonce,
            stop=asked.stops(),
            # lm-eval counts on the one token after its text, also where that token ends the text.
            ignore_eos=bool(asked.ignore_eos) or (self.max_tokens == 1 and self.scored),
        )


def wish_of(asked: CompletionRequest, share: Share, nonce: bytes | None) -> Wish:
    """Raises InvalidParameter and UnsupportedParameter for what does not go together."""
    max_tokens = DEFAULT_MAX_TOKENS if asked.max_tokens is None else asked.max_tokens
    if max_tokens == 0 and not asked.echo:
        raise InvalidParameter(parameter="max_tokens", reason="0 is only for echo: true")
    drawn = asked.temperature != 0
    scored = asked.logprobs is not None and (bool(asked.echo) or (asked.logprobs > 0 and drawn))
    if asked.stream and scored:
        raise UnsupportedParameter(parameter="logprobs")
    if asked.wants_bundle() and len(asked.prompts()) > BUNDLES_AT_ONCE:
        raise InvalidParameter(parameter="receipt", reason=f"bundles are for at most {BUNDLES_AT_ONCE} prompts")
    if asked.stream and (max_tokens == 0 or len(asked.prompts()) > 1):
        raise UnsupportedParameter(parameter="stream")
    return Wish(asked, max_tokens, secrets.randbits(32), scored, share, nonce)


async def complete(request: Request, caller: Caller) -> ASGIApp:
    """Continues, or scores."""
    asked = read(CompletionRequest, await request.body())
    services = services_of(request)
    assistant = services.assistant
    terms = assistant.terms()
    check_plain_completions(terms.charter)
    check_model(terms.info, asked.model)
    share = await assistant.share_of(caller.account_id, caller.key_id)
    wish = wish_of(asked, share, nonce_of(request, asked))
    if wish.max_tokens:
        for nonce in wish.nonces():
            await assistant.check_nonce(nonce)
    try:
        if asked.stream:
            return await _streamed(request, terms, wish)
        continued = await while_there(request.receive, _all(request, terms, wish))
    except MessageTooLong as error:
        raise MessageTooLong(**error.details, parameter="prompt") from None
    issued = [each.receipt for each in continued if each.receipt is not None]
    receipts = [await told(services, receipt, whole=asked.wants_bundle()) for receipt in issued]
    body = text_completion(continued, terms, seed=seed_told(wish, continued), receipts=receipts)
    headers = charter_headers(terms.in_force) | receipt_header([receipt["id"] for receipt in receipts])
    return Response(body, headers=headers, media_type="application/json")


def seed_told(wish: Wish, continued: Sequence[Continued]) -> int | None:
    """The one of all answers; None where each has its own, which its receipt tells."""
    used = {each.answer.sampling.seed for each in continued if each.answer is not None}
    if wish.nonce is not None and used:
        return used.pop() if len(used) == 1 else None
    return wish.drawn_seed if wish.asked.seed is None else wish.asked.seed


async def _streamed(request: Request, terms: Terms, wish: Wish) -> EventStream:
    asked, services = wish.asked, services_of(request)
    prompt = await _prompt(terms, asked.prompts()[0])
    chunks = TextChunks(
        terms,
        wants_usage=asked.wants_usage(),
        token_bytes=None if asked.logprobs is None else terms.token_bytes,
        most_likely=bool(asked.logprobs),
        echo=_text(terms, prompt) if asked.echo else "",
    )
    turn = services.assistant.begin(wish.question(prompt, wish.nonce), terms=terms, share=wish.share)
    begun(request.scope, turn)
    return EventStream(turn, chunks, partial(told, services, whole=asked.wants_bundle()))


async def _all(request: Request, terms: Terms, wish: Wish) -> list[Continued]:
    """Every prompt, AT_ONCE at a time; the first failure is the request's. Each is a question of its own, so that many
    in one request take no more of a day's tokens than many requests.
    """
    places = asyncio.Semaphore(AT_ONCE)

    async def one(prompt: str | list[int], nonce: bytes | None) -> Continued:
        async with places:
            return await _continued(request, terms, wish, prompt, nonce)

    try:
        async with asyncio.TaskGroup() as group:
            several = zip(wish.asked.prompts(), wish.nonces(), strict=True)
            tasks = [group.create_task(one(prompt, nonce)) for prompt, nonce in several]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _continued(
    request: Request, terms: Terms, wish: Wish, given: str | list[int], nonce: bytes | None
) -> Continued:
    asked, assistant = wish.asked, services_of(request).assistant
    await assistant.check_again(wish.share)
    prompt = await _prompt(terms, given)
    done = None
    if wish.max_tokens:
        turn = assistant.begin(wish.question(prompt, nonce), terms=terms, share=wish.share)
        done = await ending(begun(request.scope, turn))
    answer = done.answer if done else None
    scores: list[Score] | None = None
    if wish.scored:
        scores = await assistant.score((*_ids(prompt), *(answer.token_ids if answer else ())), terms, wish.share)
    return Continued(
        answer=answer,
        receipt=done.receipt if done else None,
        prompt_ids=prompt.token_ids or (),
        echo=_text(terms, prompt) if asked.echo else "",
        echoed=bool(asked.echo),
        scores=scores,
        token_bytes=None if asked.logprobs is None else terms.token_bytes,
        most_likely=bool(asked.logprobs),
    )


async def _prompt(terms: Terms, given: str | list[int]) -> Prompt:
    """Raises InvalidParameter for a prompt without tokens or with unknown ones."""
    prompt = await terms.encode(given) if isinstance(given, str) else Prompt(token_ids=tuple(given))
    if prompt.token_ids is not None and not prompt.token_ids:
        raise InvalidParameter(parameter="prompt", reason="it has no tokens")
    if not isinstance(given, str) and terms.info.profile != "remote":
        try:
            for token_id in set(given):
                terms.token_bytes(token_id)
        except (LookupError, ValueError):
            raise InvalidParameter(parameter="prompt", reason="the model has no such token id") from None
    return prompt


def _ids(prompt: Prompt) -> tuple[int, ...]:
    """Raises UnsupportedParameter where a remote engine keeps its token ids to itself."""
    if prompt.token_ids is None:
        raise UnsupportedParameter(parameter="logprobs")
    return prompt.token_ids


def _text(terms: Terms, prompt: Prompt) -> str:
    if prompt.text is not None:
        return prompt.text
    return b"".join(terms.token_bytes(token_id) for token_id in _ids(prompt)).decode(errors="replace")
