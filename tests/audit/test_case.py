"""A bundle is verified before it is audited, and what cannot be audited says why."""

import json
from dataclasses import replace

import pytest

from audit.facts import made_case
from commun.audit.case import MAX_STOPS, WORDS, CannotAudit, Why, case_of, differing
from commun.audit.draws import draws, share_of
from commun.receipts.commitments import LEAST_LOGPROB
from commun.receipts.statement import Sampler, Scheme, Seed, State
from commun.receipts.verification import Trust, Verdict
from made_receipt import VALUES, made_receipt


def why_not(data: bytes, trust: Trust | None = None) -> Why:
    with pytest.raises(CannotAudit) as refused:
        case_of(data, trust or Trust())
    return refused.value.why


def test_a_case_has_what_the_bundle_discloses() -> None:
    case = made_case()
    assert (case.prompt, case.answer, case.text, case.stop) == ((1, 2, 3, 4), (5, 6, 7), "Because.", ("END",))
    assert case.messages == (("system", "You answer briefly."), ("user", "Why?"))
    assert (case.temperature, case.top_p, case.seed) == (0.7, 0.95, 7)
    assert case.recorded == (-0.5, -1.25, 0.0)
    assert case.shares() == tuple(map(share_of, draws(7, 3)))


def test_the_report_of_the_verification_comes_with_it() -> None:
    _, report = case_of(made_receipt("turn").bundle().data(), Trust())
    assert report.verdict is Verdict.PARTIAL


def test_at_temperature_0_there_is_no_draw() -> None:
    case = made_case(sampler=Sampler("openvino-genai/mt19937-cdf/1", "0", "1", 64, ignore_eos=False))
    assert (case.seed, case.shares()) == (None, (None, None, None))


def test_a_receipt_that_is_refused_is_not_audited() -> None:
    bundle = json.loads(made_receipt("turn").bundle().data())
    bundle["disclosed"]["answer_text"]["value"] = "Because not."
    assert why_not(json.dumps(bundle).encode()) is Why.RECEIPT_REFUSED
    assert why_not(b"nonsense") is Why.RECEIPT_REFUSED
    assert why_not(made_receipt("turn").bundle().data(), Trust(charter="00" * 32)) is Why.RECEIPT_REFUSED


@pytest.mark.parametrize(
    "name", ["prompt_token_ids", "prompt_messages", "answer_token_ids", "answer_text", "logprobs", "stop"]
)
def test_whatever_is_withheld_is_asked_for(name: str) -> None:
    assert why_not(made_receipt("turn").bundle().without(name).data()) is Why.WITHHELD


def test_whoever_names_the_charter_is_told_that_a_bundle_withholds_it() -> None:
    receipt = made_receipt("turn")
    trust = Trust(charter=receipt.statement.charter.first_root)
    with pytest.raises(CannotAudit) as refused:
        case_of(receipt.bundle().data(), trust)
    assert (refused.value.why, refused.value.details["detail"]) == (Why.WITHHELD, "charter")


def test_what_the_receipt_does_not_commit_to_is_not_missed() -> None:
    case = made_case(values=replace(VALUES, logprobs=None, prompt_messages=None, stop=None))
    assert (case.recorded, case.messages, case.stop) == (None, None, ())


def test_another_server_s_draws_are_not_recomputed() -> None:
    sampler = Sampler("mine/2", "1", "1", 64, ignore_eos=False)
    assert why_not(made_receipt("turn", sampler=sampler).bundle().data()) is Why.OTHER_SAMPLER


def test_an_answer_under_a_grammar_has_its_schema() -> None:
    assert made_case(values=replace(VALUES, schema="{}")).schema == "{}"
    assert made_case().schema is None


def test_an_answer_without_tokens_shows_nothing() -> None:
    nothing = replace(VALUES, answer_token_ids=(), logprobs=(), answer_text="")
    assert why_not(made_receipt("turn", nothing, state=State.STOPPED).bundle().data()) is Why.NO_TOKENS
    none = replace(VALUES, answer_token_ids=None, logprobs=None)
    assert why_not(made_receipt("turn", none).bundle().data()) is Why.NO_TOKENS


def test_a_conversation_beyond_every_context_is_not_audited() -> None:
    long = replace(VALUES, prompt_token_ids=(1,) * (1 << 17))
    assert why_not(made_receipt("turn", long).bundle().data()) is Why.TOO_LONG


def test_a_seed_of_any_scheme_is_a_seed() -> None:
    assert made_case(seed=Seed(Scheme.CALLER, 2**32 - 1)).seed == 2**32 - 1


def test_a_recorded_figure_that_is_no_number_is_infinitely_far() -> None:
    case = made_case(values=replace(VALUES, logprobs=(LEAST_LOGPROB, 0, 0)))
    assert case.recorded == (None, 0, 0)
    assert differing(case.recorded, (-1, 0, -0.5)) == (float("inf"), 0, 0.5)
    assert differing(None, (1, 2, 3)) == ()


def test_every_reason_has_its_words() -> None:
    assert set(WORDS) == set(Why)
    assert "withheld" in CannotAudit(Why.WITHHELD, "stop").text()


@pytest.mark.parametrize(
    ("temperature", "top_p"),
    [("0." + "0" * 45 + "1", "0.95"), ("0." + "0" * 300 + "1", "1"), ("999999999999", "1"), ("0.8", "0"), ("0.8", "5")],
)
def test_settings_that_no_sampler_can_have_are_not_computed_with(temperature: str, top_p: str) -> None:
    sampler = Sampler("openvino-genai/mt19937-cdf/1", temperature, top_p, 64, ignore_eos=False)
    assert why_not(made_receipt("turn", sampler=sampler).bundle().data()) is Why.OTHER_SAMPLER


def test_more_stop_strings_than_a_server_takes_are_not_looked_for() -> None:
    many = replace(VALUES, stop=tuple(f"{number}." for number in range(MAX_STOPS + 1)))
    assert why_not(made_receipt("turn", many).bundle().data()) is Why.MANY_STOPS
    assert len(made_case(values=replace(VALUES, stop=many.stop[:MAX_STOPS])).stop) == MAX_STOPS
