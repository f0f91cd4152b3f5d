"""An answer that another server drew, by the public weights on the auditor's own machine: what that server should list.

The receipt of such an answer names no digest of weights: which file they are is the auditor's own knowledge. The
figures come from the same pass as of any audit (``logits.py``), in the exact profile, and are reduced as a server's are
(``audit/listed.py``), with LISTED words a place in place of a server's few. The prompt is built by the model's own
template: a server that has another one is seen as if it had another prompt.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from commun.audit.calibration import Machine
from commun.audit.case import CannotAudit, Case, Why
from commun.audit.facts import Fact
from commun.audit.listed import Listed, fact_of_listed
from commun.audit.verdict import Recomputed
from commun.engine.logits import LogitReader, Progress, prompt_of
from commun.engine.rendering import Renderer

PROFILE: Final = "exact"
LISTED: Final = 512  # words a place; beyond them there is little, and it is counted as the last


class ListingReader:
    """``folder``: a model's, verified by the caller. ``context_length``: the model's, in tokens. Not thread-safe."""

    def __init__(self, folder: Path, context_length: int) -> None:
        self._reader = LogitReader(folder, profile=PROFILE)
        self._renderer = Renderer(folder)
        self._context_length = context_length

    @property
    def machine(self) -> Machine:
        return self._reader.machine

    def recompute(self, case: Case, *, progress: Progress) -> Recomputed:
        """As ``logits.recompute``. Raises UnknownToken, CannotAudit."""
        given = prompt_of(case, self._renderer)
        prompt = case.prompt or given or ()
        if len(prompt) + len(case.answer) > self._context_length:
            raise CannotAudit(Why.TOO_LONG)
        self._renderer.check_known((*prompt, *case.answer))
        found: list[Fact] = []
        for row, token in zip(self._reader.rows(prompt, case.answer), case.answer, strict=True):
            found.append(fact_of_listed(listed_of(row, token), temperature=case.temperature, top_p=case.top_p))
            progress(len(found), len(case.answer))
        whole, shown, stopped = self._renderer.text_of(case.answer, case.stop)
        return Recomputed(
            prompt=given if case.prompt else None,
            texts=(whole, shown),
            stopped=stopped,
            ends=self._renderer.ends,
            facts=tuple(found),
        )


def listed_of(logits: Any, token: int) -> Listed:
    """``logits``: one for each word."""
    peak = float(logits.max())
    logprobs = logits.astype(np.float64) - peak
    logprobs -= np.log(np.exp(logprobs).sum())
    few = min(LISTED, len(logprobs))
    likeliest = np.sort(np.partition(logprobs, len(logprobs) - few)[len(logprobs) - few :])[::-1]
    return Listed(token, float(logprobs[token]), tuple(map(float, likeliest)))
