"""What another Commun found is counted only where it was handed out, once, and as it says."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from commun.audit.verdict import Comparison
from commun.auditing.sampled import BadResults, Tally, read_results

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def answer(name: str, outcome: str | None, *, comparison: str = "exact", **changes: Any) -> dict[str, Any]:
    judgement = None if outcome is None else {"outcome": outcome, "comparison": comparison}
    report = {"verdict": "partial", "statement": {"receipt": name}}
    return {"file": f"x/{name}.bundle.json", "receipt": report, "judgement": judgement, "trouble": None} | changes


def results(*answers: dict[str, Any], rate: Any = 0.02) -> dict[str, Any]:
    return {"rate": rate, "answers": list(answers)}


def test_each_verdict_is_counted_as_it_is() -> None:
    value = results(
        answer(A, "identical"),
        answer(B, "consistent", comparison="calibrated"),
        answer(C, "inconsistent", comparison="calibrated"),
        answer(D, None, trouble={"code": "cannot_audit"}),
    )
    tally, rate = read_results("r.json", value, [A, B, C, D, "e" * 64])
    assert tally == Tally((A, B, C, D), 1, 1, 1, 1, frozenset(Comparison) - {Comparison.FIGURES})
    statement = tally.statement(rate=rate, auditor="archives.example.org", now=NOW)
    assert (statement.audited, statement.not_audited, statement.comparison) == (3, 1, "both")
    assert (statement.rate, statement.time) == ("0.02", "2026-11-22T06:00:00Z")


@pytest.mark.parametrize(
    "against",
    [
        answer(A, None, receipt={"verdict": "refused", "statement": None}),
        answer(A, None, trouble={"code": "unknown_token"}),
    ],
    ids=["the receipt is refused", "tokens that the model has not"],
)
def test_what_speaks_against_our_own_receipt_counts_as_inconsistent(against: dict[str, Any]) -> None:
    tally, _rate = read_results("r.json", results(against), [A])
    assert (tally.receipts, tally.inconsistent, tally.not_audited) == ((A,), 1, 0)
    assert tally.statement(rate=0.02, auditor="x", now=NOW).comparison == "none"


@pytest.mark.parametrize(
    "value",
    [
        results(answer(A, "identical"), answer(B, "identical")),
        results(answer(A, "identical"), answer(A, "identical")),
        results(),
        results(answer(A, "perfect")),
        results(answer(A, None, trouble="unknown_token")),
        results(answer(A, None, receipt=[])),
        results(answer(A, "identical"), rate=2),
        results(answer(A, "identical"), rate=True),
        results(answer(A, "identical"), rate=None),
        {"rate": 0.02},
        {"answers": [], "rate": 0.02},
        {"answers": [3], "rate": 0.02},
        [],
        None,
        "x",
    ],
)
def test_anything_else_is_refused_whole(value: Any) -> None:
    before = copy.deepcopy(value)
    with pytest.raises(BadResults):
        read_results("r.json", value, [A])
    assert value == before


@pytest.mark.parametrize(("rate", "text"), [(0.02, "0.02"), (0.000001, "0.000001"), (1.0, "1"), (0.0, "0")])
def test_a_rate_is_written_as_a_decimal(rate: float, text: str) -> None:
    assert Tally(()).statement(rate=rate, auditor="x", now=NOW).rate == text


def test_a_name_cannot_carry_anybody_s_words() -> None:
    said = Tally(()).statement(rate=0.02, auditor="Our friends, they say “hello” <b>", now=NOW)
    assert said.auditor == "Our-friends--they-say--hello---b-"
