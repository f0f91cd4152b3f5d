"""Programs that people have: the openai client (both kinds), the llm command line, LangChain's ChatOpenAI."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from api.server import KEY, RunningApi, running_api
from commun.api.answers import ChatCompletion
from fake_engine import FakeEngine

ASK: Any = [{"role": "user", "content": "Hello?"}]
ANSWER = "Hello, this is a scripted answer."


class City(BaseModel):
    name: str
    people: int


@pytest.fixture
def client(api: RunningApi) -> OpenAI:
    return OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0)


def test_the_openai_client_is_answered(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="default", messages=ASK, seed=7)
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 6
    told = dict(answer.commun)
    assert len(told.pop("receipt")["id"]) == 64
    assert told == {"seed": 7, "edition": 1, "persona": "", "language": "en"}
    assert re.fullmatch(r"charter-1-[0-9a-f]{12}", answer.system_fingerprint)
    ChatCompletion.model_validate(answer.model_dump(exclude_unset=True))


def test_the_openai_client_streams_with_the_cost_at_the_end(client: OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="default", messages=ASK, stream=True, stream_options=options))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 6
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_asynchronous_client_streams_many_answers_at_once() -> None:
    async def ask(client: AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(model="default", messages=ASK, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def all_of_them(url: str) -> list[str]:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            return await asyncio.gather(*(ask(client) for _ in range(8)))

    with running_api(FakeEngine(delay_s=0.1), running=3, waiting=8) as api:
        assert asyncio.run(all_of_them(api.url)) == [ANSWER] * 8
        assert api.engine.most_running == 3


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_come_for_each_token(client: OpenAI, stream: bool) -> None:
    if stream:
        chunks = client.chat.completions.create(model="default", messages=ASK, logprobs=True, stream=True)
        told = [each for c in chunks if c.choices[0].logprobs for each in c.choices[0].logprobs.content]
    else:
        told = client.chat.completions.create(model="default", messages=ASK, logprobs=True).choices[0].logprobs.content
    assert [each.token for each in told] == ["Hello, ", "this ", "is ", "a ", "scripted ", "answer."]
    assert bytes(told[0].bytes) == b"Hello, "
    assert {each.logprob for each in told} == {-0.25}


def test_what_is_asked_reaches_the_engine(client: OpenAI, api: RunningApi) -> None:
    client.chat.completions.create(
        model="default",
        messages=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        ],
        temperature=0.3,
        top_p=0.8,
        seed=11,
        stop=["scripted"],
        max_completion_tokens=50,
        extra_body={"ignore_eos": True},
    )
    prompt, sampling = api.engine.calls[-1]
    assert prompt.messages[0].content == "Be brief.\n\nBe kind."
    assert prompt.messages[1].content == "Hi"
    assert (sampling.temperature, sampling.top_p, sampling.seed, sampling.max_tokens) == (0.3, 0.8, 11, 50)
    assert sampling.stop == ("scripted",)
    assert sampling.ignore_eos


def test_an_answer_can_be_sent_back_as_it_came(client: OpenAI) -> None:
    message = client.chat.completions.create(model="default", messages=ASK).choices[0].message
    again: Any = [*ASK, message, {"role": "user", "content": "And?"}]
    assert client.chat.completions.create(model="default", messages=again).choices[0].message.content == ANSWER


def test_a_json_schema_is_enforced_and_parsed_by_the_client() -> None:
    with running_api(FakeEngine('{"name": "Lyon", "people": 520000}')) as api:
        client = OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0)
        city = client.chat.completions.parse(model="default", messages=ASK, response_format=City)
        assert city.choices[0].message.parsed == City(name="Lyon", people=520000)
        assert json.loads(api.engine.calls[-1][1].json_schema)["required"] == ["name", "people"]
        client.chat.completions.create(model="default", messages=ASK, response_format={"type": "json_object"})
        assert api.engine.calls[-1][1].json_schema == "{}"


def test_the_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["default"]
    assert client.models.retrieve("default").max_model_len == 2048


def run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_llm_command_line_answers_streamed_and_whole(api: RunningApi, tmp_path: Path) -> None:
    models = f"- model_id: commun\n  model_name: default\n  api_base: {api.url}/v1\n  api_key_name: commun\n"
    (tmp_path / "extra-openai-models.yaml").write_text(models)
    (tmp_path / "keys.json").write_text(json.dumps({"commun": KEY}))
    llm = [str(Path(sys.executable).with_name("llm")), "-m", "commun", "Hello?"]
    for option in ([], ["--no-stream"], ["-o", "temperature", "0.5", "-o", "max_tokens", "9"]):
        # The default model's wheel is also a plugin of llm's, whose own needs are not installed here: no plugins.
        assert run([*llm, *option], LLM_USER_PATH=str(tmp_path), LLM_LOAD_PLUGINS="").strip() == ANSWER


LANGCHAIN = """
import sys
from langchain_openai import ChatOpenAI
model = ChatOpenAI(base_url=sys.argv[1], api_key=sys.argv[2], model="default", temperature=0.5, max_tokens=40, max_retries=0)
print(model.invoke([("system", "Be kind."), ("human", "Hello?")]).content)
print("".join(chunk.content for chunk in model.stream("Hello?")))
print(model.invoke("Hello?", stop=["scripted"]).content)
print(model.invoke("Hello?").usage_metadata["output_tokens"])
print(model.bind(logprobs=True).invoke("Hello?").response_metadata["logprobs"]["content"][0]["token"])
try:
    model.invoke("word " * 5000)
except Exception as error:
    print(type(error).__mro__[:-3], getattr(error, "code", ""))
"""


def test_langchain_s_chat_openai_answers(api: RunningApi) -> None:
    lines = run([sys.executable, "-c", LANGCHAIN, f"{api.url}/v1", KEY]).splitlines()
    assert lines[:5] == [ANSWER, ANSWER, "Hello, this is a ", "6", "Hello, "]
    assert "context_length_exceeded" in lines[5]
