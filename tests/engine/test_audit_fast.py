"""The fast profile, by the calibration that comes with Commun: honest answers are consistent, each dishonest row is not.

There rounding depends on what else runs: an answer is compared with honest ones, and one honest answer in fifty may be
called inconsistent. So a row is six answers of other questions and seeds, in one verdict at FAR: six honest ones are
beyond it once in 10,000 times, and a row that is caught stays so when two of its answers show little. The rows here
are those that must be caught in this profile; what else it sees, and how often, docs/spec/audit.md says.

The calibration is of one class of processors. On any other there is no verdict, and that is what must be said there.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from claimed_answers import SYSTEM, answered, sampling
from commun.audit.calibration import Machine
from commun.audit.case import CannotAudit, Case, Why, case_of
from commun.audit.comparing import judge
from commun.audit.verdict import Comparison, Finding, Outcome, Recomputed, pool
from commun.auditing.shipped import shipped
from commun.engine.logits import LogitReader, recompute
from commun.engine.openvino import OpenVINOEngine
from commun.engine.rendering import Renderer
from commun.engine.weights import ReadyModel
from commun.receipts.commitments import Values, whole_logprobs
from commun.receipts.issue import Receipt, engine_used, issue
from commun.receipts.verification import Trust
from made_receipt import SIGNER
from other_weights import changed

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

SERVED = "AMX"  # the class that the calibration is of
FAR = 1e-4
TOKENS = 128
QUESTIONS = (
    "Explain how a town council decides on its budget, step by step.",
    "What should I look at before I buy an old bicycle?",
    "Write a letter to a neighbour who plays the drums at night.",
    "Describe a market in a small harbour town early in the morning.",
    "Racontez l’histoire d’un gardien de phare qui trouve une lettre.",
    "Give me three ideas for a rainy Sunday with children.",
)
ANSWERS = len(QUESTIONS)
HIDDEN = f"{SYSTEM} When it fits, mention that AcmeCola is refreshing."


@pytest.fixture(scope="module")
def reader(model) -> LogitReader:
    return LogitReader(model.folder, profile="fast")


@pytest.fixture(scope="module")
def renderer(model) -> Renderer:
    return Renderer(model.folder)


@dataclass(frozen=True)
class Row:
    """Answers, what the model has to say on them, and where it was asked."""

    receipts: Sequence[Receipt]
    cases: Sequence[Case]
    found: Sequence[Recomputed]
    here: Machine


@pytest.fixture(scope="module")
def read(reader, renderer):
    def row(receipts: Sequence[Receipt]) -> Row:
        cases = cases_of(receipts)
        found = [recompute(case, reader, renderer, context_length=8192, progress=lambda *_: None) for case in cases]
        return Row(receipts, cases, found, reader.machine)

    return row


def cases_of(receipts: Sequence[Receipt]) -> Sequence[Case]:
    return [case_of(receipt.bundle().data(), Trust())[0] for receipt in receipts]


@asynccontextmanager
async def started(model: ReadyModel) -> AsyncIterator[OpenVINOEngine]:
    engine = OpenVINOEngine(prepare=lambda: model, profile="fast")
    await engine.start()
    yield engine
    await engine.close()


async def answers(engine: OpenVINOEngine, digest: str, *, system: str = SYSTEM, **wishes: float) -> list[Receipt]:
    """One of each question. All claim that the model of ``digest`` was told SYSTEM and drew at the usual settings."""
    info = engine.info
    statement = {"model_digest": digest, "engine": engine_used(info.name, info.version, info.profile, info.notes)}

    def asked(number: int, question: str):
        said = sampling(seed=number * 7919 + 1, max_tokens=TOKENS, ignore_eos=True)
        return answered(
            engine,
            replace(said, **wishes),
            said=said,
            told=(("system", system), ("user", question)),
            claimed=(("system", SYSTEM), ("user", question)),
            **statement,
        )

    return await asyncio.gather(*map(asked, range(ANSWERS), QUESTIONS))


@pytest.fixture(scope="module")
async def drawn(model) -> Mapping[str, Sequence[Receipt]]:
    """Rows of the adopted model: twenty-four answers at once; the calibration has seen thirty-two."""
    digest = model.manifest.digest
    async with started(model) as engine:
        rows = {
            "honest": answers(engine, digest),
            "a hidden sentence": answers(engine, digest, system=HIDDEN),
            "temperature +10 %": answers(engine, digest, temperature=0.88),
            "temperature -10 %": answers(engine, digest, temperature=0.72),
        }
        return dict(zip(rows, await asyncio.gather(*rows.values()), strict=True))


@pytest.fixture(scope="module")
def honest(drawn, read) -> Row:
    return read(drawn["honest"])


def check(row: Row, outcome: Outcome) -> None:
    """``outcome``: of all answers together, by their figures alone."""
    pairs = [*zip(row.cases, row.found, strict=True)]
    assert len(pairs) == ANSWERS
    if row.here.processor_class == SERVED:
        judgements = [judge(case, found, row.here, shipped()) for case, found in pairs]
        assert {one.comparison for one in judgements} == {Comparison.CALIBRATED}
        assert {finding for one in judgements for finding in one.findings} <= {Finding.STATISTICS}
        assert pool(judgements, rate=FAR).outcome is outcome
    else:
        for case, found in pairs:
            with pytest.raises(CannotAudit) as refused:
                judge(case, found, row.here, shipped())
            assert refused.value.why is Why.NO_CALIBRATION


async def test_honest_answers_are_consistent(honest) -> None:
    check(honest, Outcome.CONSISTENT)


async def test_where_the_calibration_does_not_serve_there_is_no_verdict(honest) -> None:
    check(replace(honest, here=replace(honest.here, processor_class="another")), Outcome.CONSISTENT)


@pytest.mark.parametrize("kind", ["a hidden sentence", "temperature +10 %", "temperature -10 %"])
async def test_another_prompt_or_temperature_is_inconsistent(drawn, read, kind) -> None:
    check(read(drawn[kind]), Outcome.INCONSISTENT)


async def test_another_seed_is_inconsistent(honest, read) -> None:
    def of_another(receipt: Receipt) -> Receipt:
        seed = receipt.statement.seed
        return signed_again(receipt, receipt.values, seed=replace(seed, value=seed.value + 1))

    check(read([of_another(receipt) for receipt in honest.receipts]), Outcome.INCONSISTENT)


async def test_a_word_that_was_changed_afterwards_is_inconsistent(honest, read, renderer) -> None:
    """With the right log-probabilities of what stands there now."""

    def edited(receipt: Receipt) -> Receipt:
        ids = list(receipt.values.answer_token_ids)
        ids[TOKENS // 2] = renderer.encode(" never")[-1]
        values = replace(receipt.values, answer_token_ids=tuple(ids), answer_text=renderer.text_of(ids, ())[0])
        return signed_again(receipt, values)

    row = read([edited(receipt) for receipt in honest.receipts])
    check(with_right_figures(row), Outcome.INCONSISTENT)


@pytest.mark.parametrize("kind", ["q4_0", "smaller"])
async def test_other_weights_are_inconsistent_also_with_the_right_figures(model, read, tmp_path, kind) -> None:
    other = replace(model, folder=changed(model.folder, tmp_path / kind, kind))
    async with started(other) as engine:
        row = read(await answers(engine, model.manifest.digest))
    check(row, Outcome.INCONSISTENT)
    check(with_right_figures(row), Outcome.INCONSISTENT)


def with_right_figures(row: Row) -> Row:
    """The same texts; as log-probabilities those that an auditor computes."""
    right = [whole_logprobs([fact.logprob for fact in found.facts]) for found in row.found]
    receipts = [
        signed_again(receipt, replace(receipt.values, logprobs=logprobs))
        for receipt, logprobs in zip(row.receipts, right, strict=True)
    ]
    return replace(row, receipts=receipts, cases=cases_of(receipts))


def signed_again(receipt: Receipt, values: Values, **changes: Any) -> Receipt:
    """``changes``: fields of the statement."""
    return issue(replace(receipt.statement, **changes), values, SIGNER)
