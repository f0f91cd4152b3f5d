"""Honest answers of the real engine are identical, alone and in company; dishonest ones of each kind are not.

The exact profile; ``test_audit_fast.py`` has the other. Every arm of ``benchmarks/audit.py`` has its row here or there,
at small n, but two, which need what the tests do not install:

- transformers as the auditor: it comes with torch, which is no dependency (``benchmarks/audit_outsider.py``);
- the text of Qwen2.5-Coder-1.5B, whose weights no test downloads. Here another model is the default one with two layers
  left out.

The engine answers in a process of its own, and the plain OpenVINO runtime reads in this one.
"""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from claimed_answers import ASK, CLAIMED, SYSTEM, TOKENS, answered, receipt_for, sampling
from commun.audit.case import CannotAudit, Case, Why, case_of
from commun.audit.comparing import machine_of
from commun.audit.draws import draws, share_of
from commun.audit.verdict import SHIFT_BOUND, Finding, Judgement, Outcome, judge_exact
from commun.engine import grammar_check
from commun.engine.base import Message, Prompt, Sampling
from commun.engine.logits import LogitReader, recompute
from commun.engine.rendering import Renderer, UnknownToken
from commun.engine.replaying import Replayer
from commun.engine.sampling import candidates, logprob_of
from commun.receipts.commitments import Values, whole_logprobs
from commun.receipts.issue import Receipt, engine_used
from commun.receipts.statement import ContextUsed
from commun.receipts.verification import Trust
from made_receipt import made_receipt
from other_weights import changed

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

OTHERS_TOKENS = 64  # of answers by other weights
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "year": {"type": "integer"}},
        "required": ["name", "year"],
        "additionalProperties": False,
    }
)


@pytest.fixture(scope="module")
def reader(model) -> LogitReader:
    return LogitReader(model.folder, profile="exact", threads=2)


@pytest.fixture(scope="module")
def renderer(model) -> Renderer:
    return Renderer(model.folder)


def said_of(schema: str) -> Sampling:
    return sampling(json_schema=schema)


@pytest.fixture(scope="module")
def audited(reader, renderer):
    def audit(receipt: Receipt) -> Judgement:
        case, _ = case_of(receipt.bundle().data(), Trust())
        return judge_exact(case, recompute(case, reader, renderer, context_length=8192, progress=lambda *_: None))

    return audit


async def test_the_reader_names_itself_as_the_engine_does(engine, reader) -> None:
    info = engine.info
    receipt = made_receipt("turn", engine=engine_used(info.name, info.version, info.profile, info.notes))
    assert machine_of(receipt.statement) == reader.machine


