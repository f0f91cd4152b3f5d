"""The engine's process: what happens when readers are slow, leave, and when the process breaks, hangs or dies."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from commun.charter.errors import ModelNotAdopted
from commun.engine import cache_size, child, openvino
from commun.engine.base import Delta, EngineState, Finish, FinishReason, Message, Prompt, Sampling
from commun.engine.cache_size import ContextTooLarge
from commun.engine.connection import Spare
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
from engine.scripted_worker import DIE, GARBLING, HANG, LOSING, MIDNIGHT, RAISE, SLOW, SLOWEST

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

    def marks(self) -> object:
        return id(self.wrong)


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
    async with asyncio.timeout(120):
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


async def test_what_it_cannot_read_is_refused_and_breaks_nothing(tmp_path):
    async with started(tmp_path) as engine:
        running = engine.generate(prompt(200, SLOW), sampling())
        await anext(running)
        for reading, parameter in (
            (engine.render([Message("user", "\ud800")]), "messages"),
            (engine.encode("\ud800"), "prompt"),
        ):
            with pytest.raises(InvalidParameter) as refused:
                await reading
            assert refused.value.details["parameter"] == parameter
        _, _, finish = await read(running)
        assert finish.completion_tokens == 200
        assert engine.state is EngineState.READY


async def test_what_it_cannot_read_breaks_nothing_on_another_day_either(tmp_path):
    async with started(tmp_path) as engine:
        today = await engine.render([Message("user", "hé")])
        await engine.render([Message("user", MIDNIGHT)])
        assert (await engine.render([Message("user", "hé")])).token_ids != today.token_ids
        running = engine.generate(prompt(200, SLOW), sampling())
        await anext(running)
        with pytest.raises(InvalidParameter):
            await engine.render([Message("user", "\ud800")])
        _, _, finish = await read(running)
        assert finish.completion_tokens == 200
        assert engine.state is EngineState.READY


@pytest.mark.parametrize("kind", ["render", "encode"])
async def test_a_tokenizer_that_reads_otherwise_is_started_again_when_it_fails(tmp_path, kind):
    async with started(tmp_path) as engine:
        await engine.encode(GARBLING)
        failing = engine.render([Message("user", "\ud800")]) if kind == "render" else engine.encode("\ud800")
        with pytest.raises(EngineFailed):
            await failing
        assert (await encoded_again(engine, "hé")).token_ids == tuple("hé".encode())


async def encoded_again(engine: OpenVINOEngine, text: str) -> Prompt:
    """As soon as a fresh process is there."""
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(EngineFailed, EngineLoading):
                return await engine.encode(text)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["render", "encode"])
async def test_a_tokenizer_that_reads_nothing_any_more_is_started_again(tmp_path, kind):
    async with started(tmp_path) as engine:
        lost = engine.render([Message("user", LOSING)]) if kind == "render" else engine.encode(LOSING)
        with pytest.raises(EngineFailed):
            await lost
        assert (await encoded_again(engine, "hé")).token_ids == tuple("hé".encode())
        _, tokens, _ = await read(engine.generate(prompt(3), sampling()))
        assert tokens == 3


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
        leaving = engine.generate(prompt(300, SLOWEST), sampling())
        await anext(leaving)
        await leaving.aclose()
        began = time.monotonic()
        await read(engine.generate(prompt(300), sampling()))
        assert time.monotonic() - began < 60  # beside the other one it would have taken 150 s


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
    async with started(tmp_path, step_timeout_s=3) as engine:
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
    async with asyncio.timeout(120):
        while is_running(process):  # noqa: ASYNC110  (another process's end)
            await asyncio.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@dataclass
class Files:
    """A model in a library: each ``prepare`` hashes anew, so that what was ready before is not any more."""

    folder: Path
    manifest: Model = field(default_factory=Model)
    wrong: CommunError | None = None
    changes: int = 0
    changes_in_load: int = 0
    prepared: int = 0

    def prepare(self) -> Ready:
        self.prepared += 1
        if self.wrong is not None:
            raise self.wrong
        files, hashed = self, self.changes

        class Hashed(Ready):
            def check(self) -> None:
                if files.changes_in_load:  # asked first when the load ends
                    files.changes_in_load -= 1
                    files.changes += 1
                if files.changes != hashed:
                    raise CHANGED

            def marks(self) -> object:
                return files.changes

        return Hashed(self.folder, self.manifest)


CHANGED = ModelNotAdopted(model="scripted", reason="its files were changed")
WRONG = ModelNotAdopted(model="scripted", reason="the SHA-256 of a file is wrong")


def engine_of(files: Files) -> OpenVINOEngine:
    return OpenVINOEngine(prepare=files.prepare, profile="exact", command=COMMAND)


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not what():  # noqa: ASYNC110  (another process's state)
            await asyncio.sleep(0.01)


async def test_changed_files_end_the_engine_until_right_ones_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "CHECK_FILES_S", 0.02)
    files = Files(tmp_path)
    engine = engine_of(files)
    await engine.start()
    try:
        answer = engine.generate(prompt(300), sampling())
        assert isinstance(await anext(answer), Delta)
        files.wrong = WRONG
        files.changes += 1
        with pytest.raises(EngineFailed):
            [part async for part in answer]
        await until(lambda: engine.refusal is WRONG)
        hashed = files.prepared
        await asyncio.sleep(0.2)
        assert engine.state is EngineState.FAILED
        assert files.prepared == hashed  # not again and again, while nothing changes
        files.wrong = None
        files.changes += 1
        await until(lambda: engine.state is EngineState.READY)
        assert engine.refusal is None
        assert (await read(engine.generate(prompt(3), sampling())))[1] == 3
    finally:
        await engine.close()


async def test_files_that_are_put_back_as_they_were_are_loaded_again_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the process read meanwhile is not known."""
    monkeypatch.setattr(openvino, "CHECK_FILES_S", 0.02)
    files = Files(tmp_path)
    engine = engine_of(files)
    await engine.start()
    try:
        first = engine._connection
        files.changes += 2  # there and back
        await until(lambda: engine._connection is not first)
        await until_ready(engine)
        assert files.prepared == 2
    finally:
        await engine.close()


