"""The draws are std::mt19937's, and a share is what C++ makes of a draw."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.audit.draws import MAX_SEED, draws, share_of


def test_the_ten_thousandth_draw_of_the_default_seed_is_the_one_that_the_standard_of_cpp_gives() -> None:
    assert draws(5489, 10_000)[-1] == 4_123_659_995


def test_the_first_draws_are_those_of_the_reference_implementation() -> None:
    assert draws(5489, 3) == (3_499_211_612, 581_869_302, 3_890_346_734)
    assert draws(0, 2) == (2_357_136_044, 2_546_248_239)


@given(st.integers(0, MAX_SEED))
def test_pythons_own_generator_goes_on_from_the_same_state(seed: int) -> None:
    state = [seed]
    for index in range(1, 624):
        state.append((1_812_433_253 * (state[-1] ^ state[-1] >> 30) + index) & MAX_SEED)
    own = random.Random()
    own.setstate((3, (*state, 624), None))
    assert draws(seed, 5) == tuple(own.getrandbits(32) for _ in range(5))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_has_32_bits(seed: int) -> None:
    with pytest.raises(ValueError, match="32 bits"):
        draws(seed, 1)


@given(st.integers(0, MAX_SEED))
def test_a_share_is_below_one_and_has_24_digits(draw: int) -> None:
    share = share_of(draw)
    assert 0 <= share < 1
    assert struct.unpack("<f", struct.pack("<f", share))[0] == share
    assert abs(share - draw / 2**32) <= 2**-24


def test_the_largest_draws_do_not_round_up_to_the_whole() -> None:
    assert share_of(MAX_SEED) == 1 - 2**-24
    assert share_of(0) == 0
