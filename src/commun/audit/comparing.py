"""Which comparison can be made: with what rounding alone explains, or with honest answers; then the verdict.

- exact: the receipt's profile is exact, and the auditor has the engine's build and the processor that it names. The
  number of threads may be another: it was found to change nothing beyond the bounds (docs/spec/audit.md);
- calibrated: a calibration of this model, of the machine that answered and of this one;
- an answer under a JSON Schema: exactly, or not at all;
- neither: CannotAudit, for want of honest answers to compare with. What needs no comparison (another prompt, another
  text, another ending) is not told then either: it is told by whoever can judge the whole.
"""

from collections.abc import Sequence
from dataclasses import replace

from commun.audit.calibration import Calibration, Machine
from commun.audit.case import CannotAudit, Case, Why
from commun.audit.verdict import RATE, Judgement, Recomputed, judge_calibrated, judge_exact
from commun.receipts.statement import Statement


def machine_of(statement: Statement) -> Machine:
    """What answered, as the receipt says."""
    engine = statement.engine
    return Machine(
        engine=build_of(engine.version, engine.notes.get("openvino", "")),
        profile=engine.profile,
        threads=engine.notes.get("threads", ""),
        processor=processor_of(engine.notes.get("processor", ""), engine.notes.get("processor_features", "")),
    )


def build_of(engine: str, runtime: str) -> str:
    """One name for both builds: of the pipeline, and of the runtime below it."""
    return f"{engine} on {runtime}"


def processor_of(name: str, features: str) -> str:
    """Its class: what it is called, and what of it the runtime uses."""
    return f"{name} ({features})"


def is_exact(answered: Machine, here: Machine) -> bool:
    return answered.profile == "exact" and replace(answered, threads=here.threads) == here


def judge(
    case: Case, recomputed: Recomputed, here: Machine, calibrations: Sequence[Calibration] = (), *, rate: float = RATE
) -> Judgement:
    """``here``: what recomputed it. Raises CannotAudit."""
    answered = machine_of(case.statement)
    if is_exact(answered, here):
        return judge_exact(case, recomputed)
    if case.schema is not None:
        raise CannotAudit(Why.STRUCTURED)
    model = case.statement.model_digest
    fitting = next((one for one in calibrations if one.fits(model, answered, here)), None)
    if fitting is None:
        raise CannotAudit(Why.NO_CALIBRATION)
    return judge_calibrated(case, recomputed, fitting, rate=rate)
