"""The sampler, recomputable: OpenVINO GenAI's own, as specification and as code (``openvino-genai/mt19937-cdf/1``).

Specification, for one position with the logits x (float32, one for each word of the vocabulary):

- temperature and top_p are such as ``audit/draws.py`` allows;
- temperature 0: the word with the largest logit, of equal ones the first in the vocabulary; nothing is drawn;
- else w_i = exp((x_i - max x) * (1 / temperature)), divided by their sum. Every step is in float32, sums are taken one
  after the other; at temperature 1 nothing is multiplied;
- top_p 1: all words are candidates, in the vocabulary's order. Below 1: words sorted by w, largest first, up to and
  with the first at which the running sum exceeds top_p. Their weights stay as they are;
- the draw's share u (audit/draws.py) times the sum of the candidates' weights is r; the token is the first candidate
  whose running sum exceeds r, or the last candidate where rounding leaves none;
- a JSON Schema takes words away before all that: their logit is minus infinity;
- log-probabilities are of the raw logits, over the whole vocabulary, before the temperature and without any mask;
- each token takes one draw, the first one too, and also the token that ends the answer. A stop string ends the answer
  outside the sampler: it changes no token before it.

The order of candidates with equal weights is the C++ library's own business and not recomputed. Everything else was
found to be exact (docs/spec/audit.md has the figures, tests/engine/test_sampling.py repeats them at small n).

What no charter can allow, because it could not be recomputed: top-k (candidates in heap order), beams, speculative
decoding (further draws for what is accepted). What no charter allows, and the engine is therefore never asked for:
min_p, penalties of repetition, presence and frequency. They could be recomputed; a sampler with them would have another
id. Each of these names is refused with its reason (``charter/refused_settings.py``), in a charter and over the API.

How far a token is from the draw is told in logit units (``shift``): the least e such that logits which differ from
these by at most e each would make this token the draw's. It forgives what rounding does, be it at the interval's edge,
in the order of two words that are almost equally likely, or at the last candidate of top_p; and nothing else.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from commun.audit.facts import SHIFT_LIMIT, Fact

Floats = npt.NDArray[np.float32]

SLACK: Final = 2.0**-22  # of a share: what sums in float32 may differ by from one C library to another
LEAST_CHANCE: Final = np.float32(1e-30)  # of a word; below, it adds nothing to a mean
MOST_ERROR: Final = 500.0  # of scaled logits: beyond, odds are 0 or infinite in any number
HALVINGS: Final = 24  # of the range in which a shift is looked for
THRESHOLDS: Final = (1e-3, 1e-5, 0.0)  # weights that are sorted first: mostly a few are enough


@dataclass(frozen=True, slots=True)
class Candidates:
    """``ids``: in the sampler's order, or None for the whole vocabulary. ``sums``: running sums of their weights."""

    ids: npt.NDArray[np.int64] | None
    weights: Floats
    sums: Floats

    def pick(self, share: float) -> int:
        """The token that a draw of this share decides for."""
        target = self.sums[-1] * np.float32(share)
        place = min(int(np.searchsorted(self.sums, target, side="right")), len(self.sums) - 1)
        return place if self.ids is None else int(self.ids[place])

    def interval(self, token: int) -> tuple[float, float]:
        """The shares that decide for ``token``: [low, high), or (0, 0) where it is no candidate."""
        place = self._find(token)
        if place is None:
            return 0.0, 0.0
        whole = float(self.sums[-1])
        before = float(self.sums[place - 1]) if place else 0.0
        return before / whole, float(self.sums[place]) / whole

    def surprise(self) -> tuple[float, float]:
        """Mean and variance of -ln of a candidate's probability, nats."""
        chances = self.weights / self.sums[-1]
        surprises = -np.log(np.maximum(chances, LEAST_CHANCE))
        mean = float(chances @ surprises)
        return mean, max(0.0, float(chances @ np.square(surprises)) - mean**2)

    def _find(self, token: int) -> int | None:
        if self.ids is None:
            return token if self.weights[token] > 0 else None
        places = np.flatnonzero(self.ids == token)
        return int(places[0]) if len(places) else None


def candidates(logits: Floats, temperature: float, top_p: float) -> Candidates:
    """``temperature`` > 0."""
    return _kept(weights_of(logits, temperature), top_p)


def weights_of(logits: Floats, temperature: float) -> Floats:
    """Probabilities, as the sampler computes them."""
    return _probabilities(logits - logits.max(), temperature)[0]


def logprob_of(logits: Floats, token: int) -> float:
    """As the engine records it."""
    peak = logits.max()
    return _recorded(logits[token], peak, np.add.accumulate(np.exp(logits - peak))[-1])


def fact_of(logits: Floats, token: int, *, temperature: float, top_p: float, share: float | None) -> Fact:
    """One position, reduced. ``share``: of the draw; None where nobody knows the seed."""
    if temperature == 0:
        logprob, best = logprob_of(logits, token), int(logits.argmax())
        low, high = (0.0, 1.0) if token == best else (0.0, 0.0)
        shift = 0.0 if token == best else min(SHIFT_LIMIT, float(logits[best] - logits[token]) / 2)
        return Fact(token, low, high, token == best, shift, logprob, 0.0, 0.0)
    peak = logits.max()
    weights, whole = _probabilities(logits - peak, temperature)
    logprob = _recorded(logits[token], peak, whole)
    drawn_from = _kept(weights, top_p)
    low, high = drawn_from.interval(token)
    entropy, variance = drawn_from.surprise()
    if share is None:
        return Fact(token, low, high, high > low, 0.0, logprob, entropy, variance)
    is_drawn = drawn_from.pick(share) == token
    shift = 0.0 if is_drawn else shift_of(logits, token, temperature=temperature, top_p=top_p, share=share)
    return Fact(token, low, high, is_drawn, shift, logprob, entropy, variance)


