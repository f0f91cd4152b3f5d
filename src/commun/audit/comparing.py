"""Which comparison can be made: with what rounding alone explains, or with honest answers; then the verdict.

- exact: the receipt's profile is exact, and the auditor has the engine's build that it names. The number of threads may
  be another, and so may the processor, where both classes were measured: neither was found to change anything beyond
  the bounds (docs/spec/audit.md). The verdict says how alike the processors are;
- calibrated: a calibration of this model, of the machine that answered and of this one;
- an answer under a JSON Schema: exactly, or not at all;
- an answer that another server drew: by text, ending and calibrated figures; without a calibration only what needs no
  comparison is found, and the figures are told;
- neither: CannotAudit, for want of honest answers to compare with. What needs no comparison (another prompt, another
  text, another ending) is not told then either: it is told by whoever can judge the whole.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from commun.audit.calibration import Calibration, Machine
from commun.audit.case import CannotAudit, Case, Why
from commun.audit.verdict import RATE, Judgement, Recomputed, judge_calibrated, judge_exact, judge_figures
from commun.receipts.statement import Statement

REMOTE: Final = "remote"  # profile of what another server answers
MEASURED: Final = frozenset({"AVX2", "AVX-512"})  # classes between which the exact profile stays within its bounds


class Likeness(StrEnum):
    """Of the processor that answered and the one that recomputes."""

    PROCESSOR = "same-processor"
    CLASS = "same-class"
    OTHER_CLASS = "other-class"


def machine_of(statement: Statement) -> Machine:
    """What answered, as the receipt says."""
    engine = statement.engine
    if engine.profile == REMOTE:
        return Machine(engine.name, REMOTE, "", "")
    return Machine(
        engine=build_of(engine.version, engine.notes.get("openvino", "")),
        profile=engine.profile,
        threads=engine.notes.get("threads", ""),
        processor=processor_of(engine.notes.get("processor", ""), engine.notes.get("processor_features", "")),
        processor_class=engine.notes.get("processor_class", ""),
    )


def model_of(statement: Statement) -> str:
    """The digest of its manifest; of a model elsewhere, whose weights nobody has seen, what the charter calls it."""
    return statement.model_digest or f"{REMOTE}:{statement.model_id}"


def build_of(engine: str, runtime: str) -> str:
    """One name for both builds: of the pipeline, and of the runtime below it."""
    return f"{engine} on {runtime}"


def processor_of(name: str, features: str) -> str:
    """What it is called, and what of it the runtime uses."""
    return f"{name} ({features})"


def likeness(answered: Machine, here: Machine) -> Likeness:
    """An older receipt does not name a class."""
    if answered.processor == here.processor and answered.processor_class in ("", here.processor_class):
        return Likeness.PROCESSOR
    is_of_class = answered.processor_class == here.processor_class != ""
    return Likeness.CLASS if is_of_class else Likeness.OTHER_CLASS


def is_exact(answered: Machine, here: Machine) -> bool:
    is_measured = {answered.processor_class, here.processor_class} <= MEASURED
    is_near = is_measured or likeness(answered, here) is Likeness.PROCESSOR
    return answered.profile == here.profile == "exact" and answered.engine == here.engine and is_near


def judge(
    case: Case, recomputed: Recomputed, here: Machine, calibrations: Sequence[Calibration] = (), *, rate: float = RATE
) -> Judgement:
    """``here``: what recomputed it. Raises CannotAudit."""
    answered = machine_of(case.statement)
    if is_exact(answered, here):
        return judge_exact(case, recomputed)
    if case.schema is not None:
        raise CannotAudit(Why.STRUCTURED)
    model = model_of(case.statement)
    fitting = next((one for one in calibrations if one.fits(model, answered, here)), None)
    if fitting is None and case.is_remote:
        return judge_figures(case, recomputed)
    if fitting is None:
        raise CannotAudit(Why.NO_CALIBRATION)
    return judge_calibrated(case, recomputed, fitting, rate=rate)
