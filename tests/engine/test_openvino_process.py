"""The engine's process: what happens when readers are slow, leave, and when the process breaks, hangs or dies."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from commun.charter.errors import ModelNotAdopted
from commun.engine import openvino
from commun.engine.base import Delta, EngineState, Finish, FinishReason, Message, Prompt, Sampling
from commun.engine.openvino import OpenVINOEngine
from commun.errors import (
    CommunError,
    ConfigError,
    EngineFailed,
    EngineLoading,
    InvalidParameter,
    MessageTooLong,
    UnsupportedModel,
)
from engine.scripted_worker import DIE, HANG, RAISE, SLOW

pytestmark = pytest.mark.anyio
COMMAND = (sys.executable, str(Path(__file__).with_name("scripted_worker.py")))


@dataclass(frozen=True)
class Model:
    id: str = "scripted"
    digest: str = "ab" * 32
    context_length: int = 400


@dataclass
class Ready:
    """A model whose files the test may spoil."""

    folder: Path
    manifest: Model = field(default_factory=Model)
    wrong: CommunError | None = None

    def check(self) -> None:
        if self.wrong is not None:
            raise self.wrong


def engine_in(folder: Path, *, step_timeout_s: float = 30, **other: Any) -> OpenVINOEngine:
    ready = other.pop("ready", None) or Ready(folder)
    return OpenVINOEngine(
        prepare=lambda: ready, profile="exact", command=COMMAND, step_timeout_s=step_timeout_s, **other
    )


@contextlib.asynccontextmanager
async def started(folder: Path, *, step_timeout_s: float = 30) -> AsyncGenerator[OpenVINOEngine, None]:
    engine = engine_in(folder, step_timeout_s=step_timeout_s)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def prompt(*ids: int) -> Prompt:
    return Prompt(token_ids=ids)


def sampling(**wishes) -> Sampling:
    return Sampling(**{"seed": 1, "max_tokens": 300, "temperature": 0.8} | wishes)


async def read(answer) -> tuple[str, int, Finish]:
    text, tokens = "", 0
    async for part in answer:
        if isinstance(part, Finish):
            return text, tokens, part
        text += part.text
        tokens += len(part.token_ids)
    raise AssertionError("no finish")


async def until_ready(engine: OpenVINOEngine) -> None:
    async with asyncio.timeout(20):
        while engine.state is not EngineState.READY:  # noqa: ASYNC110  (the state is all that is told)
            await asyncio.sleep(0.02)


async def test_an_answer_streams_and_ends_with_one_finish(tmp_path):
    async with started(tmp_path) as engine:
        text, tokens, finish = await read(engine.generate(prompt(30), sampling()))
        assert text == "abcdefghijklmnopqrstuvwxyzabcd"
        assert tokens == finish.completion_tokens == 30
        assert finish.prompt_tokens == 1
        assert 0 < finish.first_token_s <= finish.total_s


async def test_it_tells_what_it_is_and_reads_prompts(tmp_path):
    async with started(tmp_path) as engine:
        assert engine.info.context_length == 400
        assert engine.info.model_digest == "ab" * 32
        rendered = await engine.render([Message("user", "hé")])
        assert rendered.token_ids == tuple("hé".encode())
        assert await engine.count(rendered) == 3
        assert engine.token_bytes(97) == b"a"
        assert [score.token_id for score in await engine.score([1, 2, 3])] == [2, 3]


async def test_before_the_first_load_it_says_that_it_is_loading(tmp_path):
    engine = engine_in(tmp_path)
    with pytest.raises(EngineLoading):
        _ = engine.info
    with pytest.raises(EngineLoading):
        await read(engine.generate(prompt(3), sampling()))


async def test_a_slow_reader_holds_up_nobody_and_loses_nothing(tmp_path):
    async with started(tmp_path) as engine:
        slow = engine.generate(prompt(200), sampling())
        first = await anext(slow)
        assert isinstance(first, Delta)
        await read(engine.generate(prompt(250), sampling()))  # a later, longer one is done meanwhile
        rest, tokens, finish = await read(slow)
        assert len(first.token_ids) + tokens == finish.completion_tokens == 200
        assert first.text + rest == ("abcdefghijklmnopqrstuvwxyz" * 8)[:200]


async def test_a_reader_that_leaves_frees_its_slot(tmp_path):
    async with started(tmp_path) as engine:
        leaving = engine.generate(prompt(300, SLOW), sampling())
        await anext(leaving)
        await leaving.aclose()
        began = time.monotonic()
        await read(engine.generate(prompt(20), sampling()))
        assert time.monotonic() - began < 2  # the other one would have taken 6 s


async def test_an_answer_ends_before_the_stop_string_and_holds_its_tokens(tmp_path):
    async with started(tmp_path) as engine:
        text, tokens, finish = await read(engine.generate(prompt(100), sampling(stop=("fgh", "zzz"))))
        assert text == "abcde"
        assert tokens == finish.completion_tokens == 8
        assert finish.reason is FinishReason.STOP


async def test_an_answer_ends_where_the_context_ends(tmp_path):
    async with started(tmp_path) as engine:
        _, tokens, finish = await read(engine.generate(prompt(*[300] * 390), sampling()))
        assert (tokens, finish.reason) == (10, FinishReason.LENGTH)


@pytest.mark.parametrize(("ids", "error"), [((300,) * 400, MessageTooLong), ((), InvalidParameter)])
async def test_a_prompt_that_cannot_be_answered_is_refused(tmp_path, ids, error):
    async with started(tmp_path) as engine:
        with pytest.raises(error):
            await read(engine.generate(prompt(*ids), sampling()))


@pytest.mark.parametrize("fault", [RAISE, DIE, HANG])
async def test_a_fault_fails_every_answer_and_a_fresh_process_takes_over(tmp_path, fault):
    async with started(tmp_path, step_timeout_s=0.5) as engine:
        other = asyncio.create_task(read(engine.generate(prompt(300, SLOW), sampling())))
        await asyncio.sleep(0.1)
        with pytest.raises(EngineFailed) as failure:
            await read(engine.generate(prompt(300, fault), sampling()))
        assert failure.value.retry_after >= 1
        with pytest.raises(EngineFailed):
            await other
        await asyncio.sleep(0)
        assert engine.state is EngineState.FAILED
        with pytest.raises(EngineFailed):
            await read(engine.generate(prompt(3), sampling()))
        await until_ready(engine)
        assert (await read(engine.generate(prompt(3), sampling())))[0] == "abc"


async def test_the_tokens_before_a_fault_are_given_out(tmp_path):
    async with started(tmp_path) as engine:
        said = ""
        answer = engine.generate(prompt(300, RAISE), sampling())
        with pytest.raises(EngineFailed):  # noqa: PT012  (it is raised in the middle)
            async for part in answer:
                said += part.text
        assert said == "ab"


async def test_a_model_that_cannot_be_loaded_is_an_error_without_the_exceptions_text(tmp_path):
    (tmp_path / "broken").touch()
    engine = engine_in(tmp_path)
    with pytest.raises(UnsupportedModel) as failure:
        await engine.start()
    assert "RuntimeError" in failure.value.text()
    assert "secret" not in failure.value.text()
    await engine.close()


async def test_a_model_that_vanished_is_tried_again_until_it_is_back(tmp_path):
    async with started(tmp_path) as engine:
        (tmp_path / "broken").touch()
        with pytest.raises(EngineFailed):
            await read(engine.generate(prompt(300, RAISE), sampling()))
        await asyncio.sleep(0.3)
        assert engine.state is EngineState.FAILED
        (tmp_path / "broken").unlink()
        await until_ready(engine)


async def test_closing_ends_the_process_and_those_who_wait(tmp_path):
    engine = engine_in(tmp_path)
    await engine.start()
    process = engine._connection._process.pid
    waiting = asyncio.create_task(read(engine.generate(prompt(300, SLOW), sampling())))
    await asyncio.sleep(0.05)
    await engine.close()
    with pytest.raises(EngineFailed):
        await waiting
    assert engine.state is EngineState.CLOSED
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


SERVER = """
import asyncio, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from engine.test_openvino_process import engine_in