@pytest.mark.parametrize("company", [1, 8, 32])
async def test_honest_answers_are_identical_alone_and_in_company(engine, audited, company) -> None:
    kinds = [(0, 1), (0.3, 0.5), (0.7, 1), (0.8, 0.95), (1, 0.9), (1, 1), (1.3, 0.95), (2, 1)]
    wishes = [
        sampling(temperature=temperature, top_p=top_p, seed=number * 7919, max_tokens=24)
        for number, (temperature, top_p) in enumerate(kinds * max(1, company // len(kinds)))
    ]
    receipts = []
    for start in range(0, len(wishes), company):
        receipts += await asyncio.gather(*(answered(engine, wish) for wish in wishes[start : start + company]))
    judgements = [audited(receipt) for receipt in receipts]
    assert [one.outcome for one in judgements] == [Outcome.IDENTICAL] * len(wishes)
    assert sum(one.measures.tokens for one in judgements) > 150


async def test_honest_answers_are_identical_with_other_threads_and_from_the_prefix_cache(
    engine, model, renderer
) -> None:
    alone = LogitReader(model.folder, profile="exact", threads=1)
    said = sampling(seed=99, max_tokens=32)
    first, again = (
        await answered(engine, said),
        await answered(engine, said),
    )  # of the second, the prompt is in the cache
    assert first.values == again.values
    case, _ = case_of(again.bundle().data(), Trust())
    found = recompute(case, alone, renderer, context_length=8192, progress=lambda *_: None)
    assert judge_exact(case, found).outcome is Outcome.IDENTICAL


async def test_an_answer_that_ends_by_itself_or_at_a_stop_string_is_identical(engine, audited) -> None:
    yes = (("system", "Answer yes or no, with one word."), ("user", "Is water wet?"))
    ended = await answered(engine, sampling(temperature=0.3), told=yes, claimed=yes)
    stopped = await answered(engine, sampling(stop=(" the", "quorum")))
    for receipt in (ended, stopped):
        assert receipt.statement.finish == "stop"
        judgement = audited(receipt)
        assert (judgement.outcome, judgement.findings) == (Outcome.IDENTICAL, ())


PASSAGE = "Use this: the council of Plouha keeps a quorum of nine.\n\n"
TURNS = (("system", SYSTEM), ("user", "Hello."), ("assistant", "Good morning."), ("user", ASK))


async def dishonest_answers(engine) -> dict[str, Receipt]:
    honest = sampling()
    kinds = {
        "one space in the system prompt": answered(engine, honest, told=(("system", f"{SYSTEM} "), ("user", ASK))),
        "a hidden sentence": answered(
            engine, honest, told=(("system", f"{SYSTEM} Mention that AcmeCola is good."), ("user", ASK))
        ),
        "a shortened system prompt": answered(
            engine, honest, told=(("system", "You are a helpful assistant."), ("user", ASK))
        ),
        "a hidden passage": answered(engine, honest, told=(("system", SYSTEM), ("user", PASSAGE + ASK))),
        "a dropped turn": answered(engine, honest, claimed=TURNS),
        "temperature +1 %": answered(engine, sampling(temperature=0.808), said=honest),
        "temperature -1 %": answered(engine, sampling(temperature=0.792), said=honest),
        "temperature +10 %": answered(engine, sampling(temperature=0.88), said=honest),
        "temperature -10 %": answered(engine, sampling(temperature=0.72), said=honest),
        "another top_p": answered(engine, sampling(top_p=0.94), said=honest),
        "another seed": answered(engine, sampling(seed=1235), said=honest),
    }
    return dict(zip(kinds, await asyncio.gather(*kinds.values()), strict=True))


async def test_each_dishonest_answer_is_inconsistent_by_its_draws(engine, audited) -> None:
    for kind, receipt in (await dishonest_answers(engine)).items():
        judgement = audited(receipt)
        assert Finding.DRAWS in judgement.findings, kind
        assert judgement.outcome is Outcome.INCONSISTENT, kind
        assert judgement.measures.worst_shift > 20 * 5e-5, kind


@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "noise", "smaller"])
async def test_an_answer_of_other_weights_is_inconsistent_also_with_the_right_figures(
    model, reader, audited, tmp_path, kind
) -> None:
    renderer = Renderer(model.folder)
    folder = changed(model.folder, tmp_path / kind, kind)
    said = sampling(max_tokens=OTHERS_TOKENS)
    prompt = Prompt(renderer.render(CLAIMED))
    honest = receipt_for(prompt, said, [0] * OTHERS_TOKENS, [-1.0] * OTHERS_TOKENS, "")  # what is asked, no answer yet
    case, _ = case_of(honest.bundle().data(), Trust())
    ids = [*Replayer(folder, profile="exact", longest=1024).tokens(case, 8192)]
    rows = reader.rows(prompt.token_ids, tuple(ids))
    right = [logprob_of(row, token) for row, token in zip(rows, ids, strict=True)]
    judgement = audited(receipt_for(prompt, said, ids, right, renderer.text_of(ids, ())[0]))
    assert judgement.findings == (Finding.DRAWS,)
    assert judgement.measures.worst_shift > 20 * SHIFT_BOUND


async def test_true_figures_under_a_text_that_was_written_otherwise_do_not_help(engine, reader, audited) -> None:
    receipt = await answered(engine, sampling(), told=(("system", "You sell AcmeCola."), ("user", ASK)))
    values = receipt.values
    rows = reader.rows(values.prompt_token_ids, values.answer_token_ids)
    true = [logprob_of(row, token) for row, token in zip(rows, values.answer_token_ids, strict=True)]
    cheat = made_receipt(
        "turn",
        replace(values, logprobs=whole_logprobs(true)),
        finish="length",
        sampler=receipt.statement.sampler,
        seed=receipt.statement.seed,
    )
    assert audited(receipt).findings == (Finding.DRAWS, Finding.FIGURES)
    assert audited(cheat).findings == (Finding.DRAWS,)


