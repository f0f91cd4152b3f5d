"""Who tries passwords: each failure makes the next try wait longer, for a name and for an address.

- A name is counted whether somebody has it or not, so that waiting tells nobody either.
- A try is counted before it is known how it ends, so that many at once are many; one that succeeds is taken back.
- A stranger who fails on purpose makes strangers wait for that name, and never its owner on a browser that has signed
  in before: such a browser holds a mark (``known_mark``) and is counted by itself, whatever others do at its address
  (all of them, where a proxy does not say whose it forwards). The longest wait is a quarter of an hour, and an hour of
  peace forgets everything: nobody is locked out for good.
- Whoever chooses a name (invited, or in the settings) learns whether somebody has it: that, too, is a try, of that
  invitation or account, however it ends.
- All of it is in this process's memory, bounded: the longest unused goes first.
"""

import contextlib
import hashlib
import hmac
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from commun.errors import TooManyRequests
from commun.store.names import NameNotUsable, key_of
from commun.store.passwords import ManySignIns, PasswordTooCommon, PasswordTooLong, PasswordTooShort
from commun.web.visit import is_secure

FREE: Final = 5  # failures that make nobody wait
FREE_FOR_ADDRESS: Final = 30  # many people sit behind one address
FREE_FOR_CLASS_CODES: Final = 300  # a whole school sits behind one address, and each of them mistypes
FIRST_S: Final = 2.0
LONGEST_S: Final = 900.0
LONGEST_FOR_CLASS_CODES_S: Final = 30.0
FORGOTTEN_S: Final = 3_600.0
SIZE: Final = 20_000
KNOWN: Final = "commun_known"
SECURE_KNOWN: Final = "__Host-commun_known"
KNOWN_DAYS: Final = 365
TELL_NOTHING: Final = (NameNotUsable, PasswordTooShort, PasswordTooLong, PasswordTooCommon, ManySignIns)
_NONCE_BYTES: Final = 16


@dataclass(slots=True)
class _Tries:
    count: int = 0
    not_before: float = 0.0
    last: float = 0.0


class Attempts:
    """``free``: how many may fail before anybody waits. ``longest_s``: the longest wait."""

    def __init__(
        self,
        free: int,
        *,
        longest_s: float = LONGEST_S,
        clock: Callable[[], float] = time.monotonic,
        size: int = SIZE,
    ) -> None:
        self._free = free
        self._longest_s = longest_s
        self._clock = clock
        self._size = size
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def begin(self, key: str) -> None:
        """Counts one try. Raises TooManyRequests with the seconds until the next one is let through."""
        now = self._clock()
        tries = self._tries.pop(key, None)
        if tries is None or now - max(tries.last, tries.not_before) > FORGOTTEN_S:
            tries = _Tries()
        self._tries[key] = tries
        if len(self._tries) > self._size:
            self._tries.popitem(last=False)
        if now < tries.not_before:
            raise TooManyRequests(retry_after=math.ceil(tries.not_before - now))
        tries.count += 1
        tries.last = now
        if tries.count > self._free:
            tries.not_before = now + min(FIRST_S * 2.0 ** min(tries.count - self._free - 1, 20), self._longest_s)

    def forgive(self, key: str) -> None:
        """The try that was counted last succeeded."""
        tries = self._tries.get(key)
        if tries is not None:
            tries.count = max(tries.count - 1, 0)
            tries.not_before = 0.0

    def forget(self, key: str) -> None:
        self._tries.pop(key, None)


class SignInAttempts:
    """One try at one name: ``begin``, then ``succeeded`` or nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._names = Attempts(FREE, clock=clock)
        self._addresses = Attempts(FREE_FOR_ADDRESS, clock=clock)

    def begin(self, name: str, address: str, mark: str) -> None:
        """``mark``: of a browser that has signed in with this name before, or "". Raises TooManyRequests."""
        self._names.begin(_subject(name, mark))
        if not mark:
            self._addresses.begin(address)

    def succeeded(self, name: str, address: str, mark: str) -> None:
        self._names.forget(_subject(name, mark))
        if not mark:
            self._addresses.forgive(address)


@contextlib.contextmanager
def choosing_a_name(request: Request, chooser: str) -> Iterator[None]:
    """Around what gives somebody a name. ``chooser``: an account, an invitation, or whom a provider named. A name that
    is free tells as much as one that is taken; TELL_NOTHING is what comes before names are compared. Raises
    TooManyRequests.
    """
    state = request.app.state
    names: Attempts | None = getattr(state, "name_attempts", None)
    if names is None:
        names = state.name_attempts = Attempts(FREE)
    subject = hashlib.sha256(chooser.encode("utf-8", "replace")).hexdigest()
    names.begin(subject)
    try:
        yield
    except TELL_NOTHING:
        names.forgive(subject)
        raise


def _subject(name: str, mark: str) -> str:
    """Of a fixed length, whatever was typed."""
    return hashlib.sha256(f"{key_of(name)}\n{mark}".encode("utf-8", "surrogatepass")).hexdigest()


def attempts_of(request: Request) -> SignInAttempts:
    """Those of this application, made when somebody first tries."""
    made: SignInAttempts | None = getattr(request.app.state, "sign_in_attempts", None)
    if made is None:
        made = request.app.state.sign_in_attempts = SignInAttempts()
    return made


def known_mark(request: Request, verifier: bytes | None) -> str:
    """The mark of a browser that has signed in with this password before, or "". ``verifier``: what the password is
    compared with, None for a name that nobody has: the work is the same.
    """
    name = SECURE_KNOWN if is_secure(request) else KNOWN
    nonce, _, seal = request.cookies.get(name, "").partition(".")
    expected = _seal(verifier or bytes(32), nonce[:64])
    matches = hmac.compare_digest(seal.encode("utf-8", "replace"), expected.encode())
    return nonce if matches and verifier is not None and nonce else ""


def new_mark(verifier: bytes) -> str:
    nonce = secrets.token_hex(_NONCE_BYTES)
    return f"{nonce}.{_seal(verifier, nonce)}"


def _seal(verifier: bytes, nonce: str) -> str:
    said = f"commun known browser v1\n{nonce}".encode("utf-8", "replace")
    return hmac.digest(verifier, said, "sha256").hex()
