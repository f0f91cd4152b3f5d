"""The remote engine before a second, real Commun: its own process, model and API over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from commun.drafting.models import adopted_model
from commun.engine.base import Delta, EngineState, Finish, FinishReason, Message, Prompt, Sampling
from commun.engine.remote import RemoteEngine
from commun.engine.remote_request import estimated_tokens
from commun.engine.weights import ModelLibrary
from commun.errors import EngineFailed, MessageTooLong
from founded import found_for_tests
from running import RunningCommun, with_models

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

HELLO = Prompt(token_ids=None, messages=(Message("user", "Name the capital of France."),))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[RunningCommun]:
    with RunningCommun(with_models(tmp_path_factory.mktemp("remote") / "home", models)) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def key(server: RunningCommun) -> str:
    return server.api_key()


@contextlib.asynccontextmanager
async def an_engine(server: RunningCommun, key: str) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine(f"{server.url}/v1", "default", key)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def answer(engine: RemoteEngine, prompt: Prompt = HELLO, **wishes: object) -> tuple[str, Finish]:
    sampling = Sampling(**{"seed": 7, "max_tokens": 24, "temperature": 0.8, **wishes})  # type: ignore[arg-type]
    text = ""
    async for part in engine.generate(prompt, sampling):
        if isinstance(part, Finish):
            return text, part
        text += part.text
    raise AssertionError


async def collect_rest(stream: AsyncIterator[object]) -> list[object]:
    return [part async for part in stream]


async def test_it_answers_and_the_same_seed_answers_the_same(server: RunningCommun, key: str) -> None:
    async with an_engine(server, key) as engine:
        text, finish = await answer(engine, temperature=0.0)
        assert "Paris" in text
        assert finish.prompt_tokens > 0
        assert finish.completion_tokens > 0
        assert (await answer(engine))[0] == (await answer(engine))[0]


async def test_it_knows_the_context_and_never_counts_too_few(server: RunningCommun, key: str) -> None:
    async with an_engine(server, key) as engine:
        assert engine.info.context_length == 8192
        assert "context_length" not in engine.info.notes
        for text in (
            "The quick brown fox. " * 20,
            "0123456789" * 30,
            "Où êtes-vous née ? " * 20,
            "日本語の文章です。" * 20,
        ):
            prompt = await engine.encode(text)
            _, finish = await answer(engine, prompt, max_tokens=1)
            assert estimated_tokens(prompt) >= finish.prompt_tokens


async def test_text_and_ids_are_completed_to_the_wished_length(server: RunningCommun, key: str) -> None:
    async with an_engine(server, key) as engine:
        for prompt in (await engine.encode("1, 2, 3, 4,"), Prompt(token_ids=(28, 29, 30))):
            _, finish = await answer(engine, prompt, max_tokens=9, ignore_eos=True)
            assert (finish.completion_tokens, finish.reason) == (9, FinishReason.LENGTH)


async def test_a_schema_is_kept(server: RunningCommun, key: str) -> None:
    schema = (
        '{"type":"object","properties":{"city":{"enum":["Paris"]}},"required":["city"],"additionalProperties":false}'
    )
    async with an_engine(server, key) as engine:
        text, _ = await answer(engine, json_schema=schema, max_tokens=64)
        assert text.replace(" ", "").replace("\n", "") == '{"city":"Paris"}'


async def test_what_does_not_fit_is_told(server: RunningCommun, key: str) -> None:
    async with an_engine(server, key) as engine:
        with pytest.raises(MessageTooLong):
            await answer(engine, Prompt(token_ids=None, messages=(Message("user", "word " * 20_000),)))
        assert engine.state is EngineState.READY


async def test_leaving_ends_the_answer_over_there(server: RunningCommun, key: str) -> None:
    def running() -> float:
        metrics = httpx2.get(f"{server.url}/metrics").text
        return float(next(line for line in metrics.splitlines() if line.startswith("commun_running ")).split()[1])

    async with an_engine(server, key) as engine:
        stream = engine.generate(HELLO, Sampling(seed=1, max_tokens=4000, temperature=1, ignore_eos=True))
        assert isinstance(await anext(stream), Delta)
        assert running() == 1
        await stream.aclose()
        async with asyncio.timeout(120):
            while running():  # noqa: ASYNC110  (another process's state)
                await asyncio.sleep(0.05)


async def test_a_commun_before_a_commun_answers(server: RunningCommun, key: str, tmp_path: Path) -> None:
    home = tmp_path / "front"
    manifest = ModelLibrary(home, remote_key=key).add(f"{server.url}/v1", name="behind", progress=lambda *_: None)
    assert (manifest.format, manifest.remote_model, manifest.context_length) == ("remote", "default", 8192)
    found_for_tests(home, model=adopted_model(manifest, {}))
    with RunningCommun(home, remote_key=key) as front:
        front.wait_ready()
        listed = httpx2.get(f"{front.url}/v1/models", headers={"authorization": f"Bearer {front.api_key()}"}).json()
        assert [each["id"] for each in listed["data"]] == ["behind", "default"]
        async with an_engine(front, front.api_key("other")) as engine:
            text, _ = await answer(engine, temperature=0.0)
            assert "Paris" in text


async def test_a_server_killed_in_the_middle_is_a_visible_failure(server: RunningCommun, key: str) -> None:
    async with an_engine(server, key) as engine:
        stream = engine.generate(HELLO, Sampling(seed=1, max_tokens=4000, temperature=1, ignore_eos=True))
        assert isinstance(await anext(stream), Delta)
        server.kill()
        with pytest.raises(EngineFailed):
            await collect_rest(stream)
        assert engine.state is EngineState.FAILED
