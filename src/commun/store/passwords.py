"""Passwords: what is asked of one, and what is derived from it.

- Argon2id gives 64 bytes. The first half wraps the vault's private key, the second is compared when somebody signs in
  and stands in the database as its SHA-256. Whoever copies the database can guess, at the cost of one derivation a
  guess; nothing that is stored opens the vault.
- The cost stands beside each password and is raised when its owner next signs in (``COST``; RFC 9106's second
  recommended option with one lane instead of four, above OWASP's least).
- Derivations run in two threads and a short queue: a flood of sign-ins takes neither the memory nor the processor.
- Length is what is asked (NIST SP 800-63B-4: fifteen characters where nothing else is asked for), and that it is not
  made of what everybody tries first: common words, the person's name, numbers in order, neighbouring keys and
  repetitions. No rule about capitals, digits or signs; no change from time to time.
"""

import asyncio
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from commun.errors import N_, BadRequest, Busy

MIN_LENGTH: Final = 15
MAX_LENGTH: Final = 256
AT_ONCE: Final = 2
WAITING: Final = 16
_SALT_BYTES: Final = 16
_HALF: Final = 32
_COMMON: Final = Path(__file__).parent / "common_passwords.txt"
_SIGN_LETTERS: Final = str.maketrans("@$€", "ase")
_VARIED: Final = 5  # different steps between digits that make a number more than one in order
_SHORTEST_RUN: Final = 3
_KEYBOARDS: Final = (
    ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"),
    ("1234567890", "azertyuiop", "qsdfghjklm", "wxcvbn"),
)


class PasswordTooShort(BadRequest):
    """``details``: ``least``."""

    code = "password_too_short"
    problem = N_("This password is shorter than %(least)s characters.")
    cure = N_("Take four or five words that have nothing to do with each other.")


class PasswordTooLong(BadRequest):
    """``details``: ``most``."""

    code = "password_too_long"
    problem = N_("This password is longer than %(most)s characters.")
    cure = N_("Take a shorter one.")


class PasswordTooCommon(BadRequest):
    code = "password_too_common"
    problem = N_("This password is among the first that somebody would try.")
    cure = N_("Take four or five words that have nothing to do with each other.")


class ManySignIns(Busy):
    code = "many_sign_ins"
    problem = N_("Too many people are signing in at this moment.")


@dataclass(frozen=True, slots=True)
class Cost:
    """``memory``: KiB."""

    time: int = 3
    memory: int = 65_536
    lanes: int = 1


COST: Final = Cost()


@dataclass(frozen=True, slots=True)
class Parameters:
    """What stands beside a password: public, and needed to derive from it again."""

    salt: bytes
    cost: Cost = COST

    @classmethod
    def fresh(cls, cost: Cost = COST) -> Self:
        return cls(secrets.token_bytes(_SALT_BYTES), cost)

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Self:
        cost = Cost(time=int(stored["time"]), memory=int(stored["memory"]), lanes=int(stored["lanes"]))
        return cls(bytes.fromhex(stored["salt"]), cost)

    def to_stored(self) -> dict[str, Any]:
        cost = self.cost
        return {
            "kdf": "argon2id",
            "salt": self.salt.hex(),
            "time": cost.time,
            "memory": cost.memory,
            "lanes": cost.lanes,
        }


@dataclass(frozen=True, slots=True)
class Derived:
    """``secret`` opens the vault and is stored nowhere; ``verifier`` is stored."""

    secret: bytes = field(repr=False)
    verifier: bytes = field(repr=False)

    def matches(self, verifier: bytes | None) -> bool:
        return hmac.compare_digest(self.verifier, verifier or bytes(len(self.verifier)))


def _normal(password: str) -> bytes:
    """However the keyboard composed it."""
    return unicodedata.normalize("NFKC", password).encode()


def derive(password: str, parameters: Parameters) -> Derived:
    """Takes tenths of a second and the memory that ``parameters`` name; other threads go on meanwhile."""
    cost = parameters.cost
    argon2 = Argon2id(
        salt=parameters.salt, length=2 * _HALF, iterations=cost.time, lanes=cost.lanes, memory_cost=cost.memory
    )
    raw = argon2.derive(_normal(password))
    return Derived(raw[:_HALF], hashlib.sha256(raw[_HALF:]).digest())


