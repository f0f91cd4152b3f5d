"""Every failure under /v1, on every route, has OpenAI's shape; and what is not granted is refused by its name."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from api.server import KEY, KEY_WITHOUT_VAULT, RunningApi, api_app, running_api
from commun.api.answers import ErrorBody
from commun.api.errors import error_object, openai_response
from commun.engine.base import EngineState
from commun.errors import Busy, CommunError, InternalError, TooManyRequests
from commun.recording.errors import LedgerRefuses
from fake_engine import FakeEngine

ROUTES = [("POST", "/chat/completions"), ("POST", "/completions"), ("GET", "/models"), ("GET", "/models/default")]
CHAT = {"model": "default", "messages": [{"role": "user", "content": "Hello?"}]}
TEXT = {"model": "default", "prompt": "Once upon"}
USER = {"role": "user", "content": "x"}


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{api.url}/v1", headers={"authorization": f"Bearer {KEY}"}) as client:
        yield client


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    ErrorBody.model_validate(body)
    assert body["error"]["code"] == code
    return body["error"]


def of_pattern(pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"type": "json_schema", "json_schema": {"name": "text", "schema": schema}}


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "header", [None, "Bearer cm_wrong", "Bearer", "Basic eDp5", f"Bearer {KEY}x", "Bearer " + "k" * 500]
)
def test_without_a_right_key_every_route_says_401(api: RunningApi, method: str, path: str, header: str | None) -> None:
    headers = {"authorization": header} if header else {}
    response = httpx2.request(method, f"{api.url}/v1{path}", headers=headers, json=CHAT)
    assert problem(response, 401, "invalid_api_key")["type"] == "authentication_error"
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_another_method_is_405_and_names_the_right_one(client: httpx2.Client, method: str, path: str) -> None:
    response = client.request("DELETE", path)
    problem(response, 405, "method_not_allowed")
    assert method in response.headers["allow"]


@pytest.mark.parametrize("path", ["", "/", "/nope", "/chat", "/chat/completions/", "/../v1/nope"])
def test_an_unknown_address_is_404_in_the_same_shape(client: httpx2.Client, path: str) -> None:
    problem(client.get(path), 404, "not_found")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_fault_inside_is_500_without_its_text(method: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeEngine):
        @property
        def info(self) -> Any:
            raise RuntimeError("secret detail")

        @info.setter
        def info(self, value: Any) -> None: ...

    with running_api(Broken()) as api:
        body = TEXT if path == "/completions" else CHAT
        response = httpx2.request(method, f"{api.url}/v1{path}", headers={"authorization": f"Bearer {KEY}"}, json=body)
    assert "secret" not in problem(response, 500, "internal_error")["message"]


@pytest.mark.parametrize(("path", "body"), [("/chat/completions", CHAT), ("/completions", TEXT)])
@pytest.mark.parametrize(
    ("state", "code"), [(EngineState.LOADING, "engine_loading"), (EngineState.FAILED, "engine_failed")]
)
def test_without_a_ready_engine_the_answer_is_503_with_retry_after(
    path: str, body: Any, state: EngineState, code: str
) -> None:
    with running_api(FakeEngine(state=state)) as api:
        api.engine.state = state
        response = httpx2.post(f"{api.url}/v1{path}", headers={"authorization": f"Bearer {KEY}"}, json=body)
    assert problem(response, 503, code)["type"] == "server_error"
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_full_waiting_room_is_503_also_for_streams(stream: bool) -> None:
    with (
        running_api(FakeEngine("word " * 200, delay_s=0.2), running=1, waiting=0) as api,
        httpx2.Client(base_url=api.url, headers={"authorization": f"Bearer {KEY}"}) as client,
        client.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as first,
    ):
        lines = first.iter_lines()
        next(lines)
        response = client.post("/v1/chat/completions", json=CHAT | {"stream": stream})
    problem(response, 503, "queue_full")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"logprobs": True, "top_logprobs": 3}, "top_logprobs"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"top_k": 5}, "top_k"),
        ({"min_p": 0.1}, "min_p"),
        ({"messages": [USER | {"name": "Ada"}]}, "messages[0].name"),
        ({"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [{}]}]}, "messages[1].tool_calls"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(client: httpx2.Client, change: dict[str, Any], param: str) -> None:
    assert problem(client.post("/chat/completions", json=CHAT | change), 400, "unsupported_parameter")["param"] == param


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"top_k": 5}, "from one build of it to another"),
        ({"min_p": 0.1}, "described without it"),
        ({"presence_penalty": 0.5}, "by what was written before"),
        ({"repetition_penalty": 1.1}, "by what was written before"),
        ({"use_beam_search": True}, "whole answers"),
        ({"prediction": {"type": "content", "content": "a"}}, "take further draws"),
        ({"logit_bias": {"5": 1}}, "favours or forbids single words"),
        ({"mirostat": 2}, "no such sampler"),
    ],
)
def test_a_way_of_drawing_that_no_audit_could_follow_is_refused_with_its_reason(
    client: httpx2.Client, change: dict[str, Any], reason: str
) -> None:
    for path, body in (("/chat/completions", CHAT), ("/completions", TEXT)):
        refused = problem(client.post(path, json=body | change), 400, "unsupported_parameter")
        assert refused["param"] == next(iter(change))
        assert reason in refused["message"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "Be kind."}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].type",
        ),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": of_pattern("^(([a-z]{1,1000}){1,1000}){1,1000}$")}, "response_format"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"model": None}, "model"),
    ],
)
def test_a_wrong_value_is_refused_by_name(client: httpx2.Client, change: dict[str, Any], param: str) -> None:
    assert problem(client.post("/chat/completions", json=CHAT | change), 400, "invalid_parameter")["param"] == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"x"', b"{" * 5000, b'{"model": "\\ud800"}'])
@pytest.mark.parametrize("path", ["/chat/completions", "/completions"])
def test_a_body_that_is_no_json_object_is_refused(client: httpx2.Client, path: str, body: bytes) -> None:
    assert problem(client.post(path, content=body), 400, "invalid_parameter")["param"] in ("body", "model")


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"suffix": "end"}, "unsupported_parameter", "suffix"),
        ({"best_of": 2}, "unsupported_parameter", "best_of"),
        ({"prompt": ["a", "b"], "stream": True}, "unsupported_parameter", "stream"),
        ({"echo": True, "logprobs": 1, "stream": True}, "unsupported_parameter", "logprobs"),
        ({"logprobs": 5}, "invalid_parameter", "logprobs"),
        ({"max_tokens": 0}, "invalid_parameter", "max_tokens"),
        ({"prompt": ""}, "invalid_parameter", "prompt"),
        ({"prompt": [1, 99999]}, "invalid_parameter", "prompt"),
        ({"prompt": [[1], ["a"]]}, "invalid_parameter", "prompt"),
        ({"prompt": ["a"] * 129}, "invalid_parameter", "prompt"),
        ({"prompt": "word " * 3000}, "context_length_exceeded", "prompt"),
    ],
)
def test_completions_refuse_by_name_too(client: httpx2.Client, change: dict[str, Any], code: str, param: str) -> None:
    assert problem(client.post("/completions", json=TEXT | change), 400, code)["param"].startswith(param)


def test_a_message_longer_than_the_context_is_openai_s_own_code(client: httpx2.Client) -> None:
    long = {"messages": [{"role": "user", "content": "word " * 3000}]}
    for stream in (False, True):
        refused = client.post("/chat/completions", json=CHAT | long | {"stream": stream})
        assert problem(refused, 400, "context_length_exceeded")["param"] == "messages"


def test_a_nonce_that_is_none_or_is_not_used_is_refused(client: httpx2.Client) -> None:
    good = "ab" * 32
    for change, header, reason in (
        ({"commun": {"nonce": "ab" * 15}}, None, "hexadecimal"),
        ({"commun": {"nonce": good.upper()}}, None, "hexadecimal"),
        ({}, "ab" * 65, "hexadecimal"),
        ({"commun": {"nonce": good}}, "cd" * 32, "something else"),
        ({"seed": 5}, good, "a seed that is chosen needs none"),
        ({"commun": {"nonce": 5}}, None, "string"),
    ):
        headers = {} if header is None else {"commun-nonce": header}
        answer = client.post("/chat/completions", json=CHAT | change, headers=headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, "commun.nonce"), error
        assert reason in error["message"]
    answer = client.post("/chat/completions", json=CHAT | {"commun": {"other": 1}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")


def test_values_that_mean_as_always_are_accepted(client: httpx2.Client) -> None:
    usual = {
        "n": 1, "presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}, "tools": [], "tool_choice": "auto",
        "top_logprobs": 0, "logprobs": False, "functions": None, "modalities": ["text"], "service_tier": "auto",
        "user": "somebody", "stop": None, "seed": None, "response_format": {"type": "text"}, "store": False,
    }  # fmt: skip
    assert client.post("/chat/completions", json=CHAT | usual).status_code == 200


def test_storing_needs_an_account_with_a_vault(api: RunningApi) -> None:
    headers = {"authorization": f"Bearer {KEY_WITHOUT_VAULT}"}
    response = httpx2.post(f"{api.url}/v1/chat/completions", headers=headers, json=CHAT | {"store": True})
    assert problem(response, 403, "no_account_key")["type"] == "permission_error"


def test_too_many_requests_with_one_key_are_refused_and_told_when_to_return() -> None:
    class OneOnly:
        def __init__(self) -> None:
            self.keys: list[str] = []

        def check(self, key: str) -> None:
            if key in self.keys:
                raise TooManyRequests(retry_after=7)
            self.keys.append(key)

    with running_api() as api:
        api.app.state.rate_limits = OneOnly()
        headers = {"authorization": f"Bearer {KEY}"}
        assert httpx2.get(f"{api.url}/v1/models", headers=headers).status_code == 200
        refused = httpx2.get(f"{api.url}/v1/models", headers=headers)
    assert problem(refused, 429, "rate_limit_exceeded")["type"] == "rate_limit_error"
    assert refused.headers["retry-after"] == "7"


@pytest.mark.parametrize("path", ["%0A", "models/%0A", "models/a%0Ab", "receipts/%0A", "chat%0A/completions"])
def test_an_address_with_a_line_break_is_none_in_the_same_shape(api: RunningApi, path: str) -> None:
    response = httpx2.get(f"{api.url}/v1/{path}", headers={"authorization": f"Bearer {KEY}"})
    assert problem(response, 404, response.json()["error"]["code"])


def every_error() -> list[type[CommunError]]:
    found: list[type[CommunError]] = []
    waiting = [CommunError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting.extend(kind.__subclasses__())
    return found


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_the_shape(kind: type[CommunError]) -> None:
    class Anything(dict[str, Any]):
        def __missing__(self, _name: str) -> str:
            return "x"

    error = kind.__new__(kind)
    if isinstance(error, LedgerRefuses):
        error.error = InternalError()  # it tells another's words
    error.details = Anything(parameter="p")
    if isinstance(error, Busy):
        error.retry_after = 3
    ErrorBody.model_validate(error_object(error))
    response = openai_response(error)
    assert response.status_code == kind.status
    assert ("retry-after" in response.headers) == issubclass(kind, Busy)


def test_a_body_over_the_limit_is_413_in_the_same_shape() -> None:
    from starlette.responses import Response

    from commun.errors import BodyTooLarge

    app = api_app(FakeEngine())
    sent: list[Any] = []

    async def receive() -> Any:
        raise BodyTooLarge(limit=10)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/completions", "raw_path": b"", "query_string": b"",
        "headers": [(b"authorization", f"Bearer {KEY}".encode())], "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    problem(
        httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"]), 413, "body_too_large"
    )
    assert isinstance(openai_response(BodyTooLarge(limit=1)), Response)
