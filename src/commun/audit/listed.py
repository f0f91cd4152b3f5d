"""One position as another server lists it: the likeliest words only, and the answer's own. Reduced to a ``Fact``.

A server that is asked over the network (vLLM's ``prompt_logprobs``) tells no logits: of each position it lists the
log-probabilities of its likeliest words, 20 at most, and that of the token which stands there. What the rest has
together is known, how it is spread is not. Approximation, the only one: the rest is taken for as many words as it
takes, each as likely as the last that is listed. They are likelier, and fewer, than they really are: below temperature
1 the rest weighs too much, above it too little, and its surprise is too small.

Rules:

- words stand by falling probability: p_i = exp(l_i), w_i = exp((l_i - l_1) / temperature); the rest: m = (1 - sum p) /
  p_k words of w_k each, where k words are listed;
- top_p: words up to and with the first at which the running sum of w exceeds top_p of the whole; where the list is too
  short for that, every word may be a candidate;
- nobody knows that server's draws. So a candidate's ``shift`` is 0, and that of another token half its distance from
  the last candidate: the least by which the listed figures would have to be wrong for it to have been one;
- temperature 0: as with logits (``engine/sampling.py``); only differences count there.
"""

import math
from dataclasses import dataclass
from typing import Final

from commun.audit.facts import SHIFT_LIMIT, Fact

MAX_LISTED: Final = 20  # vLLM's own bound, unless its operator raised it
LEAST_LISTED: Final = -600.0  # below, a word has no probability that a float could hold


@dataclass(frozen=True, slots=True)
class Listed:
    """``logprob``: of the token. ``likeliest``: of the likeliest words, falling, one at least; natural logarithms."""

    token: int
    logprob: float
    likeliest: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Candidates:
    """``weights``: of those that are listed, over all candidates' weight. ``others``: how many more there are, each
    with the weight of the last. ``whole``: the candidates' weight, in units of the likeliest word's.
    """

    weights: tuple[float, ...]
    others: float
    whole: float

    def surprise(self) -> tuple[float, float]:
        """Mean and variance of -ln of a candidate's share, nats."""
        shares = [(weight, 1.0) for weight in self.weights]
        if self.others:
            shares.append((self.weights[-1], self.others))
        mean = math.fsum(-count * share * math.log(share) for share, count in shares if share > 0)
        square = math.fsum(count * share * math.log(share) ** 2 for share, count in shares if share > 0)
        return mean, max(0.0, square - mean**2)


def fact_of_listed(listed: Listed, *, temperature: float, top_p: float) -> Fact:
    peak = listed.likeliest[0]
    if temperature == 0:
        is_best = listed.logprob >= peak
        shift = 0.0 if is_best else min(SHIFT_LIMIT, (peak - listed.logprob) / 2)
        return Fact(listed.token, 0.0, float(is_best), is_best, shift, listed.logprob, 0.0, 0.0)
    candidates = _candidates(listed.likeliest, temperature, top_p)
    entropy, variance = candidates.surprise()
    last = listed.likeliest[len(candidates.weights) - 1]
    if not candidates.others and listed.logprob < last:
        shift = min(SHIFT_LIMIT, (last - listed.logprob) / 2)
        return Fact(
            listed.token,
            0.0,
            0.0,
            is_drawn=False,
            shift=shift,
            logprob=listed.logprob,
            entropy=entropy,
            variance=variance,
        )
    share = min(1.0, math.exp((listed.logprob - peak) / temperature) / candidates.whole)
    return Fact(
        listed.token, 0.0, share, is_drawn=True, shift=0.0, logprob=listed.logprob, entropy=entropy, variance=variance
    )


def _candidates(likeliest: tuple[float, ...], temperature: float, top_p: float) -> _Candidates:
    weights = [math.exp((one - likeliest[0]) / temperature) for one in likeliest]
    rest = max(0.0, 1.0 - math.fsum(map(math.exp, likeliest)))
    others = rest / math.exp(likeliest[-1]) if likeliest[-1] > LEAST_LISTED else 0.0
    whole = math.fsum(weights) + others * weights[-1]
    kept = 0.0
    for count, weight in enumerate(weights, 1):
        kept += weight
        if top_p < 1 and kept > top_p * whole:
            return _Candidates(tuple(each / kept for each in weights[:count]), 0.0, kept)
    kept = whole if top_p == 1 else max(kept, top_p * whole)
    more = max(0.0, kept - math.fsum(weights)) / weights[-1] if weights[-1] > 0 else 0.0
    return _Candidates(tuple(each / kept for each in weights), more, kept)
