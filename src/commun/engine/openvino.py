"""The embedded engine: OpenVINO GenAI on this machine's processor, in a process of its own (``worker.py`` says why).

States: LOADING until the first load ends; READY; FAILED from the moment at which the process dies or hangs (a step
longer than ``step_timeout_s``), or the model's files are no longer the adopted ones (``refusal`` then says so), until a
fresh one has loaded: every running answer then ends with EngineFailed. Also the files' change ends the process at once,
because it reads the weights from the very files (they are mapped into its memory).

Nothing of the configuration may decide what is dropped from a conversation: a cache that cannot hold the context that
is asked for is refused at the load (ConfigError naming ``kv_cache_gb``), never silently a shorter context.
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

from commun.charter.errors import CharterError
from commun.engine import default_model
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
from commun.engine.connection import COMMAND, Connection
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
        """Are its files still those that were checked before the load? Blocks. Raises what is wrong."""
        ...


class OpenVINOEngine:
    """``prepare``: gives the verified model; may take long, runs in a thread. ``profile``: "exact" or "fast".
    ``context``: tokens that one conversation may have (0: what the model can). ``threads``: 0 means every core.
    ``cache_gb``: memory for running answers. ``command``: starts the worker (tests start one with faults).
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
    ) -> None:
        self._prepare = prepare
        self._context = context
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

    def generate(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta | Finish, None]:
        return self._generate(prompt, sampling, time.monotonic())

    async def score(self, token_ids: Sequence[int]) -> list[Score]:
        if len(token_ids) > self.info.context_length:
            raise MessageTooLong(tokens=len(token_ids), limit=self.info.context_length)
        rows = await self._ready().call("score", list(token_ids))
        return [Score(*row) for row in rows]

    def token_bytes(self, token_id: int) -> bytes:
        connection = self._connection or self._ready()  # also of an engine that was closed under its last answer
        return connection.table.pieces[token_id]

    async def _generate(self, prompt: Prompt, sampling: Sampling, began: float) -> AsyncGenerator[Delta | Finish, None]:
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
        began = time.monotonic()
        connection = Connection(self._command, self._step_timeout_s)
        await connection.spawn()
        try:
            ready = await asyncio.to_thread(self._prepare)
            model = ready.manifest
            about = await connection.load({"path": str(ready.folder), **self._settings})
            info = self._described(model, about)
        except EngineFailed as error:
            await connection.close()
            raise UnsupportedModel(model=model.id, reason=connection.cause or "the engine ended") from error
        except BaseException as error:
            await connection.close()
            if isinstance(error, CharterError):
                self._refusal = error
            raise
        self._load_s = time.monotonic() - began
        connection.retry_after = self._retry_after()
        self._connection, self._ready_model, self._info = connection, ready, info
        self._refusal = None
        self._state = EngineState.READY
        log.info("the model is loaded", model=model.id, seconds=round(self._load_s, 2))
        return connection

    def _described(self, model: Model, about: dict[str, Any]) -> EngineInfo:
        """Raises ConfigError where the cache is too small."""
        context = min(model.context_length, self._context or model.context_length)
        held = about["cache_tokens"] or context
        if held < context:
            cache_gb = self._settings["cache_gb"]
            needed = math.ceil(cache_gb * context / held)
            reason = f"{cache_gb} GB hold {held} tokens, and one conversation may have {context}; {needed} GB would do"
            reason += ", or a smaller most_tokens in the charter"
            raise ConfigError(setting="kv_cache_gb", reason=reason)
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
            if not connection.ended.is_set() and not await self._are_files_right():
                return
        log.error("the engine ended and is started again", cause=connection.cause or "unknown")

    async def _are_files_right(self) -> bool:
        """Of the model that was loaded last; ``refusal`` says what is wrong."""
        if self._ready_model is None:
            return True
        try:
            await asyncio.to_thread(self._ready_model.check)
        except CommunError as error:
            if self._refusal is None:
                log.error("the model's files were changed: it no longer answers", problem=error.text())  # noqa: TRY400  (no traceback)
            self._refusal = error
            return False
        return True

    async def _restart(self) -> Connection:
        attempt = 0
        while True:
            await asyncio.sleep(RESTART_PAUSE_S[min(attempt, len(RESTART_PAUSE_S) - 1)])
            attempt += 1
            while not await self._are_files_right():  # noqa: ASYNC110  (files tell nobody when they are mended)
                await asyncio.sleep(CHECK_FILES_S)
            try:
                return await self._load()
            except CommunError as error:
                log.warning("the engine could not be started again", error=error.code, attempt=attempt)


def known_ids(prompt: Prompt) -> tuple[int, ...]:
    if prompt.token_ids is None:
        raise InvalidParameter(parameter="prompt", reason="the embedded engine needs its token ids")
    return prompt.token_ids
