"""Any OpenAI-compatible server as engine: vLLM at scale, llama.cpp, another Commun.

- What is asked: ``remote_request.py``. Ids and log-probabilities are passed on where the server tells them (vLLM).
- Prompts are counted by vLLM's ``/tokenize``; elsewhere by an upper estimate (``estimated_tokens``). When the server
  still finds the prompt too long the caller gets MessageTooLong: nothing is ever cut.
- All that the server sends is a stranger's (``wire.py``): bounded, checked, and never repeated in an error or a log.
- A request is tried again only before the first byte of its answer, and only when the server cannot have refused it.
- Closing the iterator closes the connection, by which the server frees its place.
- ``state`` is what happened last; a failed server is asked for its models, at once and every few seconds, until it
  answers.

Refuses: redirects, compressed answers (a small one can unpack to gigabytes), proxies from the environment.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog

from commun.engine.base import (
    Delta,
    EngineInfo,
    EngineState,
    Finish,
    Message,
    Prompt,
    Sampling,
    Score,
)
from commun.engine.remote_address import check_address
from commun.engine.remote_request import counting_of, estimated_tokens, request_of
from commun.engine.wire import (
    WIRE_BYTES_BASE,
    WIRE_BYTES_PER_TOKEN,
    AnswerReader,
    EventReader,
    WireError,
    parse_object,
)
from commun.errors import (
    CommunError,
    ConfigError,
    EngineFailed,
    EngineLoading,
    InvalidParameter,
    MessageTooLong,
    ModelNotFound,
    UnsupportedParameter,
)

CONNECT_S = 5.0  # a server that does not even accept is not there
PROBE_S = 5.0  # between two probes of a failed server
PROBE_TIMEOUT_S = 10.0  # an answer to a probe or a count costs no generation
ATTEMPTS = 3
BACKOFF_S = 0.1  # before the second attempt; doubled before the third
MAX_REPLY = 4 << 20  # bytes of a reply that is no stream: a list of models, of token ids
DEFAULT_CONTEXT = 8192  # tokens, where the server does not tell and no setting says
MAX_RETRY_AFTER = 300

log = structlog.get_logger()


class RemoteEngine:
    """One model on one server. ``context_length`` 0: what the server tells, else DEFAULT_CONTEXT. ``model_id``: what it
    is called here. ``timeout_s``: how long the first token may take, and each one after it.
    """

    refusal: CommunError | None = None  # nobody here can see the files of a model elsewhere

    def __init__(
        self,
        url: str,
        model: str,
        key: str = "",
        *,
        context_length: int = 0,
        model_id: str = "",
        timeout_s: float = 120,
    ) -> None:
        check_address(url)
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(setting="remote_key", reason="only printable ASCII characters are allowed")
        self._base = url.rstrip("/")
        self._root = self._base.removesuffix("/v1")
        self._model = model
        self._model_id = model_id or model
        self._context_length = context_length
        self._timeout_s = timeout_s
        headers = {"accept-encoding": "identity", "user-agent": "commun"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30),
            follow_redirects=False,
            trust_env=False,
        )
        self._state = EngineState.LOADING
        self._info: EngineInfo | None = None
        self._counts_exactly = False
        self._vocabulary: dict[int, bytes] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._doubt = asyncio.Event()  # an answer failed: is the server still there?

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def info(self) -> EngineInfo:
        if self._info is None:
            raise EngineLoading(retry_after=int(PROBE_S))
        return self._info

    async def start(self) -> None:
        """Asks the server what it offers. Raises EngineFailed, EngineLoading or ModelNotFound; also then the server
        is asked again until it answers, so that it may start after Commun.
        """
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        await self._probe()

    async def close(self) -> None:
        self._state = EngineState.CLOSED
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        await self._client.aclose()

    async def render(self, messages: Sequence[Message]) -> Prompt:
        return Prompt(token_ids=None, messages=tuple(messages))

    async def encode(self, text: str) -> Prompt:
        return Prompt(token_ids=None, text=text)

    async def check_schema(self, schema: str, asker: str = "") -> None:
        """That server compiles it, and refuses what it cannot."""

    async def count(self, prompt: Prompt) -> int:
        """Exact where the server has ``/tokenize`` (vLLM), else ``estimated_tokens``."""
        if prompt.token_ids is not None or not self._counts_exactly:
            return estimated_tokens(prompt)
        body = counting_of(self._model, prompt)
        count = (await self._ask("POST", f"{self._root}/tokenize", body)).get("count")
        return count if type(count) is int and count >= 0 else estimated_tokens(prompt)

    async def generate(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta | Finish, None]:
        started = time.perf_counter()
        answer = AnswerReader(sampling.max_tokens, self._vocabulary)
        events = EventReader(WIRE_BYTES_BASE + WIRE_BYTES_PER_TOKEN * sampling.max_tokens)
        first_token_s = 0.0
        try:
            async with contextlib.AsyncExitStack() as stack:
                response = await self._open(stack, prompt, sampling)
                last_news = time.perf_counter()
                async for chunk in response.aiter_raw():
                    objects = list(events.feed(chunk))
                    delta = answer.take(objects) if objects else None
                    if delta is not None:
                        last_news = time.perf_counter()
                        first_token_s = first_token_s or last_news - started
                        yield delta
                    elif time.perf_counter() - last_news > self._timeout_s:  # bytes, but no tokens
                        raise WireError("no token within the time")  # noqa: TRY301  (one way out)
                    if events.done:
                        break
            last = answer.take(list(events.close()))
            for delta in (last, answer.rest()):
                if delta is not None:
                    yield delta
            if answer.finished is None:
                raise WireError("the answer broke off")  # noqa: TRY301  (one way out)
        except (httpx2.HTTPError, httpx2.StreamError, WireError) as error:
            self._doubt.set()
            raise self._failed(error) from error
        self._works()
        yield Finish(
            reason=answer.finished,
            prompt_tokens=estimated_tokens(prompt) if answer.prompt_tokens is None else answer.prompt_tokens,
            completion_tokens=answer.chunks if answer.completion_tokens is None else answer.completion_tokens,
            first_token_s=first_token_s,
            total_s=time.perf_counter() - started,
        )

    async def score(self, token_ids: Sequence[int]) -> list[Score]:
        del token_ids
        raise UnsupportedParameter(parameter="echo")

    def token_bytes(self, token_id: int) -> bytes:
        """Known only for tokens that the server has written with their id. Raises UnsupportedParameter."""
        try:
            return self._vocabulary[token_id]
        except KeyError:
            raise UnsupportedParameter(parameter="logprobs") from None

    # --- asking for an answer ---

    async def _open(self, stack: contextlib.AsyncExitStack, prompt: Prompt, sampling: Sampling) -> httpx2.Response:
        """The response whose body is the answer's stream; ``stack`` closes it. Tries again before the first byte."""
        tells_ids = self._info is not None and self._info.name == "vllm"
        path, body = request_of(self._model, prompt, sampling, tells_ids=tells_ids)
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        for attempt in range(1, ATTEMPTS + 1):
            request = self._client.build_request("POST", self._base + path, content=content, headers=headers)
            try:
                response = await self._client.send(request, stream=True)
            except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.RemoteProtocolError, httpx2.ReadError):
                if attempt == ATTEMPTS:
                    raise
            else:
                stack.push_async_callback(response.aclose)
                if response.status_code not in (502, 504) or attempt == ATTEMPTS:
                    await self._check(response, prompt, sampling)
                    return response
            await asyncio.sleep(BACKOFF_S * 2 ** (attempt - 1))
        raise AssertionError  # the last attempt returns or raises

    async def _check(self, response: httpx2.Response, prompt: Prompt, sampling: Sampling) -> None:
        """Raises what a status other than 200, or a body that is no event stream, means."""
        status = response.status_code
        if status == httpx2.codes.OK:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise WireError("a compressed answer")
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise WireError("not an event stream")
            return
        if status in (400, 413, 422):
            if _is_too_long(await _body(response, MAX_REPLY)):
                limit = self._info.context_length if self._info else DEFAULT_CONTEXT
                raise MessageTooLong(tokens=estimated_tokens(prompt), limit=limit)
            name = "response_format" if sampling.json_schema is not None else "request"
            raise InvalidParameter(parameter=name, reason="the remote server refuses it")
        if status in (429, 503):
            raise EngineLoading(retry_after=_retry_after(response))
        raise WireError(f"status {status}")

    # --- what the server is, and whether it works ---

    async def _watch(self) -> None:
        """Asks a failed server, at once and then every PROBE_S until it answers; a working one is left alone."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_S):  # not wait_for, which can lose a cancellation in Python 3.11
                    await self._doubt.wait()
            self._doubt.clear()
            if self._state in (EngineState.FAILED, EngineState.LOADING):
                with contextlib.suppress(CommunError):
                    await self._probe()

    async def _probe(self) -> None:
        listed = (await self._ask("GET", f"{self._base}/models")).get("data")
        entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        entry = next((entry for entry in entries if entry.get("id") == self._model), None)
        if entry is None and entries:
            self._state = EngineState.FAILED
            raise ModelNotFound(model=self._model)
        entry = entry or {}
        notes = {}
        length = self._context_length
        if not length:
            told = entry.get("max_model_len")
            length = told if type(told) is int and 0 < told < 1 << 31 else 0
        if not length:
            length = DEFAULT_CONTEXT
            notes["context_length"] = "assumed: the server does not tell"
        name = "vllm" if entry.get("owned_by") == "vllm" else "remote"
        self._counts_exactly = name == "vllm"
        if not self._counts_exactly:
            notes["count"] = "an upper estimate: the server counts no tokens"
        self._info = EngineInfo(
            name=name,
            version="",
            profile="remote",
            model=self._model_id,
            model_digest="",
            context_length=length,
            notes=notes,
        )
        self._works()

    async def _ask(self, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A small question with a JSON object as reply. Raises EngineFailed or EngineLoading."""
        try:
            async with self._client.stream(method, url, json=body, timeout=PROBE_TIMEOUT_S) as response:
                if response.status_code in (429, 503):
                    raise EngineLoading(retry_after=_retry_after(response))
                if response.status_code != httpx2.codes.OK:
                    raise WireError(f"status {response.status_code}")  # noqa: TRY301  (one way out)
                return parse_object(await _body(response, MAX_REPLY))
        except (httpx2.HTTPError, httpx2.StreamError, WireError) as error:
            raise self._failed(error) from error

    def _works(self) -> None:
        if self._state is not EngineState.CLOSED:
            self._state = EngineState.READY

    def _failed(self, error: Exception) -> EngineFailed:
        """Notes the failure. Logged: the kind of fault, never the server's words nor ours."""
        reason = str(error) if isinstance(error, WireError) else type(error).__name__
        log.warning("remote_engine_failed", host=urlsplit(self._base).netloc, reason=reason)
        if self._state is not EngineState.CLOSED:
            self._state = EngineState.FAILED
        return EngineFailed(retry_after=int(PROBE_S))


async def _body(response: httpx2.Response, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes. Raises WireError above."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise WireError("a compressed answer")
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > limit:
            raise WireError("the reply is too long")
    return bytes(data)


def _is_too_long(body: bytes) -> bool:
    """Whether an error body says that the prompt does not fit. Servers differ: OpenAI and Commun by code, vLLM and
    llama.cpp by their sentence or type.
    """
    try:
        error = parse_object(body).get("error")
    except WireError:
        return False
    if not isinstance(error, dict):
        return False
    told = " ".join(str(error.get(name, "")) for name in ("code", "type", "message")).lower()
    return any(words in told for words in ("context_length", "context length", "exceed_context", "message_too_long"))


def _retry_after(response: httpx2.Response) -> int:
    told = response.headers.get("retry-after", "")
    return min(max(int(told), 1), MAX_RETRY_AFTER) if told.isascii() and told.isdigit() and len(told) < 6 else 5  # noqa: PLR2004
