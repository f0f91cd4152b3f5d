"""What a server lists of one position is reduced as the whole position would be, as far as its list reaches."""

import math

import numpy as np
import pytest

from commun.audit.facts import SHIFT_LIMIT
from commun.audit.listed import Listed, fact_of_listed
from commun.engine.sampling import fact_of

WORDS = 200
SETTINGS = [(0.3, 0.5), (0.8, 0.95), (1.0, 1.0), (1.0, 0.9), (1.5, 1.0), (2.0, 0.7)]


def position(seed: int, spread: float = 2.5) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, spread, WORDS).astype(np.float32)
    return logits - np.float32(np.log(np.exp(logits).sum()))


def listed(logprobs: np.ndarray, token: int, words: int) -> Listed:
    return Listed(token, float(logprobs[token]), tuple(map(float, np.sort(logprobs)[::-1][:words])))


@pytest.mark.parametrize(("temperature", "top_p"), SETTINGS)
@pytest.mark.parametrize("seed", range(5))
def test_a_list_of_every_word_says_what_the_logits_say(temperature, top_p, seed) -> None:
    logprobs = position(seed)
    for token in (int(logprobs.argmax()), seed, WORDS - 1):
        whole = fact_of(logprobs, token, temperature=temperature, top_p=top_p, share=None)
        found = fact_of_listed(listed(logprobs, token, WORDS), temperature=temperature, top_p=top_p)
        assert found.is_drawn is whole.is_drawn
        assert found.high == pytest.approx(whole.high - whole.low, abs=1e-5)
        assert (found.entropy, found.variance) == pytest.approx((whole.entropy, whole.variance), abs=2e-3)


@pytest.mark.parametrize(("temperature", "top_p"), [(0.3, 0.5), (0.8, 0.9), (1.0, 0.6)])
def test_where_the_list_reaches_to_the_last_candidate_it_is_as_good_as_all(temperature, top_p) -> None:
    logprobs = position(1, spread=4)
    token = int(logprobs.argmax())
    all_words = fact_of_listed(listed(logprobs, token, WORDS), temperature=temperature, top_p=top_p)
    twenty = fact_of_listed(listed(logprobs, token, 20), temperature=temperature, top_p=top_p)
    assert (twenty.high, twenty.entropy) == pytest.approx((all_words.high, all_words.entropy), rel=0.02)


def test_words_that_are_not_listed_make_surprise_smaller_than_it_is_and_never_none() -> None:
    logprobs = position(2)
    token = int(logprobs.argmax())
    twenty = fact_of_listed(listed(logprobs, token, 20), temperature=1.0, top_p=1.0)
    whole = fact_of(logprobs, token, temperature=1.0, top_p=1.0, share=None)
    assert 0.8 * whole.entropy < twenty.entropy <= whole.entropy + 1e-3
    assert twenty.high == pytest.approx(whole.high - whole.low, rel=1e-4)


def test_a_token_beyond_top_p_is_as_far_as_half_its_distance_from_the_last_candidate() -> None:
    chances = (0.6, 0.3, 0.1)
    place = tuple(map(math.log, chances))
    near = fact_of_listed(Listed(2, place[2], place), temperature=1.0, top_p=0.85)
    assert (near.is_drawn, near.is_candidate) == (False, False)
    assert near.shift == pytest.approx(min(SHIFT_LIMIT, (place[1] - place[2]) / 2))
    assert fact_of_listed(Listed(1, place[1], place), temperature=1.0, top_p=0.85).shift == 0
    assert fact_of_listed(Listed(9, -20.0, place), temperature=1.0, top_p=0.85).shift == SHIFT_LIMIT


def test_at_temperature_0_only_the_likeliest_is_drawn() -> None:
    place = (-0.5, -1.0, -3.0)
    best, other = (fact_of_listed(Listed(1, one, place), temperature=0.0, top_p=1.0) for one in place[:2])
    assert (best.is_drawn, best.shift, other.is_drawn, other.shift) == (True, 0, False, 0.25)


def test_a_word_without_a_chance_breaks_nothing() -> None:
    for place in ((0.0,), (0.0, -9999.0), (-700.0,)):
        for top_p in (1.0, 0.5):
            found = fact_of_listed(Listed(3, place[-1], place), temperature=0.1, top_p=top_p)
            assert all(map(math.isfinite, (found.high, found.entropy, found.variance, found.shift)))
