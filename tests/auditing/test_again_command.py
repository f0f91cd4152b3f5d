"""`commun audit --replay`: a real server's answers, generated again by the engine, token by token."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from test_audit_command import SCHEMA, claimed, commun, opened, unexplained, verdicts

from commun.audit.replay import Replay, compare
from commun.receipts.statement import Scheme, Seed
from running import RunningCommun, with_models

pytestmark = pytest.mark.engine

ASK = {"messages": [{"role": "user", "content": "What does a quorum protect a town council from?"}]}
TREE = [{"role": "user", "content": "Name a tree of Brittany."}]
OF_SCHEMA = {"type": "json_schema", "json_schema": {"name": "tree", "schema": SCHEMA}}
CHAT: dict[str, dict[str, Any]] = {
    "drawn": ASK,
    "stopped": ASK | {"stop": [" the", "uorum"]},
    "on-after-its-end": {"messages": TREE, "ignore_eos": True, "max_tokens": 70},
    "structured": {"messages": TREE, "response_format": OF_SCHEMA},
    "greedy": {"messages": TREE, "temperature": 0, "max_tokens": 20},
}
TEXT = {"prompt": "Once upon a time a council", "max_tokens": 24, "temperature": 0.9, "top_p": 1}


@pytest.fixture(scope="module")
def answers(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("answers")
    with RunningCommun(with_models(folder / "server", models)) as server:
        server.wait_ready()
        head = {"Authorization": f"Bearer {server.api_key()}"}

        def bundle(path: str, body: dict[str, Any]) -> str:
            asked = {"model": "default", "receipt": "bundle"} | body
            got = httpx2.post(f"{server.url}{path}", json=asked, headers=head, timeout=300)
            assert got.status_code == 200, got.text
            told = got.json()["commun"]
            return json.dumps((told.get("receipt") or told["receipts"][0])["bundle"])

        made = {name: bundle("/v1/chat/completions", {"max_tokens": 60} | wish) for name, wish in CHAT.items()}
        made["text"] = bundle("/v1/completions", TEXT)
    files = {name: folder / f"{name}.json" for name in made}
    for name, file in files.items():
        file.write_text(made[name])
    return files


@pytest.fixture
def elsewhere(models: Path, tmp_path: Path) -> Path:
    return with_models(tmp_path / "elsewhere", models)


def test_each_kind_of_honest_answer_is_the_same_to_the_last_token(answers, elsewhere) -> None:
    result = commun("audit", "--replay", "--json", *answers.values(), home=elsewhere)
    assert result.returncode == 0, result.stderr
    found = {Path(one["file"]).stem: one for one in verdicts(result)["answers"]}
    assert {name: one["replay"]["same"] for name, one in found.items()} == dict.fromkeys(answers, True)
    for name, one in found.items():
        assert one["replay"]["agree"] == one["judgement"]["measures"]["tokens"], name
    assert opened(answers["stopped"])[0].finish == "stop"
    assert opened(answers["drawn"])[0].finish == "length"


def test_a_dishonest_answer_differs_beyond_a_near_tie_and_the_verdict_stays_the_audits(
    answers, elsewhere, tmp_path
) -> None:
    statement, values = opened(answers["drawn"])
    other = claimed(
        tmp_path / "seed.json",
        replace(statement, seed=Seed(Scheme.DRAWN, (statement.seed.value + 1) % 2**32)),
        values,
    )
    short = claimed(
        tmp_path / "hot.json", replace(statement, sampler=replace(statement.sampler, temperature="0.9")), values
    )
    result = commun("audit", "--replay", other, short, home=elsewhere)
    assert result.returncode == 1
    assert result.stdout.count("Generated again, alone: token ") == 2
    assert result.stdout.count("in the answer, “") == 2
    assert "No near tie: logits would have to be off by " in result.stdout
    assert "No verdict follows from the first difference" in result.stdout
    found = verdicts(commun("audit", "--replay", "--json", other, home=elsewhere))["answers"][0]
    assert unexplained(found) == set(), "its specification has each name"
    assert found["replay"]["agree"] + 1 == next(
        place for place, fact in enumerate(found["facts"], 1) if not fact["is_drawn"]
    )
    assert found["replay"]["margin"] > 5e-5
    assert found["replay"]["near_tie"] is False
    assert found["replay"]["answered"]["text"] != found["replay"]["again"]["text"]


def test_an_answer_of_another_machine_is_generated_again_although_it_cannot_be_compared(
    answers, elsewhere, tmp_path
) -> None:
    statement, values = opened(answers["drawn"])
    engine = replace(statement.engine, version="2026.1.0.0")
    result = commun(
        "audit", "--replay", claimed(tmp_path / "old.json", replace(statement, engine=engine), values), home=elsewhere
    )
    assert result.returncode == 2
    assert "Generated again, alone: the same to the last of" in result.stdout


def test_what_another_sampler_drew_is_not_generated_again(answers, elsewhere, tmp_path) -> None:
    statement, values = opened(answers["drawn"])
    sampler = replace(statement.sampler, id="somebody/else/1")
    result = commun(
        "audit", "--replay", claimed(tmp_path / "x.json", replace(statement, sampler=sampler), values), home=elsewhere
    )
    assert result.returncode == 2
    assert "It was not generated again." in result.stdout
    assert "a sampler drew it that is not known here" in result.stdout


def test_where_the_first_difference_is() -> None:
    answer = (5, 6, 7)
    assert compare(answer, iter((5, 6, 7)), is_open=False) == Replay(3)
    assert compare(answer, iter((5, 8, 7)), is_open=False) == Replay(1, 6, 8)
    assert compare(answer, iter((5,)), is_open=False) == Replay(1, 6, None)
    assert compare(answer, iter((5, 6, 7, 8)), is_open=False) == Replay(3, None, 8)
    read = iter((5, 6, 7, 8))
    assert compare(answer, read, is_open=True).is_same
    assert next(read) == 8, "no more is drawn than is compared"
