"""Plain completions: continued, echoed and scored as evaluation programs need it."""

from typing import Any

import httpx2
import pytest
from openai import OpenAI

from api.server import KEY, RunningApi, running_api
from commun.api.answers import TextCompletion
from commun.api.text_wire import TokenLists
from fake_engine import FakeEngine

ANSWER = "Hello, this is a scripted answer."


@pytest.fixture
def client(api: RunningApi) -> OpenAI:
    return OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0)


def test_a_text_is_continued_by_sixteen_tokens_unless_asked_otherwise() -> None:
    with running_api(FakeEngine("word " * 40)) as api:
        client = OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0)
        answer = client.completions.create(model="default", prompt="Once upon")
    assert answer.usage.completion_tokens == 16
    assert answer.choices[0].finish_reason == "length"
    TextCompletion.model_validate(answer.model_dump(exclude_unset=True))


def test_the_log_likelihood_of_a_text_as_lm_eval_asks_for_it(client: OpenAI) -> None:
    answer = client.completions.create(
        model="default", prompt=["a b c d", "e f"], echo=True, logprobs=1, max_tokens=1, temperature=0, seed=1234
    )
    for choice, given in zip(answer.choices, (["a ", "b ", "c ", "d"], ["e ", "f"]), strict=True):
        told = choice.logprobs
        assert told.tokens == [*given, "Hello, "]
        assert told.token_logprobs[0] is None
        assert told.top_logprobs[0] is None
        # lm-eval sums the continuation's part and leaves the one written token out
        for token, logprob, top in zip(
            told.tokens[1:-1], told.token_logprobs[1:-1], told.top_logprobs[1:-1], strict=True
        ):
            assert top[token] == logprob == max(top.values())
        assert choice.text == "".join(told.tokens)
        assert [choice.text[o:][: len(t)] for o, t in zip(told.text_offset, told.tokens, strict=True)] == told.tokens


def test_only_scoring_writes_nothing(client: OpenAI, api: RunningApi) -> None:
    before = len(api.engine.calls)
    answer = client.completions.create(model="default", prompt="a b c", echo=True, logprobs=0, max_tokens=0)
    assert answer.choices[0].text == "a b c"
    assert answer.choices[0].logprobs.top_logprobs is None
    assert answer.usage.completion_tokens == 0
    assert len(api.engine.calls) == before


def test_token_ids_are_taken_alone_and_in_lists(client: OpenAI) -> None:
    ids = client.completions.create(model="default", prompt="a b", echo=True, logprobs=0, max_tokens=0)
    assert ids.choices[0].text == "a b"
    one = client.completions.create(model="default", prompt=[0, 1], max_tokens=2)
    two = client.completions.create(model="default", prompt=[[0, 1], [1]], max_tokens=2)
    assert [choice.text for choice in (*one.choices, *two.choices)] == ["Hello, this "] * 3
    assert two.usage.prompt_tokens == 3


def test_a_drawn_token_has_its_rival_beside_it() -> None:
    class Rated(FakeEngine):
        async def score(self, token_ids: Any) -> Any:
            from commun.engine.base import Score

            return [Score(each, -1.5, 0, -0.5) for each in token_ids[1:]]

    with running_api(Rated()) as api:
        client = OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0)
        answer = client.completions.create(
            model="default", prompt="first second", logprobs=1, max_tokens=2, temperature=1
        )
    told = answer.choices[0].logprobs
    assert told.tokens == ["Hello, ", "this "]
    assert told.top_logprobs == [{"Hello, ": -1.5, "first ": -0.5}, {"this ": -1.5, "first ": -0.5}]
    assert told.text_offset == [0, 7]


def test_a_streamed_text_echoes_first_and_ends_with_its_cost(client: OpenAI) -> None:
    chunks = list(
        client.completions.create(
            model="default", prompt="a b ", stream=True, echo=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "a b " + ANSWER
    assert chunks[-1].usage.completion_tokens == 6


def test_streamed_tokens_carry_their_log_probabilities(client: OpenAI) -> None:
    chunks = list(client.completions.create(model="default", prompt="a", stream=True, logprobs=1, temperature=0))
    told = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices[0].logprobs]
    assert [token for each in told for token in each.tokens] == [
        "Hello, ",
        "this ",
        "is ",
        "a ",
        "scripted ",
        "answer.",
    ]
    assert told[0].top_logprobs == [{"Hello, ": -0.25}]


def test_a_character_in_two_tokens_has_the_offsets_of_whole_characters() -> None:
    pieces = [b"a", "é".encode()[:1], "é".encode()[1:], b"b"]
    lists = TokenLists(pieces.__getitem__, most_likely=False)
    for token in range(4):
        lists.add(token, -1.0)
    told = lists.fresh()
    assert told["tokens"] == ["a", "bytes:\\xc3", "bytes:\\xa9", "b"]
    assert told["text_offset"] == [0, 1, 1, 2]


def test_one_request_with_many_prompts_leaves_places_to_others() -> None:
    with running_api(FakeEngine("x", delay_s=0.2), running=32) as api:
        body = {"model": "default", "prompt": ["a"] * 40}
        answer = httpx2.post(f"{api.url}/v1/completions", json=body, headers={"authorization": f"Bearer {KEY}"}).json()
        assert len(answer["choices"]) == 40
        assert api.engine.most_running == 8
