"""Whether a JSON Schema can be compiled here within bounds: asked before the engine, or an auditor, compiles it.

A process of its own tries it (``grammar_apart.py`` says why, and has the bounds). One is kept, since it takes half a
second of processor and 130 MB to start; where the system ended it, the next question starts another.

- what came out is remembered, good or bad, by the schema's digest: the second time costs nothing;
- one schema is tried at a time, so that all of them together take one place at the lowest priority; among those who
  wait, each asker has one turn, then the next one: whoever sends a hundred bad ones delays another by one;
- an asker has at most EACH that wait, all together WAITING: beyond that they are told to come back.
"""

import asyncio
import contextlib
import hashlib
import json
import subprocess
import threading
from collections import Counter, OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from commun.audit.case import CannotAudit, Why
from commun.engine.child import command_of, environment_of_child
from commun.engine.grammar_apart import BAD, GOOD, READY, SCHEMAS
from commun.errors import EngineFailed, InvalidParameter, QueueFull, TooManyWaiting

# Of all its threads. Most take milliseconds; a string of at most 300 letters takes four seconds (docs/performance.md).
PROCESSOR_S: int = 10
LONGEST_S: Final = 300.0  # of the clock, on the busiest machine: what neither works nor answers is ended
REMEMBERED: Final = 1024  # schemas, good and bad, 32 bytes each
EACH: Final = 16
WAITING: Final = 64
RETRY_S: Final = 10
HARMLESS: Final = "{}"  # what ``json_object`` means: nobody wrote it
COMMAND: Final = command_of("commun.engine.grammar_apart")


class GrammarProcess:
    """``folder``: a model's. Blocks; one question at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = 0
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def compiles(self, schema: str) -> bool:
        """Raises EngineFailed where no process could be started, or this was closed meanwhile."""
        with self._lock:
            child = self._living()
            self._asked += 1
            word = _asked(child, json.dumps(schema).encode() + b"\n")
            if word not in (GOOD, BAD) or self._asked == SCHEMAS or self._is_closed:
                self._end()
            if self._is_closed:
                raise EngineFailed(retry_after=RETRY_S)
            return word == GOOD

    def close(self) -> None:
        """Also while another thread asks."""
        self._is_closed = True
        if (child := self._child) is not None:
            child.kill()
        with self._lock:
            self._end()

    def _living(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self._end()  # it ended between two questions
        if self._child is None and not self._is_closed:
            with contextlib.suppress(OSError):
                self._child = subprocess.Popen(
                    [*COMMAND, str(self.folder), str(PROCESSOR_S)],
                    env=environment_of_child(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                self._asked = 0
                if self._is_closed or _asked(self._child, b"") != READY:
                    self._end()
        if self._child is None:
            raise EngineFailed(retry_after=RETRY_S)
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with contextlib.suppress(BrokenPipeError):
                child.communicate()


def _asked(child: subprocess.Popen[bytes], line: bytes) -> bytes:
    """The answer; nothing where the process ended instead."""
    if child.stdin is None or child.stdout is None:
        return b""
    clock = threading.Timer(LONGEST_S, child.kill)
    clock.start()
    try:
        child.stdin.write(line)
        child.stdin.flush()
        return child.stdout.readline()
    except BrokenPipeError:
        return b""
    finally:
        clock.cancel()


class GrammarCheck:
    """As many ask at once as like. Owned by the event loop."""

    def __init__(self, process: GrammarProcess) -> None:
        self._process = process
        self._known: OrderedDict[bytes, bool] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[bool]] = {}
        self._waiting: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Lock] = {}
        self._one = asyncio.Lock()

    @property
    def folder(self) -> Path:
        return self._process.folder

    async def check(self, schema: str, asker: str = "") -> None:
        """``asker``: whose schema it is, for taking turns. Raises InvalidParameter, TooManyWaiting, QueueFull and
        EngineFailed.
        """
        if schema == HARMLESS:
            return
        digest = hashlib.sha256(schema.encode(errors="surrogatepass")).digest()
        good = self._known.get(digest)
        if good is None:
            good = await asyncio.shield(self._under_way.get(digest) or self._begun(digest, schema, asker))
        else:
            self._known.move_to_end(digest)
        if not good:
            reason = "its JSON Schema cannot be compiled, or takes more time or memory for it than is given"
            raise InvalidParameter(parameter="response_format", reason=reason)

    async def close(self) -> None:
        self._process.close()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _begun(self, digest: bytes, schema: str, asker: str) -> asyncio.Task[bool]:
        """It goes on when whoever asked leaves: what comes out is remembered."""
        if self._waiting[asker] >= EACH:
            raise TooManyWaiting(retry_after=RETRY_S)
        if len(self._under_way) >= WAITING:
            raise QueueFull(retry_after=RETRY_S)
        self._waiting[asker] += 1
        task = self._under_way[digest] = asyncio.create_task(self._tried(digest, schema, asker))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # fetched, whoever has left
        return task

    async def _tried(self, digest: bytes, schema: str, asker: str) -> bool:
        try:
            async with self._turns.setdefault(asker, asyncio.Lock()), self._one:
                good = await asyncio.to_thread(self._process.compiles, schema)
        finally:
            del self._under_way[digest]
            self._waiting[asker] -= 1
            if not self._waiting[asker]:
                del self._waiting[asker], self._turns[asker]
        self._known[digest] = good
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return good


def check_compiles(folder: Path, schema: str) -> None:
    """For an auditor: the schema comes out of a stranger's file. Raises CannotAudit."""
    if not _compiles_alone(folder, schema):
        raise CannotAudit(Why.STRUCTURED)


@lru_cache(maxsize=64)
def _compiles_alone(folder: Path, schema: str) -> bool:
    with GrammarProcess(folder) as process:
        return process.compiles(schema)
