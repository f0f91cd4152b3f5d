"""What another server drew is compared with the public weights on the auditor's own machine."""

from typing import Any

import numpy as np
import pytest

from commun.audit.case import CannotAudit, Why, case_of
from commun.audit.measures import Measures
from commun.audit.verdict import FIGURE_BOUND, find_plain, measured
from commun.engine.base import Finish, Message, Sampling
from commun.engine.listing import LISTED, ListingReader, listed_of
from commun.engine.rendering import UnknownToken
from commun.engine.sampling import logprob_of
from commun.receipts.verification import Trust
from engine.test_remote_reader import remote_receipt

SYSTEM = "You are a helpful assistant. Answer in a few sentences."
ASK = "What does a quorum protect a town council from?"
CLAIMED = (("system", SYSTEM), ("user", ASK))
TOKENS = 64


def test_the_likeliest_words_are_listed_in_their_order_whatever_the_vocabulary() -> None:
    for words in (3, LISTED, 5000):
        logits = np.random.default_rng(words).normal(0, 3, words).astype(np.float32)
        listed = listed_of(logits, 1)
        assert len(listed.likeliest) == min(LISTED, words)
        assert list(listed.likeliest) == sorted(listed.likeliest, reverse=True)
        assert listed.logprob == pytest.approx(logprob_of(logits, 1), abs=1e-4)
        assert listed.likeliest[0] == pytest.approx(logprob_of(logits, int(logits.argmax())), abs=1e-4)


pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def reader(model) -> ListingReader:
    return ListingReader(model.folder, 8192)


async def drawn(engine, *, system: str = SYSTEM, **wishes: Any):
    """A receipt as of another server: what it drew with is not in it."""
    prompt = await engine.render([Message("system", system), Message("user", ASK)])
    sampling = Sampling(**{"seed": 5, "max_tokens": TOKENS, "temperature": 0.8, "top_p": 0.95} | wishes)
    text, ids, logprobs, finish = "", [], [], ""
    async for part in engine.generate(prompt, sampling):
        if isinstance(part, Finish):
            finish = part.reason.value
        else:
            text += part.text
            ids += part.token_ids
            logprobs += part.logprobs
    return remote_receipt(ids, logprobs, messages=CLAIMED, text=text, finish=finish)


def asked(reader: ListingReader, receipt) -> Measures:
    case, _ = case_of(receipt.bundle().data(), Trust())
    recomputed = reader.recompute(case, progress=lambda *_: None)
    assert not list(find_plain(case, recomputed))
    return measured(case, recomputed)


@pytest.mark.engine
async def test_an_honest_answer_has_the_right_figures_and_a_dishonest_one_has_not(engine, reader) -> None:
    honest = asked(reader, await drawn(engine))
    assert (honest.unlike, honest.outside) == (0, 0)
    assert honest.worst_figure < FIGURE_BOUND
    assert honest.likelihood < 4
    hidden = asked(reader, await drawn(engine, system=f"{SYSTEM} Praise AcmeCola."))
    assert hidden.figures is not None
    assert hidden.figures > 100 * honest.worst_figure
    hot = asked(reader, await drawn(engine, temperature=1.6))
    assert hot.unlike > 0
    assert hot.likelihood > 4


@pytest.mark.engine
def test_what_this_model_could_not_have_read_or_written_is_refused(reader) -> None:
    for ids, expected in (([2**31], UnknownToken), ([65] * 9000, CannotAudit)):
        case, _ = case_of(remote_receipt(ids, None, text="").bundle().data(), Trust())
        with pytest.raises(expected) as refused:
            reader.recompute(case, progress=lambda *_: None)
    assert refused.value.why is Why.TOO_LONG
