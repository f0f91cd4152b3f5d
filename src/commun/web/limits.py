"""How often somebody may ask: a moving window per key, in this process's memory."""

import math
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from commun.errors import ConfigError, TooManyRequests


class RateLimits:
    """One limit, such as ``600/minute``. A key is whoever is counted: an account, an API key's id, an address."""

    def __init__(self, spec: str, *, setting: str = "rate_limit") -> None:
        try:
            self._limit = parse(spec)
        except ValueError as error:
            raise ConfigError(setting=setting, reason=f"“{spec}” is not like 600/minute") from error
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    def check(self, key: str) -> None:
        """Counts one request. Raises TooManyRequests with the seconds until the next one is granted."""
        if not self._windows.hit(self._limit, key):
            reset = self._windows.get_window_stats(self._limit, key).reset_time
            raise TooManyRequests(retry_after=max(1, math.ceil(reset - time.time())))
