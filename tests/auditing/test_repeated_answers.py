"""One answer counts once, however often it is given; two receipts with one id are told, and both are counted."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from auditing.test_elsewhere import RATE, answer
from commun.audit.calibration import Calibration
from commun.auditing.asking import look
from commun.auditing.repeated import once
from commun.auditing.telling import as_json, told
from commun.cli.main import app
from commun.receipts.bundle import Bundle
from commun.receipts.verification import Trust
from engine.toy_vllm import toy_server

NOTHING = Trust()


def looked(*files: bytes):
    return [look(f"{place}.json", data, NOTHING) for place, data in enumerate(files)]


def test_the_same_receipt_again_is_left_out_also_where_its_bundle_shows_less_beside_it() -> None:
    first, other = answer(1).bundle(), answer(2).bundle()
    spaced = json.dumps(json.loads(first.data())).encode()  # the same bundle in other bytes
    counted, repeated = once(looked(first.data(), other.data(), spaced, first.data()))
    assert [one.name for one in counted] == ["0.json", "1.json"]
    assert [(one.file, one.first, one.is_same) for one in repeated] == [
        ("2.json", "0.json", True),
        ("3.json", "0.json", True),
    ]


def test_another_receipt_with_the_same_id_is_counted_and_said() -> None:
    one, twice = answer(1).bundle().data(), answer(1).bundle().data()  # signed twice: other salts
    assert Bundle.from_bytes(one).envelope != Bundle.from_bytes(twice).envelope
    counted, repeated = once(looked(one, twice, one))
    assert [each.name for each in counted] == ["0.json", "1.json"]
    assert [(each.file, each.is_same) for each in repeated] == [("1.json", False), ("2.json", True)]
    lines = "\n".join(told(counted, str, rate=RATE, repeated=repeated))
    assert "1.json: another receipt with the id of 0.json" in lines
    assert "2.json: the same answer as 0.json; it is counted once." in lines
    assert as_json(counted, rate=RATE, repeated=repeated)["repeated"] == [
        {"file": "1.json", "first": "0.json", "counted": True},
        {"file": "2.json", "first": "0.json", "counted": False},
    ]


def test_what_is_refused_is_left_as_it_is() -> None:
    counted, repeated = once(looked(b"{}", b"{}"))
    assert (len(counted), repeated) == (2, [])


@pytest.mark.parametrize("times", [1, 5])
def test_the_command_draws_the_same_conclusion_however_often_an_answer_is_given(tmp_path: Path, times: int) -> None:
    """Five times the same middling answer would together be called inconsistent, if each counted."""
    bundle, out = tmp_path / "answer.bundle.json", tmp_path / "c.json"
    bundle.write_bytes(answer(1).bundle().data())
    home = ["--home", str(tmp_path / "home")]
    with toy_server() as toy:
        there = ["--remote", toy.url, *home]
        CliRunner().invoke(app, ["audit", "calibrate", str(bundle), "--out", str(out), *there])
        made = Calibration.from_bytes(out.read_bytes())
        out.write_bytes(type(made)(made.model, made.answered, made.audited, 1, among(made.answers[0])).data())
        options = ["--rate", "0.05", "--calibration", str(out), "--json", *there]
        found = CliRunner().invoke(app, ["audit", *[str(bundle)] * times, *options])
    value = json.loads(found.output)
    assert (found.exit_code, value["verdict"]) == (0, "consistent"), found.output
    assert value["counts"]["consistent"] == 1
    assert len(value["repeated"]) == times - 1


def among(alike):
    """It is worse than most of these honest answers, and better than some."""
    better = type(alike)(alike.tokens, 0, 0, 0, 0)
    return (alike,) * 8 + (better,) * 200
