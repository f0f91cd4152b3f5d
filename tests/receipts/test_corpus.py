"""The published corpus: what must be accepted and what refused, for which reason; others test their verifiers with it."""

import json

import pytest

import corpus
from commun.receipts.errors import STEP_OF, Reason
from commun.receipts.verification import Outcome, Report, Trust, Verdict, verify
from golden import Case

CASES = corpus.cases()
MOST_OF_ONE = 250_000


def refused_at(report: Report) -> int | None:
    return next((step.number for step in report.steps if step.outcome is Outcome.REFUSED), None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_bundle_gets_the_verdict_that_its_name_says(case: Case) -> None:
    report = verify(case.data, case.trust)
    assert (report.verdict, report.reason and report.reason.value) == (case.verdict, case.reason or None), report.detail
    assert refused_at(report) == (STEP_OF[Reason(case.reason)] if case.reason else None)
    assert json.loads(json.dumps(report.to_json()))["verdict"] == case.verdict


def test_the_published_files_are_the_ones_that_are_made_here() -> None:
    made, published = corpus.files(), corpus.on_disk()
    assert made.keys() == published.keys(), "python tests/receipts/corpus.py --write"
    assert [name for name in made if made[name] != published[name]] == [], "python tests/receipts/corpus.py --write"


def test_the_published_files_say_by_themselves_what_they_are() -> None:
    for item in json.loads((corpus.FOLDER / "index.json").read_text()):
        policy = (corpus.FOLDER / item["policy"]).read_bytes() if item["policy"] else None
        report = verify(
            (corpus.FOLDER / item["file"]).read_bytes(), Trust(item["charter"], tuple(item["keys"]), policy)
        )
        assert (report.verdict.value, report.reason or "") == (item["verdict"], item["reason"]), item["file"]


def test_every_reason_has_a_bundle_that_is_refused_for_it() -> None:
    assert {case.reason for case in CASES} - {""} == {reason.value for reason in Reason} - {"too-large"}


def test_the_corpus_is_large_enough_and_each_file_small() -> None:
    broken = [case for case in CASES if case.verdict is Verdict.REFUSED]
    assert len(broken) >= 40
    assert len({case.data for case in broken if case.trust == broken[0].trust}) > 100
    assert max(len(case.data) for case in CASES) < MOST_OF_ONE


def test_nobody_who_pins_nothing_is_told_more_than_partial() -> None:
    for case in CASES:
        assert verify(case.data).verdict is not Verdict.VERIFIED, case.name
