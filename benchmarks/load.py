"""The load: an HTTP/1.1 client that costs as little as it can, because it shares the cores with what it measures.

It writes a request that was made beforehand, notes when the first piece of text and the last byte arrive, and reads
the token counts out of the end. It parses no JSON and no chunk sizes; it knows only OpenAI's shapes.
"""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

FIRST_TEXT = re.compile(rb'"(?:content|text)":\s*"(?!")')  # a piece of text that is not empty
USAGE = re.compile(rb'"(prompt|completion)_tokens":\s*(\d+)')
LAST_CHUNK = b"\r\n0\r\n\r\n"
TAIL = 4096  # bytes at the end in which the usage stands


@dataclass(frozen=True, slots=True)
class Timing:
    """One answer. Seconds from when the request was written. ``first_s``: the first text, not the first byte.
    ``body``: of a refusal; an answer's is not kept.
    """

    status: int
    first_s: float
    total_s: float
    prompt_tokens: int
    completion_tokens: int
    body: bytes

    @property
    def decode_per_s(self) -> float:
        """Tokens a second after the first one."""
        return (self.completion_tokens - 1) / (self.total_s - self.first_s)


class Refused(Exception):
    """The server answered with another status than 200, or hung up."""


class Connection(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Timing] | None = None
        self._data = bytearray()
        self._head_end = self._length = 0
        self._started = self._first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    async def ask(self, request: bytes) -> Timing:
        """Raises Refused."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._data.clear()
        self._head_end = self._length = 0
        self._first = 0.0
        self._started = time.perf_counter()
        self._transport.write(request)
        timing = await self._answer
        if timing.status != 200:
            raise Refused(f"{timing.status}: {timing.body[:300].decode('utf-8', 'replace')}")
        return timing

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._head_end and not self._read_head():
            return
        if not self._first and FIRST_TEXT.search(self._data, self._head_end):
            self._first = time.perf_counter()
        if self._length:
            if len(self._data) >= self._length:
                self._end()
        elif self._data.endswith(LAST_CHUNK):
            self._end()

    def _read_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._head_end = end + 2  # one line end stays, so that an empty chunked body ends with LAST_CHUNK
        found = re.search(rb"content-length:\s*(\d+)", self._data[:end], re.IGNORECASE)
        self._length = end + 4 + int(found[1]) if found else 0
        return True

    def _end(self) -> None:
        now = time.perf_counter()
        counts = {name: int(value) for name, value in USAGE.findall(self._data[-TAIL:])}
        status = int(self._data[9:12])
        timing = Timing(
            status=status,
            first_s=(self._first or now) - self._started,
            total_s=now - self._started,
            prompt_tokens=counts.get(b"prompt", 0),
            completion_tokens=counts.get(b"completion", 0),
            body=b"" if status == 200 else bytes(self._data[self._head_end :]),
        )
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(timing)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Refused(f"hung up: {exc}"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@dataclass(frozen=True, slots=True)
class Target:
    """A server. ``url``: up to the path, such as http://127.0.0.1:8000."""

    url: str
    key: str = ""
    model: str = "default"

    async def connect(self) -> Connection:
        parts = urlsplit(self.url)
        _, connection = await asyncio.get_running_loop().create_connection(Connection, parts.hostname, parts.port)
        return connection

    def request(self, path: str, body: dict[str, Any]) -> bytes:
        """The bytes of a POST."""
        content = json.dumps({"model": self.model, **body}).encode()
        key = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {urlsplit(self.url).netloc}\r\n{key}"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def completion(self, prompt: str, *, max_tokens: int, seed: int = 1) -> bytes:
        """A streamed, greedy completion that goes on to ``max_tokens``."""
        return self.request(
            "/v1/completions",
            {
                "prompt": prompt,
                "max_tokens": max_tokens,
                "temperature": 0,
                "seed": seed,
                "ignore_eos": True,
                "stream": True,
                "stream_options": {"include_usage": True},
            },
        )


async def ask_once(target: Target, request: bytes) -> Timing:
    connection = await target.connect()
    try:
        return await connection.ask(request)
    finally:
        connection.close()


async def ask_all(target: Target, requests: Sequence[bytes]) -> tuple[list[Timing], float]:
    """All at once, each on its own connection; the timings and the seconds until the last ended."""
    connections = await asyncio.gather(*(target.connect() for _ in requests))
    started = time.perf_counter()
    timings = await asyncio.gather(
        *(connection.ask(request) for connection, request in zip(connections, requests, strict=True))
    )
    elapsed = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return timings, elapsed


async def ask_in_turn(target: Target, request: bytes, *, clients: int, seconds: float) -> tuple[list[Timing], float]:
    """``clients`` that each ask again as soon as they are answered, for ``seconds``."""
    timings: list[Timing] = []
    connections = await asyncio.gather(*(target.connect() for _ in range(clients)))
    started = time.perf_counter()
    end = started + seconds

    async def client(connection: Connection) -> None:
        while time.perf_counter() < end:
            timings.append(await connection.ask(request))

    await asyncio.gather(*(client(connection) for connection in connections))
    elapsed = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return timings, elapsed


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of the values lie, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
