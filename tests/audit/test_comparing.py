"""The exact comparison is for the same build and processor; anything else takes honest answers of just these machines."""

from dataclasses import replace

import pytest

from audit.facts import made_case, recomputed
from audit.test_verdict import honest_answers
from commun.audit.calibration import Calibration, Machine
from commun.audit.case import CannotAudit, Why
from commun.audit.comparing import Likeness, is_exact, judge, likeness, machine_of
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


def test_across_processors_only_classes_that_were_measured_are_compared_exactly() -> None:
    answered = replace(HERE, processor_class="AVX-512")
    for name, here, exact in (
        (Likeness.PROCESSOR, answered, True),
        (Likeness.CLASS, replace(answered, processor="another"), True),
        (Likeness.OTHER_CLASS, replace(answered, processor="another", processor_class="AVX2"), True),
        (Likeness.OTHER_CLASS, replace(answered, processor_class="AVX2"), True),
        (Likeness.OTHER_CLASS, replace(answered, processor="another", processor_class="jit_sve"), False),
    ):
        assert (likeness(answered, here), is_exact(answered, here)) == (name, exact)
    unknown = replace(answered, processor_class="jit_sve")
    assert is_exact(unknown, unknown), "of one and the same processor"
    assert not is_exact(unknown, replace(unknown, processor="another"))
    older = HERE  # a receipt that names no class
    assert (likeness(older, answered), is_exact(older, answered)) == (Likeness.PROCESSOR, True)
    other = replace(answered, processor="another")
    assert (likeness(older, other), is_exact(older, other)) == (Likeness.OTHER_CLASS, False)


def test_a_calibration_serves_for_another_processor_of_a_class_that_it_names() -> None:
    fast = replace(HERE, profile="fast", processor_class="AMX")
    named = Calibration("ef" * 32, fast, fast, 1, honest_answers(200))
    other = replace(fast, processor="another")
    assert named.fits("ef" * 32, other, other)
    assert not named.fits("ef" * 32, fast, replace(other, processor_class="AVX2"))
    assert not named.fits("ef" * 32, fast, replace(other, engine="2026.5"))
    nameless = replace(named, answered=replace(fast, processor_class=""), audited=replace(fast, processor_class=""))
    assert not nameless.fits("ef" * 32, replace(other, processor_class=""), replace(other, processor_class=""))


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
