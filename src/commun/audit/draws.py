"""The draws of a seed: MT19937, as C++'s ``std::mt19937`` has it, and the share that one draw stands for.

Specification:

- one generator per answer, seeded with the receipt's 32-bit seed (``init_genrand`` of Matsumoto and Nishimura);
- one draw of 32 bits per token, in order, the first for the answer's first token, whatever the draw decides: also where
  one candidate is left, and for the token that ends the answer. Greedy answers (temperature 0) draw nothing;
- a draw stands for the share draw / 2^32 of the candidates' whole weight, rounded to 24 binary digits as C++'s
  ``uniform_real_distribution<float>`` does; what would be rounded up to 1 is 1 - 2^-24;
- the temperature is 0, or from LEAST_TEMPERATURE to MOST_TEMPERATURE; top_p is LEAST_TOP_P at least, and 1 at most.
  Below the least temperature 1 / temperature leaves the numbers that a float32 has, and nothing could be drawn.

Pure Python: a few thousand numbers, and nobody's library to trust.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Final

MAX_SEED: Final = 2**32 - 1
LEAST_TEMPERATURE: Final = 1e-6
MOST_TEMPERATURE: Final = 2.0
LEAST_TOP_P: Final = 1e-6
_WORDS: Final = 624
_MIDDLE: Final = 397
_TWIST: Final = 0x9908B0DF
_TOP: Final = 0x80000000
_REST: Final = 0x7FFFFFFF
_SEEDING: Final = 1812433253
_BELOW_ONE: Final = 1 - 2**-24


def draws(seed: int, count: int) -> tuple[int, ...]:
    """The first ``count`` draws, each 0 to 2^32 - 1."""
    if not 0 <= seed <= MAX_SEED:
        raise ValueError("a seed has 32 bits")
    return tuple(islice(_all_draws(seed), count))


def can_draw(temperature: float, top_p: float) -> bool:
    """Whether there is such a sampler. Temperature 0 draws nothing."""
    is_warm = temperature == 0 or LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE
    return is_warm and LEAST_TOP_P <= top_p <= 1


def share_of(draw: int) -> float:
    """In [0, 1)."""
    (rounded,) = struct.unpack("<f", struct.pack("<f", draw))
    return min(float(rounded) / 2**32, _BELOW_ONE)


def _all_draws(seed: int) -> Iterator[int]:
    state = [seed]
    for index in range(1, _WORDS):
        before = state[-1]
        state.append((_SEEDING * (before ^ before >> 30) + index) & MAX_SEED)
    while True:
        _twist(state)
        yield from map(_tempered, state)


def _tempered(word: int) -> int:
    word ^= word >> 11
    word ^= word << 7 & 0x9D2C5680
    word ^= word << 15 & 0xEFC60000
    return word ^ word >> 18


def _twist(state: list[int]) -> None:
    for index in range(_WORDS):
        joined = state[index] & _TOP | state[(index + 1) % _WORDS] & _REST
        state[index] = state[(index + _MIDDLE) % _WORDS] ^ joined >> 1 ^ (_TWIST if joined & 1 else 0)
