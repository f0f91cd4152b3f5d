"""Facts and cases that nobody recomputed: for tests of what is concluded from them."""

from dataclasses import replace
from typing import Any

from commun.audit.case import Case, case_of
from commun.audit.facts import Fact
from commun.audit.verdict import Recomputed
from commun.receipts.verification import Trust
from made_receipt import VALUES, made_receipt

HONEST = Fact(token=5, low=0.25, high=0.75, is_drawn=True, shift=0.0, logprob=-0.5, entropy=0.7, variance=0.2)
END = 9


def made_case(**changes: Any) -> Case:
    """Of a real bundle, verified. ``changes``: of the statement, or ``values``."""
    values = changes.pop("values", VALUES)
    case, _ = case_of(made_receipt("turn", values, **changes).bundle().data(), Trust())
    return case


def recomputed(case: Case, **changes: Any) -> Recomputed:
    """As an honest answer's. ``facts``: changes of single facts, by place."""
    changed = changes.pop("facts", {})
    logprobs = case.recorded or (HONEST.logprob,) * len(case.answer)
    facts = [
        replace(HONEST, token=token, logprob=logprob or 0.0)
        for token, logprob in zip(case.answer, logprobs, strict=True)
    ]
    for place, change in changed.items():
        facts[place] = replace(facts[place], **change)
    honest = Recomputed(
        prompt=case.prompt,
        texts=(case.text,),
        stopped=None,
        ends=frozenset({case.answer[-1]}),
        facts=tuple(facts),
    )
    return replace(honest, **changes)