async def main():
    engine = engine_in(Path({folder!r}))
    await engine.start()
    print(engine._connection._process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_killed_server_leaves_no_engine_behind(tmp_path):
    script = SERVER.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path))
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    process = 0
    while not process:
        line = (await server.stdout.readline()).strip()
        process = int(line) if line.isdigit() else 0
    server.kill()
    await server.wait()
    async with asyncio.timeout(10):
        while is_running(process):  # noqa: ASYNC110  (another process's end)
            await asyncio.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_changed_files_end_the_engine_until_they_are_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "CHECK_FILES_S", 0.02)
    ready = Ready(tmp_path)
    engine = engine_in(tmp_path, ready=ready)
    await engine.start()
    try:
        answer = engine.generate(prompt(300), sampling())
        assert isinstance(await anext(answer), Delta)
        ready.wrong = ModelNotAdopted(model="scripted", reason="the SHA-256 of a file is wrong")
        with pytest.raises(EngineFailed):
            [part async for part in answer]
        assert (engine.state, engine.refusal) == (EngineState.FAILED, ready.wrong)
        await asyncio.sleep(0.1)
        assert engine.state is EngineState.FAILED
        ready.wrong = None
        async with asyncio.timeout(20):
            while engine.state is not EngineState.READY:  # noqa: ASYNC110  (another process's state)
                await asyncio.sleep(0.02)
        assert engine.refusal is None
        assert (await read(engine.generate(prompt(3), sampling())))[1] == 3
    finally:
        await engine.close()


async def test_a_cache_that_cannot_hold_the_context_is_refused_at_the_load(tmp_path: Path) -> None:
    large = Ready(tmp_path, Model(context_length=2000))
    with pytest.raises(ConfigError, match=r"kv_cache_gb.*512 tokens.*2000; 4 GB"):
        await engine_in(tmp_path, ready=large).start()
    engine = engine_in(tmp_path, ready=large, context=500)
    await engine.start()
    assert engine.info.context_length == 500
    await engine.close()
