"""The sampler as it is written down here picks what the engine picked, and says how far anything else is from it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commun.audit.draws import LEAST_TEMPERATURE
from commun.audit.facts import SHIFT_LIMIT
from commun.engine.sampling import SLACK, candidates, fact_of, logprob_of, shift_of, weights_of

WORDS = 400
SETTINGS = [(0.3, 0.5), (0.7, 0.95), (1, 1), (1, 0.9), (2, 1)]


def logits_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, WORDS).astype(np.float32)


def fact(logits, token, temperature, top_p, share):
    return fact_of(logits, token, temperature=temperature, top_p=top_p, share=share)


@pytest.mark.parametrize(("temperature", "top_p"), SETTINGS)
@given(seed=st.integers(0, 99), share=st.floats(0, 1 - 2**-24, width=32))
@settings(max_examples=30, deadline=None)
def test_the_token_that_is_picked_is_the_one_whose_interval_holds_the_draw(temperature, top_p, seed, share) -> None:
    logits = logits_of(seed)
    drawn_from = candidates(logits, temperature, top_p)
    low, high = drawn_from.interval(token := drawn_from.pick(share))
    assert low - SLACK <= share < high + SLACK
    found = fact(logits, token, temperature, top_p, share)
    assert (found.is_drawn, found.is_candidate, found.shift) == (True, True, 0)


@pytest.mark.parametrize(("temperature", "top_p"), SETTINGS)
def test_the_intervals_of_all_candidates_are_the_whole(temperature, top_p) -> None:
    logits = logits_of(1)
    drawn_from = candidates(logits, temperature, top_p)
    intervals = sorted(filter(any, (drawn_from.interval(token) for token in range(WORDS))))
    assert (intervals[0][0], intervals[-1][1]) == (0, 1)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(intervals))


def test_candidates_are_the_vocabulary_in_its_order_and_under_top_p_the_likeliest_first() -> None:
    logits = np.log(np.array([0.1, 0.4, 0.2, 0.3], dtype=np.float32))
    assert candidates(logits, 1, 1).ids is None
    assert list(candidates(logits, 1, 0.6).ids) == [1, 3]
    assert list(candidates(logits, 1, 0.75).ids) == [1, 3, 2]
    assert candidates(logits, 1, 0.6).interval(3) == pytest.approx((4 / 7, 1))
    assert candidates(logits, 1, 0.6).interval(0) == (0, 0)


def test_at_temperature_0_it_is_the_first_of_the_likeliest_and_nothing_is_drawn() -> None:
    logits = np.array([1, 3, 3, 2.5], dtype=np.float32)
    assert fact(logits, 1, 0, 1, None).is_drawn
    other = fact(logits, 3, 0, 1, None)
    assert (other.is_drawn, other.shift, other.is_candidate) == (False, 0.25, False)


@pytest.mark.parametrize(("temperature", "top_p"), SETTINGS)
@given(seed=st.integers(0, 99), share=st.floats(0, 1 - 2**-24, width=32), error=st.sampled_from([1e-5, 1e-3, 0.1]))
@settings(max_examples=40, deadline=None)
def test_what_an_error_of_the_logits_picks_is_never_said_to_be_farther_than_that_error(
    temperature, top_p, seed, share, error
) -> None:
    logits = logits_of(seed)
    noise = np.random.default_rng(seed + 1000).uniform(-error, error, WORDS).astype(np.float32)
    token = candidates(logits + noise, temperature, top_p).pick(share)
    assert fact(logits, token, temperature, top_p, share).shift <= error * 1.001 + 1e-6


@pytest.mark.parametrize(("temperature", "top_p"), SETTINGS)
def test_weights_and_figures_are_summed_one_after_the_other_in_32_bits(temperature, top_p) -> None:
    logits = np.concatenate([logits_of(seed) for seed in range(40)])
    below = logits - logits.max()
    scaled = np.exp(below if temperature == 1 else below * (np.float32(1) / np.float32(temperature)))
    whole, weight = np.float32(0), np.float32(0)
    for raw, scaled_one in zip(np.exp(below), scaled, strict=True):
        whole, weight = whole + raw, weight + scaled_one
    assert (weights_of(logits, temperature) == scaled / weight).all()
    logprob = float(logits[7] - (logits.max() + np.log(whole)))
    assert logprob_of(logits, 7) == fact(logits, 7, temperature, top_p, 0.5).logprob == logprob


def test_two_words_that_are_almost_equally_likely_may_change_places() -> None:
    answered = np.array([5 + 1e-6, 5, 0, 0], dtype=np.float32)
    audited = np.array([5, 5 + 1e-6, 0, 0], dtype=np.float32)
    token = candidates(answered, 1, 0.9).pick(0.25)
    found = fact(audited, token, 1, 0.9, 0.25)
    assert not found.is_drawn
    assert found.shift < 1e-5


@pytest.mark.parametrize("top_p", [0.95, 1])
@pytest.mark.parametrize("temperature", [LEAST_TEMPERATURE, 1e-3])
def test_near_ties_are_forgiven_at_the_lowest_temperatures_too_and_nothing_else(temperature, top_p) -> None:
    logits = np.array([30, 30 + 4e-6, 12, -60], dtype=np.float32)
    assert fact(logits, 0, temperature, top_p, 0.5).shift < 1e-5
    assert fact(logits, 2, temperature, top_p, 0.5).shift == SHIFT_LIMIT
    assert math.isfinite(fact(logits, 1, temperature, top_p, 0.5).entropy)


def test_the_last_candidate_may_come_or_go_at_the_very_edge_of_top_p() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], dtype=np.float32))
    assert shift_of(logits, 2, temperature=1, top_p=0.7999999, share=0.999) < 1e-5
    assert shift_of(logits, 2, temperature=1, top_p=0.79, share=0.999) > 0.01
    assert shift_of(logits, 2, temperature=1, top_p=0.4, share=0.999) > 0.1


def test_what_no_error_within_reason_would_draw_is_cut_off() -> None:
    logits = np.array([9, 0, 0], dtype=np.float32)
    assert shift_of(logits, 2, temperature=1, top_p=1, share=0.5) == SHIFT_LIMIT


def test_the_surprise_of_even_chances_is_their_logarithm() -> None:
    found = fact(np.zeros(8, dtype=np.float32), 3, 1, 1, None)
    assert found.entropy == pytest.approx(math.log(8))
    assert found.variance == pytest.approx(0, abs=1e-9)
    assert logprob_of(np.zeros(8, dtype=np.float32), 3) == pytest.approx(-math.log(8))
