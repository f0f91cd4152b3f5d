"""The chat endpoint through the openai client."""

import openai
import pytest
from openai import OpenAI

from api.server import KEY, RunningApi

ASK = [{"role": "user", "content": "Hello?"}]
ANSWER = "Hello, this is a scripted answer."


@pytest.fixture
def client(api: RunningApi) -> OpenAI:
    return OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0)


def test_a_whole_answer_has_openai_s_shape(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="default", messages=ASK, seed=7)
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 6
    assert answer.system_fingerprint.startswith("fp_")
    assert answer.commun == {"seed": 7}


def test_a_streamed_answer_is_the_same_text_in_pieces(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="default", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == ANSWER
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 6


def test_the_models_are_listed_and_an_unknown_one_is_not_found(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["default"]
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-9")
    assert refused.value.code == "model_not_found"


def test_a_wrong_key_is_refused(api: RunningApi) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        OpenAI(base_url=f"{api.url}/v1", api_key="cm_wrong", max_retries=0).models.list()
    assert refused.value.code == "invalid_api_key"
    assert refused.value.response.headers["www-authenticate"].startswith("Bearer")
