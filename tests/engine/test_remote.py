"""The remote engine against real sockets: an honest small server, and every kind of hostile one."""

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from commun.engine import remote
from commun.engine.base import Delta, EngineState, Finish, FinishReason, Message, Prompt, Sampling
from commun.engine.remote import RemoteEngine
from commun.engine.remote_request import estimated_tokens
from commun.errors import (
    ConfigError,
    EngineFailed,
    EngineLoading,
    InvalidParameter,
    MessageTooLong,
    ModelError,
    ModelNotFound,
    UnsupportedParameter,
)

pytestmark = pytest.mark.anyio

SAMPLING = Sampling(seed=1, max_tokens=16, temperature=0.5)
HELLO = Prompt(token_ids=None, messages=(Message("user", "Hello"),))
Handler = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request, read, and the connection to answer on."""

    path: str
    head: str
    body: Any
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def start_stream(self, extra: str = "") -> None:
        self.send(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{extra}connection: close\r\n\r\n".encode())

    def reply(self, value: Any, status: str = "200 OK", extra: str = "") -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n{extra}\r\n"
        self.send(head.encode() + data)


@dataclass
class Server:
    url: str = ""
    answer: Handler | None = None
    models: Any = field(default_factory=lambda: {"data": [{"id": "m", "max_model_len": 2048}]})
    requests: list[Exchange] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                (int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")),
                0,
            )
            body = json.loads(await reader.readexactly(length)) if length else None
            exchange = Exchange(head.split()[1], head, body, reader, writer)
            self.requests.append(exchange)
            if exchange.path.endswith("/models"):
                exchange.reply(self.models, extra="connection: close\r\n")
            elif self.answer is not None:
                await self.answer(exchange)
            await writer.drain()
        writer.close()

    @property
    def asked(self) -> list[Exchange]:
        return [exchange for exchange in self.requests if not exchange.path.endswith("/models")]


@contextlib.asynccontextmanager
async def a_server(answer: Handler | None = None, **fields: Any) -> AsyncIterator[tuple[Server, RemoteEngine]]:
    """A server and a started engine for it."""
    server = Server(answer=answer, **fields)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    engine = RemoteEngine(server.url, "m", "sk-secret", timeout_s=1)
    try:
        await engine.start()
        yield server, engine
    finally:
        await engine.close()
        listener.close()


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish, **more}]}


def sse(*objects: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in objects)


def saying(*objects: Any, done: bool = True) -> Handler:
    async def answer(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(sse(*objects) + (b"data: [DONE]\n\n" if done else b""))

    return answer


def sending(data: bytes) -> Handler:
    async def answer(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(data)

    return answer


def refusing(status: str, body: Any = None, extra: str = "") -> Handler:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(body or {"error": {"message": "no"}}, status, extra + "connection: close\r\n")

    return answer


async def collect(
    engine: RemoteEngine, prompt: Prompt = HELLO, sampling: Sampling = SAMPLING
) -> tuple[list[Delta], Finish]:
    parts = [part async for part in engine.generate(prompt, sampling)]
    finish = parts.pop()
    assert isinstance(finish, Finish)
    return [part for part in parts if isinstance(part, Delta)], finish


HONEST = (
    chunk("Bon"),
    chunk("jour ☀"),
    chunk(finish="stop"),
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
)


async def test_a_chat_is_streamed_and_counted() -> None:
    async with a_server(saying(*HONEST)) as (server, engine):
        deltas, finish = await collect(engine)
        assert "".join(delta.text for delta in deltas) == "Bonjour ☀"
        assert (finish.reason, finish.prompt_tokens, finish.completion_tokens) == (FinishReason.STOP, 7, 3)
        assert 0 < finish.first_token_s <= finish.total_s
        assert engine.state is EngineState.READY
        asked = server.asked[0]
        assert asked.path == "/v1/chat/completions"
        assert asked.body["messages"] == [{"role": "user", "content": "Hello"}]
        assert asked.body["seed"] == 1
        assert asked.body["stream_options"] == {"include_usage": True}
        assert "logprobs" not in asked.body  # a server that tells no ids is not asked for what cannot be used


async def test_a_stream_cut_at_every_byte_says_the_same() -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start_stream()
        for byte in sse(*HONEST).replace(b"\n", b"\r\n"):
            exchange.send(bytes([byte]))
            await exchange.writer.drain()
            await asyncio.sleep(0)

    async with a_server(answer) as (_, engine):
        deltas, _ = await collect(engine)
        assert "".join(delta.text for delta in deltas) == "Bonjour ☀"


async def test_plain_text_and_token_ids_go_to_completions() -> None:
    words = {"choices": [{"index": 0, "text": "four", "finish_reason": "length"}]}
    async with a_server(saying(words)) as (server, engine):
        deltas, finish = await collect(engine, await engine.encode("two and two is"))
        assert (deltas[0].text, finish.reason) == ("four", FinishReason.LENGTH)
        await collect(engine, Prompt(token_ids=(1, 2, 3)))
        assert [(asked.path, asked.body["prompt"]) for asked in server.asked] == [
            ("/v1/completions", "two and two is"),
            ("/v1/completions", [1, 2, 3]),
        ]


async def test_all_wishes_are_sent() -> None:
    wishes = Sampling(
        seed=5,
        max_tokens=9,
        temperature=0,
        top_p=0.5,
        stop=("a", "b"),
        json_schema='{"type":"object"}',
        ignore_eos=True,
    )
    async with a_server(saying(*HONEST)) as (server, engine):
        await collect(engine, sampling=wishes)
        await collect(engine, sampling=Sampling(seed=1, max_tokens=1, temperature=0, json_schema="{}"))
        body = server.asked[0].body
        assert (body["stop"], body["ignore_eos"], body["top_p"], body["temperature"]) == (["a", "b"], True, 0.5, 0)
        assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
        assert server.asked[1].body["response_format"] == {"type": "json_object"}


async def test_a_vllm_server_tells_ids_logprobs_and_exact_counts() -> None:
    def told(text: str, token: int) -> dict[str, Any]:
        entry = {"token": text, "logprob": -0.5, "bytes": list(text.encode())}
        return chunk(text, token_ids=[token], logprobs={"content": [entry]})

    async def answer(exchange: Exchange) -> None:
        if exchange.path == "/tokenize":
            exchange.reply({"count": 11, "tokens": []}, extra="connection: close\r\n")
        else:
            await saying(told("é", 40), told("t", 41), chunk(finish="stop"))(exchange)

    models = {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 4096}]}
    async with a_server(answer, models=models) as (server, engine):
        assert (engine.info.name, engine.info.context_length) == ("vllm", 4096)
        assert await engine.count(HELLO) == 11
        deltas, _ = await collect(engine)
        assert [token for delta in deltas for token in delta.token_ids] == [40, 41]
        assert [value for delta in deltas for value in delta.logprobs] == [-0.5, -0.5]
        assert engine.token_bytes(40) == "é".encode()
        assert server.asked[1].body["return_token_ids"] is True
        with pytest.raises(UnsupportedParameter):
            engine.token_bytes(7)


async def test_a_server_that_tells_nothing_gets_assumptions_that_are_stated() -> None:
    async with a_server(models={"data": []}) as (_, engine):
        assert engine.info.context_length == remote.DEFAULT_CONTEXT
        assert set(engine.info.notes) == {"context_length", "count"}
        with pytest.raises(UnsupportedParameter):
            await engine.score([1, 2])


async def test_the_estimate_is_never_below_the_default_models_own_count() -> None:
    # (text, tokens that SmolLM2's tokenizer makes of it)
    known = [("The quick brown fox jumps over the lazy dog.", 10), ("0123456789" * 10, 100), ("été à l’œuvre", 9)]
    for text, tokens in known:
        assert estimated_tokens(Prompt(token_ids=None, text=text)) >= tokens


async def test_an_unlisted_model_is_an_error() -> None:
    with pytest.raises(ModelNotFound):
        async with a_server(models={"data": [{"id": "other"}]}):
            pass


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "context_length_exceeded", "message": "…"}},
        {"error": {"message": "This model's maximum context length is 2048 tokens. However, …"}},
        {"error": {"type": "exceed_context_size_error", "message": "the request exceeds"}},
        {"error": {"code": "message_too_long", "message": "…"}},
    ],
)
async def test_a_prompt_that_the_server_finds_too_long_is_never_cut(body: Any) -> None:
    async with a_server(refusing("400 Bad Request", body)) as (_, engine):
        with pytest.raises(MessageTooLong) as caught:
            await collect(engine)
        assert caught.value.details["limit"] == 2048
        assert engine.state is EngineState.READY


async def test_other_refusals_are_the_callers() -> None:
    async with a_server(refusing("400 Bad Request")) as (_, engine):
        with pytest.raises(InvalidParameter):
            await collect(engine)


async def test_a_busy_server_is_waited_for() -> None:
    async with a_server(refusing("503 Busy", extra="retry-after: 7\r\n")) as (_, engine):
        with pytest.raises(EngineLoading) as caught:
            await collect(engine)
        assert caught.value.retry_after == 7
        assert engine.state is EngineState.READY


async def test_a_hostile_retry_after_is_bounded() -> None:
    for told in ("999999999999999999", "-5", "soon", "99999"):
        async with a_server(refusing("429 No", extra=f"retry-after: {told}\r\n")) as (_, engine):
            with pytest.raises(EngineLoading) as caught:
                await collect(engine)
            assert 1 <= caught.value.retry_after <= 300


async def test_a_gateway_error_is_tried_again_before_the_first_byte() -> None:
    tries = 0

    async def answer(exchange: Exchange) -> None:
        nonlocal tries
        tries += 1
        await (refusing("502 Bad Gateway") if tries == 1 else saying(*HONEST))(exchange)

    async with a_server(answer) as (_, engine):
        deltas, _ = await collect(engine)
        assert "".join(delta.text for delta in deltas) == "Bonjour ☀"


async def test_a_connection_closed_before_the_head_is_tried_again_then_given_up() -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.writer.transport.abort()

    async with a_server(answer) as (server, engine):
        with pytest.raises(EngineFailed):
            await collect(engine)
        assert len(server.asked) == remote.ATTEMPTS
        assert engine.state is EngineState.FAILED


async def test_nothing_is_tried_again_after_the_first_byte() -> None:
    async with a_server(saying(chunk("Bon"), done=False)) as (server, engine):
        stream = engine.generate(HELLO, SAMPLING)
        first = await anext(stream)
        assert isinstance(first, Delta)
        assert first.text == "Bon"
        with pytest.raises(EngineFailed):
            await anext(stream)
        assert len(server.asked) == 1


def _deep() -> bytes:
    return b'data: {"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n"


@pytest.mark.parametrize(
    "data",
    {
        "nothing": b"",
        "no json": b"data: <html>\n\n",
        "no object": b"data: [1]\n\n",
        "not a number": b'data: {"choices": NaN}\n\n',
        "a huge integer": b'data: {"choices": ' + b"9" * 10_000 + b"}\n\n",
        "deep": _deep(),
        "not utf-8": b'data: {"choices": "\xff\xfe"}\n\n',
        "endless line": b"data: " + b"x" * (3 << 20),
        "endless comments": b": ping\n" * 300_000,
        "endless event": b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" * 30_000,
        "choices missing": sse({"id": 1}),
        "two choices": sse({"choices": [{}, {}]}),
        "a number as text": sse(chunk(5)),  # type: ignore[arg-type]
        "a list as delta": sse({"choices": [{"delta": []}]}),
        "unknown end": sse(chunk("a", "content_filter")),
        "end that is no string": sse(chunk("a", finish=["stop"])),  # type: ignore[arg-type]
        "error inside": sse(chunk("a"), {"error": {"message": "oops"}}),
        "negative usage": sse(chunk("a", "stop"), {"choices": [], "usage": {"prompt_tokens": -1}}),
        "true as usage": sse(chunk("a", "stop"), {"choices": [], "usage": {"prompt_tokens": True}}),
        "a list as usage": sse(chunk("a", "stop"), {"choices": [], "usage": []}),
        "too much text": sse(*[chunk("x" * 100_000)] * 8),
        "too many ids": sse(chunk("a", token_ids=list(range(1000)))),
        "ids no list": sse(chunk("a", token_ids="abc")),
        "id no number": sse(chunk("a", token_ids=["1"])),
        "logprob no number": sse(chunk("a", token_ids=[1], logprobs={"content": [{"logprob": "x"}]})),
    }.items(),
    ids=lambda item: item[0],
)
async def test_what_no_honest_server_sends_is_one_clear_failure(data: tuple[str, bytes]) -> None:
    async with a_server(sending(data[1])) as (_, engine):
        with pytest.raises(EngineFailed):
            await collect(engine)
        assert engine.state is EngineState.FAILED


async def test_a_redirect_and_another_media_type_and_a_compressed_answer_are_failures() -> None:
    async def zipped(exchange: Exchange) -> None:
        exchange.start_stream("content-encoding: gzip\r\n")
        exchange.send(gzip.compress(b" " * 10_000_000))

    for answer in (refusing("302 Found", extra="location: http://127.0.0.1:1/\r\n"), refusing("200 OK"), zipped):
        async with a_server(answer) as (_, engine):
            with pytest.raises(EngineFailed):
                await collect(engine)


async def test_half_characters_are_joined_or_replaced() -> None:
    halves = sending(
        b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\\ude00b"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\\ude00\\ud83d"},"finish_reason":"stop"}]}\n\n'
    )
    async with a_server(halves) as (_, engine):
        deltas, _ = await collect(engine)
        assert "".join(delta.text for delta in deltas) == "a😀b\ufffd\ufffd"


async def test_thinking_is_kept_in_its_tags() -> None:
    thinking = {"choices": [{"delta": {"reasoning_content": "hm"}}]}
    async with a_server(saying(thinking, chunk("yes"), chunk(finish="stop"))) as (_, engine):
        deltas, _ = await collect(engine)
        assert "".join(delta.text for delta in deltas) == "<think>hm</think>yes"
    async with a_server(saying(thinking, chunk(finish="length"))) as (_, engine):
        deltas, _ = await collect(engine)
        assert "".join(delta.text for delta in deltas) == "<think>hm</think>"


async def test_silence_and_bytes_without_tokens_both_run_into_the_timeout() -> None:
    async def silent(exchange: Exchange) -> None:
        exchange.start_stream()
        await exchange.writer.drain()
        await exchange.reader.read()

    async def dripping(exchange: Exchange) -> None:
        exchange.start_stream()
        while True:
            exchange.send(b": ping\n")
            await exchange.writer.drain()
            await asyncio.sleep(0.05)

    for answer in (silent, dripping):
        async with a_server(answer) as (_, engine):
            with pytest.raises(EngineFailed):
                async with asyncio.timeout(120):
                    await collect(engine)


async def test_leaving_closes_the_connection_so_that_the_server_can_stop() -> None:
    left = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send(sse(chunk("a")))
        await exchange.writer.drain()
        await exchange.reader.read()  # returns when the other side hangs up
        left.set()

    async with a_server(endless) as (_, engine):
        stream = engine.generate(HELLO, SAMPLING)
        assert isinstance(await anext(stream), Delta)
        await stream.aclose()
        async with asyncio.timeout(120):
            await left.wait()
        assert engine.state is EngineState.READY


async def test_a_server_that_comes_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PROBE_S", 0.05)
    server, kept = Server(), socket.socket()
    kept.bind(("127.0.0.1", 0))  # nobody else gets the port; nobody listens there yet
    engine = RemoteEngine(f"http://127.0.0.1:{kept.getsockname()[1]}/v1", "m")
    with pytest.raises(EngineFailed):
        await engine.start()
    with pytest.raises(EngineLoading):
        _ = engine.info
    assert engine.state is EngineState.FAILED
    listener = await asyncio.start_server(server.serve, sock=kept)
    async with asyncio.timeout(120):
        while engine.state is not EngineState.READY:  # noqa: ASYNC110  (a state, no event)
            await asyncio.sleep(0.02)
    assert engine.info.context_length == 2048
    await engine.close()
    listener.close()


async def test_one_failed_answer_of_a_living_server_closes_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PROBE_S", 600)
    async with a_server(saying(chunk("Bon"), done=False)) as (_, engine):
        with pytest.raises(EngineFailed):
            await collect(engine)
        assert engine.state is EngineState.FAILED
        async with asyncio.timeout(120):  # long before the next regular probe
            while engine.state is not EngineState.READY:  # noqa: ASYNC110  (a state, no event)
                await asyncio.sleep(0.01)


async def test_the_key_is_sent_and_neither_it_nor_the_servers_words_are_logged() -> None:
    async with a_server(refusing("500 Oops", {"error": {"message": "CANARY"}})) as (server, engine):
        with capture_logs() as lines, pytest.raises(EngineFailed) as caught:
            await collect(engine)
        assert "authorization: bearer sk-secret" in server.asked[0].head.lower()
        told = repr(lines) + str(caught.value) + repr(engine)
        assert lines
        assert "sk-secret" not in told
        assert "CANARY" not in told


@pytest.mark.parametrize("url", ["", "ftp://a/v1", "http://user:word@host/v1", "/v1"])
def test_an_address_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ModelError):
        RemoteEngine(url, "m")


def test_a_key_that_would_break_a_header_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        RemoteEngine("http://host/v1", "m", "a\r\nx: y")
