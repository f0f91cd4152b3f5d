"""`commun audit`, as somebody types it in another house: a real server's answers, its model's file, and no server."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commun.audit.calibration import Calibration
from commun.cli import audit
from commun.engine import default_model
from commun.engine.rendering import Renderer
from commun.receipts.bundle import Bundle
from commun.receipts.commitments import Values
from commun.receipts.dsse import Envelope
from commun.receipts.issue import issue
from commun.receipts.statement import Scheme, Seed, Statement
from made_receipt import SIGNER
from running import RunningCommun, with_models

pytestmark = pytest.mark.engine

SPECIFICATION = (Path(__file__).parents[2] / "docs" / "spec" / "audit.md").read_text()
SCHEMA = {
    "type": "object",
    "properties": {"tree": {"type": "string"}, "tall": {"type": "boolean"}},
    "required": ["tree"],
}
ASKED: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "user", "content": "What does a quorum protect a town council from?"}]},
    {"messages": [{"role": "user", "content": "Name three trees of Brittany, with a word on each."}]},
    {
        "messages": [{"role": "user", "content": "Name a tree of Brittany."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "tree", "schema": SCHEMA}},
    },
    {"messages": [{"role": "user", "content": "Name a tree of Brittany."}], "temperature": 0, "max_tokens": 20},
)


def commun(*arguments: str | Path, home: Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "commun.cli", *map(str, arguments)],
        env=os.environ | {"COMMUN_HOME": str(home), "COMMUN_LANGUAGE": "en", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=cwd,
    )


@pytest.fixture(scope="module")
def answers(models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Bundles as a real server's API gave them out; the server is gone since."""
    folder = tmp_path_factory.mktemp("answers")
    files = []
    with RunningCommun(with_models(folder / "server", models)) as server:
        server.wait_ready()
        head = {"Authorization": f"Bearer {server.api_key()}"}
        for number, wishes in enumerate(ASKED):
            body = {"model": "default", "receipt": "bundle", "max_tokens": 60, "temperature": 0.8} | wishes
            got = httpx2.post(f"{server.url}/v1/chat/completions", json=body, headers=head, timeout=120)
            assert got.status_code == 200, got.text
            files.append(folder / f"answer-{number}.bundle.json")
            files[-1].write_text(json.dumps(got.json()["commun"]["receipt"]["bundle"]))
    return files


@pytest.fixture
def elsewhere(models: Path, tmp_path: Path) -> Path:
    """Another data folder, with the model and nothing else."""
    return with_models(tmp_path / "elsewhere", models)


def opened(file: Path) -> tuple[Statement, Values]:
    bundle = Bundle.from_bytes(file.read_bytes())
    values = {name: item.value for name, item in bundle.disclosed.items()}
    return Statement.from_payload(Envelope.from_bytes(bundle.envelope).payload), Values(
        **{name: values.get(name) for name in Values.__slots__}  # type: ignore[arg-type]
    )


def claimed(file: Path, statement: Statement, values: Values) -> Path:
    """What somebody signs who simulates the answer: nothing of it but its truth is wrong."""
    file.write_bytes(issue(statement, values, SIGNER).bundle().data())
    return file


