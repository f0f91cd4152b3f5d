"""A calibration file out of the answers of one's own server: what honest answers look like, recomputed on this machine.

Whoever makes one vouches for the answers: that they were honest cannot be computed. What can be is asked for:

- every receipt is verified and none refused; each answer has the prompt, the text and the ending that it must have;
- all are of one model and one machine, and so is every comparison with them;
- no answer twice: it would count twice.

Raises NotCalibrated, which names the first bundle that does not serve.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from commun.audit.calibration import MAX_HONEST, NEAR, Calibration, Honest, Machine
from commun.audit.case import CannotAudit, Case, Why, differing
from commun.audit.comparing import machine_of, model_of
from commun.audit.measures import measures_of
from commun.audit.verdict import Finding, Judgement, Recomputed, judge_exact
from commun.auditing.asking import Audited, is_structured
from commun.errors import N_, CommunError

FIGURES_COUNTED: Final = 3  # shift, outside, figures: each may be the one that calls an answer inconsistent
PLAIN: Final = frozenset({Finding.PROMPT, Finding.TEXT, Finding.ENDING})


class NotCalibrated(CommunError):
    code = "not_calibrated"
    status = 422
    problem = N_("“%(file)s” cannot serve for a calibration: %(reason)s.")
    cure = N_("Leave it out, or ask again with “commun audit”, which says why.")


@dataclass(frozen=True, slots=True)
class Measured:
    """Every answer is measured, with whatever it could be compared. (``asking.Comparison``)"""

    def check(self, case: Case, here: Machine) -> None:
        del here
        if is_structured(case):
            raise CannotAudit(Why.STRUCTURED)

    def judge(self, case: Case, recomputed: Recomputed, here: Machine) -> Judgement:
        del here
        return judge_exact(case, recomputed)


def check_alike(answers: Sequence[Audited]) -> None:
    """Before any model is asked. ``answers``: at least one."""
    if len(answers) > MAX_HONEST:
        raise NotCalibrated(file=answers[MAX_HONEST].name, reason=N_("there are more answers than a file takes"))
    seen: set[str] = set()
    first = None
    for one in answers:
        if one.case is None:
            raise NotCalibrated(file=one.name, reason=N_("it cannot be audited"))
        statement = one.case.statement
        kind = (model_of(statement), machine_of(statement))
        first = first or kind
        if kind != first:
            raise NotCalibrated(file=one.name, reason=N_("another model or machine answered it than the first"))
        if statement.receipt in seen:
            raise NotCalibrated(file=one.name, reason=N_("it is there twice"))
        seen.add(statement.receipt)


def calibration_of(answers: Sequence[Audited], *, batch: int, first: Sequence[int] = ()) -> Calibration:
    """``answers``: alike, and asked. ``batch``: how many ran at once at most, which no receipt says. ``first``: so many
    first tokens of an answer also count as one, if it has four times as many or more (so that hardly any length is
    compared with both): the same draws would have given them, had it been cut off there.
    """
    honest = []
    for one in answers:
        if one.trouble is not None:
            raise one.trouble
        if one.judgement is None or PLAIN & set(one.judgement.findings):
            raise NotCalibrated(file=one.name, reason=N_("its prompt, text or ending is not what it must be"))
        honest.append(Honest.of(one.judgement.measures))
        honest += _beginnings(one, first)
    case, here = answers[0].case, answers[0].here
    if case is None or here is None:
        raise NotCalibrated(file=answers[0].name, reason=N_("it cannot be audited"))
    statement = case.statement
    return Calibration(model_of(statement), machine_of(statement), here, batch, tuple(honest))


def _beginnings(one: Audited, first: Sequence[int]) -> Iterator[Honest]:
    case, found = one.case, one.recomputed
    if case is None or found is None:
        return
    distances = differing(case.recorded, [fact.logprob for fact in found.facts])
    for tokens in first:
        if tokens * NEAR * NEAR <= len(found.facts):
            yield Honest.of(measures_of(found.facts[:tokens], distances[:tokens]))


def least_rate(honest: int) -> float:
    """The smallest rate of false alarms at which so many answers can tell anything."""
    return min(1.0, FIGURES_COUNTED / (1 + honest))
