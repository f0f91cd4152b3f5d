"""An answer can be asked for at any time while it is written."""

import pytest

from charters import in_force
from commun.assistant.draft import Draft
from commun.assistant.engines import Terms
from commun.assistant.prompt import prepare
from commun.assistant.question import Question
from commun.engine.base import Delta, Finish, FinishReason, Message, Sampling
from commun.errors import EngineFailed
from commun.receipts.statement import State
from fake_engine import FakeEngine
from issuers import issuer

pytestmark = pytest.mark.anyio
QUESTION = Question(messages=(Message("user", "Who are you?"),))


def new_draft(engine: FakeEngine) -> Draft:
    return Draft(issuer().begin("one", QUESTION, Terms(in_force(), engine)), Sampling(7, 8, 0.5), "10 W, as configured")


async def test_before_there_is_a_prompt_it_is_empty_and_no_engine_had_it() -> None:
    draft = new_draft(FakeEngine())
    answer = draft.answer()
    assert (answer.text, answer.token_ids, answer.prompt_tokens) == ("", (), 0)
    assert answer.finish_reason == "cancelled"
    assert (answer.edition, answer.sampling.seed, answer.energy_method) == (1, 7, "10 W, as configured")
    ending = draft.ending(answer, State.FAILED, EngineFailed(retry_after=1))
    assert (ending.prompt, ending.reached, ending.error) == (None, False, "engine_failed")


async def test_what_is_written_counts_until_the_engine_has_told_its_own_figures() -> None:
    engine = FakeEngine()
    draft = new_draft(engine)
    draft.prepared = await prepare(engine, draft.beginning.terms.charter, QUESTION)
    draft.reached = True
    draft.deltas += [Delta((1, 2), "a b", (-0.5, -1.0)), Delta((3,), " c", (-2.0,))]
    unfinished = draft.answer()
    assert (unfinished.text, unfinished.token_ids, unfinished.logprobs) == ("a b c", (1, 2, 3), (-0.5, -1.0, -2.0))
    assert (unfinished.prompt_tokens, unfinished.completion_tokens) == (draft.prepared.tokens, 3)
    draft.finish = Finish(FinishReason.STOP, 11, 4, 0.25, 1.5)
    answer = draft.answer()
    assert (answer.finish_reason, answer.prompt_tokens, answer.completion_tokens) == ("stop", 11, 4)
    assert (answer.first_token_s, answer.total_s) == (0.25, 1.5)
    ending = draft.ending(answer, State.COMPLETE, None)
    assert (ending.prompt, ending.reached, ending.error) == (draft.prepared.prompt, True, "")