class Hasher:
    """Derives beside the event loop, ``AT_ONCE`` at a time. ``cost``: of new passwords."""

    def __init__(self, cost: Cost = COST, *, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self.cost = cost
        self._limit = at_once + waiting
        self._pending = 0
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="commun-password")
        self._nobodys = Parameters.fresh(cost)

    async def derive(self, password: str, parameters: Parameters | None) -> Derived:
        """``parameters`` None: of a name that nobody has; as much work as for one that somebody has. Raises
        ManySignIns.
        """
        if self._pending >= self._limit:
            raise ManySignIns(retry_after=5)
        self._pending += 1
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, derive, password[:MAX_LENGTH], parameters or self._nobodys
        )
        work.add_done_callback(self._done)
        return await asyncio.shield(work)  # whoever asked may leave: the thread is busy all the same

    def _done(self, _work: "asyncio.Future[Derived]") -> None:
        self._pending -= 1

    async def derive_new(self, password: str) -> tuple[Derived, Parameters]:
        parameters = Parameters.fresh(self.cost)
        return await self.derive(password, parameters), parameters

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


def check_password(password: str, name: str) -> None:
    """Raises PasswordTooShort, PasswordTooLong, PasswordTooCommon."""
    length = len(unicodedata.normalize("NFKC", password))
    if length < MIN_LENGTH:
        raise PasswordTooShort(least=MIN_LENGTH)
    if length > MAX_LENGTH:
        raise PasswordTooLong(most=MAX_LENGTH)
    if is_common(password, name):
        raise PasswordTooCommon


def is_common(password: str, name: str = "") -> bool:
    """Whether nothing is left of it without common words, the person's name, numbers in order and repetitions, or
    without neighbouring keys.
    """
    if _is_walked(password.casefold()):
        return True
    digits = [int(one) for one in password if one.isdecimal()]
    if not _letters(password, "") and len({after - before for before, after in pairwise(digits)}) >= _VARIED:
        return False
    words = sorted(
        common_words() | {_letters(part, "") for part in (name, *name.split())} - {""}, key=len, reverse=True
    )
    return any(_is_made_of(words, _letters(password, digit_letters)) for digit_letters in ("", "oieastb"))


def _is_made_of(words: list[str], left: str) -> bool:
    for word in words:
        left = left.replace(word, " ")
    return sum(len(run) for run in left.split() if not _is_repeated(run)) < _SHORTEST_RUN


@cache
def _neighbours() -> frozenset[tuple[str, str]]:
    """Keys of which one can be pressed after the other without lifting the hand, and each key after itself."""
    beside = set()
    for rows in _KEYBOARDS:
        places = {(row, column): key for row, keys in enumerate(rows) for column, key in enumerate(keys)}
        for (row, column), key in places.items():
            around = ((0, 0), (0, 1), (1, -1), (1, 0))  # each row lies half a key to the right of the one above it
            there = ((row + down, column + right) for down, right in around)
            near = {places[place] for place in there if place in places}
            beside |= {(key, other) for other in near} | {(other, key) for other in near}
    return frozenset(beside)


def _is_walked(keys: str) -> bool:
    """“1qaz2wsx3edc4rfv”, “12345678900987654321”: walks over the keyboard and next to nothing else."""
    left, run = 0, 1
    for before, after in pairwise(f"{keys}\n"):
        if (before, after) in _neighbours():
            run += 1
        else:
            left += run if run < _SHORTEST_RUN else 0
            run = 1
    return left < _SHORTEST_RUN


def _letters(text: str, digit_letters: str) -> str:
    """Small letters without accents. ``digit_letters``: what 0, 1, 3, 4, 5, 7 and 8 are read as; "": as nothing."""
    plain = unicodedata.normalize("NFKD", text.casefold()).translate(_SIGN_LETTERS)
    if digit_letters:
        plain = plain.translate(str.maketrans("0134578", digit_letters))
    return "".join(one for one in plain if one.isalpha())


def _is_repeated(run: str) -> bool:
    """“abcabcabc”, “aaaa”: a third of it says it all."""
    return any(run == (run[:size] * len(run))[: len(run)] for size in range(1, len(run) // _SHORTEST_RUN + 1))


@cache
def common_words() -> frozenset[str]:
    lines = _COMMON.read_text(encoding="utf-8").splitlines()
    return frozenset(_letters(line, "") for line in lines if line and not line.startswith("#"))