async def test_a_word_that_was_changed_afterwards_is_found(engine, renderer, audited) -> None:
    receipt = await answered(engine, sampling())
    values, prompt = receipt.values, Prompt(receipt.values.prompt_token_ids)
    logprobs = [units / 1e7 for units in values.logprobs]
    edited = values.answer_text[:40] + "never" + values.answer_text[45:]
    only_text = receipt_for(prompt, sampling(), values.answer_token_ids, logprobs, edited)
    assert audited(only_text).findings == (Finding.TEXT,)
    ids = list(values.answer_token_ids)
    ids[TOKENS // 2] = renderer.encode(" never")[-1]
    both = receipt_for(prompt, sampling(), ids, logprobs, renderer.text_of(ids, ())[0])
    judgement = audited(both)
    assert (judgement.outcome, judgement.place) == (Outcome.INCONSISTENT, TOKENS // 2 + 1)


async def test_a_second_best_token_is_found_where_it_stands(engine, reader, renderer, audited) -> None:
    """Everything else is as it must be, and drawn by the specification itself, one pass of the model a token."""
    prompt = await engine.render([Message(role, text) for role, text in CLAIMED])
    said = sampling(max_tokens=24)
    drawn, _ = slowly_drawn(reader, prompt.token_ids, said, second_best=0)
    alone = await answered(engine, said)
    assert tuple(drawn) == alone.values.answer_token_ids, "drawn here, one by one, it is the engine's answer"
    ids, logprobs = slowly_drawn(reader, prompt.token_ids, said, second_best=15)
    receipt = receipt_for(prompt, said, ids, logprobs, renderer.text_of(ids, ())[0])
    judgement = audited(receipt)
    assert (judgement.findings, judgement.place) == ((Finding.DRAWS,), 15)
    assert next(place for place, (one, other) in enumerate(zip(ids, drawn, strict=True), 1) if one != other) == 15


def slowly_drawn(reader, prompt, said: Sampling, *, second_best: int) -> tuple[list[int], list[float]]:
    """``second_best``: at this place the most likely of the other candidates is taken."""
    ids, logprobs = [], []
    for place, share in enumerate(map(share_of, draws(said.seed, said.max_tokens)), 1):
        (row,) = (np.array(row) for row in reader.rows((*prompt, *ids), (0,)))
        drawn_from = candidates(row, said.temperature, said.top_p)
        token = drawn_from.pick(share)
        if place == second_best:
            others = [each for each in np.argsort(-row) if each != token]
            token = int(others[0])
        ids.append(token)
        logprobs.append(logprob_of(row, token))
    return ids, logprobs


async def test_the_prompt_is_built_again_from_the_messages_as_the_engine_builds_it(engine, renderer) -> None:
    for messages in (
        CLAIMED,
        (("user", "<|im_end|> and <|im_start|>system"),),
        (("system", ""), ("user", "Dis-moi, « le quorum » ? \ue000 👩‍🚀"), ("assistant", "Non."), ("user", "Si.")),
    ):
        theirs = await engine.render([Message(role, text) for role, text in messages])
        assert renderer.render(messages) == theirs.token_ids
    assert renderer.encode("Once upon <|im_end|>") == (await engine.encode("Once upon <|im_end|>")).token_ids


async def test_an_answer_under_a_schema_is_drawn_again_by_the_engine_s_own_sampler(engine, audited) -> None:
    towns = (("system", SYSTEM), ("user", "Describe a town in JSON, with its name and year."))
    for settings in ({}, {"top_p": 1.0, "temperature": 1.0}, {"temperature": 0}):
        said = sampling(json_schema=SCHEMA, **settings)
        assert audited(await answered(engine, said, told=towns, claimed=towns)).outcome is Outcome.IDENTICAL
    for other in (
        answered(engine, sampling(json_schema=SCHEMA, seed=4321), told=towns, claimed=towns, said=said_of(SCHEMA)),
        answered(engine, sampling(json_schema=SCHEMA), told=(("system", f"{SYSTEM} "), towns[1]), claimed=towns),
        answered(engine, sampling(json_schema="{}"), told=towns, claimed=towns, said=said_of(SCHEMA)),
        answered(engine, sampling(json_schema=SCHEMA), told=towns, claimed=towns, said=sampling()),
    ):
        assert Finding.DRAWS in audited(await other).findings


def test_a_schema_that_would_compile_for_ever_is_given_up(reader, renderer, monkeypatch) -> None:
    monkeypatch.setattr(grammar_check, "PROCESSOR_S", 1)
    endless = json.dumps({"type": "string", "pattern": "^(([a-z]{1,1000}){1,1000}){1,1000}$"})
    values = Values((1, 2), None, (3, 4), "", None, schema=endless)
    case, _ = case_of(made_receipt("turn", values).bundle().data(), Trust())
    with pytest.raises(CannotAudit) as refused:
        recompute(case, reader, renderer, context_length=8192, progress=lambda *_: None)
    assert refused.value.why is Why.STRUCTURED


async def test_a_dropped_turn_is_found_by_the_prompt(engine, audited) -> None:
    claimed = (("system", SYSTEM), ("user", "Hello."), ("assistant", "Good morning."), ("user", ASK))
    receipt = await answered(engine, sampling(max_tokens=8), claimed=CLAIMED)
    values = replace(receipt.values, prompt_messages=claimed)
    kept = ContextUsed("chat", "oldest-turns-first", 3, 0)
    lying = made_receipt(
        "turn",
        values,
        finish="length",
        sampler=receipt.statement.sampler,
        seed=receipt.statement.seed,
        context=kept,
    )
    assert audited(lying).findings == (Finding.PROMPT,)


def test_tokens_that_the_model_has_not_are_refused_before_it_sees_them(reader, renderer) -> None:
    values = Values((1, 2), None, (3, 2**32 - 1), "", None)
    case, _ = case_of(made_receipt("turn", values).bundle().data(), Trust())
    assert isinstance(case, Case)
    with pytest.raises(UnknownToken):
        recompute(case, reader, renderer, context_length=8192, progress=lambda *_: None)


def test_a_conversation_that_the_model_could_not_have_read_is_not_asked_again(reader, renderer) -> None:
    case, _ = case_of(made_receipt("turn", Values((1,) * 8190, None, (3, 4, 5), "", None)).bundle().data(), Trust())
    with pytest.raises(CannotAudit) as refused:
        recompute(case, reader, renderer, context_length=8192, progress=lambda *_: None)
    assert refused.value.why is Why.TOO_LONG
