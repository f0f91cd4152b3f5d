"""One life of the engine's process, seen from Commun: who waits for what, and the news of each step.

Each stream holds what its reader has not yet taken as one growing delta. So a slow reader blocks nobody and loses
nothing, and what is held is bounded by the answer's length; a step wakes each waiting reader at most once.
"""

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import Sequence
from typing import Any

import structlog

from commun.engine.base import Delta, FinishReason, Sampling
from commun.engine.child import command_of, environment_of_child
from commun.engine.detokenizer import TextStream, TokenTable
from commun.engine.line import MAX_LINE_BYTES, from_line, to_line
from commun.errors import CommunError, EngineFailed, InvalidParameter, MessageTooLong, UnsupportedParameter

COMMAND = command_of("commun.engine.worker")
REFUSALS: dict[str, type[CommunError]] = {
    each.code: each for each in (InvalidParameter, MessageTooLong, UnsupportedParameter)
}
GOODBYE_S = 2.0  # for the process to end by itself when its socket is closed
WATCH_EVERY_S = 1.0

log = structlog.get_logger()


class Stream:
    """What one answer's reader has not taken yet. Fed and read on the event loop."""

    __slots__ = ("_ids", "_logprobs", "_news", "_text", "error", "finish", "first_token_at", "given", "text")

    def __init__(self, text: TextStream) -> None:
        self.text = text
        self.given = 0
        self.first_token_at = 0.0
        self.finish: FinishReason | None = None
        self.error: CommunError | None = None
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._text = ""
        self._news: asyncio.Future[None] | None = None

    def feed(self, token_ids: list[int], logprobs: list[float], finish: str) -> None:
        """``text.stopped`` afterwards means that a stop string was met: later tokens are left out."""
        if not self.first_token_at and token_ids:
            self.first_token_at = time.monotonic()
        for token, logprob in zip(token_ids, logprobs, strict=True):
            self._ids.append(token)
            self._logprobs.append(logprob)
            self._text += self.text.push((token,))
            if self.text.stopped:
                finish = "stop"
                break
        if finish:
            self._text += self.text.finish()
            self.finish = FinishReason(finish)
        self.wake()

    def fail(self, error: CommunError) -> None:
        self.error = error
        self.wake()

    def wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def take(self) -> Delta | None:
        """All that is new, once there is something; None at the end. Raises what the answer failed with, after the
        tokens that came before.
        """
        while not self._ids and not self._text:
            if self.error is not None:
                raise self.error
            if self.finish is not None:
                return None
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        delta = Delta(token_ids=tuple(self._ids), text=self._text, logprobs=tuple(self._logprobs))
        self.given += len(self._ids)
        self._ids, self._logprobs, self._text = [], [], ""
        return delta


