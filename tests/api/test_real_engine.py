"""The API on the embedded model: seeds, log-probabilities, schemas and scores are the real engine's."""

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import BadRequestError, OpenAI

from running import RunningCommun

pytestmark = pytest.mark.engine
ASK: Any = [{"role": "user", "content": "Name three colours of the rainbow."}]
LOGGED_S = 120
REASK_TOLERANCE = 1e-4  # docs/performance.md: recorded against recomputed log-probabilities, exact profile


@pytest.fixture(scope="module")
def commun(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[RunningCommun]:
    home = tmp_path_factory.mktemp("api")
    (home / "models").symlink_to(models, target_is_directory=True)
    with RunningCommun(home) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def client(commun: RunningCommun) -> OpenAI:
    return OpenAI(base_url=f"{commun.url}/v1", api_key=commun.api_key(), max_retries=0, timeout=120)


def test_the_same_seed_gives_the_same_answer_streamed_and_whole(client: OpenAI) -> None:
    asked: Any = {"model": "default", "messages": ASK, "seed": 5, "temperature": 0.8, "max_tokens": 24}
    whole = client.chat.completions.create(**asked, logprobs=True)
    streamed = client.chat.completions.create(**asked, stream=True)
    text = whole.choices[0].message.content
    assert text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == text
    told = whole.choices[0].logprobs.content
    assert len(told) == whole.usage.completion_tokens
    assert all(each.logprob <= 0 for each in told)
    assert text in b"".join(bytes(each.bytes) for each in told).decode()


def test_a_schema_is_obeyed_by_the_real_model(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "green"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    wished: Any = {"type": "json_schema", "json_schema": {"name": "colour", "schema": schema}}
    answer = client.chat.completions.create(
        model="default", messages=ASK, response_format=wished, max_tokens=40, seed=1
    )
    assert json.loads(answer.choices[0].message.content)["colour"] in ("red", "green")


def processes_of(commun: RunningCommun, module: str) -> list[int]:
    """Those that run ``module`` for this Commun."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == commun.process.pid and module.encode() in folder.joinpath("cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def test_a_schema_that_compiles_for_ever_is_refused_and_ends_nobody_s_answer(
    commun: RunningCommun, client: OpenAI
) -> None:
    patterns = [f"^((([{letter}-z]{{1,9}}x?){{1,9}}y?){{1,9}}){{1,9}}$" for letter in "abcdefghijklmnopqrst"]
    fields = {f"field {n}": {"type": "string", "pattern": pattern} for n, pattern in enumerate(patterns)}
    schema = {"type": "object", "properties": fields, "required": [*fields]}  # within every bound of schema_bounds.py
    wished: Any = {"type": "json_schema", "json_schema": {"name": "endless", "schema": schema}}

    def refused() -> bool:
        with pytest.raises(BadRequestError, match="cannot be compiled") as error:
            client.chat.completions.create(model="default", messages=ASK, response_format=wished, max_tokens=8)
        return error.value.code == "invalid_parameter"

    engine = processes_of(commun, "commun.engine.worker")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(refused)
        while True:  # others are answered meanwhile, and whoever is not fails here
            answer = client.chat.completions.create(model="default", messages=ASK, max_tokens=8)
            assert answer.usage.completion_tokens
            if asked.done():
                break
    assert asked.result()
    assert processes_of(commun, "commun.engine.grammar_apart") == []  # the system ended it
    assert refused()
    assert processes_of(commun, "commun.engine.grammar_apart") == []  # what was refused is remembered
    assert processes_of(commun, "commun.engine.worker") == engine != []


def test_a_schema_is_tried_apart_once(commun: RunningCommun, client: OpenAI) -> None:
    schema = {"type": "object", "properties": {"hue": {"enum": ["blue"]}}, "required": ["hue"]}
    schema["additionalProperties"] = False
    asked: Any = {"model": "default", "messages": ASK, "max_tokens": 40}
    asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "hue", "schema": schema}}
    first = client.chat.completions.create(**asked)
    [tried] = processes_of(commun, "commun.engine.grammar_apart")
    os.kill(tried, signal.SIGKILL)
    again = client.chat.completions.create(**asked)
    assert {json.loads(each.choices[0].message.content)["hue"] for each in (first, again)} == {"blue"}
    assert processes_of(commun, "commun.engine.grammar_apart") == []


def test_a_score_agrees_with_what_was_recorded_while_writing(client: OpenAI) -> None:
    prompt = "The capital of France is"
    written = client.completions.create(model="default", prompt=prompt, max_tokens=8, temperature=0, logprobs=1)
    recorded = written.choices[0].logprobs
    whole = prompt + written.choices[0].text
    scored = client.completions.create(
        model="default", prompt=whole, max_tokens=1, temperature=0, echo=True, logprobs=1
    )
    told = scored.choices[0].logprobs
    start = len(told.tokens) - 1 - len(recorded.tokens)
    assert told.tokens[start:-1] == recorded.tokens
    for now, then in zip(told.token_logprobs[start:-1], recorded.token_logprobs, strict=True):
        assert now == pytest.approx(then, abs=REASK_TOLERANCE)
    greedy = zip(told.token_logprobs[start:-1], told.top_logprobs[start:-1], strict=True)
    assert all(logprob == max(top.values()) for logprob, top in greedy)


def test_accents_and_emoji_arrive_whole(client: OpenAI) -> None:
    text = "été, cœur, 🌍"
    answer = client.completions.create(model="default", prompt=text, max_tokens=0, echo=True, logprobs=0)
    assert answer.choices[0].text == text
    told = answer.choices[0].logprobs
    assert told.text_offset == sorted(told.text_offset)
    assert told.text_offset[-1] < len(text)


def test_a_kept_answer_is_verified_with_the_policy_that_the_ledger_hands_out(
    commun: RunningCommun, tmp_path: Path
) -> None:
    """All of it: the real model's answer, its receipt in the ledger, the charter's digest and the key from this house."""
    commun.sign_in().close()  # who has never been here has no vault
    key = commun.api_key("keeper")
    keeper = OpenAI(base_url=f"{commun.url}/v1", api_key=key, max_retries=0, timeout=120)
    answer = keeper.chat.completions.create(model="default", messages=ASK, max_tokens=24, store=True)
    receipt: str = answer.model_extra["commun"]["receipt"]["id"] if answer.model_extra else ""
    own = httpx2.Client(base_url=commun.url, headers={"authorization": f"Bearer {key}"}, timeout=60)
    bundle = tmp_path / "answer.bundle.json"
    deadline = time.monotonic() + LOGGED_S
    while True:
        bundle.write_bytes(own.get(f"/v1/receipts/{receipt}").content)
        if json.loads(bundle.read_bytes())["ledger"]["receipt"] != "pending" or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    policy = tmp_path / "ledger-policy.txt"
    policy.write_text(commun.command("ledger", "policy"))
    assert policy.read_bytes() == own.get("/ledger/policy").content
    [told] = re.findall(r"--charter ([0-9a-f]{64}) --policy", own.get("/ledger").text)
    report = commun.command("receipt", "verify", str(bundle), "--charter", told, "--policy", str(policy), "--json")
    found = json.loads(report)
    assert (found["verdict"], found["reason"]) == ("verified", None)
