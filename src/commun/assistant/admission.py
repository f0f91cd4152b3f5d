"""Who may be answered now, who waits, who is told to come back; shared fairly by those who ask.

Rules:

- at most ``running`` answers are written at once, and at most ``waiting`` questions wait. What counts is the person
  (an account): pages, API keys and browser tabs of one person share what is one person's;
- a free place goes to whoever has used least. Use is the time for which places were held, over a clock of its own
  (start-time fair queueing): who comes back after a pause starts where the others are, so nobody saves up turns and
  nobody waits for more than one answer of each other person between two of their own, as long as answers take alike.
  A person's own questions go first come, first served;
- while others are about (they asked within ABOUT_S), one person has at most ``each`` answers written at once and a
  quarter of the waiting room; alone, all but an eighth of both: whoever comes next finds a place at once;
- an account, and a key within it, may have a bound of its own on answers at once (``Share.bounds``), whoever is about.
  More of its questions wait, and hold up nobody else's;
- whoever has a class's code can be as many guests as the class has places. So all guests of one class together have at
  most half of the places and half of the waiting room, and guests of all classes all but an eighth of both: accounts
  always find one. Inside, each guest is a person;
- no place is left free while somebody may have it.

Owned by the event loop: nothing here is for threads.
"""

import asyncio
import heapq
import itertools
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from commun.errors import QueueFull, TooManyWaiting

FIRST_GUESS_S: Final = 10.0  # how long an answer takes, before any was seen
SMOOTHING: Final = 0.2  # weight of the newest answer in the running mean
LEAST_COST_S: Final = 0.01  # that a place costs, however short the answer: turns must pass
MOST_COST_S: Final = 60.0  # that one answer counts for: a very long one does not shut its owner out
MAX_RETRY_AFTER_S: Final = 120
ABOUT_S: Final = 600.0  # somebody who asked so recently may ask again
KEPT_FREE: Final = 8  # one place in so many is not for one person alone
WAITING_SHARE: Final = 4  # of the waiting room, for one person while others are about
CLASS_SHARE: Final = 2  # of all places and of the waiting room, for all guests of one class together


@dataclass(frozen=True, slots=True)
class Share:
    """Whose question it is. ``owner``: an account; "": nobody's, such as the terminal's. ``bounds``: (name, most
    answers at once), of the account or of a key; names of different things differ. ``key``: the API key's id, or "".
    ``class_id``: of the class that the owner is a guest of, whose tokens and places are counted; "" for an account.
    """

    owner: str = ""
    bounds: tuple[tuple[str, int], ...] = ()
    key: str = ""
    class_id: str = ""

    def belongs_to(self, name: str) -> bool:
        """``name``: of an account, of a guest or of a class."""
        return name in {self.owner, self.class_id}


NOBODY: Final = Share()


class Ticket:
    """One question's place. ``leave`` must be called once it is over, whether it ever ran or not."""

    __slots__ = ("_admission", "_place", "_tell", "_turn_came", "cost", "number", "share", "started")

    def __init__(self, admission: "Admission", tell: Callable[[int], None], share: Share, number: int) -> None:
        self._admission = admission
        self._tell = tell
        self._turn_came = asyncio.Event()
        self._place = 0
        self.share = share
        self.number = number  # in the order of asking
        self.started = 0.0
        self.cost = 0.0  # what its owner was charged in advance

    async def wait(self) -> None:
        """Returns when the answer may be written; meanwhile ``tell`` is called with each new place in the queue."""
        await self._turn_came.wait()

    @property
    def waited(self) -> bool:
        """Whether it was ever told a place."""
        return self._place > 0

    def leave(self) -> None:
        self._admission.leave(self)

    def admit(self, now: float, cost: float) -> None:
        self.started = now
        self.cost = cost
        self._turn_came.set()

    def told(self, place: int) -> None:
        if place != self._place:
            self._place = place
            self._tell(place)


@dataclass(slots=True)
class _Owner:
    """``used``: on the clock of all, up to when their places are paid for. ``seen``: when they last asked or left."""

    used: float = 0.0
    running: int = 0
    seen: float = 0.0
    waiting: deque[Ticket] = field(default_factory=deque)


