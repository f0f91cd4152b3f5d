"""Every answer that began names its receipt; the bundle comes with it where the program asks, and later by its id."""

import json
import time
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from api.server import KEY, KEY_WITHOUT_VAULT, RunningApi, running_api
from charters import FIRST_ROOT
from commun.api.answers import Bundle, ChatCompletion, TextCompletion
from commun.api.begun import HEADER_IDS
from commun.receipts.statement import Scheme, State
from commun.receipts.verification import Outcome, Report, Trust, verify
from fake_engine import FakeEngine
from issuers import SIGNER

ASK = [{"role": "user", "content": "Où est-ce ?\u2028Là."}]
CHAT: dict[str, Any] = {"model": "default", "messages": ASK}
TEXT: dict[str, Any] = {"model": "default", "prompt": "Once upon"}
ANSWER = "Hello, this is a scripted answer."


def ask(api: RunningApi, body: dict[str, Any], *, path: str = "chat/completions", key: str = KEY) -> httpx2.Response:
    return httpx2.post(f"{api.url}/v1/{path}", json=body, headers={"authorization": f"Bearer {key}"}, timeout=120)


def get(api: RunningApi, receipt_id: str, *, key: str = KEY) -> httpx2.Response:
    return httpx2.get(f"{api.url}/v1/receipts/{receipt_id}", headers={"authorization": f"Bearer {key}"})


def last_chunk(response: httpx2.Response) -> Any:
    return [json.loads(line[6:]) for line in response.content.splitlines() if line.startswith(b"data: {")][-1]


def report_of(bundle: Any) -> Report:
    """As a program verifies what it has kept: by its own copy, written anew; the charter's files looked at elsewhere."""
    Bundle.model_validate(bundle)
    data = json.dumps(bundle | {"charter": None}).encode()
    return verify(data, Trust(charter=FIRST_ROOT, keys=(SIGNER.key.text(),)))


def test_an_answer_names_its_receipt_in_the_header_and_in_its_own_field(api: RunningApi) -> None:
    whole, streamed = ask(api, CHAT), ask(api, CHAT | {"stream": True})
    ChatCompletion.model_validate(whole.json())
    told = [whole.json()["commun"]["receipt"], last_chunk(streamed)["commun"]["receipt"]]
    assert told == [{"id": one.headers["commun-receipt"]} for one in (whole, streamed)]
    kept = {receipt.statement.receipt for receipt in api.app.state.services.issuing.logbook.submitted}
    assert {one["id"] for one in told} <= kept


@pytest.mark.parametrize("stream", [False, True])
def test_the_whole_bundle_comes_with_the_answer_where_the_program_asks(api: RunningApi, stream: bool) -> None:
    response = ask(api, CHAT | {"receipt": "bundle", "stream": stream})
    body = last_chunk(response) if stream else response.json()
    told = body["commun"]["receipt"]
    report = report_of(told["bundle"])
    assert report.statement is not None, report.detail
    assert report.statement.receipt == told["id"] == response.headers["commun-receipt"]
    assert [step.outcome for step in report.steps[:4]] == [Outcome.HOLDS] * 4
    disclosed = told["bundle"]["disclosed"]
    assert disclosed["answer_text"]["value"] == ANSWER
    assert disclosed["prompt_messages"]["value"][-1] == ASK[0]
    assert told["bundle"]["charter"] == {"metadata/1.root.json": "é\n"}
    assert told["bundle"]["ledger"] == {"key": "", "receipt": "pending", "edition": None}


def test_the_openai_client_reads_an_answer_with_its_bundle(api: RunningApi) -> None:
    client = OpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0)
    wish = {"receipt": "bundle"}
    whole = client.chat.completions.create(model="default", messages=ASK, extra_body=wish)
    assert report_of(whole.commun["receipt"]["bundle"]).statement is not None
    chunks = list(client.chat.completions.create(model="default", messages=ASK, stream=True, extra_body=wish))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert report_of(chunks[-1].commun["receipt"]["bundle"]).statement is not None
    raw = client.chat.completions.with_raw_response.create(model="default", messages=ASK)
    assert raw.headers["commun-receipt"] == raw.parse().commun["receipt"]["id"]


@pytest.mark.parametrize("wish", ["whole", "", True, 1, ["bundle"]])
def test_any_other_wish_for_a_receipt_is_refused(api: RunningApi, wish: Any) -> None:
    for body, path in ((CHAT, "chat/completions"), (TEXT, "completions")):
        response = ask(api, body | {"receipt": wish}, path=path)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "receipt"
        assert "commun-receipt" not in response.headers


def test_each_prompt_of_a_request_has_its_receipt(api: RunningApi) -> None:
    response = ask(api, TEXT | {"prompt": ["one", "two words", "three"], "receipt": "bundle"}, path="completions")
    TextCompletion.model_validate(response.json())
    told = response.json()["commun"]["receipts"]
    assert response.headers["commun-receipt"].split(", ") == [one["id"] for one in told]
    texts = [one["bundle"]["disclosed"]["prompt_messages"]["value"] for one in told]
    assert texts == [[{"role": "text", "content": text}] for text in ("one", "two words", "three")]
    seeds = set()
    for one in told:
        statement = report_of(one["bundle"]).statement
        assert statement is not None
        assert (statement.context.kind, statement.seed.scheme) == ("text", Scheme.DRAWN)
        seeds.add(statement.seed.value)
    assert seeds == {response.json()["commun"]["seed"]}


def test_a_streamed_text_has_its_receipt_too(api: RunningApi) -> None:
    response = ask(api, TEXT | {"stream": True, "receipt": "bundle"}, path="completions")
    (told,) = last_chunk(response)["commun"]["receipts"]
    assert told["id"] == response.headers["commun-receipt"]
    assert report_of(told["bundle"]).statement is not None


