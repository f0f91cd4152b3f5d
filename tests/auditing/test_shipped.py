"""The calibrations that come with Commun, and how an answer's beginning serves for one."""

from dataclasses import replace

import pytest

from audit.facts import made_case, recomputed
from commun.audit.calibration import Calibration, Machine
from commun.audit.verdict import RATE, judge_exact
from commun.auditing.asking import Audited
from commun.auditing.calibrating import FIGURES_COUNTED, calibration_of
from commun.auditing.shipped import FOLDER, shipped
from commun.engine import default_model
from commun.receipts.commitments import Values
from commun.receipts.verification import Trust, verify
from made_receipt import made_receipt

LENGTHS = (32, 48, 64, 96, 128, 200, 300, 512)  # of answers that somebody with the default model may have
SHORT = 128
ENOUGH = 200


@pytest.mark.parametrize("one", shipped(), ids=lambda one: f"{one.answered.profile}-{one.answered.processor_class}")
def test_each_is_of_the_default_model_and_serves_at_the_usual_rate(one: Calibration) -> None:
    assert one.model == default_model.manifest().digest
    assert one.answered.processor_class
    assert one.answered.engine.partition("-")[0] in default_model.CONVERTED, "an engine build that answers"
    assert sum(answer.tokens <= SHORT for answer in one.answers) >= ENOUGH
    for tokens in LENGTHS:
        assert RATE * (1 + len(one.comparable(tokens))) >= FIGURES_COUNTED, tokens


def test_there_is_one_for_the_fast_profile_and_no_other_file_is_there() -> None:
    assert "fast" in {one.answered.profile for one in shipped()}
    assert {file.suffix for file in FOLDER.iterdir()} == {".json"}
    assert len(shipped()) == len([*FOLDER.iterdir()])


def test_another_processor_of_its_class_finds_it_and_another_class_does_not() -> None:
    one = shipped()[0]
    for name in ("processor", "processor_class"):
        other = {name: "another"}
        fits = one.fits(one.model, replace(one.answered, **other), replace(one.audited, **other))
        assert fits is (name == "processor")


def test_the_first_tokens_of_a_long_answer_count_as_an_answer_of_their_own() -> None:
    values = Values((1, 2), None, tuple(range(1, 17)), "Because.", tuple([-5_000_000] * 16))
    case = made_case(values=values)
    found = recomputed(case, facts={2: {"shift": 0.25, "is_drawn": False}, 9: {"shift": 0.5, "is_drawn": False}})
    here = Machine("build", "fast", "0", "a processor", "AMX")
    report = verify(made_receipt("turn", values).bundle().data(), Trust())
    one = Audited("a.json", report, case, here, found, judge_exact(case, found))
    whole, four = calibration_of([one], batch=1, first=(4, 5)).answers
    assert (whole.tokens, four.tokens) == (16, 4), "five is more than a quarter"
    assert (whole.outside, four.outside) == (1 / 16, 0)
    assert 0 < four.shift < whole.shift
    assert calibration_of([one], batch=1).answers == (whole,)