class Admission:
    """``running``, ``waiting``: bounds, in answers and questions. ``each``: answers of one person while others are
    about; 0: as alone.
    """

    def __init__(
        self, *, running: int, waiting: int, each: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._running_bound = running
        self._waiting_bound = waiting
        self._each = each
        self._clock = clock
        self._owners: dict[str, _Owner] = {}
        self._running: set[Ticket] = set()
        self._bounded: Counter[str] = Counter()  # answers that run, by the names of bounds
        self._waiting = 0
        self._running_of: Counter[str] = Counter()  # answers, by the class of whoever asked
        self._waiting_of: Counter[str] = Counter()  # questions, likewise
        self._numbers = itertools.count()
        self._served = 0.0  # the clock of all: what whoever was served last had used
        self._mean_s = FIRST_GUESS_S

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return self._waiting

    def join(self, tell: Callable[[int], None], share: Share = NOBODY) -> Ticket:
        """A place, at once or in the queue. Raises QueueFull when there is none, or none for this class; TooManyWaiting
        when this owner has their share of the queue.
        """
        self._serve()  # somebody may no longer be about
        owner = self._owners.setdefault(share.owner, _Owner())
        owner.seen = self._clock()
        ticket = Ticket(self, tell, share, next(self._numbers))
        if self._may_run(owner, ticket):  # then nobody who waits may
            self._admit(owner, ticket)
            return ticket
        if self._waiting >= self._waiting_bound:
            raise QueueFull(retry_after=self._retry_after(self._waiting))
        if len(owner.waiting) >= self._most_waiting(share.owner):
            raise TooManyWaiting(retry_after=self._retry_after(len(owner.waiting)))
        if not _have_room(share.class_id, self._waiting_of, self._waiting_bound):
            raise QueueFull(retry_after=self._retry_after(self._waiting))
        owner.waiting.append(ticket)
        self._waiting += 1
        self._waiting_of[share.class_id] += 1
        self._tell_places()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        owner = self._owners.get(ticket.share.owner)
        if owner is None:
            return
        if ticket in self._running:
            self._end(owner, ticket)
        elif ticket in owner.waiting:
            self._end_waiting(owner, ticket)
        else:
            return
        owner.seen = self._clock()
        self._serve()
        self._tell_places()

    def _serve(self) -> None:
        """Everybody who may run now, in their order."""
        self._forget()
        while (following := self._next()) is not None:
            self._admit(*following)
        if not self._running and not self._waiting:
            self._served = max((owner.used for owner in self._owners.values()), default=self._served)

    def _end_waiting(self, owner: _Owner, ticket: Ticket) -> None:
        owner.waiting.remove(ticket)
        self._waiting -= 1
        _take(self._waiting_of, ticket.share.class_id)

    def _end(self, owner: _Owner, ticket: Ticket) -> None:
        self._running.remove(ticket)
        owner.running -= 1
        _take(self._running_of, ticket.share.class_id)
        self._bounded.subtract(name for name, _ in ticket.share.bounds)
        self._bounded = +self._bounded
        taken = self._clock() - ticket.started
        self._mean_s += SMOOTHING * (taken - self._mean_s)
        owner.used += min(max(taken, LEAST_COST_S), MOST_COST_S) - ticket.cost

    def _admit(self, owner: _Owner, ticket: Ticket) -> None:
        if ticket in owner.waiting:
            self._end_waiting(owner, ticket)
        self._served = max(self._served, owner.used)
        cost = min(max(self._mean_s, LEAST_COST_S), MOST_COST_S)
        owner.used = self._served + cost
        owner.running += 1
        self._running_of[ticket.share.class_id] += 1
        self._bounded.update(name for name, _ in ticket.share.bounds)
        self._running.add(ticket)
        ticket.admit(self._clock(), cost)

    # --- who is next ---

    def _next(self) -> tuple[_Owner, Ticket] | None:
        """Whose turn it is: of those who may run, who has used least, and of equals who asked first."""
        found: tuple[_Owner, Ticket] | None = None
        least = (math.inf, 0)
        for owner in self._owners.values():
            ticket = next((each for each in owner.waiting if self._may_run(owner, each)), None)
            if ticket is not None and (self._due(owner), ticket.number) < least:
                least = self._due(owner), ticket.number
                found = owner, ticket
        return found

    def _due(self, owner: _Owner) -> float:
        return max(self._served, owner.used)

    def _may_run(self, owner: _Owner, ticket: Ticket) -> bool:
        if len(self._running) >= self._running_bound or owner.running >= self._most_running(ticket.share.owner):
            return False
        if not _have_room(ticket.share.class_id, self._running_of, self._running_bound):
            return False
        return all(self._bounded[name] < max(1, most) for name, most in ticket.share.bounds)

    def _most_running(self, name: str) -> int:
        if self._each and self._are_others_about(name):
            return min(self._each, self._running_bound)
        return self._running_bound - self._running_bound // KEPT_FREE

    def _most_waiting(self, name: str) -> int:
        if self._each and self._are_others_about(name):
            return max(1, self._waiting_bound // WAITING_SHARE)
        return max(1, self._waiting_bound - self._waiting_bound // KEPT_FREE)

    def _are_others_about(self, name: str) -> bool:
        return any(each != name for each in self._owners)

    def _forget(self) -> None:
        """Those who have not been about for long, and are not being answered."""
        now = self._clock()
        gone = [
            name
            for name, owner in self._owners.items()
            if not owner.running and not owner.waiting and now - owner.seen > ABOUT_S
        ]
        for name in gone:
            del self._owners[name]

    # --- what is told ---

    def _tell_places(self) -> None:
        for place, ticket in enumerate(self._order(), start=1):
            ticket.told(place)

    def _order(self) -> Iterator[Ticket]:
        """Those who wait, in the order in which they are served if nobody else comes and answers take alike."""
        mean = min(max(self._mean_s, LEAST_COST_S), MOST_COST_S)
        queues = [
            (self._due(owner), owner.waiting[0].number, deque(owner.waiting))
            for owner in self._owners.values()
            if owner.waiting
        ]
        heapq.heapify(queues)
        while queues:
            due, _, tickets = heapq.heappop(queues)
            yield tickets.popleft()
            if tickets:
                heapq.heappush(queues, (due + mean, tickets[0].number, tickets))

    def _retry_after(self, before: int) -> int:
        """Seconds until so many have probably had their turn."""
        rounds = math.ceil((before + 1) / self._running_bound)
        return max(1, min(MAX_RETRY_AFTER_S, math.ceil(self._mean_s * rounds)))


def _have_room(class_id: str, taken: Counter[str], bound: int) -> bool:
    """Whether a guest of this class may have one more of so many; whoever has an account may, as far as this goes."""
    if not class_id:
        return True
    of_all = taken.total() - taken[""]
    return taken[class_id] < max(1, bound // CLASS_SHARE) and of_all < max(1, bound - bound // KEPT_FREE)


def _take(counts: Counter[str], name: str) -> None:
    """One less; of nothing nothing is remembered."""
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
