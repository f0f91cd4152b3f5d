"""Health tells the truth, metrics and logs tell no content."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import structlog

from api.server import KEY, RunningApi, running_api
from charters import LONG_AGO, in_force
from commun.api.answers import Readiness
from commun.charter.errors import BrokenMetadata, NoCharter
from commun.engine.base import EngineState
from fake_engine import FakeEngine

CANARY = "canary-7f3a"
HEADERS = {"authorization": f"Bearer {KEY}"}


def ask(api: RunningApi, **changes: Any) -> httpx2.Response:
    body = {"model": "default", "messages": [{"role": "user", "content": CANARY}], **changes}
    return httpx2.post(f"{api.url}/v1/chat/completions", json=body, headers=HEADERS)


def test_a_living_process_says_so_without_a_key(api: RunningApi) -> None:
    assert httpx2.get(f"{api.url}/healthz").json() == {"status": "alive"}


@pytest.mark.parametrize("state", list(EngineState))
def test_readiness_is_the_engine_s(state: EngineState) -> None:
    with running_api(FakeEngine(state=state)) as api:
        answer = httpx2.get(f"{api.url}/readyz")
    Readiness.model_validate(answer.json())
    assert answer.json()["engine"] == state.value
    assert answer.status_code == (200 if state is EngineState.READY else 503)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("held", "told", "status", "edition"),
    [
        (NoCharter(), "missing", 503, "0.0"),
        (BrokenMetadata(file="x", reason="y"), "invalid", 503, "0.0"),
        (in_force(number=4), "valid", 200, "4.0"),
        (in_force(stale_since=LONG_AGO), "stale", 200, "1.0"),
    ],
    ids=["missing", "invalid", "valid", "stale"],
)
def test_readiness_and_figures_tell_of_the_charter(held: Any, told: str, status: int, edition: str) -> None:
    with running_api(charter=held) as api:
        answer = httpx2.get(f"{api.url}/readyz")
        figures = httpx2.get(f"{api.url}/metrics").text
    Readiness.model_validate(answer.json())
    assert (answer.status_code, answer.json()["charter"]) == (status, told)
    assert f"commun_charter_edition {edition}\n" in figures
    assert f"commun_charter_stale {1.0 if told == 'stale' else 0.0}\n" in figures


def test_a_database_that_takes_no_writes_is_not_ready() -> None:
    class Full:
        async def check_writable(self) -> None:
            await asyncio.sleep(0)
            raise OSError("disk full")

    with running_api() as api:
        services = api.app.state.services
        api.app.state.services = SimpleNamespace(**vars(services) | {"database": Full()})
        answer = httpx2.get(f"{api.url}/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "charter": "valid",
        "engine": "ready",
        "database": "not writable",
    }


def test_the_figures_count_and_hold_no_content() -> None:
    with running_api() as api:
        ask(api)
        ask(api, n=2)
        httpx2.get(f"{api.url}/{CANARY}")
        httpx2.get(f"{api.url}/v1/models/{CANARY}", headers=HEADERS)
        text = httpx2.get(f"{api.url}/metrics").text
    assert 'commun_requests_total{route="/v1/chat/completions",status="200"} 1.0' in text
    assert 'commun_requests_total{route="/v1/chat/completions",status="400"} 1.0' in text
    assert 'commun_requests_total{route="/v1/models/{model:path}",status="404"} 1.0' in text
    assert 'commun_turns_total{outcome="stop"} 1.0' in text
    assert "commun_answer_tokens_total 6.0" in text
    assert 'commun_engine_state{state="ready"} 1.0' in text
    assert "commun_first_token_seconds_count 1.0" in text
    assert CANARY not in text
    assert KEY not in text


def test_the_figures_are_for_this_machine_or_a_key() -> None:
    with running_api() as api:
        passed_on = {"x-forwarded-for": "203.0.113.9"}
        assert httpx2.get(f"{api.url}/metrics", headers=passed_on).status_code == 401
        assert httpx2.get(f"{api.url}/metrics", headers=passed_on | HEADERS).status_code == 200
        assert httpx2.get(f"{api.url}/metrics").status_code == 200


def test_a_request_is_one_log_line_without_content_path_or_key() -> None:
    with structlog.testing.capture_logs() as lines, running_api() as api:  # a line is written after its answer
        ask(api)
        ask(api, stream=True)
        ask(api, model=CANARY)
        httpx2.get(f"{api.url}/v1/models/{CANARY}?q={CANARY}", headers=HEADERS)
        httpx2.request("PROPFIND", f"{api.url}/{CANARY}")
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in requests] == [
        ("POST", "/v1/chat/completions", 200),
        ("POST", "/v1/chat/completions", 200),
        ("POST", "/v1/chat/completions", 404),
        ("GET", "/v1/models/{model:path}", 404),
        ("(other)", "(no route)", 404),
    ]
    assert all(line["ms"] > 0 for line in requests)
    everything = json.dumps(lines, default=str).lower()
    assert CANARY not in everything
    assert KEY not in everything
