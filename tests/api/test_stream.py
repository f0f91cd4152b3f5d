"""What happens while an answer is streamed: waiting, silence, leaving, failing, cutting."""

import json
import time
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from api.server import KEY, RunningApi, running_api
from commun.api import stream as stream_module
from fake_engine import FakeEngine

ASK = [{"role": "user", "content": "Hello?"}]
CHAT = {"model": "default", "messages": ASK, "stream": True}
HEADERS = {"authorization": f"Bearer {KEY}"}


def client_of(api: RunningApi) -> OpenAI:
    return OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0)


def wait_until(met: Any, seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not met() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(met())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_client_that_leaves_a_stream_frees_its_place_at_once(path: str) -> None:
    with running_api(FakeEngine("word " * 500, delay_s=0.1)) as api:
        body = CHAT if "chat" in path else {"model": "default", "prompt": "x", "stream": True, "max_tokens": 500}
        with httpx2.stream("POST", api.url + path, json=body, headers=HEADERS) as response:
            lines = response.iter_lines()
            next(lines)
            assert api.assistant.running == 1
        assert wait_until(lambda: (api.assistant.running, api.engine.cancelled) == (0, 1))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_client_that_leaves_a_whole_answer_frees_its_place_too(path: str) -> None:
    with running_api(FakeEngine("word " * 500, delay_s=0.1)) as api:
        body = {"model": "default", "prompt": ["x"] * 3, "max_tokens": 500} if "chat" not in path else CHAT
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(api.url + path, json=body | {"stream": False}, headers=HEADERS, timeout=0.3)
        assert wait_until(lambda: api.assistant.running == 0)
        assert api.assistant.waiting == 0


def test_who_waits_is_told_the_place_in_a_comment_and_then_answered() -> None:
    with (
        running_api(FakeEngine("word " * 200, delay_s=0.5), running=1, waiting=3) as api,
        httpx2.stream("POST", f"{api.url}/v1/chat/completions", json=CHAT, headers=HEADERS) as first,
    ):
        lines = first.iter_lines()
        next(lines)
        with httpx2.stream("POST", f"{api.url}/v1/chat/completions", json=CHAT, headers=HEADERS) as second:
            heard = second.iter_lines()
            assert next(heard) == ": place 1 in the queue"
            api.engine.delay_s = 0  # until here the first one is at it
            text = list(heard)
    assert text[-2:] == ["data: [DONE]", ""] or text[-1] == "data: [DONE]"


def test_a_long_silence_is_broken_by_a_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "KEEP_ALIVE_S", 0.05)
    with running_api(FakeEngine("Late.", first_delay_s=1)) as api:
        text = httpx2.post(f"{api.url}/v1/chat/completions", json=CHAT, headers=HEADERS).text
    assert text.startswith(": still working\n\n")
    assert "Late." in text


def test_a_failure_before_the_first_token_has_its_own_status() -> None:
    with running_api(FakeEngine(fail_after=0)) as api, pytest.raises(openai.InternalServerError) as failed:
        list(client_of(api).chat.completions.create(model="default", messages=ASK, stream=True))
    assert failed.value.status_code == 503
    assert failed.value.code == "engine_failed"


def test_a_failure_in_the_middle_is_an_error_event_and_the_stream_ends_without_done() -> None:
    with running_api(FakeEngine(fail_after=3)) as api:
        text = httpx2.post(f"{api.url}/v1/chat/completions", json=CHAT, headers=HEADERS).text
        events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
        assert json.loads(events[-1])["error"]["code"] == "engine_failed"
        assert "[DONE]" not in text
        with pytest.raises(openai.APIError, match="stopped in the middle"):
            list(client_of(api).chat.completions.create(model="default", messages=ASK, stream=True))


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_that_was_cut_says_so(stream: bool) -> None:
    long = [{"role": role, "content": "word " * 40} for _ in range(4) for role in ("user", "assistant")]
    with running_api(FakeEngine("Short.", context_length=200)) as api:
        body = CHAT | {"messages": [*long, *ASK], "stream": stream}
        response = httpx2.post(f"{api.url}/v1/chat/completions", json=body, headers=HEADERS)
    dropped = int(response.headers["commun-dropped-messages"])
    assert dropped >= 2
    if not stream:
        assert response.json()["commun"]["dropped_messages"] == dropped
        return
    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    assert chunks[0]["commun"] == {"dropped_messages": dropped}
    assert chunks[-1]["commun"]["dropped_messages"] == dropped


def test_a_stored_answer_is_kept_before_it_is_told(api: RunningApi) -> None:
    for stream in (False, True):
        body = CHAT | {"store": True, "stream": stream, "metadata": {"topic": "greeting"}}
        assert httpx2.post(f"{api.url}/v1/chat/completions", json=body, headers=HEADERS).status_code == 200
        kept = api.conversations.kept.pop()
        assert kept["title"] == "Hello?"
        assert [*kept["question"]] == [{"role": "user", "text": "Hello?"}]
        assert kept["answer"]["text"] == "Hello, this is a scripted answer."
        assert kept["answer"]["metadata"] == {"topic": "greeting"}


def test_nothing_is_stored_unless_asked(api: RunningApi) -> None:
    httpx2.post(f"{api.url}/v1/chat/completions", json=CHAT, headers=HEADERS)
    assert api.conversations.kept == []


def test_an_answer_that_the_server_s_end_cut_is_not_told_as_whole() -> None:
    with (
        running_api(FakeEngine("word " * 500, delay_s=0.1)) as api,
        httpx2.stream("POST", f"{api.url}/v1/chat/completions", json=CHAT, headers=HEADERS) as response,
    ):
        lines = response.iter_lines()
        next(lines)
        for turn in list(api.assistant._turns.values()):
            turn.stop()
        rest = list(lines)
    assert any('"engine_failed"' in line for line in rest)
    assert "data: [DONE]" not in rest