class Connection:
    """Owns the process. Ends by ``close``, by its own death, or by the watchdog; then ``ended`` is set."""

    def __init__(self, command: Sequence[str], step_timeout_s: float) -> None:
        self.ended = asyncio.Event()
        self.cause = ""
        self.retry_after = 1
        self._command = command
        self._step_timeout_s = step_timeout_s
        self._numbers = itertools.count(1)
        self._streams: dict[int, Stream] = {}
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._heard = 0.0
        self._pieces: list[bytes] = []
        self._table: TokenTable | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def spawn(self) -> None:
        """Starts the process; it begins to import OpenVINO while the model is still being prepared here."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=environment_of_child(),
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]

    async def load(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What the worker says of itself. Raises EngineFailed when it ends instead (``cause`` says why)."""
        self._send(["load", settings])
        about = await self._ready
        self._table = TokenTable(
            tuple(piece.encode("latin-1") for piece in about.pop("pieces")),
            frozenset(about.pop("special")),
            strip_first=about.pop("strip_first"),
        )
        self._pieces = self._table.text_pieces()
        return about

    @property
    def table(self) -> TokenTable:
        if self._table is None:
            raise EngineFailed(retry_after=self.retry_after)
        return self._table

    def go(self, token_ids: Sequence[int], sampling: Sampling) -> tuple[int, Stream]:
        number = self._next()
        stream = Stream(TextStream(self._pieces, sampling.stop, strip_first=self.table.strip_first))
        self._streams[number] = stream
        wish = {
            "seed": sampling.seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "ignore_eos": sampling.ignore_eos,
            "json_schema": sampling.json_schema,
        }
        self._send(["go", number, list(token_ids), wish])
        return number, stream

    def drop(self, number: int) -> None:
        """The reader is gone: frees the slot, if the answer still had one."""
        if self._streams.pop(number, None) is not None:
            self._send(["cancel", number])

    async def call(self, kind: str, *arguments: Any) -> Any:
        number = self._next()
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[number] = reply
        try:
            self._send([kind, number, *arguments])
            return await reply
        finally:
            self._calls.pop(number, None)

    async def close(self) -> None:
        """Ends the process; those who still wait are failed."""
        if not self._tasks:
            return
        self._writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):  # (wait_for may swallow a cancellation before Python 3.12)
                await self._process.wait()
        self._kill()
        await self._process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _next(self) -> int:
        if not self._streams and not self._calls:
            self._heard = time.monotonic()  # it was idle: the watchdog counts from now
        return next(self._numbers)

    def _send(self, message: list[Any]) -> None:
        if not self.ended.is_set():
            self._writer.write(to_line(message))

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._heard = time.monotonic()
                self._hear(from_line(line))
        except (ConnectionError, ValueError) as error:
            self.cause = self.cause or type(error).__name__
        finally:
            self._end()

    def _hear(self, message: list[Any]) -> None:
        match message:
            case ["step", news]:
                for number, token_ids, logprobs, finish in news:
                    self._feed(number, token_ids, logprobs, finish)
            case ["reply", number, value]:
                reply = self._calls.get(number)
                if reply is not None and not reply.done():
                    reply.set_result(value)
            case ["refused", number, code, details]:
                self._refuse(number, REFUSALS.get(code, CommunError)(**details))
            case ["ready", about]:
                self._ready.set_result(about)
            case ["broken", code, reason, details]:
                self.cause = f"{code}: {reason}"
                log.error("the engine's process broke", code=code, reason=reason, **details)
            case _:
                raise ValueError("not a message")

    def _feed(self, number: int, token_ids: list[int], logprobs: list[float], finish: str) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.feed(token_ids, logprobs, finish)
        if stream.finish is not None:
            del self._streams[number]
            if not finish:
                self._send(["cancel", number])

    def _refuse(self, number: int, error: CommunError) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.fail(error)
        reply = self._calls.get(number)
        if reply is not None and not reply.done():
            reply.set_exception(error)

    async def _watch(self) -> None:
        every = min(WATCH_EVERY_S, self._step_timeout_s / 4)
        while not self.ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await self.ended.wait()
            busy = self._streams or self._calls
            if busy and time.monotonic() - self._heard > self._step_timeout_s:
                self.cause = "a step took too long"
                self._kill()
                return

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _end(self) -> None:
        """The process is gone or no longer speaks our language: everybody who waits hears it now."""
        self.ended.set()
        self._kill()
        self._writer.close()
        failure = EngineFailed(retry_after=self.retry_after)
        for stream in self._streams.values():
            stream.fail(failure)
        self._streams.clear()
        for reply in (*self._calls.values(), self._ready):
            if not reply.done():
                reply.set_exception(failure)
        if not self._ready.cancelled():
            self._ready.exception()  # fetched, so that nobody is warned of what nobody waits for


class Spare:
    """A process that begins to import OpenVINO before anybody knows which model it will load: the charter is verified
    meanwhile. The first engine takes it; where none does, ``close`` ends it.
    """

    def __init__(self, command: Sequence[str], step_timeout_s: float) -> None:
        self._connection = Connection(command, step_timeout_s)
        self._spawning: asyncio.Task[None] | None = asyncio.create_task(self._connection.spawn())

    async def take(self) -> Connection | None:
        """None: it was taken already, or could not be started; whoever asks starts one then."""
        spawning, self._spawning = self._spawning, None
        if spawning is None:
            return None
        try:
            await spawning
        except OSError:
            return None
        return self._connection

    async def close(self) -> None:
        if (connection := await self.take()) is not None:
            await connection.close()
