"""What follows from the figures: a verdict on one answer, one on several, in words.

An answer is looked at in this order; every finding is told, not only the first:

- ``prompt``: the tokens of the disclosed messages, by the model's own template, are the prompt's tokens. (That the
  first message is the adopted system prompt is step 6 of the receipt's verification.)
- ``text``: the text of the answer's tokens is the answer;
- ``ending``: no token that ends answers stands inside it, one that ended by itself ends with such a token or
  before a stop string, and one that was cut off has as many tokens as it could have;
- ``draws`` and ``figures``, or ``statistics``: see below.

Two comparisons:

- **exact**: the exact profile, the same engine build and processor as the auditor's. Nothing but the order of a few
  additions differs between generating and reading again, so each token must be the draw's within SHIFT_BOUND (in
  logits) and each recorded log-probability within FIGURE_BOUND. Then the answer is *identical*, else *inconsistent*;
  the bounds are measured, not proved (docs/spec/audit.md has by how much honest tokens stay below);
- **calibrated**: anything else. For each figure k of K, p_k = (1 + honest answers with at least this figure) /
  (1 + honest answers), over honest answers of about this length; p = min(1, K min p_k). By exchangeability an honest
  answer has p <= a at most a times: *inconsistent* where p <= the rate that the reader chose, else *consistent*.

An answer that another server drew has no draws to compare: ``shift`` is then the distance from its candidates, and the
likelihood counts instead of ``outside``, which the shift contains. Without a calibration it is inconsistent where
prompt, text or ending are wrong; else it cannot be audited, and its figures are told.

Several answers: those that cannot be audited are counted apart. Inconsistent where an exact one is, where a finding
needs no statistics, or where Fisher's sum of the calibrated ones' -2 ln p is too large at the same rate (valid for p
that are too large rather than too small, as these are; one calibration for all makes them slightly dependent).
Answers count, never tokens: the tokens of one answer hang together.

Raises CannotAudit.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from commun.audit.calibration import Calibration, Honest
from commun.audit.case import CannotAudit, Case, Why, differing
from commun.audit.facts import Fact
from commun.audit.measures import Measures, measures_of
from commun.errors import N_
from commun.receipts.sentences import Sentence
from commun.receipts.statement import State

SHIFT_BOUND: Final = 5e-5  # logits
FIGURE_BOUND: Final = 2e-4  # nats; twice what was seen between AVX2 and AVX-512, three times what within either
RATE: Final = 0.02  # of false alarms, unless the reader chooses another
LITTLE_EVIDENCE: Final = 20.0  # bits: an answer of fewer shows little, and is told so


class Outcome(StrEnum):
    IDENTICAL = "identical"
    CONSISTENT = "consistent"
    INCONSISTENT = "inconsistent"


class Comparison(StrEnum):
    EXACT = "exact"
    CALIBRATED = "calibrated"
    FIGURES = "figures"  # compared with nothing


class Finding(StrEnum):
    PROMPT = "prompt"
    TEXT = "text"
    ENDING = "ending"
    DRAWS = "draws"
    FIGURES = "figures"
    STATISTICS = "statistics"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """By whoever has the model. ``prompt``: tokens of the disclosed messages. ``texts``: of the answer's tokens, whole
    and without what was held back at its end (an unfinished character). ``stopped``: after how many tokens the first
    stop string was met; None for none. ``ends``: tokens that end answers. ``facts``: one for each token of the answer;
    under a grammar, up to where the answer was found to be another. ``context_length``: the model's; None where it is
    not known.
    """

    prompt: tuple[int, ...] | None = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    stopped: int | None
    ends: frozenset[int]
    facts: tuple[Fact, ...] = field(repr=False)
    context_length: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """``p``, ``honest``: of the calibrated comparison, and how many it was made with. ``place``: the first token beyond
    the bound, counted from 1; None for none.
    """

    outcome: Outcome
    comparison: Comparison
    findings: tuple[Finding, ...]
    measures: Measures
    rate: float
    is_drawn: bool
    is_masked: bool
    is_remote: bool = False
    p: float | None = None
    honest: int = 0
    place: int | None = None

    def sentences(self) -> tuple[Sentence, ...]:
        return tuple(_sentences(self))


def judge_exact(case: Case, recomputed: Recomputed) -> Judgement:
    measures = measured(case, recomputed)
    findings = [*find_plain(case, recomputed)]
    if measures.worst_shift > SHIFT_BOUND:
        findings.append(Finding.DRAWS)
    if measures.worst_figure > FIGURE_BOUND:
        findings.append(Finding.FIGURES)
    places = (place for place, fact in enumerate(recomputed.facts, 1) if fact.shift > SHIFT_BOUND)
    return Judgement(
        outcome=Outcome.INCONSISTENT if findings else Outcome.IDENTICAL,
        comparison=Comparison.EXACT,
        findings=tuple(findings),
        measures=measures,
        rate=0.0,
        is_drawn=case.seed is not None,
        is_masked=case.schema is not None,
        place=next(places, None),
    )


def judge_calibrated(case: Case, recomputed: Recomputed, calibration: Calibration, *, rate: float = RATE) -> Judgement:
    """``calibration``: one that fits; whoever calls has compared what it names."""
    measures = measured(case, recomputed)
    honest = calibration.comparable(measures.tokens)
    pairs = [*_pairs(Honest.of(measures), honest, is_remote=case.is_remote)]
    if len(pairs) > rate * (1 + len(honest)):
        raise CannotAudit(Why.FEW_HONEST)
    least = min((1 + sum(other >= own for other in others)) / (1 + len(honest)) for own, others in pairs)
    p = min(1.0, len(pairs) * least)
    findings = [*find_plain(case, recomputed)]
    if p <= rate:
        findings.append(Finding.STATISTICS)
    return Judgement(
        outcome=Outcome.INCONSISTENT if findings else Outcome.CONSISTENT,
        comparison=Comparison.CALIBRATED,
        findings=tuple(findings),
        measures=measures,
        rate=rate,
        is_drawn=case.seed is not None,
        is_masked=case.schema is not None,
        is_remote=case.is_remote,
        p=p,
        honest=len(honest),
    )


def judge_figures(case: Case, recomputed: Recomputed) -> Judgement:
    """Of an answer that another server drew, where nothing could be compared with: what needs no statistics."""
    findings = (*find_plain(case, recomputed),)
    if not findings:
        raise CannotAudit(Why.NO_CALIBRATION)
    return Judgement(
        outcome=Outcome.INCONSISTENT,
        comparison=Comparison.FIGURES,
        findings=findings,
        measures=measured(case, recomputed),
        rate=0.0,
        is_drawn=False,
        is_masked=False,
        is_remote=True,
    )


@dataclass(frozen=True, slots=True)
class Pooled:
    """``p``: of the calibrated answers together; None where there are none."""

    outcome: Outcome
    identical: int
    consistent: int
    inconsistent: int
    p: float | None


def pool(judgements: Sequence[Judgement], *, rate: float = RATE) -> Pooled:
    """``judgements``: at least one."""
    calibrated = [one.p for one in judgements if one.p is not None]
    p = together(calibrated) if calibrated else None
    certain = any(set(one.findings) - {Finding.STATISTICS} for one in judgements)
    counts = {outcome: sum(one.outcome is outcome for one in judgements) for outcome in Outcome}
    if certain or (p is not None and p <= rate):
        outcome = Outcome.INCONSISTENT
    else:
        outcome = Outcome.CONSISTENT if calibrated else Outcome.IDENTICAL
    return Pooled(outcome, counts[Outcome.IDENTICAL], counts[Outcome.CONSISTENT], counts[Outcome.INCONSISTENT], p)


def together(chances: Sequence[float]) -> float:
    """Fisher: how often so many honest answers would have p values with a product as small as this."""
    half = -math.fsum(map(math.log, chances))
    terms = (k * math.log(half) - half - math.lgamma(k + 1) for k in range(len(chances))) if half > 0 else (0.0,)
    return min(1.0, math.fsum(map(math.exp, terms)))


def measured(case: Case, recomputed: Recomputed) -> Measures:
    facts = recomputed.facts
    recorded = None if case.recorded is None else case.recorded[: len(facts)]
    return measures_of(facts, differing(recorded, [fact.logprob for fact in facts]))


def find_plain(case: Case, recomputed: Recomputed) -> Iterator[Finding]:
    if recomputed.prompt is not None and recomputed.prompt != case.prompt:
        yield Finding.PROMPT
    complete = case.statement.state is State.COMPLETE
    if case.text not in (recomputed.texts[:1] if complete else recomputed.texts):
        yield Finding.TEXT
    if _is_ended_wrongly(case, recomputed):
        yield Finding.ENDING


def _is_ended_wrongly(case: Case, recomputed: Recomputed) -> bool:
    statement, stopped = case.statement, recomputed.stopped
    if stopped is not None and stopped < len(case.answer):
        return True
    if recomputed.context_length is not None and _has_other_length(case, case.room(recomputed.context_length)):
        return True
    if statement.sampler.ignore_eos:
        return False
    is_ended = case.answer[-1] in recomputed.ends or stopped is not None
    is_cut_short = statement.state is State.COMPLETE and statement.finish == "stop" and not is_ended
    return is_cut_short or any(token in recomputed.ends for token in case.answer[:-1])


def _has_other_length(case: Case, room: int) -> bool:
    """Longer than it could be; or ended for want of room where there was some. How much a context has is the charter's
    to say: without the edition, what is shorter is not spoken against.
    """
    statement, tokens = case.statement, len(case.answer)
    is_full = statement.state is State.COMPLETE and statement.finish == "length"
    return tokens > room or (is_full and case.most_tokens is not None and tokens < room)


def _pairs(own: Honest, honest: Sequence[Honest], *, is_remote: bool) -> Iterator[tuple[float, list[float]]]:
    yield own.shift, [one.shift for one in honest]
    if is_remote:
        yield own.likelihood, [one.likelihood for one in honest]
    else:
        yield own.outside, [one.outside for one in honest]
    if own.figures is not None:
        yield own.figures, [math.inf if one.figures is None else one.figures for one in honest]


_FINDINGS: Final = {
    Finding.PROMPT: N_("The prompt’s tokens are not those of the messages that are disclosed."),
    Finding.TEXT: N_("The answer’s text is not that of its tokens."),
    Finding.ENDING: N_("It goes on after what ends answers or beyond its most tokens, or stops where nothing ends it."),
    Finding.DRAWS: N_("Token %(place)s is not the one that its draw decides for, and rounding does not explain it."),
    Finding.FIGURES: N_("The recorded log-probabilities are not this model’s: one is off by %(distance)s."),
    Finding.STATISTICS: N_(
        "Its figures are not those of honest answers: p = %(p)s, compared with %(honest)s. An honest answer is called "
        "inconsistent in at most %(rate)s of all cases."
    ),
}
_OUTCOMES: Final = {
    Outcome.IDENTICAL: N_(
        "Identical: each token is the one that this model, prompt, settings and seed lead to, and each figure agrees "
        "within rounding."
    ),
    Outcome.CONSISTENT: N_(
        "Consistent: its figures are such as honest answers have: p = %(p)s, compared with %(honest)s."
    ),
    Outcome.INCONSISTENT: N_("Inconsistent with the model, prompt, settings or seed that the receipt names."),
}


OTHER_SERVER: Final = N_(
    "Another server drew this answer, and its draws are nobody’s to recompute: its text, its ending and its "
    "log-probabilities are compared with those of the model that was asked. Who wrote with another model can have "
    "computed the right one’s figures."
)


def _sentences(one: Judgement) -> Iterator[Sentence]:
    details: dict[str, str | int] = {
        "p": f"{one.p:.2g}" if one.p is not None else "",
        "honest": one.honest,
        "rate": f"{one.rate:.2%}",
        "place": one.place or 0,
        "distance": f"{one.measures.worst_figure:.1g}",
        "bits": int(one.measures.evidence),
    }
    yield Sentence(_OUTCOMES[one.outcome], details)
    for finding in one.findings:
        yield Sentence(_FINDINGS[finding], details)
    if one.is_remote:
        yield Sentence(OTHER_SERVER)
    elif not one.is_drawn:
        yield Sentence(N_("Nothing was drawn: at temperature 0 every seed gives the same answer."))
    elif one.is_masked:
        yield Sentence(N_("A grammar chose among the words: how much the draws could show is not computed."))
    elif one.measures.evidence < LITTLE_EVIDENCE:
        yield Sentence(
            N_("It can show little (%(bits)s bits): the model was almost sure of each word, and most draws agree."),
            details,
        )
    else:
        yield Sentence(N_("Draws of another seed would lead to this very answer once in 2^%(bits)s times."), details)