async def test_scores_of_changed_files_are_not_given_out(tmp_path: Path) -> None:
    """The engine reads the files once more when it is first asked for scores."""
    files = Files(tmp_path)
    engine = engine_of(files)
    await engine.start()
    try:
        assert len(await engine.score([1, 2, 3])) == 2
        files.changes += 1
        with pytest.raises(ModelNotAdopted, match="changed"):
            await engine.score([1, 2, 3])
    finally:
        await engine.close()


async def test_a_load_during_which_the_files_change_is_done_again(tmp_path: Path) -> None:
    files = Files(tmp_path, changes_in_load=openvino.LOAD_TRIES - 1)
    engine = engine_of(files)
    await engine.start()
    assert (engine.state, engine.refusal, files.prepared) == (EngineState.READY, None, openvino.LOAD_TRIES)
    await engine.close()


async def test_files_that_change_at_each_load_are_refused(tmp_path: Path) -> None:
    files = Files(tmp_path, changes_in_load=1000)
    engine = engine_of(files)
    with pytest.raises(ModelNotAdopted, match="while they are loaded"):
        await engine.start()
    assert (isinstance(engine.refusal, ModelNotAdopted), files.prepared) == (True, openvino.LOAD_TRIES)
    await engine.close()


async def test_a_cache_that_cannot_be_made_to_hold_the_context_is_refused_at_the_load(tmp_path: Path) -> None:
    """(The scripted one holds 512 tokens, whatever it is told.)"""
    large = Ready(tmp_path, Model(context_length=2000))
    with pytest.raises(ConfigError, match=r"kv_cache_gb.*4 GB hold 512 tokens.*2000; 16 GB"):
        await engine_in(tmp_path, ready=large).start()
    engine = engine_in(tmp_path, ready=large, context=500)
    await engine.start()
    assert engine.info.context_length == 500
    await engine.close()


LAYER = '<data variable_id="past.{}.key" variable_type="f32" variable_shape="?,{},?,{}" />\n'


def graph_of(folder: Path, *, layers: int, heads: int, numbers: int) -> None:
    """As much of a graph as tells what a token takes."""
    text = "".join(LAYER.format(f"{layer}.{part}", heads, numbers) for layer in range(layers) for part in "kv")
    (folder / "openvino_model.xml").write_text(text)


