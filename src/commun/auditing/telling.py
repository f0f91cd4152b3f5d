"""What an audit found: in words for a person, each figure in one line, and as JSON with all of it.

The conclusion of several bundles (``Conclusion``, its exit status beside it) is drawn here and nowhere else:

- *inconsistent* (1): a receipt is refused, or the judgements together are (``audit.verdict.pool``: of honest answers,
  single ones may be called so at the rate);
- *not audited* (2): nothing speaks against any of them, and at least one could not be audited;
- *identical*, *consistent* (0): all of them were audited.

What a stranger may have written (names, details) is printed with letters only, never as commands to a terminal.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

from commun.audit.calibration import Machine
from commun.audit.case import CannotAudit
from commun.audit.comparing import Likeness, likeness, machine_of
from commun.audit.measures import Measures
from commun.audit.stated import HEAD, Stated, stated
from commun.audit.verdict import SHIFT_BOUND, Comparison, Judgement, Outcome, Pooled, pool
from commun.auditing.again import NOT_AGAIN, Again, again_json
from commun.auditing.again import sentences as told_again
from commun.auditing.asking import Audited
from commun.auditing.elsewhere import figures_there, unjudged
from commun.auditing.repeated import Repeated
from commun.errors import N_
from commun.receipts.seeded import STANDINGS
from commun.receipts.sentences import Sentence, filled
from commun.receipts.verification import Verdict, shown

Translate = Callable[[str], str]


class Conclusion(StrEnum):
    IDENTICAL = "identical"
    CONSISTENT = "consistent"
    INCONSISTENT = "inconsistent"
    NOT_AUDITED = "not-audited"


EXIT: Final = {
    Conclusion.IDENTICAL: 0,
    Conclusion.CONSISTENT: 0,
    Conclusion.INCONSISTENT: 1,
    Conclusion.NOT_AUDITED: 2,
}
TOGETHER: Final = {
    Conclusion.IDENTICAL: N_("Together: identical."),
    Conclusion.CONSISTENT: N_("Together: consistent."),
    Conclusion.INCONSISTENT: N_("Together: INCONSISTENT with what the receipts say."),
    Conclusion.NOT_AUDITED: N_("Not all of them could be audited; nothing speaks against them."),
}
COUNTS: Final = N_(
    "%(identical)s identical, %(consistent)s consistent, %(inconsistent)s inconsistent, %(refused)s refused, "
    "%(other)s not audited."
)
RECEIPTS: Final = {
    Verdict.VERIFIED: N_("The receipt is verified."),
    Verdict.PARTIAL: N_("Nothing contradicts the receipt; “commun receipt verify” names the parts that are missing."),
    Verdict.REFUSED: N_("The receipt is refused (%(detail)s): there is nothing to be audited."),
}
NOT_ITS_TOKENS: Final = N_(
    "INCONSISTENT: the weights are those that the receipt names, and no such model has this token."
)
COMPARISONS: Final = {
    Comparison.EXACT: N_(
        "Compared exactly: the exact profile, and the engine build that the receipt names. On every class of processor "
        "that was measured, it rounds within the same bounds."
    ),
    Comparison.CALIBRATED: N_(
        "Compared with %(honest)s honest answers: another machine, another build or the fast profile."
    ),
}

LIKENESS: Final = {
    Likeness.PROCESSOR: N_("Recomputed on the processor that the receipt names."),
    Likeness.CLASS: N_("Recomputed on another processor of the same class (%(here)s)."),
    Likeness.OTHER_CLASS: N_("Recomputed on a processor of another class: %(there)s there, %(here)s here."),
}


def conclude(answers: Sequence[Audited], *, rate: float) -> tuple[Conclusion, Pooled | None]:
    """The pooled verdict is None where no answer was judged."""
    judgements = [one.judgement for one in answers if one.judgement is not None]
    pooled = pool(judgements, rate=rate) if judgements else None
    if any(one.is_against for one in answers) or (pooled is not None and pooled.outcome is Outcome.INCONSISTENT):
        return Conclusion.INCONSISTENT, pooled
    if pooled is None or any(one.trouble is not None for one in answers):
        return Conclusion.NOT_AUDITED, pooled
    return Conclusion(pooled.outcome.value), pooled


def told(
    answers: Sequence[Audited],
    translate: Translate,
    *,
    rate: float,
    again: Sequence[Again | None] | None = None,
    repeated: Sequence[Repeated] = (),
) -> Iterator[str]:
    """Lines. ``again``: of each, where they were generated again. ``repeated``: beside ``answers``, which has each
    answer once.
    """

    def line(sentence: Sentence) -> str:
        text = translate(sentence.text)
        return text % {name: _safe(value) for name, value in sentence.details.items()} if sentence.details else text

    for index, one in enumerate(answers):
        yield shown(one.name)
        yield from (f"  {line(sentence)}" for sentence in of_receipt(one))
        if one.trouble is not None and not one.is_refused:
            yield f"  {shown(one.trouble.text(translate))}"
            if one.is_against:
                yield f"  {translate(NOT_ITS_TOKENS)}"
            if isinstance(one.trouble, CannotAudit) and one.case is not None and one.here is not None:
                yield from (f"    {line(sentence)}" for sentence in machines(machine_of(one.case.statement), one.here))
            yield from (f"    – {line(sentence)}" for sentence in unjudged(one))
        if one.judgement is not None:
            yield from (f"{mark}{line(sentence)}" for mark, sentence in _judged(one, one.judgement))
        if again is not None and not one.is_refused:
            yield from (f"  {line(sentence)}" for sentence in told_again(again[index]))
            trouble = None if (found := again[index]) is None else found.trouble
            yield from () if trouble is None else (f"  {translate(NOT_AGAIN)} {shown(trouble.text(translate))}",)
        yield ""
    yield from (line(each.sentence()) for each in repeated)
    if len(answers) > 1:
        conclusion, pooled = conclude(answers, rate=rate)
        yield f"{translate(TOGETHER[conclusion])} {line(Sentence(COUNTS, _counts(answers, pooled)))}"
        if pooled is not None and pooled.p is not None:
            text = N_("p = %(p)s; honest answers are together called inconsistent in at most %(rate)s of all cases.")
            yield line(Sentence(text, {"p": f"{pooled.p:.2g}", "rate": f"{rate:.2%}"}))


def of_receipt(one: Audited) -> Iterator[Sentence]:
    """What was verified of it, and of its seed before any draw is recomputed."""
    yield Sentence(RECEIPTS[one.report.verdict], {"detail": one.report.detail})
    if one.report.seed is not None:
        yield Sentence(STANDINGS[one.report.seed])


def _judged(one: Audited, judgement: Judgement) -> Iterator[tuple[str, Sentence]]:
    """Each with what stands before it in its line."""
    yield from (("  ", sentence) for sentence in judgement.sentences())
    yield from (("    – ", sentence) for sentence in (*processors(one), *figures(judgement)))
    if said := _stated(one):
        yield "  ", Sentence(HEAD)
    yield from (("    – ", sentence) for _, sentence in said)


def _stated(one: Audited) -> list[tuple[Stated, Sentence]]:
    return [] if one.case is None else [*stated(one.case)]


def processors(one: Audited) -> Iterator[Sentence]:
    """How alike they are: what answered, and what recomputed."""
    if one.case is None or one.here is None or one.judgement is None or one.judgement.is_remote:
        return
    answered, here = machine_of(one.case.statement), one.here
    classes = {"there": answered.processor_class or "?", "here": here.processor_class}
    yield Sentence(LIKENESS[likeness(answered, here)], classes)


def figures(judgement: Judgement) -> Iterator[Sentence]:
    """Each in one line, with what it means. Those that are not computed of such an answer are left out."""
    if judgement.is_remote:
        yield from figures_there(judgement)
        return
    found = judgement.measures
    yield Sentence(COMPARISONS[judgement.comparison], {"honest": judgement.honest})
    yield Sentence(
        N_("Tokens: %(tokens)s, of which the recomputed draw takes another in %(unlike)s."),
        {"tokens": found.tokens, "unlike": found.unlike},
    )
    yield Sentence(
        N_(
            "Shift: %(worst)s at most, %(share)s per nat of surprise: by how much this model's logits would have to be "
            "wrong for the draws to give these tokens. Rounding alone stays below %(bound)s."
        )
        if judgement.comparison is Comparison.EXACT
        else N_(
            "Shift: %(worst)s at most, %(share)s per nat of surprise: by how much this model’s logits would have to be "
            "wrong for the draws to give these tokens."
        ),
        {"share": _short(found.shift), "worst": _short(found.worst_shift), "bound": _short(SHIFT_BOUND)},
    )
    yield Sentence(
        N_("Outside: %(share)s of the tokens are such that nothing within reason would draw them."),
        {"share": f"{found.outside:.2%}"},
    )
    yield _log_probabilities(found)
    if judgement.is_drawn and not judgement.is_masked:
        yield Sentence(
            N_("Likelihood: the answer's surprise is %(likelihood)s standard deviations from what such draws bring."),
            {"likelihood": f"{found.likelihood:.2f}"},
        )


def _log_probabilities(found: Measures) -> Sentence:
    if found.figures is None:
        return Sentence(N_("Log-probabilities: the receipt commits to none."))
    return Sentence(
        N_("Log-probabilities: the recorded ones are off by %(worst)s at most, %(share)s per nat of surprise."),
        {"share": _short(found.figures), "worst": _short(found.worst_figure)},
    )


def machines(answered: Machine, here: Machine) -> Iterator[Sentence]:
    """Where they differ."""
    for name, title in (
        ("engine", N_("Engine build: %(there)s there, %(here)s here.")),
        ("processor", N_("Processor: %(there)s there, %(here)s here.")),
        ("processor_class", N_("Its class: %(there)s there, %(here)s here.")),
        ("profile", N_("Profile: %(there)s.")),
    ):
        there = getattr(answered, name)
        if there != getattr(here, name) or (name == "profile" and there != "exact"):
            yield Sentence(title, {"there": there or "?", "here": getattr(here, name)})


def as_json(
    answers: Sequence[Audited],
    *,
    rate: float,
    again: Sequence[Again | None] | None = None,
    repeated: Sequence[Repeated] = (),
) -> dict[str, Any]:
    """All of it, each token's facts too. Sentences in English."""
    every = [None] * len(answers) if again is None else [*map(again_json, again)]
    conclusion, pooled = conclude(answers, rate=rate)
    return {
        "verdict": conclusion.value,
        "rate": rate,
        "counts": _counts(answers, pooled),
        "p": None if pooled is None else pooled.p,
        "answers": [_answer_json(one) | {"replay": replay} for one, replay in zip(answers, every, strict=True)],
        "repeated": [each.to_json() for each in repeated],
    }


