"""Who may be answered now, who waits, who is told to come back.

At most ``running`` answers are written at once and at most ``waiting`` questions wait, first come, first served.
Owned by the event loop: nothing here is for threads.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable

from commun.errors import QueueFull

FIRST_GUESS_S = 10.0  # how long an answer takes, before any was seen
SMOOTHING = 0.2  # weight of the newest answer in the running mean
MAX_RETRY_AFTER_S = 120


class Ticket:
    """One question's place. ``leave`` must be called once it is over, whether it ever ran or not."""

    __slots__ = ("_admission", "_tell", "_turn_came", "started")

    def __init__(self, admission: "Admission", tell: Callable[[int], None]) -> None:
        self._admission = admission
        self._tell = tell
        self._turn_came = asyncio.Event()
        self.started = 0.0

    async def wait(self) -> None:
        """Returns when the answer may be written; meanwhile ``tell`` is called with each new place in the queue."""
        await self._turn_came.wait()

    def leave(self) -> None:
        self._admission.leave(self)

    def admit(self) -> None:
        self.started = time.monotonic()
        self._turn_came.set()

    def told(self, place: int) -> None:
        self._tell(place)


class Admission:
    """``running``, ``waiting``: bounds, in answers and questions."""

    def __init__(self, *, running: int, waiting: int) -> None:
        self._running_bound = running
        self._waiting_bound = waiting
        self._running: set[Ticket] = set()
        self._waiting: deque[Ticket] = deque()
        self._mean_s = FIRST_GUESS_S

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def join(self, tell: Callable[[int], None]) -> Ticket:
        """A place, at once or in the queue. Raises QueueFull when there is none."""
        ticket = Ticket(self, tell)
        if len(self._running) < self._running_bound and not self._waiting:
            self._running.add(ticket)
            ticket.admit()
        elif len(self._waiting) < self._waiting_bound:
            self._waiting.append(ticket)
            ticket.told(len(self._waiting))
        else:
            raise QueueFull(retry_after=self._retry_after())
        return ticket

    def leave(self, ticket: Ticket) -> None:
        if ticket in self._running:
            self._running.remove(ticket)
            taken = time.monotonic() - ticket.started
            self._mean_s += SMOOTHING * (taken - self._mean_s)
        elif ticket in self._waiting:
            self._waiting.remove(ticket)
        else:
            return
        moved = bool(self._waiting)
        while self._waiting and len(self._running) < self._running_bound:
            following = self._waiting.popleft()
            self._running.add(following)
            following.admit()
        if moved:
            for place, waiting in enumerate(self._waiting, start=1):
                waiting.told(place)

    def _retry_after(self) -> int:
        """Seconds until the queue has probably moved on by a whole round of running answers."""
        rounds = math.ceil((len(self._waiting) + 1) / self._running_bound)
        return max(1, min(MAX_RETRY_AFTER_S, math.ceil(self._mean_s * rounds)))
