"""Browsers, as far as a server can tell: a session cookie, pages over a kept connection, an answer's event stream.

They share the cores with what they measure and so do little: pages are read whole and looked at no further than their
status, of an event stream only what decides whether anything of it was lost.
"""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

RUNNING = re.compile(r'data-id="([^"]+)" data-running')
CONVERSATION = re.compile(r"/c/([\w-]+)")
FORM = "application/x-www-form-urlencoded"
READ_LIMIT = 1 << 24


class Strange(Exception):
    """The server answered what no browser could go on from."""


@dataclass(frozen=True, slots=True)
class Page:
    """``seconds``: from the first byte written to the last one read."""

    status: int
    body: bytes
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Followed:
    """What came of one answer's stream. ``numbers``: of its events, in order. ``html``: the blocks of the answer.
    ``ended``: its last event came, and not just the connection's end.
    """

    first_s: float = 0.0
    numbers: list[int] = field(default_factory=list)
    html: str = ""
    text: str = ""
    state: str = ""
    ended: bool = False

    @property
    def is_in_order(self) -> bool:
        return self.numbers == sorted(self.numbers)

    def take(self, event: bytes) -> None:
        """One event as it came."""
        fields = dict(line.split(": ", 1) for line in event.decode().split("\n") if ": " in line)
        if "event" not in fields:
            return  # how long to wait before coming back
        self.numbers.append(int(fields["id"]))
        data = json.loads(fields["data"])
        if fields["event"] == "update" and data["where"] == "answer":
            self.html += data["frozen"]
        elif fields["event"] == "end":
            self.ended, self.text, self.state = True, data["text"], data["state"]


@dataclass(slots=True, eq=False)
class Visitor:
    """One signed-in browser. ``url``: of the server. Pages one after the other; streams beside them."""

    url: str
    cookie: str
    _line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, path: str) -> Page:
        return await self._asked("GET", path, "text/html", b"")

    async def post(self, path: str, *, accept: str = "application/json", **fields: str) -> Page:
        return await self._asked("POST", path, accept, urlencode(fields).encode())

    async def ask(self, question: str) -> tuple[str, str]:
        """In a new conversation: its id, and the answer's. The latter is "" where it was refused a place."""
        page = await self.post("/ask", question=question)
        if page.status != 200:
            raise Strange(f"{page.status}: {page.body[:300]!r}")
        told = json.loads(page.body)
        running, conversation = RUNNING.search(told["main"]), CONVERSATION.fullmatch(told["url"] or "")
        if conversation is None:
            raise Strange(str(told["url"]))
        return conversation[1], running[1] if running else ""

    async def follow(self, answer: str, opened: "asyncio.Event | None" = None) -> Followed:
        """The stream of an answer to its end, over a connection of its own. ``opened`` is set at its first event."""
        followed, began = Followed(), time.perf_counter()
        reader, writer = await self._connected()
        try:
            writer.write(self._head("GET", f"/answers/{answer}/events", "text/event-stream", b""))
            status, headers = await _head_of(reader)
            if status != 200 or "content-length" in headers:
                raise Strange(f"{status} where a stream was asked for")
            held = b""
            while size := int((await reader.readline()).strip() or b"0", 16):
                held += (await reader.readexactly(size + 2))[:-2]
                *events, held = held.split(b"\n\n")
                for event in events:
                    followed.take(event)
                if followed.numbers and not followed.first_s:
                    followed.first_s = time.perf_counter() - began
                    if opened is not None:
                        opened.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # then its end was not told
        finally:
            writer.close()
        return followed

    async def send(self, path: str, file: Path) -> Page:
        """A form with one file, read from the disk while it is sent, over a connection of its own."""
        began, mark = time.perf_counter(), "a-benchmark-s-boundary"
        named = f'content-disposition: form-data; name="file"; filename="{file.name}"'
        before = f"--{mark}\r\n{named}\r\ncontent-type: application/zip\r\n\r\n".encode()
        after = f"\r\n--{mark}--\r\n".encode()
        size = len(before) + (await asyncio.to_thread(file.stat)).st_size + len(after)
        reader, writer = await self._connected()
        try:
            kind = f"multipart/form-data; boundary={mark}"
            writer.write(self._head("POST", path, "text/html", before, kind=kind, size=size))
            with file.open("rb") as source:
                while data := await asyncio.to_thread(source.read, 1 << 20):
                    writer.write(data)
                    await writer.drain()
            writer.write(after)
            status, headers = await _head_of(reader)
            return Page(status, await _body_of(reader, headers), time.perf_counter() - began, headers)
        finally:
            writer.close()

    async def close(self) -> None:
        if self._line is not None:
            self._line[1].close()
            self._line = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        return await asyncio.open_connection(parts.hostname, parts.port, limit=READ_LIMIT)

    def _head(self, method: str, path: str, accept: str, body: bytes, *, kind: str = FORM, size: int = 0) -> bytes:
        """The head of a request and its body, or what of it there is already where ``size`` says how long it is."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: {urlsplit(self.url).netloc}",
            f"cookie: commun_session={self.cookie}",
            f"accept: {accept}",
            "accept-language: en",
            "sec-fetch-site: same-origin",
        ]
        if method == "POST":
            lines += [f"content-type: {kind}", f"content-length: {size or len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def _asked(self, method: str, path: str, accept: str, body: bytes) -> Page:
        began = time.perf_counter()
        async with self._turn:
            if self._line is None or self._line[0].at_eof():
                self._line = await self._connected()
            reader, writer = self._line
            writer.write(self._head(method, path, accept, body))
            try:
                status, headers = await _head_of(reader)
                content = await _body_of(reader, headers)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self._line = None
                raise Strange(f"{path}: hung up") from error
        return Page(status, content, time.perf_counter() - began, headers)


async def _head_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, value in pairs}


async def _body_of(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("transfer-encoding") != "chunked":
        return b""
    content = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        content += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return content
