"""How often somebody may ask: a sliding window per key, in this process's memory.

A key's requests are counted in fixed windows; those of the last window count by the part of it that still lies within
one window of now. So at most the limit passes in any window (if they came evenly before), for two numbers per key and a
microsecond per request.
"""

import ipaddress
import math
import re
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from commun.errors import ConfigError, TooManyRequests

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
ROUNDING = 1e-6  # of the fractions above: who waits as told must be let in
SWEEP_AT = 10_000  # keys; then those of whom nothing is remembered any more are dropped

_SPEC = re.compile(r"\s*([1-9]\d{0,8})\s*/\s*(second|minute|hour|day)\s*")


def address_of(request: Request) -> str:
    """By which a stranger is counted: an IPv6 network (/64) rather than one of its 2⁶⁴ addresses."""
    address = request.client.host if request.client else ""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found), 64), strict=False))


class RateLimits:
    """One limit, such as ``600/minute``. A key is whoever is counted: an account, an API key's id, an address."""

    def __init__(self, spec: str, *, setting: str = "rate_limit", clock: Callable[[], float] = time.monotonic) -> None:
        found = _SPEC.fullmatch(spec)
        if found is None:
            raise ConfigError(setting=setting, reason=f"“{spec}” is not like 600/minute")
        self._limit = int(found[1])
        self._period = SECONDS[found[2]]
        self._clock = clock
        self._windows: dict[str, tuple[int, int, int]] = {}  # key: number of the window, count in it, in the one before
        self._sweep_at = SWEEP_AT

    def check(self, key: str) -> None:
        """Counts one request, if it is granted. Raises TooManyRequests with the seconds until the next one is."""
        window, gone = divmod(self._clock() / self._period, 1)
        number = int(window)
        seen, count, before = self._windows.get(key, (number, 0, 0))
        if seen != number:
            before = count if seen == number - 1 else 0
            count = 0
        if count + before * (1 - gone) > self._limit - 1 + ROUNDING:
            raise TooManyRequests(retry_after=max(1, math.ceil(self._wait(count, before, gone))))
        if len(self._windows) >= self._sweep_at:
            self._sweep(number)
        self._windows[key] = (number, count + 1, before)

    def _wait(self, count: int, before: int, gone: float) -> float:
        """Seconds until enough of the past has left the window for one more."""
        free = self._limit - 1
        if count <= free and before:
            return (1 - (free - count) / before - gone) * self._period
        return (1 - gone + 1 - free / count) * self._period

    def _sweep(self, number: int) -> None:
        self._windows = {key: state for key, state in self._windows.items() if state[0] >= number - 1}
        self._sweep_at = max(SWEEP_AT, 2 * len(self._windows))


def counted_apart(state: Any, name: str, spec: str, *, setting: str) -> RateLimits:
    """A counter of its own for one kind of request, made at its first use and kept in the application's ``state``: who
    uses that one up is not kept from anything else.
    """
    made: RateLimits | None = getattr(state, name, None)
    if made is None:
        made = RateLimits(spec, setting=setting)
        setattr(state, name, made)
    return made
