"""What programs learn of the charter: its headers, its bounds by name, and that without one nothing is answered."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from api.server import KEY, running_api
from api.test_errors import problem
from charters import CHARTER, LONG_AGO, bounds, in_force
from commun.charter.clauses import Callers, Charter, Temporary, TemporaryRule
from commun.charter.errors import BrokenMetadata, ModelNotAdopted, NoCharter
from fake_engine import FakeEngine

HEADERS = {"authorization": f"Bearer {KEY}"}
CHAT: Any = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
TEXT: Any = {"model": "default", "prompt": "Hello", "max_tokens": 3}
STRICT = replace(
    CHARTER,
    sampling=replace(CHARTER.sampling, caller_seed=False, temperature=bounds("0.3", "0", "0.7")),
    callers=Callers(
        system_messages=False, plain_completions=False, structured_output=False, stop_strings=False, ignore_eos=False
    ),
)


def ask(url: str, path: str = "/chat/completions", body: Any = CHAT, **changes: Any) -> httpx2.Response:
    return httpx2.post(f"{url}/v1{path}", headers=HEADERS, json=body | changes)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), [("/chat/completions", CHAT), ("/completions", TEXT)])
def test_each_answer_names_its_edition(path: str, body: Any, stream: bool) -> None:
    one = in_force(number=3)
    with running_api(charter=one) as api:
        answer = ask(api.url, path, body, stream=stream)
    assert answer.headers["commun-charter"] == f"3 {one.edition.digest}"
    assert "commun-charter-stale" not in answer.headers
    assert f'"system_fingerprint":"charter-3-{one.edition.digest[:12]}"' in answer.text.replace(": ", ":")
    assert '"edition":3' in answer.text.replace(": ", ":")


@pytest.mark.parametrize("stream", [False, True])
def test_an_ended_mandate_is_told_with_each_answer(stream: bool) -> None:
    with running_api(charter=in_force(stale_since=LONG_AGO)) as api:
        assert ask(api.url, stream=stream).headers["commun-charter-stale"] == "2998-12-31"


@pytest.mark.parametrize(
    ("wish", "clause"),
    [
        ({"temperature": 0.8}, "sampling.temperature"),
        ({"seed": 1}, "sampling.caller_seed"),
        ({"stop": "x"}, "callers.stop_strings"),
        ({"ignore_eos": True}, "callers.ignore_eos"),
        ({"response_format": {"type": "json_object"}}, "callers.structured_output"),
        ({"messages": [{"role": "system", "content": "x"}, *CHAT["messages"]]}, "callers.system_messages"),
        ({"persona": "nobody"}, "personas"),
        ({"max_tokens": 131073}, "sampling.max_tokens"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wish_outside_the_charter_is_400_and_names_the_clause(
    wish: dict[str, Any], clause: str, stream: bool
) -> None:
    with running_api(charter=STRICT) as api:
        answer = ask(api.url, stream=stream, **wish)
        assert clause in problem(answer, 400, "outside_charter")["message"]
        assert api.engine.calls == []


def test_plain_completions_need_their_clause_to_be_written_and_to_be_scored() -> None:
    with running_api(charter=STRICT) as api:
        for wish in ({}, {"max_tokens": 0, "echo": True, "logprobs": 1}):
            problem(ask(api.url, "/completions", TEXT, **wish), 400, "outside_charter")


def test_several_prompts_share_a_seed_that_the_server_drew_where_callers_may_name_none() -> None:
    charter = replace(CHARTER, sampling=replace(CHARTER.sampling, caller_seed=False))
    with running_api(charter=charter) as api:
        answer = ask(api.url, "/completions", TEXT, prompt=["a", "b"])
        assert answer.status_code == 200, answer.text
        assert {sampling.seed for _prompt, sampling in api.engine.calls} == {answer.json()["commun"]["seed"]}


def test_a_persona_and_a_language_may_be_asked_for() -> None:
    with running_api(charter=CHARTER) as api:
        told = ask(api.url, persona="clown", language="fr").json()["commun"]
        assert (told["persona"], told["language"]) == ("clown", "fr")
        assert api.engine.calls[0][0].messages[0].content == "Règle une.\n\nSoyez drôle."
        problem(ask(api.url, language="de"), 400, "invalid_parameter")


def test_where_chats_are_temporary_only_store_is_refused() -> None:
    charter: Charter = replace(CHARTER, temporary=Temporary(TemporaryRule.ONLY))
    with running_api(charter=charter) as api:
        assert problem(ask(api.url, store=True), 400, "outside_charter")["param"] == "store"
        assert ask(api.url).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), [("/chat/completions", CHAT), ("/completions", TEXT)])
@pytest.mark.parametrize(
    ("error", "code"), [(NoCharter(), "no_charter"), (BrokenMetadata(file="x", reason="y"), "charter_broken")]
)
def test_without_a_valid_charter_nothing_is_answered(error: Any, code: str, path: str, body: Any, stream: bool) -> None:
    with running_api(charter=error) as api:
        assert problem(ask(api.url, path, body, stream=stream), 503, code)["type"] == "server_error"
        assert api.engine.calls == []


def test_a_model_that_is_not_the_adopted_one_answers_nothing() -> None:
    engine = FakeEngine()
    engine.refusal = ModelNotAdopted(model="default", reason="the SHA-256 of x is wrong")
    with running_api(engine) as api:
        problem(ask(api.url), 503, "model_not_adopted")
        assert httpx2.get(f"{api.url}/readyz").json()["engine"] == "failed"
