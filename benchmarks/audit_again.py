"""Asks the model again about bundles, as ``commun audit`` does and by its code, in a process of its own.

    python benchmarks/audit_again.py HOME LIST [--measured | --exported | --timed]

LIST: a file with one bundle's path a line. Beside each bundle NAME.bundle.json comes NAME.audit.json: what was found,
and each token's fact. ``--measured``: whatever there is to compare with (the fast profile). ``--exported``: by the
exported graph as it is, attention and all (NAME.exported.json). ``--timed``: nothing is written; seconds and processor
seconds for each answer, the model being loaded, as one JSON list.
"""

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from commun.audit.case import differing
from commun.audit.verdict import RATE
from commun.auditing.asking import ALL_CORES, Audited, Comparison, Verdicts, ask, look
from commun.auditing.calibrating import Measured
from commun.auditing.weights import Weights
from commun.engine.logits import LogitReader, recompute
from commun.engine.rendering import Renderer
from commun.engine.runtime import DEVICE, PROFILES
from commun.engine.sampling import fact_of
from commun.engine.scoring import CHUNK, Scorer
from commun.receipts.verification import Trust

AT_ONCE = 32  # bundles for one load of the model: what is lost where this process is ended


def quiet(*_: object) -> None: ...


def beside(bundle: Path, kind: str = "audit") -> Path:
    return bundle.with_name(bundle.name.replace(".bundle.", f".{kind}."))


def found_of(one: Audited) -> dict[str, Any]:
    case, found, judgement = one.case, one.recomputed, one.judgement
    if case is None or found is None or judgement is None:
        return {"trouble": str(one.trouble), "receipt": one.report.verdict.value, "detail": one.report.detail}
    distances = differing(case.recorded, [fact.logprob for fact in found.facts])
    return {
        "receipt": one.report.verdict.value,
        "outcome": judgement.outcome.value,
        "findings": [each.value for each in judgement.findings],
        "facts": [astuple(fact) for fact in found.facts],
        "distances": [each if math.isfinite(each) else None for each in distances],
    }


def audit(home: Path, bundles: Sequence[Path], comparison: Comparison) -> None:
    for start in range(0, len(bundles), AT_ONCE):
        some = bundles[start : start + AT_ONCE]
        looked = [look(path.name, path.read_bytes(), Trust()) for path in some]
        for path, one in zip(
            some, ask(looked, Weights(home, None, progress=quiet), comparison, progress=quiet), strict=False
        ):
            target = beside(path)
            target.with_suffix(".partial").write_text(json.dumps(found_of(one)))
            target.with_suffix(".partial").rename(target)
        print(f"{start + len(some)}/{len(bundles)}", file=sys.stderr, flush=True)


class Exported(Scorer):
    """``rows`` as LogitReader has it."""

    def rows(self, prompt: Sequence[int], answer: Sequence[int]) -> Iterator[Any]:
        every, first = [*prompt, *answer][:-1], len(prompt) - 1
        self._request.reset_state()
        for start in range(0, len(every), CHUNK):
            yield from self._infer(every[start : start + CHUNK], start)[max(0, first - start) :]
        self._request.reset_state()


def exported(home: Path, bundles: Sequence[Path]) -> None:
    cases = [look(path.name, path.read_bytes(), Trust()).case for path in bundles]
    statement = cases[0].statement
    with Weights(home, None, progress=quiet).ready(statement.model_digest, "") as model:
        reader = Exported(model.folder, DEVICE, PROFILES[statement.engine.profile])
        for path, case in zip(bundles, cases, strict=True):
            rows = zip(reader.rows(case.prompt, case.answer), case.answer, case.shares(), strict=True)
            settings = {"temperature": case.temperature, "top_p": case.top_p}
            facts = [fact_of(row, token, share=share, **settings) for row, token, share in rows]
            distances = differing(case.recorded, [fact.logprob for fact in facts])
            found = {"outcome": "", "findings": [], "facts": [astuple(fact) for fact in facts], "distances": distances}
            beside(path, "exported").write_text(json.dumps(found))


def timed(home: Path, bundles: Sequence[Path]) -> list[tuple[float, float]]:
    cases = [look(path.name, path.read_bytes(), Trust()).case for path in bundles]
    taken = []
    statement = cases[0].statement
    with Weights(home, None, progress=quiet).ready(statement.model_digest, "") as model:
        reader = LogitReader(model.folder, profile=statement.engine.profile, threads=ALL_CORES)
        renderer, length = Renderer(model.folder), model.manifest.context_length
        for case in (cases[0], *cases):  # the first one compiles kernels
            wall, used = time.perf_counter(), time.process_time()
            recompute(case, reader, renderer, context_length=length, progress=quiet)
            taken.append((time.perf_counter() - wall, time.process_time() - used))
    return taken[1:]


def main() -> None:
    home, listed, *how = sys.argv[1:]
    bundles = [Path(line) for line in Path(listed).read_text().splitlines()]
    if how == ["--timed"]:
        print(json.dumps(timed(Path(home), bundles)))
        return
    if how == ["--exported"]:
        exported(Path(home), bundles)
        return
    audit(Path(home), bundles, Measured() if how == ["--measured"] else Verdicts((), RATE))


if __name__ == "__main__":
    main()
