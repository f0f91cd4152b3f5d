"""Bundles are taken apart, and the model is asked again about each answer: one pass, in this process.

- a receipt that is refused is not audited, nor is an answer that nothing could be compared with: both are said before
  any model is loaded;
- one model is in memory at a time, loaded once for all answers of one model and profile; of an answer one ``Fact`` a
  token is kept, and 25 MB of logits at most stand beside the model (``engine/logits.py``);
- what was asked is what was hashed: the model's files are looked at again after the last answer, and where they were
  changed meanwhile none of their verdicts is told;
- what one answer lacks keeps no other from its verdict: it is told with its name.

Raises nothing for what is in a bundle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from commun.audit.calibration import Calibration, Machine
from commun.audit.case import CannotAudit, Case, Why, case_of
from commun.audit.comparing import is_exact, judge, machine_of
from commun.audit.verdict import Judgement, Outcome, Recomputed
from commun.auditing.weights import Weights
from commun.engine.logits import LogitReader, machine_here, recompute
from commun.engine.manifest import Progress
from commun.engine.rendering import Renderer, UnknownToken
from commun.engine.runtime import PROFILES
from commun.engine.weights import ReadyModel
from commun.errors import N_, CommunError, ModelError
from commun.receipts.verification import Report, Trust, Verdict, verify

ASKING: Final = N_("Asking the model again")
LOADING: Final = N_("Loading the model")
ALL_CORES: Final = 0


class NotAsked(CommunError):
    code = "not_asked"
    status = 422
    problem = N_("The model cannot be asked about this conversation: its own template or runtime refuses it.")
    cure = N_("Nothing is thereby said against it. If it happens with other answers too, the installation is damaged.")


@dataclass(frozen=True, slots=True)
class Audited:
    """One bundle, as far as its audit has come. ``name``: of its file. ``here``: what recomputed it. ``trouble``: why
    there is no judgement.
    """

    name: str
    report: Report
    case: Case | None = field(default=None, repr=False)
    here: Machine | None = None
    recomputed: Recomputed | None = field(default=None, repr=False)
    judgement: Judgement | None = None
    trouble: CommunError | None = None

    @property
    def is_refused(self) -> bool:
        return self.report.verdict is Verdict.REFUSED

    @property
    def is_done(self) -> bool:
        return self.judgement is not None or self.trouble is not None

    @property
    def is_against(self) -> bool:
        """Something speaks against what the receipt says, whatever other answers show: it is refused, or has tokens
        that the very model that it names has not.
        """
        return self.is_refused or isinstance(self.trouble, UnknownToken)

    @property
    def is_inconsistent(self) -> bool:
        return self.judgement is not None and self.judgement.outcome is Outcome.INCONSISTENT


class Comparison(Protocol):
    """How answers are judged. Both raise CannotAudit; ``check`` before the model is asked."""

    def check(self, case: Case, here: Machine) -> None: ...
    def judge(self, case: Case, recomputed: Recomputed, here: Machine) -> Judgement: ...


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Exactly where that can be, else by ``calibrations``."""

    calibrations: Sequence[Calibration]
    rate: float

    def check(self, case: Case, here: Machine) -> None:
        answered, model = machine_of(case.statement), case.statement.model_digest
        if is_exact(answered, here):
            return
        if is_structured(case):
            raise CannotAudit(Why.STRUCTURED)
        if case.is_remote:  # its figures are told also where there is nothing to compare them with
            return
        if not any(one.fits(model, answered, here) for one in self.calibrations):
            raise CannotAudit(Why.NO_CALIBRATION)

    def judge(self, case: Case, recomputed: Recomputed, here: Machine) -> Judgement:
        return judge(case, recomputed, here, self.calibrations, rate=self.rate)


def is_structured(case: Case) -> bool:
    """A grammar chose among its words: only an exact comparison can follow that."""
    return case.statement.commitments["schema"] is not None


def look(name: str, data: bytes, trust: Trust) -> Audited:
    """Verified, and taken apart; no model is needed for it."""
    try:
        case, report = case_of(data, trust)
    except CannotAudit as trouble:
        return Audited(name, verify(data, trust), trouble=trouble)
    return Audited(name, report, case)


def ask(
    answers: Sequence[Audited], weights: Weights, comparison: Comparison, *, progress: Progress
) -> tuple[Audited, ...]:
    """In the same order, each with its judgement or its trouble."""
    done = [one if one.is_done else _comparable(one, comparison) for one in answers]
    groups: dict[tuple[str, str], list[int]] = {}
    for index, one in enumerate(done):
        if one.case is not None and not one.is_done:
            statement = one.case.statement
            groups.setdefault((statement.model_digest, statement.engine.profile), []).append(index)
    for (digest, profile), indices in groups.items():
        group = [done[index] for index in indices]
        try:
            with weights.ready(digest, _model_name(group[0])) as model:
                progress(LOADING, 0, 0)
                judged = _asked(group, _Loaded.of(model, profile), comparison, progress)
                model.check()
        except CommunError as trouble:
            judged = [replace(one, trouble=trouble) for one in group]
        for index, one in zip(indices, judged, strict=True):
            done[index] = one
    return tuple(done)


def _comparable(one: Audited, comparison: Comparison) -> Audited:
    if one.case is None:
        return one
    profile = one.case.statement.engine.profile
    if one.case.is_remote:
        return replace(one, trouble=CannotAudit(Why.OTHER_SERVER))
    if profile not in PROFILES:
        return replace(one, trouble=CannotAudit(Why.NO_CALIBRATION))
    here = machine_here(profile, ALL_CORES)
    try:
        comparison.check(one.case, here)
    except CannotAudit as trouble:
        return replace(one, here=here, trouble=trouble)
    return replace(one, here=here)


@dataclass(frozen=True, slots=True)
class _Loaded:
    reader: LogitReader
    renderer: Renderer
    context_length: int

    @classmethod
    def of(cls, model: ReadyModel, profile: str) -> "_Loaded":
        try:
            reader = LogitReader(model.folder, profile=profile, threads=ALL_CORES)
            return cls(reader, Renderer(model.folder), model.manifest.context_length)
        except RuntimeError as error:
            raise ModelError(model=model.manifest.id, reason="OpenVINO cannot load it") from error

    def ask(self, case: Case, told: Callable[[int, int], None]) -> Recomputed:
        return recompute(case, self.reader, self.renderer, context_length=self.context_length, progress=told)


def _asked(group: Sequence[Audited], model: _Loaded, comparison: Comparison, progress: Progress) -> list[Audited]:
    """One bar for all of them."""
    total = sum(len(one.case.answer) for one in group if one.case is not None)
    before, judged = 0, []
    for one in group:

        def told(done: int, _: int, start: int = before) -> None:
            progress(ASKING, start + done, total)

        judged.append(_asked_one(one, model, comparison, told))
        before += len(one.case.answer) if one.case is not None else 0
    return judged


def _asked_one(one: Audited, model: _Loaded, comparison: Comparison, told: Callable[[int, int], None]) -> Audited:
    if one.case is None or one.here is None:
        return one
    try:
        found = model.ask(one.case, told)
        return replace(one, recomputed=found, judgement=comparison.judge(one.case, found, one.here))
    except CommunError as trouble:
        return replace(one, trouble=trouble)
    except RuntimeError:  # OpenVINO's own, such as of a chat template that refuses these messages
        return replace(one, trouble=NotAsked())


def _model_name(one: Audited) -> str:
    return one.case.statement.model_id if one.case is not None else ""
