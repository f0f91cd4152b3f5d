"""The embedded engine: OpenVINO GenAI on this machine's processor, in a process of its own (``worker.py`` says why).

States: LOADING until the first load ends; READY; FAILED from the moment at which the process dies or hangs (a step
longer than ``step_timeout_s``), or the model's files were changed (``refusal`` then says so), until a fresh one has
loaded: every running answer then ends with EngineFailed.

- A change of the files ends the process within CHECK_FILES_S, because it reads the weights from the very files (they
  are mapped into its memory). That they are again what they were is no reason to go on: only a new load of files that
  were hashed anew is.
- What was loaded is what was hashed: files that change between their hash and the end of the load make the load void.
  It is done again, LOAD_TRIES times at most. Scores, whose part of the engine is loaded when first asked for, are given
  out only if nothing has changed until then.
- Nothing of the configuration may decide what is dropped from a conversation: the cache holds one whole context,
  whatever ``cache_gb`` says (cache_size.py), and where there is no memory for it the load is refused.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import structlog

from commun.charter.errors import CharterError, ModelNotAdopted
from commun.engine import cache_size, default_model
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
from commun.engine.connection import COMMAND, Connection, Spare
from commun.engine.grammar_check import GrammarCheck, GrammarProcess
from commun.errors import (
    CommunError,
    ConfigError,
    EngineFailed,
    EngineLoading,
    InvalidParameter,
    MessageTooLong,
    UnsupportedModel,
)

RESTART_PAUSE_S = (0.0, 1.0, 5.0, 30.0)  # before the first, second, ... restart in a row
CHECK_FILES_S = 3.0  # between two looks at the files of the model in use
LOAD_TRIES = 3  # where its files change while they are loaded
LOAD_AGAIN_S = 300.0  # after files that were not the adopted ones, unless they change before
FIRST_LOAD_S = 10  # what a person is told to wait for while nobody knows better

log = structlog.get_logger()


class Model(Protocol):
    """What the engine must know of a model (``weights.Manifest``)."""

    @property
    def id(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def context_length(self) -> int: ...


class Ready(Protocol):
    """A model that can be loaded (``weights.ReadyModel``)."""

    @property
    def folder(self) -> Path: ...
    @property
    def manifest(self) -> Model: ...

    def check(self) -> None:
        """Was nothing of its files changed since they were hashed? Blocks. Raises ModelNotAdopted, then for ever."""
        ...

    def marks(self) -> object:
        """Something that is equal as long as its files are not changed. Blocks. Raises nothing."""
        ...


class LoadedInVain(Exception):
    """The load must be done again: its files changed, or its cache was too small (the wish is larger now)."""


class OpenVINOEngine:
    """``prepare``: gives the verified model; may take long, runs in a thread. ``profile``: "exact" or "fast".
    ``context``: tokens that one conversation may have (0: what the model can). ``threads``: 0 means every core.
    ``cache_gb``: memory for running answers, at least. ``command``: starts the worker (tests start one with faults).
    ``spare``: a worker that has been started already, for the first load.
    """

    def __init__(
        self,
        *,
        prepare: Callable[[], Ready],
        profile: str,
        context: int = 0,
        threads: int = 0,
        cache_gb: int = 1,
        max_running: int = 32,
        step_timeout_s: float = 120,
        command: Sequence[str] = COMMAND,
        scheduler: dict[str, int | bool] | None = None,
        spare: Spare | None = None,
    ) -> None:
        self._prepare = prepare
        self._spare = spare
        self._context = context
        self._cache_gb = cache_gb
        self._was_enlarged = False
        self._wished: Model | None = None
        self._ready_model: Ready | None = None
        self._refusal: CommunError | None = None
        self._settings: dict[str, Any] = {
            "profile": profile,
            "threads": threads,
            "cache_gb": cache_gb,
            "max_running": max_running,
            "scheduler": scheduler or {},
        }
        self._step_timeout_s = step_timeout_s
        self._command = command
        self._state = EngineState.LOADING
        self._info: EngineInfo | None = None
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._grammar: GrammarCheck | None = None
        self._load_s = float(FIRST_LOAD_S)

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def refusal(self) -> CommunError | None:
        return self._refusal

    @property
    def info(self) -> EngineInfo:
        if self._info is None:
            raise EngineLoading(retry_after=self._retry_after())
        return self._info

    async def start(self) -> None:
        if self._keeper is None:
            connection = await self._load()
            self._keeper = asyncio.create_task(self._keep(connection))

    async def close(self) -> None:
        self._state = EngineState.CLOSED
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._grammar is not None:
            await self._grammar.close()
        if self._spare is not None:
            await self._spare.close()
        if self._connection is not None:
            await self._connection.close()

    async def render(self, messages: Sequence[Message]) -> Prompt:
        pairs = [[message.role, message.content] for message in messages]
        ids = await self._ready().call("render", pairs)
        return Prompt(token_ids=tuple(ids), messages=tuple(messages))

    async def encode(self, text: str) -> Prompt:
        ids = await self._ready().call("encode", text)
        return Prompt(token_ids=tuple(ids), text=text)

    async def count(self, prompt: Prompt) -> int:
        return len(known_ids(prompt))

    async def check_schema(self, schema: str, asker: str = "") -> None:
        self._ready()
        if self._grammar is not None:
            await self._grammar.check(schema, asker)

    def generate(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta | Finish, None]:
        return self._generate(prompt, sampling, time.monotonic())

    async def score(self, token_ids: Sequence[int]) -> list[Score]:
        if len(token_ids) > self.info.context_length:
            raise MessageTooLong(tokens=len(token_ids), limit=self.info.context_length)
        rows = await self._ready().call("score", list(token_ids))
        if self._ready_model is not None:
            await asyncio.to_thread(self._ready_model.check)
        return [Score(*row) for row in rows]

    def token_bytes(self, token_id: int) -> bytes:
        connection = self._connection or self._ready()  # also of an engine that was closed under its last answer
        return connection.table.pieces[token_id]

    async def _generate(self, prompt: Prompt, sampling: Sampling, began: float) -> AsyncGenerator[Delta | Finish, None]:
        if sampling.json_schema is not None:  # whoever asks: nothing is compiled there that was not tried apart
            await self.check_schema(sampling.json_schema)
        connection = self._ready()
        token_ids = known_ids(prompt)
        number, stream = connection.go(token_ids, self._bounded(token_ids, sampling))
        try:
            while (delta := await stream.take()) is not None:
                yield delta
            reason = stream.finish
            if reason is not None:
                yield Finish(
                    reason=reason,
                    prompt_tokens=len(token_ids),
                    completion_tokens=stream.given,
                    first_token_s=max(0.0, stream.first_token_at - began),
                    total_s=time.monotonic() - began,
                )
        finally:
            connection.drop(number)

    def _bounded(self, token_ids: Sequence[int], sampling: Sampling) -> Sampling:
        """An answer ends where the context does; a prompt that leaves no room for one is refused."""
        room = self.info.context_length - len(token_ids)
        if not token_ids:
            raise InvalidParameter(parameter="prompt", reason="it is empty")
        if room < 1:
            raise MessageTooLong(tokens=len(token_ids), limit=self.info.context_length - 1)
        return replace(sampling, max_tokens=min(sampling.max_tokens, room))

    def _ready(self) -> Connection:
        if self._state is EngineState.LOADING:
            raise EngineLoading(retry_after=self._retry_after())
        if self._connection is None or self._state is not EngineState.READY:
            raise EngineFailed(retry_after=self._retry_after())
        return self._connection

    def _retry_after(self) -> int:
        return max(1, math.ceil(self._load_s))

    async def _load(self) -> Connection:
        """A fresh process with the model in it. Raises ModelError, or EngineFailed."""
        for _ in range(LOAD_TRIES):
            with contextlib.suppress(LoadedInVain):
                return await self._load_once()
        reason = "its files change while they are loaded"
        self._refusal = ModelNotAdopted(model=self._wished.id if self._wished else "", reason=reason)
        raise self._refusal

    async def _load_once(self) -> Connection:
        began = time.monotonic()
        connection = await self._spawned()
        try:
            ready = await asyncio.to_thread(self._prepare)
            self._wished = model = ready.manifest
            context = min(model.context_length, self._context or model.context_length)
            await asyncio.to_thread(self._make_room, ready, context)
            about = await connection.load({"path": str(ready.folder), **self._settings})
            if not await self._are_files_right(ready):
                raise LoadedInVain  # noqa: TRY301  (the process must be closed)
            info = self._described(model, context, about)
        except EngineFailed as error:
            await connection.close()
            if not await self._are_files_right(ready):
                raise LoadedInVain from error
            raise UnsupportedModel(model=model.id, reason=connection.cause or "the engine ended") from error
        except BaseException as error:
            await connection.close()
            if isinstance(error, CharterError):
                self._refusal = error
            raise
        self._load_s = time.monotonic() - began
        connection.retry_after = self._retry_after()
        self._connection, self._ready_model, self._info = connection, ready, info
        if self._grammar is None or self._grammar.folder != ready.folder:
            old, self._grammar = self._grammar, GrammarCheck(GrammarProcess(ready.folder))
            if old is not None:
                await old.close()
        self._refusal = None
        self._state = EngineState.READY
        log.info("the model is loaded", model=model.id, seconds=round(self._load_s, 2))
        return connection

    async def _spawned(self) -> Connection:
        """A worker with nothing in it yet."""
        spare = None if self._spare is None else await self._spare.take()
        if spare is not None and not spare.ended.is_set():
            return spare
        connection = Connection(self._command, self._step_timeout_s)
        await connection.spawn()
        return connection

    def _make_room(self, ready: Ready, context: int) -> None:
        """A cache that holds one whole context. Raises ContextTooLarge."""
        enough = cache_size.enough_gb(ready.folder, self._settings["profile"], context)
        self._settings["cache_gb"] = max(self._settings["cache_gb"], enough)
        if self._settings["cache_gb"] > self._cache_gb:
            cache_size.check_free(ready.manifest.id, ready.folder, context, self._settings["cache_gb"])

    def _described(self, model: Model, context: int, about: dict[str, Any]) -> EngineInfo:
        """Raises LoadedInVain, once, where the cache is too small; then ConfigError."""
        held = about["cache_tokens"] or context
        if held < context:
            cache_gb = self._settings["cache_gb"]
            needed = math.ceil(cache_gb * context / held)
            reason = f"{cache_gb} GB hold {held} tokens, and one conversation may have {context}; {needed} GB would do"
            reason += ", or a smaller most_tokens in the charter"
            if self._was_enlarged:
                raise ConfigError(setting="kv_cache_gb", reason=reason)
            self._was_enlarged = True
            self._settings["cache_gb"] = needed
            raise LoadedInVain
        return EngineInfo(
            name="openvino-genai",
            version=about["version"],
            profile=self._settings["profile"],
            model=model.id,
            model_digest=model.digest,
            context_length=context,
            embedded_default=model.digest == default_model.manifest().digest,
            notes={**about["notes"], "threads": str(self._settings["threads"])},
        )

    async def _keep(self, connection: Connection) -> None:
        """Puts a fresh process in the place of each one that ends."""
        while True:
            await self._until_unusable(connection)
            self._state = EngineState.FAILED
            await connection.close()
            connection = await self._restart()

    async def _until_unusable(self, connection: Connection) -> None:
        """Until the process ends or the model's files change."""
        while not connection.ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_FILES_S):
                    await connection.ended.wait()
            if not connection.ended.is_set() and not await self._are_files_right(self._ready_model):
                return
        log.error("the engine ended and is started again", cause=connection.cause or "unknown")

    async def _are_files_right(self, ready: Ready | None) -> bool:
        """Those of the model that was, or is being, loaded; ``refusal`` says what is wrong."""
        try:
            if ready is not None:
                await asyncio.to_thread(ready.check)
        except CommunError as error:
            if self._refusal is None:
                log.error("the model's files were changed: it is loaded again", problem=error.text())  # noqa: TRY400  (no traceback)
            self._refusal = error
            return False
        return True

    async def _restart(self) -> Connection:
        attempt = 0
        while True:
            await asyncio.sleep(RESTART_PAUSE_S[min(attempt, len(RESTART_PAUSE_S) - 1)])
            attempt += 1
            marks = await self._marks()
            try:
                return await self._load()
            except CommunError as error:
                log.warning("the engine could not be started again", error=error.code, attempt=attempt)
                if isinstance(error, CharterError):
                    await self._until_files_change(marks)
                    attempt = 0

    async def _until_files_change(self, marks: object) -> None:
        """From one load in vain to the next: hashing all the time would cost a processor."""
        deadline = time.monotonic() + LOAD_AGAIN_S
        while time.monotonic() < deadline and await self._marks() == marks:  # noqa: ASYNC110  (files tell nobody)
            await asyncio.sleep(CHECK_FILES_S)

    async def _marks(self) -> object:
        return None if self._ready_model is None else await asyncio.to_thread(self._ready_model.marks)


def known_ids(prompt: Prompt) -> tuple[int, ...]:
    if prompt.token_ids is None:
        raise InvalidParameter(parameter="prompt", reason="the embedded engine needs its token ids")
    return prompt.token_ids
