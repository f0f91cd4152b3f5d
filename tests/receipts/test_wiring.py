"""An answer as the assistant leaves it becomes a receipt that verifies: the calls that the server will make."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import world
from commun import __version__
from commun.assistant.answer import Answer
from commun.charter.chain import walk_roots
from commun.charter.edition import InForce
from commun.charter.joining import charter_digest
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.engine.base import EngineInfo, Message, Prompt, Sampling
from commun.places import CHARTER_FOLDER, TRUST_FOLDER
from commun.receipts.adopted import charter_files
from commun.receipts.bundle import PENDING, Logged
from commun.receipts.commitments import TEXT_ROLE, Values, whole_logprobs
from commun.receipts.issue import Receipt, engine_used, issue
from commun.receipts.statement import (
    OPENVINO_SAMPLER,
    REMOTE_SAMPLER,
    CharterUsed,
    ContextUsed,
    EngineUsed,
    Sampler,
    Scheme,
    Seed,
    State,
    Statement,
    decimal_text,
    receipt_id,
)
from commun.receipts.verification import Trust, Verdict, verify
from founded import found_for_tests

NOW = datetime.now(UTC).replace(microsecond=0)


def receipt_of(
    answer: Answer,
    prompt: Prompt | None,
    in_force: InForce,
    *,
    state: State,
    error: str,
    caller_seed: bool,
    first_root: str,
) -> Receipt:
    charter, info, sampling = in_force.charter, answer.engine, answer.sampling
    model = charter.models.get(info.model if info else charter.models.default)
    profile = "remote" if model.format == "remote" else str(charter.sampling.profile)
    remote = profile == "remote"
    told = prompt.messages if prompt else ()
    kept = sum(message.role != "system" for message in told)
    messages: tuple[tuple[str, str], ...] | None = tuple((one.role, one.content) for one in told) or None
    if prompt and prompt.text is not None:
        messages = ((TEXT_ROLE, prompt.text),)
    scheme = Scheme.REMOTE if remote else Scheme.CALLER if caller_seed else Scheme.DRAWN
    statement = Statement(
        receipt=receipt_id("the turn's id"),
        state=state,
        error=error,
        finish=answer.finish_reason,
        began=NOW - timedelta(seconds=answer.queued_s + answer.total_s),
        ended=NOW,
        charter=CharterUsed(answer.edition, answer.charter, first_root, stale=answer.stale),
        model_id=model.id,
        model_digest=model.digest,
        engine=engine_used(info.name, info.version, info.profile, info.notes) if info else EngineUsed("", "", profile),
        software=__version__,
        sampler=Sampler(
            REMOTE_SAMPLER if remote else OPENVINO_SAMPLER,
            decimal_text(sampling.temperature),
            decimal_text(sampling.top_p),
            sampling.max_tokens,
            ignore_eos=sampling.ignore_eos,
        ),
        seed=Seed(scheme, sampling.seed),
        context=ContextUsed(
            "text" if prompt and prompt.text is not None else "chat",
            charter.context.policy,
            kept,
            answer.dropped_messages,
        ),
        persona=answer.persona,
        language=answer.language,
        sources=(),
        tools=(),
        prompt_tokens=answer.prompt_tokens,
        answer_tokens=answer.completion_tokens,
        commitments={},
        ledger="",
    )
    values = Values(
        prompt_token_ids=prompt.token_ids if prompt else None,
        prompt_messages=messages,
        answer_token_ids=answer.token_ids or None,
        answer_text=answer.text,
        logprobs=whole_logprobs(answer.logprobs) if answer.logprobs else None,
        stop=sampling.stop or None,
        schema=sampling.json_schema,
    )
    return issue(statement, values, world.SIGNER)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found_for_tests(tmp_path)
    return tmp_path


def answer_in(in_force: InForce) -> Answer:
    model = in_force.charter.models.get(in_force.charter.models.default)
    info = EngineInfo("openvino-genai", "2026.4.1.0", "exact", model.id, model.digest, 8192, notes={"threads": "2"})
    return Answer(
        text="Enough members.",
        token_ids=(1, 2, 3),
        logprobs=(-0.5, -1.25, -1e-9),
        finish_reason="stop",
        prompt_tokens=4,
        completion_tokens=3,
        dropped_messages=2,
        queued_s=0.1,
        first_token_s=0.2,
        total_s=1.3,
        energy_wh=0.0,
        energy_method="none",
        sampling=Sampling(seed=7, max_tokens=64, temperature=0.3, top_p=0.95),
        engine=info,
        edition=in_force.edition.number,
        charter=in_force.edition.digest,
        persona="",
        language="en",
        stale=False,
    )


def test_an_answer_becomes_a_receipt_and_whoever_pins_the_charter_verifies_it(home: Path) -> None:
    repository = Repository(home / CHARTER_FOLDER)
    in_force = load(repository, home / TRUST_FOLDER, now=NOW)
    first_root = charter_digest(walk_roots(repository, newest=1, now=NOW)[0][0])
    answer = answer_in(in_force)
    system = in_force.charter.system_prompt("en", "")
    prompt = Prompt((5, 6, 7, 8), (Message("system", system), Message("user", "What is a quorum?")))
    files = charter_files(repository, in_force.edition.number)
    for made, told, state, error in (
        (answer, prompt, State.COMPLETE, ""),
        (replace(answer, finish_reason="cancelled", text="", token_ids=(), logprobs=()), prompt, State.STOPPED, ""),
        (
            replace(answer, finish_reason="cancelled", text="", token_ids=(), logprobs=(), engine=None),
            None,
            State.FAILED,
            "engine_failed",
        ),
    ):
        receipt = receipt_of(made, told, in_force, state=state, error=error, caller_seed=True, first_root=first_root)
        data = receipt.bundle(charter=files, ledger=Logged(receipt=PENDING)).data()
        report = verify(data, Trust(charter=first_root, keys=(receipt.key,)))
        assert report.verdict is Verdict.PARTIAL, report.detail
        assert [step.number for step in report.steps if step.missing] == [7]