def _answer_json(one: Audited) -> dict[str, Any]:
    judgement = one.judgement
    return {
        "file": one.name,
        "receipt": one.report.to_json(),
        "answered": None if one.case is None else machine_of(one.case.statement).to_json(),
        "audited": None if one.here is None else one.here.to_json(),
        "trouble": None if one.trouble is None else _trouble_json(one),
        "processors": None
        if one.case is None or one.here is None
        else likeness(machine_of(one.case.statement), one.here).value,
        "stated": [what.value for what, _ in _stated(one)],
        "judgement": None if judgement is None else _plain(dataclasses.asdict(judgement)),
        "sentences": [filled(each) for each in _sentences(one)],
        "facts": [] if one.recomputed is None else [_plain(dataclasses.asdict(fact)) for fact in one.recomputed.facts],
    }


def _sentences(one: Audited) -> Iterator[Sentence]:
    if one.judgement is None:
        yield from unjudged(one)
    else:
        yield from (*one.judgement.sentences(), *processors(one), *figures(one.judgement))


def _trouble_json(one: Audited) -> dict[str, Any]:
    trouble = one.trouble
    if trouble is None:
        return {}
    return {"code": trouble.code, "text": trouble.text(), **_plain(trouble.details)}


def _counts(answers: Sequence[Audited], pooled: Pooled | None) -> dict[str, int]:
    refused = sum(one.is_refused for one in answers)
    judged = sum(one.judgement is not None for one in answers)
    return {
        "identical": 0 if pooled is None else pooled.identical,
        "consistent": 0 if pooled is None else pooled.consistent,
        "inconsistent": 0 if pooled is None else pooled.inconsistent,
        "refused": refused,
        "other": len(answers) - judged - refused,
    }


def _plain(value: Any) -> Any:
    """JSON has no infinity: a distance from a log-probability that was no number is null."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(number: float) -> str:
    return f"{number:.1e}" if number else "0"


def _safe(value: str | int) -> str | int:
    return shown(value) if isinstance(value, str) else value
