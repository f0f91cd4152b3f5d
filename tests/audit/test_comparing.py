"""The exact comparison is for the same build and processor; anything else takes honest answers of just these machines."""

from dataclasses import replace

import pytest

from audit.facts import made_case, recomputed
from audit.test_verdict import honest_answers
from commun.audit.calibration import Calibration, Machine
from commun.audit.case import CannotAudit, Why
from commun.audit.comparing import judge, machine_of
from commun.audit.verdict import Comparison
from commun.receipts.statement import EngineUsed
from made_receipt import VALUES

NOTES = {"threads": "2", "openvino": "2026.4.1-22982", "processor": "a processor", "processor_features": "BF16 FP32"}
EXACT = EngineUsed("openvino-genai", "2026.4.1.0-3408", "exact", NOTES)
HERE = Machine("2026.4.1.0-3408 on 2026.4.1-22982", "exact", "2", "a processor (BF16 FP32)")


def test_a_receipt_names_the_machine_that_answered() -> None:
    assert machine_of(made_case(engine=EXACT).statement) == HERE


@pytest.mark.parametrize("here", [HERE, replace(HERE, threads="8")])
def test_the_same_build_and_processor_are_compared_exactly_whatever_the_threads(here: Machine) -> None:
    case = made_case(engine=EXACT)
    assert judge(case, recomputed(case), here).comparison is Comparison.EXACT


@pytest.mark.parametrize(
    "here", [replace(HERE, engine="2026.5"), replace(HERE, processor="another"), replace(HERE, profile="fast")]
)
def test_another_machine_takes_a_calibration_of_both(here: Machine) -> None:
    case = made_case(engine=EXACT)
    with pytest.raises(CannotAudit) as refused:
        judge(case, recomputed(case), here, [Calibration("ef" * 32, HERE, HERE, 1, honest_answers(200))])
    assert refused.value.why is Why.NO_CALIBRATION
    fitting = Calibration("ef" * 32, HERE, here, 1, honest_answers(200))
    assert judge(case, recomputed(case), here, [fitting]).comparison is Comparison.CALIBRATED


def test_the_fast_profile_is_never_compared_exactly() -> None:
    case = made_case(engine=replace(EXACT, profile="fast"))
    with pytest.raises(CannotAudit):
        judge(case, recomputed(case), replace(HERE, profile="fast"))


def test_an_answer_under_a_grammar_is_compared_exactly_or_not_at_all() -> None:
    case = made_case(engine=EXACT, values=replace(VALUES, schema="{}"))
    judgement = judge(case, recomputed(case), HERE)
    assert judgement.comparison is Comparison.EXACT
    assert "grammar" in judgement.sentences()[-1].text
    there = replace(HERE, processor="another")
    with pytest.raises(CannotAudit) as refused:
        judge(case, recomputed(case), there, [Calibration("ef" * 32, HERE, there, 1, honest_answers(200))])
    assert refused.value.why is Why.STRUCTURED
