"""Answers of the real engine with a receipt, which may say other than what was done: for the tests of audits."""

from typing import Any

from commun.engine.base import Engine, Finish, Message, Prompt, Sampling
from commun.receipts.commitments import Values, whole_logprobs
from commun.receipts.issue import Receipt
from commun.receipts.statement import OPENVINO_SAMPLER, ContextUsed, Sampler, Scheme, Seed, decimal_text
from made_receipt import made_receipt

SYSTEM = "You are a helpful assistant. Answer in a few sentences."
ASK = "What does a quorum protect a town council from?"
CLAIMED = (("system", SYSTEM), ("user", ASK))
TOKENS = 96


def sampling(**wishes: Any) -> Sampling:
    return Sampling(**{"seed": 1234, "max_tokens": TOKENS, "temperature": 0.8, "top_p": 0.95} | wishes)


async def answered(
    engine: Engine,
    sampling: Sampling,
    /,
    *,
    told=CLAIMED,
    claimed=CLAIMED,
    said: Sampling | None = None,
    **statement: Any,
) -> Receipt:
    """What the engine answers with ``sampling`` when it is ``told`` something, with a receipt that claims ``claimed``
    and says it was drawn as ``said``. ``statement``: fields that are not as ``made_receipt`` has them.
    """
    prompt = await engine.render([Message(role, text) for role, text in told])
    ids, logprobs, text, finish = [], [], "", ""
    async for part in engine.generate(prompt, sampling):
        if isinstance(part, Finish):
            finish = part.reason.value
        else:
            ids += part.token_ids
            logprobs += part.logprobs
            text += part.text
    rendered = await engine.render([Message(role, text) for role, text in claimed])
    return receipt_for(rendered, said or sampling, ids, logprobs, text, finish=finish, claimed=claimed, **statement)


def receipt_for(
    prompt: Prompt, said: Sampling, ids, logprobs, text, *, finish="length", claimed=CLAIMED, **statement: Any
) -> Receipt:
    values = Values(
        prompt_token_ids=prompt.token_ids,
        prompt_messages=tuple(claimed),
        answer_token_ids=tuple(ids),
        answer_text=text,
        logprobs=whole_logprobs(logprobs),
        stop=said.stop or None,
        schema=said.json_schema,
    )
    return made_receipt(
        "turn",
        values,
        finish=finish,
        sampler=Sampler(
            OPENVINO_SAMPLER,
            decimal_text(said.temperature),
            decimal_text(said.top_p),
            said.max_tokens,
            ignore_eos=said.ignore_eos,
        ),
        seed=Seed(Scheme.DRAWN, said.seed),
        context=ContextUsed("chat", "oldest-turns-first", sum(role != "system" for role, _ in claimed), 0),
        **statement,
    )
