"""From a turn's events to an HTTP answer: streamed or whole.

Rules:

- the client's leaving stops the turn at once and frees its place;
- nothing is sent before there is something to say, so that an early failure still has its own HTTP status; a client
  that waits in the queue is told its place in a comment, and any silence is broken by a comment (which starts the
  answer, with status 200);
- after that a failure is one event with OpenAI's error object, and the stream ends without ``[DONE]``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from starlette.types import Receive, Scope, Send

from commun.api.begun import receipt_header
from commun.api.edition import charter_headers
from commun.api.errors import ClientGone, error_bytes
from commun.assistant.turn import Answer, Began, Done, Failed, Queued, Turn
from commun.engine.base import Delta, FinishReason
from commun.errors import CommunError, EngineFailed, InternalError
from commun.receipts.issue import Receipt

KEEP_ALIVE_S = 15.0  # proxies close a silent connection after 30 to 60 s
DROPPED_HEADER = b"commun-dropped-messages"
Result = TypeVar("Result")


class Chunks(Protocol):
    """How one kind of stream is written (``wire.py``)."""

    def first(self, dropped_messages: int) -> bytes: ...

    def delta(self, text: str, ids: tuple[int, ...], logprobs: tuple[float, ...]) -> bytes: ...

    def last(self, answer: Answer, receipt: dict[str, Any]) -> bytes: ...


Tell = Callable[[Receipt], Awaitable[dict[str, Any]]]  # what the last chunk says of the receipt


def check_whole(done: Done) -> Done:
    """The answer, unless the server's closing cut it. Raises EngineFailed."""
    if done.answer.finish_reason == FinishReason.CANCELLED:
        raise EngineFailed(retry_after=5)
    return done


async def ending(turn: Turn) -> Done:
    """The answer and its receipt, once it is whole. Raises the turn's error. Stops the turn when it is itself
    cancelled.
    """
    try:
        async for _number, event in turn.follow():
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Done):
                return check_whole(event)
    finally:
        turn.stop()
    raise InternalError


async def while_there(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """What ``work`` gives. When the client leaves, it is cancelled at once. Raises ClientGone."""
    working = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        if working is not None:
            working.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not gone or working is None or working.uncancel() > 0:
            raise
        raise ClientGone from None
    finally:
        watching.cancel()


class EventStream:
    """One streamed answer, as an ASGI application."""

    def __init__(self, turn: Turn, chunks: Chunks, tell: Tell) -> None:
        self._turn = turn
        self._chunks = chunks
        self._tell_receipt = tell
        self._started = False
        self._quiet = True
        self._dropped = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        attendant = asyncio.create_task(self._attend(receive, send))
        try:
            await self._tell(send)
        finally:
            attendant.cancel()
            self._turn.stop()

    async def _tell(self, send: Send) -> None:
        first = True
        chunks = self._chunks
        async for _number, event in self._turn.follow():
            if isinstance(event, Delta):
                body = chunks.delta(event.text, event.token_ids, event.logprobs)
                if first and body:
                    body = chunks.first(self._dropped) + body
                    first = False
                if body:
                    await self._send(send, body)
            elif isinstance(event, Queued):
                await self._send(send, b": place %d in the queue\n\n" % event.place)
            elif isinstance(event, Began):
                self._dropped = event.dropped_messages
            elif isinstance(event, Failed):
                await self._fail(send, event.error)
            else:
                await self._end(send, event, first=first)

    async def _end(self, send: Send, done: Done, *, first: bool) -> None:
        try:
            check_whole(done)
        except EngineFailed as error:
            await self._fail(send, error)
            return
        body = self._chunks.last(done.answer, await self._tell_receipt(done.receipt))
        await self._send(send, self._chunks.first(self._dropped) + body if first else body, more=False)

    async def _fail(self, send: Send, error: CommunError) -> None:
        if not self._started:
            raise error
        await self._send(send, b"data: " + error_bytes(error) + b"\n\n", more=False)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        self._quiet = False
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self._headers()})
        await send({"type": "http.response.body", "body": body, "more_body": more})

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),  # nginx would hold the tokens back
        ]
        told = charter_headers(self._turn.terms.in_force) | receipt_header([self._turn.receipt_id])
        headers += [(name.encode(), value.encode()) for name, value in told.items()]
        if self._dropped:
            headers.append((DROPPED_HEADER, b"%d" % self._dropped))
        return headers

    async def _attend(self, receive: Receive, send: Send) -> None:
        """Stops the turn when the client leaves; breaks a silence that lasts too long."""
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    message = await receive()
            except TimeoutError:
                if self._quiet:
                    await self._send(send, b": still working\n\n")
                self._quiet = True
                continue
            if message["type"] == "http.disconnect":
                self._turn.stop()
                return