def test_the_cache_holds_one_whole_context_whatever_is_set(tmp_path: Path) -> None:
    assert cache_size.enough_gb(tmp_path, "exact", 1000) == 0  # there is no graph: nothing is known
    graph_of(tmp_path, layers=30, heads=3, numbers=64)
    assert cache_size.bytes_per_token(tmp_path, "exact") == 46_080  # as measured with the default model
    assert cache_size.enough_gb(tmp_path, "exact", 8192) == 1
    assert cache_size.enough_gb(tmp_path, "exact", 131_072) == 6
    assert 13_680 <= cache_size.bytes_per_token(tmp_path, "fast") < 15_000  # measured: 13,680


async def test_a_long_context_gets_the_cache_that_it_needs(tmp_path: Path) -> None:
    graph_of(tmp_path, layers=30, heads=3, numbers=64)
    for context, cache_gb, given in ((400, 1, 1), (131_072, 1, 6), (131_072, 8, 8)):
        engine = OpenVINOEngine(prepare=lambda: Ready(tmp_path), profile="exact", cache_gb=cache_gb)
        engine._make_room(Ready(tmp_path), context)
        assert engine._settings["cache_gb"] == given


async def test_where_memory_lacks_for_a_long_context_both_cures_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph_of(tmp_path, layers=30, heads=3, numbers=64)
    monkeypatch.setattr(cache_size, "free_memory_bytes", lambda: 2 << 30)
    ready = Ready(tmp_path, Model(context_length=131_072))
    with pytest.raises(ContextTooLarge, match=r"131072 tokens.*6\.4 GB.*2\.1 GB") as refused:
        await engine_in(tmp_path, ready=ready).start()
    assert "most_tokens" in refused.value.cure_text()
    assert "more memory" in refused.value.cure_text()
    engine = engine_in(tmp_path, ready=ready, context=500)  # what kv_cache_gb holds was never compared with free memory
    await engine.start()
    await engine.close()


def test_a_child_gets_no_module_from_the_working_folder_and_no_variable_that_changes_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "openvino_genai.py").write_text("raise SystemExit('pwned')")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('pwned')")
    for name in ("ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS", "OV_CPU_DEBUG", "OPENVINO_LIB_PATHS", "LD_PRELOAD_X"):
        monkeypatch.setenv(name, "AVX")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    environment = child.environment_of_child()
    others = {name for name in environment if not name.startswith("LC_")}
    assert others <= {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
    assert environment["LC_ALL"] == "C.UTF-8"
    command = child.command_of("commun.engine.worker")
    started = subprocess.run(
        [*command, "99"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "pwned" not in started.stderr
    assert "Bad file descriptor" in started.stderr  # it came as far as its own code


async def test_the_engines_process_gets_no_other_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    async with started(tmp_path) as engine:
        process = engine._connection._process.pid
        environment = Path(f"/proc/{process}/environ").read_bytes()  # noqa: ASYNC240  (no disk is read)
        assert b"PATH=" in environment
        assert b"ONEDNN" not in environment


async def test_a_process_that_was_begun_early_is_the_first_ones_and_nobody_elses(tmp_path: Path) -> None:
    files = Files(tmp_path)
    spare = Spare(COMMAND, 20)
    engine = OpenVINOEngine(prepare=files.prepare, profile="exact", command=("false",), spare=spare)
    await engine.start()  # its own command would start nothing
    try:
        assert [part async for part in engine.generate(prompt(3), sampling())]
        assert await spare.take() is None
    finally:
        await engine.close()


async def test_a_process_that_was_begun_early_and_not_needed_is_ended(tmp_path: Path) -> None:
    spare = Spare(COMMAND, 20)
    engine = OpenVINOEngine(prepare=Files(tmp_path).prepare, profile="exact", command=COMMAND, spare=spare)
    await engine.close()
    assert await spare.take() is None


async def test_where_none_can_be_begun_early_the_engine_starts_its_own(tmp_path: Path) -> None:
    spare = Spare(("/no/such/program",), 20)
    engine = OpenVINOEngine(prepare=Files(tmp_path).prepare, profile="exact", command=COMMAND, spare=spare)
    await engine.start()
    await engine.close()
