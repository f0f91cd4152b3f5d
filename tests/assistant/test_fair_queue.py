"""Places are shared fairly: whatever people do, bounds hold, nobody starves, no place stays free, places are told right."""

import contextlib
import itertools
from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from commun.assistant.admission import ABOUT_S, Admission, Share, Ticket
from commun.errors import QueueFull, TooManyWaiting

OWNERS = ("ada", "bob", "cyd", "")
GUESTS = {"guest 1": "4b", "guest 2": "4b", "guest 3": "4b", "guest 4": "9a"}
RUNNING, WAITING, EACH = 8, 12, 3


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Asked:
    """A question as a test sees it."""

    def __init__(self, admission: Admission, share: Share) -> None:
        self.share = share
        self.places: list[int] = []
        self.ticket: Ticket = admission.join(self.places.append, share)

    @property
    def runs(self) -> bool:
        return self.ticket._turn_came.is_set()


def house(**changes) -> tuple[Admission, Clock]:
    clock = Clock()
    return Admission(**({"running": RUNNING, "waiting": WAITING, "each": EACH, "clock": clock} | changes)), clock


class Crowd(RuleBasedStateMachine):
    """People ask, give up and are answered in any order; a key of Ada's has a bound of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.admission, self.clock = house()
        self.asked: list[Asked] = []

    @rule(owner=st.sampled_from((*OWNERS, *GUESTS)), with_key=st.booleans())
    def ask(self, owner: str, with_key: bool) -> None:
        bounds = (("ada's key", 2),) if owner == "ada" and with_key else ()
        class_id = GUESTS.get(owner, "")
        mine = sum(not each.runs for each in self.asked if each.share.owner == owner)
        of_class = sum(not each.runs for each in self.asked if each.share.class_id == class_id)
        of_guests = sum(not each.runs for each in self.asked if each.share.class_id)
        waiting = self.admission.waiting
        try:
            self.asked.append(Asked(self.admission, Share(owner, bounds, class_id=class_id)))
        except QueueFull:
            assert waiting == WAITING or (class_id and (of_class == WAITING // 2 or of_guests == WAITING - 1))
        except TooManyWaiting:
            assert mine >= WAITING // 4

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), seconds=st.floats(0, 30))
    def leave(self, data: st.DataObject, seconds: float) -> None:
        self.clock.now += seconds
        gone = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
        gone.ticket.leave()
        gone.ticket.leave()

    @rule(seconds=st.sampled_from([1.0, ABOUT_S + 1]))
    def nothing_happens_for_long(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def counts_are_what_they_are_said_to_be(self) -> None:
        assert self.admission.running == sum(each.runs for each in self.asked)
        assert self.admission.waiting == sum(not each.runs for each in self.asked)

    @invariant()
    def no_bound_is_exceeded(self) -> None:
        assert self.admission.running <= RUNNING
        assert self.admission.waiting <= WAITING
        for guests, running, waiting in ({"4b"}, RUNNING // 2, WAITING // 2), ({"4b", "9a"}, RUNNING - 1, WAITING - 1):
            theirs = [each.runs for each in self.asked if each.share.class_id in guests]
            assert sum(theirs) <= running
            assert len(theirs) - sum(theirs) <= waiting
        running = Counter(each.share.owner for each in self.asked if each.runs)
        assert all(count <= RUNNING - RUNNING // 8 for count in running.values())
        assert sum(each.runs and bool(each.share.bounds) for each in self.asked) <= 2

    @invariant()
    def nobody_waits_who_may_have_a_free_place(self) -> None:
        if self.admission.running == RUNNING:
            return
        running = Counter(each.share.owner for each in self.asked if each.runs)
        by_key = sum(each.runs and bool(each.share.bounds) for each in self.asked)
        for each in self.asked:
            if not each.runs:
                of_class = sum(one.runs for one in self.asked if one.share.class_id == each.share.class_id)
                of_guests = sum(one.runs for one in self.asked if one.share.class_id)
                assert (
                    running[each.share.owner] >= EACH
                    or (each.share.bounds and by_key >= 2)
                    or (each.share.class_id and (of_class == RUNNING // 2 or of_guests == RUNNING - 1))
                )

    @invariant()
    def places_are_told_to_all_who_wait_each_another(self) -> None:
        waiting = [each for each in self.asked if not each.runs]
        assert sorted(each.places[-1] for each in waiting) == [*range(1, len(waiting) + 1)]
        for owner in (*OWNERS, *GUESTS):
            mine = [each.places[-1] for each in waiting if each.share.owner == owner]
            assert mine == sorted(mine)


Crowd.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestCrowd = Crowd.TestCase


def drained(admission: Admission, clock: Clock, asked: list[Asked], seconds: float = 1.0) -> list[str]:
    """Owners in the order in which they are served, when answers take alike and nobody else comes."""
    order: list[str] = []
    running = deque(each for each in asked if each.runs)
    waiting = [each for each in asked if not each.runs]
    while running:
        clock.now += seconds
        running.popleft().ticket.leave()
        for each in [each for each in waiting if each.runs]:
            waiting.remove(each)
            running.append(each)
            order.append(each.share.owner)
    assert not waiting
    return order


def test_somebody_who_asks_once_is_next_however_much_another_has_asked() -> None:
    admission, clock = house(running=1, waiting=40)
    flood = [Asked(admission, Share("bob")) for _ in range(30)]
    clock.now += 5
    once = Asked(admission, Share("ada"))
    assert once.places == [1]
    assert drained(admission, clock, [*flood, once])[0] == "ada"


@given(counts=st.lists(st.integers(1, 6), min_size=2, max_size=4))
@settings(max_examples=50, deadline=None)
def test_between_two_of_ones_own_answers_each_other_person_has_one(counts) -> None:
    admission, clock = house(running=1, waiting=100, each=0)
    first = Asked(admission, Share("nobody else"))
    asked = [Asked(admission, Share(str(owner))) for owner, count in enumerate(counts) for _ in range(count)]
    order = drained(admission, clock, [first, *asked], seconds=10.0)
    for one in set(order):
        for other in set(order) - {one}:
            places = [place for place, owner in enumerate(order) if owner == one]
            for start, end in itertools.pairwise(places):
                assert order[start:end].count(other) <= 1


def test_nobody_starves_while_others_ask_without_end() -> None:
    admission, clock = house(running=2, waiting=16, each=1)
    running = deque(Asked(admission, Share(owner)) for owner in ("bob", "cyd"))
    flood = [Asked(admission, Share(owner)) for owner in ("bob", "cyd") for _ in range(4)]
    victim = Asked(admission, Share("ada"))
    for served in range(20):
        if victim.runs:
            assert served <= 2
            return
        clock.now += 1
        running.popleft().ticket.leave()
        for each in [each for each in flood if each.runs]:
            flood.remove(each)
            running.append(each)
            flood.append(Asked(admission, each.share))
    pytest.fail("it was never served")


def test_who_has_long_answers_has_fewer_of_them() -> None:
    """Shares are of time: answers of 4 s and of 1 s, both people asking without end, on one place."""
    admission, clock = house(running=1, waiting=16, each=0)
    seconds = {"ada": 1.0, "bob": 4.0}
    waiting = [Asked(admission, Share(owner)) for owner in ("ada", "bob") for _ in range(2)]
    held: Counter[str] = Counter()
    for _ in range(200):
        current = next(each for each in waiting if each.runs)
        owner = current.share.owner
        clock.now += seconds[owner]
        held[owner] += seconds[owner]
        waiting.remove(current)
        current.ticket.leave()
        waiting.append(Asked(admission, Share(owner)))
    assert held["bob"] / held["ada"] == pytest.approx(1, abs=0.1)


def test_alone_one_has_nearly_all_places_and_no_more_than_a_few_once_another_is_about() -> None:
    admission, clock = house(running=16, waiting=16, each=4)
    first = [Asked(admission, Share("bob")) for _ in range(20)]
    assert sum(each.runs for each in first) == 14
    other = Asked(admission, Share("ada"))
    assert other.runs, "an eighth of the places was kept free"
    for each in first[:11]:
        each.ticket.leave()
    assert sum(each.runs for each in first[11:]) == 4
    other.ticket.leave()
    clock.now += ABOUT_S + 1
    first[11].ticket.leave()
    assert sum(each.runs for each in first[12:]) == 8, "alone again"


def test_one_person_who_is_many_guests_leaves_places_to_those_with_an_account() -> None:
    admission, _ = house(running=32, waiting=64, each=8)
    flood = []
    for number in range(200):
        with contextlib.suppress(QueueFull):
            flood.append(Asked(admission, Share(f"guest {number % 20}", class_id="4b")))
    assert (admission.running, admission.waiting) == (16, 32)
    members = [Asked(admission, Share(f"member {number}")) for number in range(16)]
    assert all(each.runs for each in members)
    late = Asked(admission, Share("late"))
    assert not late.runs
    for each in [*flood, *members]:
        each.ticket.leave()
    assert late.runs
    assert (admission.running, admission.waiting) == (1, 0)


def test_one_person_does_not_fill_the_waiting_room() -> None:
    admission, _ = house(running=1, waiting=8)
    Asked(admission, Share("bob"))
    waiting = [Asked(admission, Share("bob")) for _ in range(7)]
    with pytest.raises(TooManyWaiting) as refused:
        Asked(admission, Share("bob"))
    assert 1 <= refused.value.retry_after <= 120
    assert Asked(admission, Share("ada")).places == [1]
    assert [each.places[-1] for each in waiting] == [*range(2, 9)]
    with pytest.raises(QueueFull):
        Asked(admission, Share("ada"))


def test_a_key_that_is_full_holds_up_no_other_question_of_its_owner() -> None:
    admission, _ = house(running=4, waiting=8)
    by_key = [Asked(admission, Share("ada", (("key", 1),))) for _ in range(2)]
    page = Asked(admission, Share("ada"))
    assert [each.runs for each in (*by_key, page)] == [True, False, True]
    by_key[0].ticket.leave()
    assert by_key[1].runs