def _probabilities(below: Floats, temperature: float) -> tuple[Floats, np.float32]:
    """Under the temperature; and the sum of the exponentials without it. ``below``: the logits less their largest."""
    raw = np.exp(below)
    if np.float32(temperature) == 1:
        whole = np.add.accumulate(raw)[-1]
        return raw / whole, whole
    below *= np.float32(1) / np.float32(temperature)
    weights: Floats = np.exp(below, out=below)
    # Either sum waits for its last addition at every word; as the two parts of complex numbers they wait together.
    both = np.empty(len(raw), dtype=np.complex64)
    both.real, both.imag = raw, weights
    sums = np.add.accumulate(both, out=both)[-1]
    weights /= sums.imag
    return weights, sums.real


def _recorded(logit: np.float32, peak: np.float32, whole: np.float32) -> float:
    return float(logit - (peak + np.log(whole)))


def _kept(weights: Floats, top_p: float) -> Candidates:
    if np.float32(top_p) == 1:
        return Candidates(None, weights, np.add.accumulate(weights))
    for threshold in THRESHOLDS:
        ids = np.flatnonzero(weights >= threshold)
        ids = ids[np.argsort(-weights[ids], kind="stable")]
        sums = np.add.accumulate(weights[ids])
        place = int(np.searchsorted(sums, np.float32(top_p), side="right"))
        if place < len(ids):
            ids = ids[: place + 1]
            break
    return Candidates(ids, weights[ids], sums[: len(ids)])


def shift_of(logits: Floats, token: int, *, temperature: float, top_p: float, share: float) -> float:
    """The least error of the logits, at most SHIFT_LIMIT, under which a draw of this share decides for ``token``."""
    reach = _Reach(logits, token, temperature, top_p, share)
    most = SHIFT_LIMIT / temperature
    if not reach.is_reached(most):
        return SHIFT_LIMIT
    least = 0.0
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        least, most = (least, middle) if reach.is_reached(middle) else (middle, most)
    return most * temperature


class _Reach:
    """Whether logits that are each off by at most e (of the scaled ones) can make the token the draw's.

    The share c of a set of words, whose logits rise by e while all others fall by e, goes from c to ``_moved(c, 2e)``,
    and no farther by any other error. So every running sum has a least and a largest value, and with them the
    interval of the token: what lies before it at least, what lies up to it at most, and what top_p leaves at most and
    at least. The bounds need not be met all at once: a shift is never overstated.
    """

    def __init__(self, logits: Floats, token: int, temperature: float, top_p: float, share: float) -> None:
        weights = weights_of(logits, temperature)
        self._weight = float(weights[token])
        self._share = share
        self._top_p = float(np.float32(top_p))
        self._is_whole = self._top_p == 1
        if self._is_whole:
            self._low, self._high = candidates(logits, temperature, top_p).interval(token)
        else:
            self._falling = np.sort(weights)[::-1].astype(np.float64)
            # In float32, as the sampler adds: over thousands of words the exact sum differs more than the logits do.
            self._sums = np.minimum(np.add.accumulate(self._falling, dtype=np.float32).astype(np.float64), 1.0)

    def is_reached(self, error: float) -> bool:
        if self._weight <= 0:
            return False
        low, high = self._in_vocabulary(error) if self._is_whole else self._sorted(error)
        return low - SLACK <= self._share < high + SLACK

    def _in_vocabulary(self, error: float) -> tuple[float, float]:
        return _moved(self._low, -2 * error), _moved(self._high, 2 * error)

    def _sorted(self, error: float) -> tuple[float, float]:
        rising = -self._falling
        far = _exp(2 * error)
        above = int(np.searchsorted(rising, -self._weight * far, side="left"))
        upto = int(np.searchsorted(rising, -self._weight / far, side="right"))
        before = _moved(float(self._sums[above - 1]), -2 * error) if above else 0.0
        if before > self._top_p + SLACK:
            return 1.0, 0.0  # whatever the error, it is no candidate
        fewest, most = self._kept(2 * error), self._kept(-2 * error)
        least = max(self._top_p, _moved(fewest, -2 * error))
        largest = _moved(most, 2 * error)
        return before / largest, min(1.0, _moved(float(self._sums[upto - 1]), 2 * error) / least)

    def _kept(self, error: float) -> float:
        """The candidates' share, where running sums are moved by ``error``."""
        limit = _moved(self._top_p, -error)
        place = int(np.searchsorted(self._sums, limit, side="right"))
        return float(self._sums[min(place, len(self._sums) - 1)])


def _moved(share: float, error: float) -> float:
    """A share of the whole after its odds were multiplied by exp(error)."""
    if share <= 0 or share >= 1:
        return min(1.0, max(0.0, share))
    odds = share * _exp(error)
    return odds / (odds + (1 - share))


def _exp(error: float) -> float:
    return math.exp(max(-MOST_ERROR, min(MOST_ERROR, error)))
