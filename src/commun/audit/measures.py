"""One answer's figures, out of its facts.

- ``shift``: the sum of the tokens' shifts (each at most SHIFT_LIMIT) over the sum of their entropies and SURE_NATS:
  what binds the text to the draws, and so to model, prompt and settings. The strongest figure. Where the model is sure,
  rounding moves no draw: per nat, honest answers are more alike than per token; and without SURE_NATS one near tie in
  a sure answer would count for as much as many in another;
- ``outside``: the share of tokens that no draw could have picked: they are beyond SHIFT_LIMIT;
- ``figures``: the sum of the distances of the recorded log-probabilities from the recomputed ones, each at most
  FIGURE_LIMIT, over the same sum: these, too, stray with the model's doubt. Alone it proves nothing: whoever wrote with
  a cheap model can compute the right model's figures;
- ``likelihood``: |z|: how far the answer's whole surprise is from what such draws bring, in standard deviations. The
  only figure that needs no seed, and the weakest;
- ``evidence``: how much an answer can show, in bits: draws of another seed would have led to these very tokens once in
  2^evidence times. An answer of which the model was sure has little, whatever the verdict on it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from commun.audit.facts import SHIFT_LIMIT, Fact

FIGURE_LIMIT: Final = 1.0
SURE_NATS: Final = 80.0  # of those tried, the one under which honest answers of the fast profile differ least
LEAST_VARIANCE: Final = 1e-6  # nats²: below, the surprise of a sure answer is rounding


@dataclass(frozen=True, slots=True)
class Measures:
    """``unlike``: tokens that are not the recomputed draw's. ``worst_shift``, ``worst_figure``: the largest of one
    token. ``figures`` None: none were recorded.
    """

    tokens: int
    unlike: int
    shift: float
    worst_shift: float
    outside: float
    figures: float | None
    worst_figure: float
    likelihood: float
    evidence: float


def measures_of(facts: Sequence[Fact], distances: Sequence[float]) -> Measures:
    """``facts``: at least one. ``distances``: of the log-probabilities (case.differing), or none."""
    count = len(facts)
    surprises = [-math.log(fact.high - fact.low) for fact in facts if fact.is_candidate]
    variance = math.fsum(fact.variance for fact in facts)
    entropy = math.fsum(fact.entropy for fact in facts)
    excess = math.fsum(surprises) - math.fsum(fact.entropy for fact in facts if fact.is_candidate)
    nats = entropy + SURE_NATS
    return Measures(
        tokens=count,
        unlike=sum(not fact.is_drawn for fact in facts),
        shift=math.fsum(fact.shift for fact in facts) / nats,
        worst_shift=max(fact.shift for fact in facts),
        outside=sum(fact.shift >= SHIFT_LIMIT for fact in facts) / count,
        figures=math.fsum(min(FIGURE_LIMIT, one) for one in distances) / nats if distances else None,
        worst_figure=max(distances, default=0.0),
        likelihood=abs(excess) / math.sqrt(variance) if variance > LEAST_VARIANCE else 0.0,
        evidence=math.fsum(surprises) / math.log(2),
    )
