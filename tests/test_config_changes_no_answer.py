"""No key of the configuration can change an answer: each one, and whichever comes to be added.

- the keys in ENGINE reach the engine's process: the real server with the real engine and model answers the same
  questions, seeded, on the same charter, with either value: the same tokens, the same messages dropped, the same
  log-probabilities. (Another number of threads adds in another order, as another processor may: there the
  log-probabilities may differ by ROUNDING, a hundredth of what a changed word in the prompt makes.);
- every other key in KEYS reaches no engine: with either value the engine is built with the same arguments, and the whole
  server, asked over HTTP, hands it the same token ids and the same sampling. And once, all of them changed together,
  the real engine answers the same;
- the engine's process is given no variable of the environment that could: with some of them set, the same answers;
- what such a key can do instead (place, refuse, tell) stands beside it, and what can refuse is seen to refuse.

The charter's profile here is "exact". In the fast profile an answer depends on what else is being answered, with or
without any configuration; that is why it is a clause of the charter.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.server import served
from commun.app import DATABASE_FILE, build_engine, create_app
from commun.assistant.engines import wish_of
from commun.charter.clauses import Model
from commun.config import Settings, load_settings
from commun.engine.base import Message, Prompt, Sampling
from commun.engine.remote import RemoteEngine
from commun.engine.remote_request import request_of
from commun.engine.weights import ModelLibrary
from commun.store.accounts import Accounts
from commun.store.database import Database
from fake_engine import FakeEngine
from founded import found_for_tests
from running import with_models

ROUNDING = 5.2e-5  # nat; the bound between generating and scoring in docs/performance.md
PLACES, REFUSES, TELLS = "places", "refuses", "tells"
ENGINE: dict[str, tuple[Any, Any]] = {
    "engine_threads": (1, 2),
    "kv_cache_gb": (1, 2),
    "max_running": (1, 32),
}
KEYS: dict[str, tuple[str, Any, Any]] = {
    "home": (PLACES, "a", "b"),
    "host": (PLACES, "127.0.0.1", "0.0.0.0"),
    "port": (PLACES, 8000, 8001),
    "public_url": (PLACES, "", "https://chat.example.org"),
    "proxies": (REFUSES, "", "10.0.0.0/8"),  # by which address a stranger is counted
    "models_from": (PLACES, "https://huggingface.co", "https://mirror.example.org"),  # what comes answers once adopted
    "remote_key": (REFUSES, "", "sk-other"),  # another server's door: it opens or it does not
    "max_waiting": (REFUSES, 0, 64),
    "max_running_each": (REFUSES, 0, 2),
    "daily_tokens": (REFUSES, 0, 10**9),
    "engine_timeout_s": (REFUSES, 120, 600),
    "max_body_bytes": (REFUSES, 100_000, 4_194_304),
    "max_import_bytes": (REFUSES, 100_000, 1 << 30),  # of conversations that were had elsewhere
    "max_header_bytes": (REFUSES, 4096, 32_768),
    "rate_limit": (REFUSES, "50/minute", "600/minute"),
    "sign_in_rate_limit": (REFUSES, "1/minute", "20/minute"),
    "public_shares": (REFUSES, False, True),  # a page about an answer that was given already
    "oidc_issuer": (REFUSES, "", "https://login.example.org"),  # who comes in: asked for by nobody who has a key
    "oidc_client_id": (REFUSES, "commun", "another"),
    "oidc_client_secret": (REFUSES, "", "another"),
    "oidc_name": (TELLS, "", "The town"),
    "oidc_accounts": (REFUSES, "invited", "anybody"),
    "session_days": (REFUSES, 1, 365),
    "watt": (TELLS, 0.0, 500.0),
    "audit_hour": (TELLS, -1, 3),  # of answers that were given already
    "log_level": (TELLS, "error", "debug"),
    "log_format": (TELLS, "console", "json"),
    "language": (TELLS, "en", "fr"),
}
# None of a provider's keys means anything without these two.
PROVIDER = {"oidc_issuer": "https://login.example.org", "oidc_client_id": "commun"}
OF_PROVIDER = {key for key in KEYS if key.startswith("oidc_")}
LONG = "Tell me about the sea, please. " * 12
QUESTIONS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "Name three rivers of France."}], "seed": 7},
    {"messages": [{"role": "user", "content": "Quelle est la capitale de la France ?"}], "seed": 8, "language": "fr"},
    {  # more than the charter's context: something must be dropped
        "messages": [
            *({"role": role, "content": LONG} for role in ("user", "assistant") * 4),
            {"role": "user", "content": "And the mountains?"},
        ],
        "seed": 9,
        "persona": "humour",
    },
]
NARROW = {"most_tokens = 131072": "most_tokens = 700", "answer_reserve = 512": "answer_reserve = 64"}
TOLD = {"temperature": 0.8, "max_tokens": 32, "logprobs": True, "model": "default"}


def test_every_setting_is_proven() -> None:
    assert set(Settings.model_fields) == set(ENGINE) | set(KEYS)
    for values in (*ENGINE.values(), *(values for _, *values in KEYS.values())):
        assert values[0] != values[1]


# --- the server, asked over HTTP ---


@dataclass
class Asked:
    """What came of one question. ``tokens``: each with its log-probability."""

    text: str
    tokens: list[tuple[str, float]]
    dropped: int
    seed: int
    finish: str

    def without_logprobs(self) -> tuple[Any, ...]:
        return (self.text, [token for token, _ in self.tokens], self.dropped, self.seed, self.finish)


def api_key(home: Path) -> str:
    async def make() -> str:
        database = Database(home / DATABASE_FILE)
        database.open()
        try:
            accounts = Accounts(database, session_days=1)
            return await accounts.make_api_key(await accounts.ensure_founder(), "test")
        finally:
            database.close()

    return asyncio.run(make())


def settings_of(home: Path, changes: dict[str, Any]) -> Settings:
    """``home`` as a change names a folder beside ``home``, with the same charter and models in it."""
    if "home" in changes:
        elsewhere = home.with_name(f"{home.name}-{changes['home']}")
        if not elsewhere.exists():
            shutil.copytree(home, elsewhere, symlinks=True)
        changes, home = changes | {"home": elsewhere}, elsewhere
    return load_settings(**{"log_level": "error"} | changes | {"home": home})


@contextlib.contextmanager
def serving(settings: Settings, engine: FakeEngine | None = None) -> Iterator[httpx2.Client]:
    app = create_app(settings, engine=engine)
    key = api_key(settings.home)
    headers = {"authorization": f"Bearer {key}"}
    with served(app) as url, httpx2.Client(base_url=url, headers=headers, timeout=120) as client:
        for _ in range(2000):
            if client.get("/readyz").status_code == 200:
                break
            asyncio.run(asyncio.sleep(0.02))
        yield client


def ask(client: httpx2.Client, question: dict[str, Any]) -> Asked:
    response = client.post("/v1/chat/completions", json=TOLD | question)
    assert response.status_code == 200, response.text
    answer = response.json()
    (choice,) = answer["choices"]
    tokens = [(each["token"], each["logprob"]) for each in choice["logprobs"]["content"]]
    told = answer["commun"]
    return Asked(
        choice["message"]["content"], tokens, told.get("dropped_messages", 0), told["seed"], choice["finish_reason"]
    )


def answers(client: httpx2.Client) -> list[Asked]:
    """One after another, so that even one place is enough."""
    return [ask(client, question) for question in QUESTIONS]


# --- keys that the engine never sees ---


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config") / "home"
    found_for_tests(folder, NARROW)
    return folder


def engine_arguments(settings: Settings) -> dict[str, Any]:
    """All that an embedded engine is given."""
    wish = wish_of(charter_in(settings.home))
    engine = vars(build_engine(settings, ModelLibrary(settings.home), wish))
    return {name: engine[name] for name in ("_settings", "_context", "_command")}


def charter_in(home: Path) -> Any:
    from datetime import UTC, datetime

    from commun.assistant.in_force import Published

    return Published(home).load(datetime.now(UTC)).charter


@pytest.mark.parametrize("key", KEYS)
def test_the_engine_is_given_the_same_whatever_the_value(home: Path, key: str) -> None:
    given = []
    for value in KEYS[key][1:]:
        settings = settings_of(home, (PROVIDER if key in OF_PROVIDER else {}) | {key: value})
        engine = FakeEngine(context_length=8192, prompt_cost=lambda text: len(text) // 4)
        with serving(settings, engine) as client:
            told = answers(client)
        assert told[2].dropped > 0
        given.append((engine_arguments(settings), engine.calls, told))
    assert given[0] == given[1]


def test_the_other_keys_reach_the_engine_and_are_tried_with_the_real_one(home: Path) -> None:
    for key, values in ENGINE.items():
        first, second = (engine_arguments(settings_of(home, {key: value})) for value in values)
        assert first != second, f"{key} does not reach the engine: it belongs to KEYS"


def test_a_remote_server_is_asked_the_same_with_another_key() -> None:
    model = Model(
        *("far", "far", "", 4096, "remote", "", "", "", "", (), ()), url="http://gpu:8000/v1", remote_model="m"
    )
    prompt, sampling = Prompt(None, (Message("user", "Hello"),)), Sampling(1, 8, 0.5)
    asked = []
    for value in KEYS["remote_key"][1:]:
        engine = RemoteEngine(model.url, model.remote_model, value, context_length=model.context_length)
        asked.append((request_of(engine._model, prompt, sampling, tells_ids=True), engine._base))
    assert asked[0] == asked[1]


# --- what can refuse, refuses ---


def refusal(home: Path, changes: dict[str, Any], question: dict[str, Any], engine: FakeEngine) -> tuple[int, str]:
    with serving(settings_of(home, changes), engine) as client:
        response = client.post("/v1/chat/completions", json=TOLD | question)
        for _ in range(100):
            if response.status_code != 200:
                break
            response = client.post("/v1/chat/completions", json=TOLD | question)
        return response.status_code, response.json()["error"]["code"]


def test_a_smaller_bound_refuses_and_cuts_nothing(home: Path) -> None:
    question = QUESTIONS[2]
    for changes, status, code in (
        ({"max_body_bytes": 1024}, 413, "body_too_large"),
        ({"rate_limit": "3/minute"}, 429, "rate_limit_exceeded"),
        ({"daily_tokens": 1}, 429, "insufficient_quota"),
    ):
        engine = FakeEngine(context_length=8192)
        assert refusal(home, changes, question, engine) == (status, code)


def test_a_full_waiting_room_refuses(home: Path) -> None:
    engine = FakeEngine("word " * 500, delay_s=0.1)
    settings = settings_of(home, {"max_running": 1, "max_waiting": 0})
    with (
        serving(settings, engine) as client,
        client.stream(
            "POST", "/v1/chat/completions", json=TOLD | QUESTIONS[0] | {"stream": True, "max_tokens": 400}
        ) as first,
    ):
        lines = first.iter_lines()
        next(lines)
        refused = client.post("/v1/chat/completions", json=TOLD | QUESTIONS[0])
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_full")


# --- the real engine ---


@pytest.fixture(scope="module")
def real_home(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    folder = with_models(tmp_path_factory.mktemp("config-real") / "home", models)
    found_for_tests(folder, NARROW)
    return folder


@pytest.fixture(scope="module")
def first_values(real_home: Path) -> list[Asked]:
    with serving(settings_of(real_home, {key: values[0] for key, values in ENGINE.items()})) as client:
        return answers(client)


@pytest.mark.engine
@pytest.mark.parametrize("key", ENGINE)
def test_the_real_engine_answers_the_same_token_for_token(real_home: Path, first_values: list[Asked], key: str) -> None:
    changes = {other: values[other == key] for other, values in ENGINE.items()}
    with serving(settings_of(real_home, changes)) as client:
        told = answers(client)
    for one, other in zip(told, first_values, strict=True):
        assert one.without_logprobs() == other.without_logprobs()
        differences = [abs(a - b) for (_, a), (_, b) in zip(one.tokens, other.tokens, strict=True)]
        assert max(differences) <= (ROUNDING if key == "engine_threads" else 0)
    assert first_values[2].dropped > 0
    assert all(len(each.tokens) > 1 for each in first_values)


@pytest.mark.engine
def test_the_real_engine_answers_the_same_with_every_other_key_changed(
    real_home: Path, first_values: list[Asked]
) -> None:
    changes = {key: values[0] for key, values in ENGINE.items()} | {key: values[2] for key, values in KEYS.items()}
    with serving(settings_of(real_home, changes | {"log_level": "error", "remote_key": "sk-other"})) as client:
        assert answers(client) == first_values


@pytest.mark.engine
def test_no_variable_of_the_environment_reaches_the_arithmetic(
    real_home: Path, first_values: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other kernels would give other log-probabilities (docs/performance.md)."""
    for name, value in {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "7", "TBB_NUM_THREADS": "7"}.items():
        monkeypatch.setenv(name, value)
    with serving(settings_of(real_home, {key: values[0] for key, values in ENGINE.items()})) as client:
        assert answers(client) == first_values
