"""What is concluded: identical within rounding, or consistent with honest answers, or not, and always in words."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.facts import made_case, recomputed
from commun.audit.calibration import Calibration, Honest, Machine
from commun.audit.case import CannotAudit, Why
from commun.audit.facts import SHIFT_LIMIT
from commun.audit.measures import FIGURE_LIMIT, SURE_NATS, measures_of
from commun.audit.verdict import (
    FIGURE_BOUND,
    SHIFT_BOUND,
    Finding,
    Outcome,
    judge_calibrated,
    judge_exact,
    pool,
    together,
)
from commun.receipts.sentences import filled
from commun.receipts.statement import Sampler, State
from made_receipt import VALUES

MACHINE = Machine("2026.4.1.0", "fast", "2", "a processor")


def honest_answers(count: int, tokens: int = 3) -> tuple[Honest, ...]:
    chance = random.Random(3)
    return tuple(
        Honest(tokens, chance.uniform(0.0001, 0.001), 0.0, chance.uniform(0.0004, 0.001), 1.0) for _ in range(count)
    )


def calibration(count: int = 200, tokens: int = 3) -> Calibration:
    return Calibration("ef" * 32, MACHINE, MACHINE, 16, honest_answers(count, tokens))


def findings(case, again) -> list[Finding]:
    judgement = judge_exact(case, again)
    assert (judgement.outcome is Outcome.IDENTICAL) == (judgement.findings == ())
    return list(judgement.findings)


def test_an_honest_answer_is_identical() -> None:
    case = made_case()
    judgement = judge_exact(case, recomputed(case))
    assert (judgement.outcome, judgement.findings, judgement.place) == (Outcome.IDENTICAL, (), None)
    assert filled(judgement.sentences()[0]).startswith("Identical")


def test_rounding_is_forgiven_and_no_more() -> None:
    case = made_case()
    near = {1: {"shift": SHIFT_BOUND, "is_drawn": False, "logprob": -1.25 + 0.99 * FIGURE_BOUND}}
    assert findings(case, recomputed(case, facts=near)) == []
    assert findings(case, recomputed(case, facts={1: {"shift": 1.01 * SHIFT_BOUND}})) == [Finding.DRAWS]
    assert findings(case, recomputed(case, facts={1: {"logprob": -1.25 + 1.01 * FIGURE_BOUND}})) == [Finding.FIGURES]
    assert judge_exact(case, recomputed(case, facts={1: {"shift": 0.1}})).place == 2


def test_another_prompt_than_the_messages_make_is_found() -> None:
    case = made_case()
    assert findings(case, recomputed(case, prompt=(1, 2, 3))) == [Finding.PROMPT]
    assert findings(case, recomputed(case, prompt=None)) == []


def test_another_text_than_the_tokens_make_is_found() -> None:
    case = made_case()
    assert findings(case, recomputed(case, texts=("Because not.", "Because."))) == [Finding.TEXT]
    stopped = made_case(state=State.STOPPED, finish="cancelled")
    assert findings(stopped, recomputed(stopped, texts=("Because.\ufffd", "Because."), ends=frozenset())) == []


def test_an_answer_ends_where_the_model_ended_it() -> None:
    case = made_case()
    assert findings(case, recomputed(case, ends=frozenset({8}))) == [Finding.ENDING]
    assert findings(case, recomputed(case, ends=frozenset({6, 7}))) == [Finding.ENDING]
    assert findings(case, recomputed(case, ends=frozenset(), stopped=3)) == []
    assert findings(case, recomputed(case, stopped=2)) == [Finding.ENDING]
    whole = made_case(finish="length")
    assert findings(whole, recomputed(whole, ends=frozenset())) == []
    cut = made_case(state=State.INTERRUPTED, finish="cancelled")
    assert findings(cut, recomputed(cut, ends=frozenset())) == []


@pytest.mark.parametrize(
    ("most", "most_tokens", "context", "found"),
    [
        (3, 100, 50, []),  # three tokens, as many as were asked for
        (4, 100, 50, [Finding.ENDING]),  # there was room for one more
        (64, 7, 50, []),  # four of the prompt and three: the edition's context is full
        (64, 8, 50, [Finding.ENDING]),
        (64, 100, 7, []),  # the model's is
        (64, 100, 6, [Finding.ENDING]),
        (64, None, 50, []),  # how much the edition allows is not in the bundle
        (64, 100, None, []),
    ],
)
def test_an_answer_that_was_cut_off_has_as_many_tokens_as_it_could_have(most, most_tokens, context, found) -> None:
    for ignore_eos in (True, False):
        sampler = Sampler("openvino-genai/mt19937-cdf/1", "0.7", "0.95", most, ignore_eos=ignore_eos)
        case = replace(made_case(sampler=sampler, finish="length"), most_tokens=most_tokens)
        assert findings(case, recomputed(case, ends=frozenset(), context_length=context)) == found
    stopped = replace(case, statement=replace(case.statement, state=State.STOPPED, finish="cancelled"))
    too_long = [Finding.ENDING] if context == 6 else []
    assert findings(stopped, recomputed(stopped, ends=frozenset(), context_length=context)) == too_long


def test_an_answer_that_was_told_to_go_on_goes_on() -> None:
    sampler = Sampler("openvino-genai/mt19937-cdf/1", "0.7", "0.95", 64, ignore_eos=True)
    case = made_case(sampler=sampler, finish="length")
    assert findings(case, recomputed(case, ends=frozenset({5}))) == []


def test_every_finding_is_told() -> None:
    case = made_case()
    again = recomputed(case, prompt=(), texts=("",), ends=frozenset(), facts={0: {"shift": 0.2, "logprob": -3}})
    judgement = judge_exact(case, again)
    assert list(judgement.findings) == [each for each in Finding if each is not Finding.STATISTICS]
    assert len(judgement.sentences()) == 1 + len(judgement.findings) + 1


def test_figures_as_honest_answers_have_them_are_consistent() -> None:
    case = made_case()
    judgement = judge_calibrated(case, recomputed(case, facts={0: {"shift": 0.01}}), calibration())
    assert (judgement.outcome, judgement.honest) == (Outcome.CONSISTENT, 200)
    assert judgement.p is not None
    assert judgement.p > 0.02
    assert "p = " in filled(judgement.sentences()[0])


@pytest.mark.parametrize("wrong", [{"shift": 0.5}, {"logprob": -9.0}])
def test_figures_that_no_honest_answer_has_are_inconsistent_at_the_rate_that_is_told(wrong) -> None:
    case = made_case()
    judgement = judge_calibrated(case, recomputed(case, facts={0: wrong}), calibration())
    assert (judgement.outcome, judgement.findings) == (Outcome.INCONSISTENT, (Finding.STATISTICS,))
    assert judgement.p == pytest.approx(3 / 201)
    assert "2.00%" in filled(judgement.sentences()[1])


def test_a_calibration_that_cannot_tell_at_this_rate_says_so() -> None:
    case = made_case()
    for few in (calibration(100), calibration(500, tokens=7)):
        with pytest.raises(CannotAudit) as refused:
            judge_calibrated(case, recomputed(case), few)
        assert refused.value.why is Why.FEW_HONEST


def test_findings_that_need_no_statistics_need_none_here_either() -> None:
    case = made_case()
    judgement = judge_calibrated(case, recomputed(case, prompt=()), calibration())
    assert (judgement.outcome, judgement.findings) == (Outcome.INCONSISTENT, (Finding.PROMPT,))


@given(st.integers(0, 2**32))
def test_honest_answers_are_called_inconsistent_no_more_often_than_the_rate(seed: int) -> None:
    """One more of the same kind as those that it is compared with has each rank equally often."""
    every = list(honest_answers(151))
    random.Random(seed).shuffle(every)
    ranks = [sum(other.shift >= one.shift for other in every) for one in every]
    assert sum(rank <= 3 for rank in ranks) == 3


def test_several_answers_make_one_verdict() -> None:
    case = made_case()
    good, bad = judge_exact(case, recomputed(case)), judge_exact(case, recomputed(case, facts={0: {"shift": 0.1}}))
    assert pool([good, good]).outcome is Outcome.IDENTICAL
    assert pool([good, bad]).outcome is Outcome.INCONSISTENT
    likely = replace(judge_calibrated(case, recomputed(case), calibration()), p=0.3)
    weak = replace(likely, p=0.04)
    assert pool([good, likely]).outcome is Outcome.CONSISTENT
    pooled = pool([weak] * 5)
    assert (pooled.outcome, pooled.consistent) == (Outcome.INCONSISTENT, 5)
    assert pooled.p is not None
    assert pooled.p < 0.001


def test_p_values_of_several_answers_are_put_together_as_fisher_did() -> None:
    assert together([0.3]) == pytest.approx(0.3)
    assert together([0.05, 0.05]) == pytest.approx(0.0025 * (1 - -5.991464547 / 1), rel=1e-6)
    assert together([1.0, 1.0]) == pytest.approx(1)
    assert 0 <= together([1e-9] * 500) < 1e-100


def test_one_finding_of_many_is_not_drowned_by_chance() -> None:
    case = made_case()
    likely = replace(judge_calibrated(case, recomputed(case), calibration()), p=1.0)
    found = replace(likely, outcome=Outcome.INCONSISTENT, findings=(Finding.STATISTICS,), p=0.015)
    assert pool([likely] * 50 + [found]).outcome is Outcome.CONSISTENT, "one of 51 honest ones may look like this"


def test_how_much_an_answer_can_show_is_told() -> None:
    case = made_case()
    little = judge_exact(case, recomputed(case)).sentences()[-1]
    assert filled(little).startswith("It can show little (3 bits)")
    sure = {place: {"low": 0.0, "high": 2.0**-10} for place in range(3)}
    assert filled(judge_exact(case, recomputed(case, facts=sure)).sentences()[-1]).endswith("once in 2^30 times.")
    greedy = made_case(sampler=Sampler("openvino-genai/mt19937-cdf/1", "0", "1", 64, ignore_eos=False))
    assert "temperature 0" in filled(judge_exact(greedy, recomputed(greedy)).sentences()[-1])


def test_a_sure_answer_s_shifts_are_not_divided_by_nothing() -> None:
    case = made_case()
    sure = {place: {"entropy": 0.0, "shift": 0.1} for place in range(3)}
    assert measures_of(recomputed(case, facts=sure).facts, ()).shift == pytest.approx(0.3 / SURE_NATS)


def test_measures_are_of_bounded_figures() -> None:
    case = made_case()
    again = recomputed(case, facts={0: {"shift": SHIFT_LIMIT, "is_drawn": False, "low": 0.0, "high": 0.0}})
    found = measures_of(again.facts, (float("inf"), 0.0, 0.0))
    assert (found.unlike, found.outside, found.worst_shift) == (1, 1 / 3, SHIFT_LIMIT)
    assert found.shift == pytest.approx(SHIFT_LIMIT / (2.1 + SURE_NATS))
    assert found.figures == pytest.approx(FIGURE_LIMIT / (2.1 + SURE_NATS))
    assert found.evidence == pytest.approx(2)
    assert measures_of(again.facts, ()).figures is None


def test_an_answer_without_recorded_figures_is_judged_by_the_others() -> None:
    case = made_case(values=replace(VALUES, logprobs=None))
    assert judge_exact(case, recomputed(case)).outcome is Outcome.IDENTICAL
    assert judge_calibrated(case, recomputed(case), calibration()).p is not None


def test_an_answer_that_was_not_followed_to_its_end_is_judged_by_what_was_seen() -> None:
    case = made_case(values=replace(VALUES, schema="{}"))
    again = recomputed(case, facts={0: {"shift": SHIFT_LIMIT}})
    judgement = judge_exact(case, replace(again, facts=again.facts[:1]))
    assert (judgement.findings, judgement.measures.tokens) == ((Finding.DRAWS,), 1)