def test_many_prompts_are_all_named_in_the_body_and_only_some_in_the_head() -> None:
    with running_api(running=32) as api:
        response = ask(api, TEXT | {"prompt": ["x"] * 40}, path="completions")
        refused = ask(api, TEXT | {"prompt": ["x"] * 40, "receipt": "bundle"}, path="completions")
    ids = [one["id"] for one in response.json()["commun"]["receipts"]]
    assert len(set(ids)) == 40
    assert response.headers["commun-receipt"].split(", ") == ids[:HEADER_IDS]
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "receipt")


def test_what_is_only_scored_has_no_answer_and_no_receipt(api: RunningApi) -> None:
    response = ask(api, TEXT | {"echo": True, "logprobs": 0, "max_tokens": 0}, path="completions")
    assert response.json()["commun"]["receipts"] == []
    assert "commun-receipt" not in response.headers


@pytest.mark.parametrize("body", [CHAT, CHAT | {"stream": True}], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("engine", "status", "error"),
    [(FakeEngine(fail_after=0), 503, "engine_failed"), (FakeEngine(context_length=3), 400, "message_too_long")],
    ids=["a failed engine", "too long a question"],
)
def test_an_error_after_the_beginning_names_the_receipt_of_what_failed(
    engine: FakeEngine, status: int, error: str, body: dict[str, Any]
) -> None:
    with running_api(engine) as api:
        response = ask(api, body)
        assert response.status_code == status
        (receipt,) = api.app.state.services.issuing.nobodys.kept
        assert response.headers["commun-receipt"] == receipt.statement.receipt
        assert (receipt.statement.state, receipt.statement.error) == (State.FAILED, error)


def test_a_stream_that_breaks_off_has_named_its_receipt_at_its_beginning() -> None:
    with running_api(FakeEngine(fail_after=2)) as api:
        response = ask(api, CHAT | {"stream": True})
        (receipt,) = api.app.state.services.issuing.nobodys.kept
        assert response.headers["commun-receipt"] == receipt.statement.receipt
        assert receipt.statement.error == "engine_failed"


def test_a_refusal_before_the_beginning_names_none(api: RunningApi) -> None:
    for body in (CHAT | {"temperature": 1.99, "model": "no such"}, CHAT | {"n": 2}, CHAT | {"model": ""}):
        assert "commun-receipt" not in ask(api, body).headers


def test_whoever_leaves_has_had_a_turn_and_it_has_a_receipt() -> None:
    with running_api(FakeEngine("word " * 500, delay_s=0.1)) as api:
        with httpx2.stream(
            "POST", f"{api.url}/v1/chat/completions", json=CHAT | {"stream": True},
            headers={"authorization": f"Bearer {KEY}"},
        ) as response:  # fmt: skip
            next(response.iter_lines())
            named = response.headers["commun-receipt"]
        nobodys = api.app.state.services.issuing.nobodys
        deadline = time.monotonic() + 120
        while not nobodys.kept and time.monotonic() < deadline:
            time.sleep(0.01)
        (receipt,) = nobodys.kept
        assert (receipt.statement.receipt, receipt.statement.state) == (named, State.STOPPED)


def test_a_stored_answer_s_whole_bundle_is_for_the_key_that_had_it_stored(api: RunningApi) -> None:
    response = ask(api, CHAT | {"store": True})
    told = response.json()["commun"]["receipt"]
    kept = api.conversations.kept[-1]
    assert kept["token"] == KEY
    assert kept["answer"]["receipt"] == kept["receipt"].statement.receipt == told["id"]
    whole = get(api, told["id"])
    assert (whole.status_code, whole.headers["cache-control"]) == (200, "no-store")
    assert whole.json()["disclosed"]["answer_text"]["value"] == ANSWER
    assert report_of(whole.json()).statement is not None
    elsewhere = get(api, told["id"], key=KEY_WITHOUT_VAULT)
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (404, "not_found")


def test_nobody_s_receipt_is_for_whoever_has_its_id_and_discloses_nothing(api: RunningApi) -> None:
    named = ask(api, CHAT).headers["commun-receipt"]
    for key in (KEY, KEY_WITHOUT_VAULT):
        bundle = get(api, named, key=key).json()
        assert set(bundle["disclosed"].values()) == {None}
        assert report_of(bundle).statement is not None
    assert get(api, named, key="cm_unknown").status_code == 401


@pytest.mark.parametrize(
    "name", ["0" * 64, "0" * 63, "A" * 64, "..", "x", "0" * 64 + "/bundle", "%00", "é", "%0A", "0" * 64 + "%0A"]
)
def test_what_is_no_receipt_of_ours_is_not_found_in_openai_s_shape(api: RunningApi, name: str) -> None:
    response = get(api, name)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


def test_an_answer_that_ended_before_its_first_word_is_not_stored_but_has_a_receipt() -> None:
    with running_api(FakeEngine(fail_after=0)) as api:
        named = ask(api, CHAT | {"store": True}).headers["commun-receipt"]
        assert api.conversations.kept == []
        assert [one.statement.receipt for one in api.app.state.services.issuing.nobodys.kept] == [named]


def test_a_charter_that_cannot_be_read_takes_nobody_s_salts_away() -> None:
    with running_api() as api:
        api.app.state.services.bundles.broken = True
        bundle = ask(api, CHAT | {"receipt": "bundle"}).json()["commun"]["receipt"]["bundle"]
    assert bundle["charter"] is None
    assert report_of(bundle).statement is not None


def test_an_answer_whose_receipt_cannot_be_kept_is_a_fault_of_the_server() -> None:
    with running_api() as api:
        api.app.state.services.issuing.nobodys.broken = True
        response = ask(api, CHAT)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