def verdicts(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def unexplained(found: Any) -> set[str]:
    """Names of an audit's JSON that its specification does not have. A receipt's own are in receipt.md."""
    if isinstance(found, dict):
        below = (unexplained(value) for name, value in found.items() if name != "receipt")
        return {name for name in found if f"`{name}`" not in SPECIFICATION}.union(*below)
    return set().union(*map(unexplained, found)) if isinstance(found, list) else set()


def test_answers_of_a_server_are_identical_in_another_house(answers, elsewhere) -> None:
    result = commun("audit", *answers, home=elsewhere)
    assert (result.returncode, result.stderr.strip()) == (0, "")
    assert result.stdout.count("Identical: each token is the one") == len(answers)
    assert "Together: identical. 4 identical, 0 consistent, 0 inconsistent, 0 refused, 0 not audited." in result.stdout
    assert "Compared exactly" in result.stdout
    assert "A grammar chose among the words" in result.stdout
    assert "Nothing was drawn" in result.stdout
    assert result.stdout.count("Likelihood") == 2, "of the two that were drawn freely"
    assert "It ends for want of room" in result.stdout, "what the receipt only states stands beside the verdict"
    assert "files are not in the bundle" not in result.stdout


def test_one_changed_word_is_refused_by_the_receipt_and_not_audited(answers, elsewhere, tmp_path) -> None:
    bundle = json.loads(answers[0].read_text())
    bundle["disclosed"]["answer_text"]["value"] = "never" + bundle["disclosed"]["answer_text"]["value"][5:]
    file = tmp_path / "edited.json"
    file.write_text(json.dumps(bundle))
    result = commun("audit", file, home=elsewhere)
    assert result.returncode == 1
    assert "The receipt is refused" in result.stdout
    assert "Identical" not in result.stdout


def dishonest(answers: Sequence[Path], folder: Path, renderer: Renderer) -> dict[str, Path]:
    statement, values = opened(answers[0])
    assert values.prompt_messages is not None
    (role, text), *others = values.prompt_messages
    assert role == "system"
    spaced = ((role, f"{text} "), *others)
    told = replace(values, prompt_messages=spaced, prompt_token_ids=renderer.render(spaced))
    hidden = replace(values, prompt_messages=spaced)
    seed = Seed(Scheme.DRAWN, (statement.seed.value + 1) % 2**32)
    return {
        "another seed": claimed(folder / "seed.json", replace(statement, seed=seed), values),
        "a space in the system prompt": claimed(folder / "space.json", statement, told),
        "messages that are not the prompt's": claimed(folder / "prompt.json", statement, hidden),
    }


def test_what_a_simulator_signed_is_inconsistent(answers, models, elsewhere, tmp_path) -> None:
    (folder,) = (models / "default").glob("ir-*")
    files = dishonest(answers, tmp_path, Renderer(folder))
    result = commun("audit", *files.values(), answers[1], "--json", home=elsewhere)
    assert result.returncode == 1, result.stderr
    found = verdicts(result)
    judged = {Path(one["file"]).stem: one["judgement"] for one in found["answers"]}
    assert {name: one["outcome"] for name, one in judged.items()} == {
        "seed": "inconsistent",
        "space": "inconsistent",
        "prompt": "inconsistent",
        "answer-1.bundle": "identical",
    }
    assert unexplained(found) == set()
    assert "draws" in judged["seed"]["findings"]
    assert "draws" in judged["space"]["findings"]
    assert judged["prompt"]["findings"] == ["prompt"]
    assert found["verdict"] == "inconsistent"
    assert len(found["answers"][0]["facts"]) == judged["seed"]["measures"]["tokens"]


def test_tokens_that_the_named_model_has_not_speak_against_the_receipt(answers, elsewhere, tmp_path) -> None:
    statement, values = opened(answers[0])
    ids = (*values.answer_token_ids[:-1], 2**31)
    result = commun(
        "audit", claimed(tmp_path / "ids.json", statement, replace(values, answer_token_ids=ids)), home=elsewhere
    )
    assert result.returncode == 1
    assert "no such model has this token" in result.stdout


def test_a_schema_that_compiles_for_ever_ends_no_audit(answers, elsewhere, tmp_path) -> None:
    statement, values = opened(answers[2])
    assert values.schema is not None
    endless = json.dumps({"type": "string", "pattern": "^(([a-z]{1,1000}){1,1000}){1,1000}$"})
    hostile = claimed(tmp_path / "endless.json", statement, replace(values, schema=endless))
    result = commun("audit", hostile, answers[1], "--json", home=elsewhere)
    first, second = verdicts(result)["answers"]
    assert first["trouble"]["why"] == "structured"
    assert second["judgement"]["outcome"] == "identical"


def test_a_machine_without_the_model_says_how_to_get_it_and_that_nothing_was_audited(answers, tmp_path) -> None:
    result = commun("audit", answers[0], home=tmp_path / "nothing")
    assert result.returncode == 2
    assert "is not on this machine" in result.stdout
    assert "commun model add" in result.stdout
    assert not (tmp_path / "nothing").exists()


def test_the_publishers_file_is_enough_and_nothing_is_left_behind(answers, models, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    file = models / "default" / "original" / default_model.FILE
    result = commun("audit", answers[0], "--model", file, home=tmp_path / "nothing")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Identical" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_not_the_model_that_the_receipt_names(answers, models, tmp_path) -> None:
    renamed = tmp_path / "other.gguf"
    renamed.write_bytes((models / "default" / "original" / default_model.FILE).read_bytes())
    result = commun("audit", answers[0], "--model", renamed, home=tmp_path / "nothing")
    assert result.returncode == 2
    assert "is not the model that the receipt names" in result.stdout


def on_another_processor(file: Path, statement: Statement, values: Values) -> Path:
    other = {"processor": "Another One", "processor_class": "jit_sve"}  # of a class that nobody has measured
    engine = replace(statement.engine, notes={**statement.engine.notes, **other})
    return claimed(file, replace(statement, engine=engine), values)


def test_answers_of_another_machine_are_compared_with_honest_ones(answers, elsewhere, tmp_path) -> None:
    honest = on_another_processor(tmp_path / "honest.json", *opened(answers[0]))
    statement, values = opened(answers[0])
    seed = Seed(Scheme.DRAWN, (statement.seed.value + 1) % 2**32)
    cheat = on_another_processor(tmp_path / "cheat.json", replace(statement, seed=seed), values)

    alone = commun("audit", honest, home=elsewhere)
    assert alone.returncode == 2
    assert "no figures of honest answers" in alone.stdout
    assert "Processor: Another One" in alone.stdout

    out = tmp_path / "calibration.json"
    made = commun("audit", "calibrate", honest, "--out", out, home=elsewhere)
    assert made.returncode == 0, made.stderr
    assert "the figures of 1 answers" in made.stdout
    assert "is 100.00%" in made.stdout

    few = commun("audit", honest, "--calibration", out, home=elsewhere)
    assert few.returncode == 2
    assert "too few honest answers" in few.stdout

    one = Calibration.from_bytes(out.read_bytes())
    assert one.answered.processor.startswith("Another One")
    (alike,) = one.answers
    out.write_bytes(replace(one, answers=(alike,) * 150).data())
    for file, outcome, status in ((honest, "consistent", 0), (cheat, "inconsistent", 1)):
        result = commun("audit", file, "--calibration", out, "--json", home=elsewhere)
        assert (verdicts(result)["answers"][0]["judgement"]["outcome"], result.returncode) == (outcome, status)


def test_a_calibration_takes_no_answer_twice_and_none_of_another_machine(answers, elsewhere, tmp_path) -> None:
    other = on_another_processor(tmp_path / "other.json", *opened(answers[1]))
    for bundles, reason in (
        ((answers[0], answers[0]), "there twice"),
        ((answers[0], other), "another model or machine"),
    ):
        result = commun("audit", "calibrate", *bundles, "--out", tmp_path / "c.json", home=elsewhere)
        assert result.returncode == 2
        assert reason in result.stderr
    assert not (tmp_path / "c.json").exists()


def test_files_that_are_none_are_told_and_nothing_was_audited(tmp_path) -> None:
    (tmp_path / "c.json").write_text("{}")
    (tmp_path / "b.json").write_text("{}")
    for arguments in ((tmp_path / "absent.json",), (tmp_path / "b.json", "--calibration", tmp_path / "c.json")):
        result = commun("audit", *arguments, home=tmp_path / "nothing")
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
    assert commun("audit", tmp_path / "b.json", home=tmp_path / "nothing").returncode == 1, "a refused receipt"


def test_the_rate_that_the_help_names_is_the_verdicts_own() -> None:
    from commun.audit.verdict import RATE

    assert audit.RATE == RATE
