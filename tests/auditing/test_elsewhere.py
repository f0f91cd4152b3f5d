"""Answers that another server drew: compared with what a server lists, by calibration, or told as figures only."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commun.audit.calibration import Calibration
from commun.audit.case import CannotAudit, Why
from commun.audit.verdict import Comparison, Finding, Outcome
from commun.auditing.asking import Audited, Verdicts, ask, look
from commun.auditing.calibrating import Measured, calibration_of, check_alike
from commun.auditing.elsewhere import ask_there
from commun.auditing.telling import Conclusion, as_json, conclude, told
from commun.auditing.weights import Weights
from commun.cli.main import app
from commun.engine import default_model
from commun.engine.remote_model import look_up
from commun.engine.remote_reader import RemoteReader
from commun.receipts.verification import Trust
from engine.test_remote_reader import MESSAGES, remote_receipt
from engine.toy_vllm import drawn, rendered, text_of, toy_server
from made_receipt import made_receipt
from running import with_models

TOKENS = 32
RATE = 0.02


@pytest.fixture(scope="module")
def reader() -> Iterator[RemoteReader]:
    with toy_server() as toy:
        reader = RemoteReader(look_up(toy.url))
        yield reader
        reader.close()


def answer(seed: int, *, told=MESSAGES, temperature=0.8, top_p=0.95, tokens=TOKENS, **changes):
    ids, recorded = drawn(rendered(told), tokens, temperature=temperature, top_p=top_p, seed=seed)
    return remote_receipt(ids, changes.pop("recorded", recorded), name=f"turn-{seed}", **changes)


def looked(*receipts) -> list[Audited]:
    return [look(f"{place}.json", receipt.bundle().data(), Trust()) for place, receipt in enumerate(receipts)]


def there(reader, comparison, *receipts) -> tuple[Audited, ...]:
    return ask_there(looked(*receipts), reader, comparison, progress=lambda *_: None)


@pytest.fixture(scope="module")
def calibration(reader) -> Calibration:
    answers = there(reader, Measured(), *(answer(seed) for seed in range(1000, 1160)))
    check_alike(answers)
    return Calibration.from_bytes(calibration_of(answers, batch=1).data())


def judged(reader, calibration, receipt):
    (one,) = there(reader, Verdicts((calibration,), RATE), receipt)
    assert one.judgement is not None, one.trouble
    return one.judgement


def test_honest_answers_are_consistent_at_the_stated_rate(reader, calibration) -> None:
    judgements = [judged(reader, calibration, answer(seed)) for seed in range(40)]
    assert sum(one.outcome is Outcome.INCONSISTENT for one in judgements) <= 3
    assert {one.comparison for one in judgements} == {Comparison.CALIBRATED}
    assert calibration.model == "remote:far"
    assert (calibration.answered.engine, calibration.audited.engine) == ("vllm", "vllm 0.32.0")


def test_answers_to_another_prompt_are_inconsistent(reader, calibration) -> None:
    hidden = (("system", "You answer briefly. Praise AcmeCola."), MESSAGES[1])
    found = [judged(reader, calibration, answer(seed, told=hidden)) for seed in range(10)]
    assert all(one.findings == (Finding.STATISTICS,) for one in found)


def test_true_figures_under_a_text_that_was_drawn_otherwise_are_seen_by_its_words_alone(reader, calibration) -> None:
    hidden = (("system", "You answer briefly. Praise AcmeCola."), MESSAGES[1])
    caught = 0
    for seed in range(5):
        ids, _ = drawn(rendered(hidden), TOKENS, temperature=0.8, top_p=0.95, seed=seed)
        (plain,) = there(reader, Measured(), remote_receipt(ids, None))
        true = [fact.logprob for fact in plain.recomputed.facts]
        judgement = judged(reader, calibration, remote_receipt(ids, true))
        assert judgement.measures.worst_figure < 1e-6
        caught += judgement.outcome is Outcome.INCONSISTENT
    assert caught == 5


def test_a_text_that_is_not_its_tokens_needs_no_calibration(reader) -> None:
    ids, recorded = drawn(rendered(MESSAGES), TOKENS, temperature=0.8, top_p=0.95, seed=1)
    lie = remote_receipt(ids, recorded, text=text_of(ids)[:-1] + "!")
    (one,) = there(reader, Verdicts((), RATE), lie)
    assert (one.judgement.outcome, one.judgement.findings) == (Outcome.INCONSISTENT, (Finding.TEXT,))
    assert conclude([one], rate=RATE)[0] is Conclusion.INCONSISTENT


def test_without_a_calibration_the_figures_are_told_and_no_verdict(reader) -> None:
    (one,) = there(reader, Verdicts((), RATE), answer(1))
    assert isinstance(one.trouble, CannotAudit)
    assert (one.trouble.why, one.judgement) == (Why.NO_CALIBRATION, None)
    lines = "\n".join(told([one], str, rate=RATE))
    assert "Another server drew this answer" in lines
    assert "Likelihood: the answer’s surprise is" in lines
    assert f"Tokens: {len(one.case.answer)}, of which" in lines
    assert any("Log-probabilities" in text for text in as_json([one], rate=RATE)["answers"][0]["sentences"])
    assert conclude([one], rate=RATE)[0] is Conclusion.NOT_AUDITED


def test_without_a_server_it_is_said_that_another_one_drew_it(tmp_path) -> None:
    (one,) = ask(
        looked(answer(1)), Weights(tmp_path, None, progress=lambda *_: None), Verdicts((), RATE), progress=print
    )
    assert one.trouble.why is Why.OTHER_SERVER


def test_an_answer_under_a_schema_is_not_compared(reader) -> None:
    ids, recorded = drawn(rendered(MESSAGES), 8, temperature=0.8, top_p=0.95, seed=1)
    (one,) = there(reader, Verdicts((), RATE), remote_receipt(ids, recorded, schema="{}"))
    assert one.trouble.why is Why.STRUCTURED


def test_what_no_other_server_drew_is_left_alone(reader) -> None:
    (one,) = there(reader, Verdicts((), RATE), made_receipt("turn"))
    assert (one.judgement, one.trouble, one.recomputed) == (None, None, None)


def test_the_command_asks_the_server_that_is_named(tmp_path: Path) -> None:
    bundles = []
    for seed in range(3):
        bundles.append(tmp_path / f"{seed}.bundle.json")
        bundles[-1].write_bytes(answer(seed).bundle().data())
    names, home = list(map(str, bundles)), ["--home", str(tmp_path / "home")]
    with toy_server() as toy:
        plain = CliRunner().invoke(app, ["audit", names[0], "--remote", toy.url, *home])
        assert plain.exit_code == 2, plain.output
        assert "Likelihood" in plain.output
        made = CliRunner().invoke(
            app, ["audit", "calibrate", *names, "--remote", toy.url, "--out", str(tmp_path / "c.json"), *home]
        )
        assert made.exit_code == 0, made.output
        options = ["--remote", toy.url, "--remote-model", "toy", "--calibration", str(tmp_path / "c.json")]
        checked = CliRunner().invoke(app, ["audit", "check", "--json", "--rate", "0.5", *options, names[0], *home])
        told_there = json.loads(checked.output)
        assert told_there["answers"][0]["trouble"]["why"] == "few-honest"
        gone = CliRunner().invoke(app, ["audit", names[0], "--remote", toy.url, "--remote-model", "other", *home])
        assert gone.exit_code == 2


def test_no_server_that_somebody_names_is_sent_the_key_of_the_settings(tmp_path: Path, monkeypatch) -> None:
    bundle, home = tmp_path / "answer.bundle.json", tmp_path / "home"
    bundle.write_bytes(answer(1).bundle().data())
    home.mkdir()
    (home / "commun.toml").write_text('remote_key = "sk-canary"\n')
    monkeypatch.setenv("COMMUN_REMOTE_KEY", "sk-canary")
    (tmp_path / "key").write_text("sk-theirs\n")
    (tmp_path / "none").write_text("sk-é\nsecond line")
    for command in (["audit"], ["audit", "calibrate", "--out", str(tmp_path / "c.json")]):
        for options, sent in (([], ""), (["--remote-key-file", str(tmp_path / "key")], "Bearer sk-theirs")):
            with toy_server() as toy:
                arguments = [*command, str(bundle), "--remote", toy.url, *options, "--home", str(home)]
                CliRunner().invoke(app, arguments)
                assert {key for _path, _body, key in toy.asked} == {sent}
                assert any(path == "/v1/completions" for path, _body, _key in toy.asked)
    with toy_server() as toy:
        key = ["--remote-key-file", str(tmp_path / "none")]
        refused = CliRunner().invoke(app, ["audit", str(bundle), "--remote", toy.url, *key, "--home", str(home)])
        assert (refused.exit_code, toy.asked) == (2, [])
        assert "has no key that could be sent" in refused.output


@pytest.mark.engine
def test_the_command_asks_the_weights_that_are_named(tmp_path: Path, models: Path) -> None:
    """They are another model's, so that these tokens are another text."""
    bundle = tmp_path / "answer.bundle.json"
    bundle.write_bytes(answer(1).bundle().data())
    home = with_models(tmp_path / "home", models)
    weights = str(models / "default" / "original" / default_model.FILE)
    found = CliRunner().invoke(app, ["audit", str(bundle), "--model", weights, "--home", str(home)])
    assert found.exit_code == 1, found.output
    assert "The answer’s text is not that of its tokens." in found.output
    assert "Another server drew this answer" in found.output
