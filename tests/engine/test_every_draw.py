"""Each token that the engine draws is the one that the sampler's description leads to, whatever the settings and company.

In the suite a few hundred tokens. The whole, 10,000 tokens alone and 10,000 in batches of 16, with its figures told::

    DRAWN_TOKENS=10000 python -m pytest tests/engine/test_every_draw.py -s
"""

import asyncio
import itertools
import os
from collections.abc import Iterator, Sequence

import pytest

from commun.audit.draws import draws, share_of
from commun.audit.facts import Fact
from commun.audit.verdict import FIGURE_BOUND, SHIFT_BOUND
from commun.engine.base import Finish, Message, Sampling
from commun.engine.logits import LogitReader
from commun.engine.openvino import OpenVINOEngine
from commun.engine.sampling import fact_of

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

TOKENS = int(os.environ.get("DRAWN_TOKENS", "252"))  # twelve with each of the settings
LONGEST = 64 if TOKENS > 1_000 else 12
SETTINGS = [(0.0, 1.0), *itertools.product((0.3, 0.7, 1.0, 1.3, 2.0), (0.5, 0.9, 0.95, 1.0))]
QUESTIONS = (
    "What does a quorum protect a town council from?",
    "Raconte une histoire courte sur un pont.",
    "List five trees and say where each of them grows.",
    "Why is the sky blue in the morning and red in the evening?",
)


def wishes(count: int) -> Iterator[tuple[str, Sampling]]:
    for number in range(count):
        temperature, top_p = SETTINGS[number % len(SETTINGS)]
        yield (
            QUESTIONS[number % len(QUESTIONS)],
            Sampling(seed=7919 * number + 1, max_tokens=LONGEST, temperature=temperature, top_p=top_p, ignore_eos=True),
        )


async def answered(engine: OpenVINOEngine, question: str, sampling: Sampling) -> tuple[tuple[int, ...], list, list]:
    prompt = await engine.render([Message("user", question)])
    ids, logprobs = [], []
    async for part in engine.generate(prompt, sampling):
        if not isinstance(part, Finish):
            ids += part.token_ids
            logprobs += part.logprobs
    assert prompt.token_ids is not None
    return prompt.token_ids, ids, logprobs


def facts_of(reader: LogitReader, prompt: tuple[int, ...], ids: Sequence[int], said: Sampling) -> list[Fact]:
    drawn = said.temperature > 0
    shares = map(share_of, draws(said.seed, len(ids))) if drawn else itertools.repeat(None, len(ids))
    rows = reader.rows(prompt, tuple(ids))
    return [
        fact_of(row, token, temperature=said.temperature, top_p=said.top_p, share=share)
        for row, token, share in zip(rows, ids, shares, strict=True)
    ]


@pytest.mark.parametrize("company", [1, 16])
async def test_each_token_is_the_draw_s_within_rounding(engine, model, company) -> None:
    reader = LogitReader(model.folder, profile="exact", threads=2)
    asked = list(wishes(-(-TOKENS // LONGEST)))
    found: list[Fact] = []
    distances: list[float] = []
    for start in range(0, len(asked), company):
        group = asked[start : start + company]
        for (_, said), (prompt, ids, logprobs) in zip(
            group, await asyncio.gather(*(answered(engine, *wish) for wish in group)), strict=True
        ):
            facts = facts_of(reader, prompt, ids, said)
            found += facts
            distances += [abs(one - fact.logprob) for one, fact in zip(logprobs, facts, strict=True)]
    worst = max(fact.shift for fact in found)
    unlike = sum(not fact.is_drawn for fact in found)
    print(
        f"\n{len(found)} tokens, {company} at once: {unlike} not the recomputed draw's, largest shift {worst:.1e}, "
        f"largest distance of a log-probability {max(distances):.1e}"
    )
    assert len(found) >= TOKENS
    assert worst <= SHIFT_BOUND
    assert max(distances) <= FIGURE_BOUND


async def test_draws_of_another_seed_do_not_lead_to_the_same_tokens(engine, model) -> None:
    """Without which the test above could not fail."""
    reader = LogitReader(model.folder, profile="exact", threads=2)
    said = Sampling(seed=1, max_tokens=LONGEST, temperature=1.0, top_p=0.95, ignore_eos=True)
    prompt, ids, _ = await answered(engine, QUESTIONS[0], said)
    other = Sampling(seed=2, max_tokens=LONGEST, temperature=1.0, top_p=0.95, ignore_eos=True)
    assert max(fact.shift for fact in facts_of(reader, prompt, ids, other)) > 1_000 * SHIFT_BOUND


def test_no_token_is_left_out_silently(model) -> None:
    reader = LogitReader(model.folder, profile="exact", threads=2)
    answer = (11, 12, 13, 14)
    for shares in ((0.5,) * 3, (0.5,) * 5):
        with pytest.raises(ValueError, match=r"4 tokens, 4 rows, 5 shares|shorter"):
            list(reader.facts_of((5, 6, 7), answer, shares, temperature=1.0, top_p=0.95))
    facts = list(reader.facts_of((5, 6, 7), answer, (0.5,) * 4, temperature=1.0, top_p=0.95))
    assert tuple(fact.token for fact in facts) == answer
