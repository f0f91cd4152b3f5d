"""What an audit keeps of one position of an answer, once the model has been asked again.

The model gives a number for each word of its vocabulary (49,152 for the default model) at each position. Whoever runs
it (``engine/logits.py``) reduces them to one ``Fact`` as they come; no more is needed for a verdict. Facts can be
written down, sent and judged again on a machine without the model.
"""

from dataclasses import dataclass
from typing import Final

SHIFT_LIMIT: Final = 0.5  # where a shift is cut off: farther than that, how far says nothing more


@dataclass(frozen=True, slots=True)
class Fact:
    """``token``: the one that the answer has. ``low``, ``high``: its interval, shares in [0, 1] of the candidates'
    whole weight, in the sampler's order; both 0 where it is no candidate. ``is_drawn``: the recomputed sampler, given
    the draw, picks this very token. ``shift``: by how much every recomputed logit would have to be wrong, at least, for
    that; 0 where it is drawn, at most SHIFT_LIMIT. Without a draw, ``is_drawn`` says only that it is a candidate.
    ``logprob``: natural logarithm, of the raw model. ``entropy``, ``variance``: mean and variance of the surprise (-ln
    of the probability, in nats) that this position's draw could bring.
    """

    token: int
    low: float
    high: float
    is_drawn: bool
    shift: float
    logprob: float
    entropy: float
    variance: float

    @property
    def is_candidate(self) -> bool:
        return self.high > self.low
