"""The API inside the whole server: guard, limits, real accounts and the sealed store; only the engine is scripted."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.server import served
from api.test_errors import problem
from commun.app import DATABASE_FILE, create_app
from commun.config import load_settings
from commun.store.accounts import Accounts, Viewer
from commun.store.conversations import Conversations
from commun.store.database import Database
from fake_engine import FakeEngine

CHAT: Any = {"model": "default", "messages": [{"role": "user", "content": "A sealed secret, please."}]}


@dataclass
class Whole:
    url: str
    key: str
    viewer: Viewer
    conversations: Conversations


async def prepared(home: Path) -> tuple[str, Viewer]:
    """The founder's API key and, signed in, the founder."""
    database = Database(home / DATABASE_FILE)
    database.open()
    try:
        accounts = Accounts(database, session_days=1)
        key = await accounts.make_api_key(await accounts.ensure_founder(), "test")
        signed_in = await accounts.redeem_link(await accounts.make_link())
        return key, signed_in.viewer
    finally:
        database.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    home = tmp_path_factory.mktemp("whole") / "home"
    key, viewer = asyncio.run(prepared(home))
    settings = load_settings(home=home, rate_limit="25/minute", max_body_bytes=4096, max_header_bytes=4096)
    app = create_app(settings, engine=FakeEngine())
    with served(app) as url:
        yield Whole(url, key, viewer, app.state.services.conversations)


@pytest.fixture
def client(server: Whole) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {server.key}"}) as client:
        yield client


def test_an_answer_is_kept_sealed_in_the_key_s_owner_s_account(client: httpx2.Client, server: Whole) -> None:
    answer = client.post("/v1/chat/completions", json=CHAT | {"store": True, "metadata": {"topic": "secret"}})
    assert answer.status_code == 200, answer.text

    async def read() -> tuple[str, list[dict[str, Any]]]:
        (summary,) = await server.conversations.list(server.viewer)
        conversation = await server.conversations.get(server.viewer, summary.id)
        return summary.title, [message.content for message in conversation.path()]

    title, (question, kept) = asyncio.run(read())
    assert title == question["text"] == "A sealed secret, please."
    assert kept["text"] == answer.json()["choices"][0]["message"]["content"]
    assert kept["metadata"] == {"topic": "secret"}
    assert kept["seed"] == answer.json()["commun"]["seed"]


def test_it_is_ready_and_says_what_it_is(client: httpx2.Client) -> None:
    assert client.get("/readyz").json() == {
        "status": "ready",
        "charter": "valid",
        "engine": "ready",
        "database": "writable",
    }
    assert "/v1/chat/completions" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413(client: httpx2.Client, chunked: bool) -> None:
    body = b" " * 5000
    content: Any = iter([body]) if chunked else body
    assert problem(client.post("/v1/chat/completions", content=content), 413, "body_too_large")["param"] is None


def test_headers_over_the_limit_are_431(client: httpx2.Client) -> None:
    problem(client.get("/v1/models", headers={"x-long": "x" * 5000}), 431, "headers_too_large")


def test_an_api_answer_carries_the_security_headers_and_a_request_id(client: httpx2.Client) -> None:
    answer = client.get("/v1/models")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


def test_requests_beyond_the_limit_of_a_key_are_429(client: httpx2.Client) -> None:
    statuses = [client.get("/v1/models").status_code for _ in range(30)]
    assert statuses[0] == 200
    refused = client.get("/v1/models")
    assert problem(refused, 429, "rate_limit_exceeded")["type"] == "rate_limit_error"
    assert 0 < int(refused.headers["retry-after"]) <= 120
