"""Answers that were given on one machine, audited on whatever machine runs this: exactly where its class was measured,
with the honest answers that come with Commun where those are of its class, else not at all.
"""

import dataclasses
import json
from pathlib import Path

import pytest

from commun.audit.case import CannotAudit, Why
from commun.audit.comparing import is_exact, likeness, machine_of
from commun.audit.verdict import RATE, Comparison, Outcome
from commun.auditing.asking import Audited, Verdicts, ask, look
from commun.auditing.shipped import shipped
from commun.auditing.weights import Weights
from commun.receipts.verification import Trust

pytestmark = pytest.mark.engine

VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "audit").glob("*.bundle.json"))
SMALL = 64_000  # bytes of one


@pytest.fixture(scope="module")
def audited(models: Path) -> dict[str, Audited]:
    looked = [look(file.name, file.read_bytes(), Trust()) for file in VECTORS]
    weights = Weights(models.parent, None, progress=lambda *_: None)
    return {one.name: one for one in ask(looked, weights, Verdicts(shipped(), RATE), progress=lambda *_: None)}


@pytest.mark.parametrize("file", VECTORS, ids=lambda file: file.name.partition(".")[0])
def test_a_real_answer_is_identical_wherever_its_class_was_measured(audited, file: Path) -> None:
    one = audited[file.name]
    assert one.case is not None
    assert one.here is not None
    answered = machine_of(one.case.statement)
    if is_exact(answered, one.here):
        assert one.judgement is not None, one.trouble
        assert (one.judgement.outcome, one.judgement.comparison) == (Outcome.IDENTICAL, Comparison.EXACT), file.name
    elif any(each.fits(one.case.statement.model_digest, answered, one.here) for each in shipped()):
        assert one.judgement is not None, one.trouble
        assert (one.judgement.outcome, one.judgement.comparison) == (Outcome.CONSISTENT, Comparison.CALIBRATED)
    else:
        assert isinstance(one.trouble, CannotAudit)
        assert one.trouble.why in (Why.NO_CALIBRATION, Why.STRUCTURED)
        assert one.judgement is None


def test_the_vectors_are_of_two_classes_in_the_exact_profile_and_say_so(audited) -> None:
    machines = {name: machine_of(one.case.statement) for name, one in audited.items() if one.case is not None}
    exact = {machine.processor_class for machine in machines.values() if machine.profile == "exact"}
    assert exact == {"AVX2", "AVX-512"}
    assert machines["fast-amx-drawn.bundle.json"].processor_class == "AMX"
    drawn = [one for name, one in audited.items() if name.startswith("exact-") and name.endswith("-drawn.bundle.json")]
    assert len({one.case.answer for one in drawn if one.case is not None}) == 1, "both classes drew the same tokens"
    other = dataclasses.replace(machines["exact-avx2-drawn.bundle.json"], processor_class="unheard of")
    assert not is_exact(other, machines["exact-avx512-drawn.bundle.json"])
    assert (
        likeness(machines["exact-avx2-drawn.bundle.json"], machines["exact-avx512-drawn.bundle.json"]) == "other-class"
    )


def test_each_is_small_and_whole() -> None:
    assert len(VECTORS) >= 4
    for file in VECTORS:
        assert file.stat().st_size < SMALL
        assert json.loads(file.read_text())["disclosed"]["answer_token_ids"]
