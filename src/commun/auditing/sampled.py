"""Answers that were drawn and kept for an audit: asked again here, handed to another Commun, and counted.

- what is kept is opened with the audit key, and completed with the charter's files; the ledger's proofs are left out:
  the process that serves has the ledger;
- what is recorded are counts (``Tally``): no text, no receipt's name, no owner. A receipt that is refused, or tokens
  that the named model has not, count as inconsistent: it was this server that issued and kept them;
- another Commun's results (``commun audit … --json``) count only where each is of an answer that was handed out and not
  counted yet, and none is there twice: else nothing of the file is recorded. Who vouches for them is named there;
- what can be compared no more (its time was over, its key was moved away, it is no bundle) is counted as not audited,
  and keeps no other answer from its audit;
- the entry and the erasing are one transaction: a crash before it leaves everything for the next time.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog

from commun.audit.verdict import Comparison, Outcome
from commun.auditing.asking import Audited
from commun.errors import N_, CommunError
from commun.ledger.entries import AuditStatement, Compared, time_text
from commun.receipts.bundle import Bundle
from commun.receipts.errors import ReceiptError
from commun.recording.bundles import Bundles
from commun.recording.statements import as_name
from commun.store.audit_samples import HANDED_S, AuditSamples, Sample
from commun.store.vault import AccountKey

MOST_AT_ONCE: Final = 256  # the others wait for the next night
MAX_RESULTS_BYTES: Final = 256 << 20  # each token's facts of MOST_AT_ONCE answers
SUFFIX: Final = ".bundle.json"

log = structlog.get_logger()


class BadResults(CommunError):
    """``details``: ``file``, ``reason``."""

    code = "bad_audit_results"
    status = 422
    problem = N_("“%(file)s” has no results that can be recorded: %(reason)s.")
    cure = N_("Take what “commun audit … --json” wrote, of the files that “commun audit sample --out” has written.")


@dataclass(frozen=True, slots=True)
class Tally:
    """What was found. ``receipts``: of which answers, to be erased; the rest is what the ledger is told."""

    receipts: tuple[str, ...]
    identical: int = 0
    consistent: int = 0
    inconsistent: int = 0
    not_audited: int = 0
    comparisons: frozenset[Comparison] = frozenset()

    def statement(self, *, rate: float, auditor: str, now: datetime) -> AuditStatement:
        return AuditStatement(
            audited=self.identical + self.consistent + self.inconsistent,
            identical=self.identical,
            consistent=self.consistent,
            inconsistent=self.inconsistent,
            not_audited=self.not_audited,
            comparison=_compared(self.comparisons),
            rate=f"{rate:.6f}".rstrip("0").rstrip("."),
            auditor=as_name(auditor),
            time=time_text(now),
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """``here``: to be asked again on this machine. ``handed``: another Commun has them. ``over``: nothing can be
    compared any more.
    """

    here: tuple[Sample, ...]
    handed: tuple[Sample, ...]
    over: tuple[Sample, ...]


class Kept(NamedTuple):
    """``files``: bundles, by receipt. ``over``: what was kept as none."""

    files: tuple[tuple[str, bytes], ...]
    over: tuple[Sample, ...]


class Sampled:
    """``now``: seconds since 1970."""

    def __init__(
        self, samples: AuditSamples, bundles: Bundles, key: AccountKey, *, now: Callable[[], float] = time.time
    ) -> None:
        self._samples = samples
        self._bundles = bundles
        self._key = key
        self._now = now

    async def waiting(self) -> Waiting:
        """Erases first what has had its time."""
        await self._samples.erase_old()
        here, handed, over = [], [], []
        oldest = self._now() - HANDED_S
        for one in await self._samples.list(self._key.public):
            if one.handed is not None and one.handed > oldest:
                handed.append(one)
            elif one.handed is None and one.opens:
                here.append(one)
            else:
                over.append(one)
        return Waiting(tuple(here[:MOST_AT_ONCE]), tuple(handed), tuple(over))

    async def bundles(self, samples: Iterable[Sample]) -> Kept:
        """As files; without those that were erased meanwhile."""
        files, over = [], []
        for sample in samples:
            data = await self._samples.open(self._key, sample.receipt_id)
            if data is None:
                continue
            try:
                whole = await self._bundles.completed(Bundle.from_bytes(data))
            except ReceiptError as error:
                log.warning("what was kept for an audit is no bundle: it is not audited", reason=error.reason.value)
                over.append(sample)
            else:
                files.append((sample.receipt_id, whole.data()))
        return Kept(tuple(files), tuple(over))

    async def hand(self, receipts: Collection[str]) -> None:
        await self._samples.hand(receipts)

    async def record(self, tally: Tally, statement: AuditStatement) -> None:
        await self._samples.conclude(tally.receipts, statement.data())


def tally_of(answers: Sequence[Audited], over: Sequence[Sample] = ()) -> Tally:
    """``answers``: named by their receipts. ``over``: what could be compared no more."""
    outcomes = [_outcome(one) for one in answers]
    judgements = [one.judgement for one in answers if one.judgement is not None]
    return Tally(
        receipts=(*(one.name for one in answers), *(one.receipt_id for one in over)),
        identical=outcomes.count(Outcome.IDENTICAL),
        consistent=outcomes.count(Outcome.CONSISTENT),
        inconsistent=outcomes.count(Outcome.INCONSISTENT),
        not_audited=outcomes.count(None) + len(over),
        comparisons=frozenset(one.comparison for one in judgements),
    )


def read_results(file: str, value: Any, handed: Collection[str]) -> tuple[Tally, float]:
    """``value``: the JSON of another Commun's audit. ``handed``: receipts of what it may be of. With the rate of false
    alarms that was asked for. Raises BadResults.
    """
    try:
        rate, answers = value["rate"], value["answers"]
        if not isinstance(rate, float | int) or isinstance(rate, bool) or not 0 <= rate <= 1:
            raise BadResults(file=file, reason=N_("it names no rate of false alarms"))
        found = [_result(one) for one in answers]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BadResults(file=file, reason=N_("it is not what an audit writes")) from None
    names = [name for name, _, _ in found]
    if not names or len(set(names)) != len(names):
        raise BadResults(file=file, reason=N_("it has no answer, or one of them twice"))
    if not set(names) <= set(handed):
        raise BadResults(file=file, reason=N_("it has an answer that was not handed out, or is counted already"))
    outcomes = [outcome for _, outcome, _ in found]
    tally = Tally(
        receipts=tuple(names),
        identical=outcomes.count(Outcome.IDENTICAL),
        consistent=outcomes.count(Outcome.CONSISTENT),
        inconsistent=outcomes.count(Outcome.INCONSISTENT),
        not_audited=outcomes.count(None),
        comparisons=frozenset(comparison for _, _, comparison in found if comparison is not None),
    )
    return tally, float(rate)


def _outcome(one: Audited) -> Outcome | None:
    if one.is_against:
        return Outcome.INCONSISTENT
    return None if one.judgement is None else one.judgement.outcome


def _result(answer: Mapping[str, Any]) -> tuple[str, Outcome | None, Comparison | None]:
    """Receipt, outcome (None: not audited), comparison. A refused receipt has no name in it but that of its file."""
    report, judgement, trouble = answer["receipt"], answer["judgement"], answer["trouble"]
    file = str(answer["file"]).replace("\\", "/").rpartition("/")[2]
    statement = report["statement"]
    name = str(statement["receipt"]) if statement else file.removesuffix(SUFFIX)
    if judgement is not None:
        return name, Outcome(judgement["outcome"]), Comparison(judgement["comparison"])
    is_against = report["verdict"] == "refused" or (trouble or {}).get("code") == "unknown_token"
    return name, Outcome.INCONSISTENT if is_against else None, None


def _compared(comparisons: Collection[Comparison]) -> Compared:
    if set(comparisons) == {Comparison.EXACT}:
        return "exact"
    if set(comparisons) == {Comparison.CALIBRATED}:
        return "calibrated"
    return "both" if comparisons else "none"
