import pytest

from commun.assistant.admission import Admission
from commun.errors import QueueFull

pytestmark = pytest.mark.anyio


async def test_a_free_place_is_taken_at_once_and_no_place_is_told() -> None:
    told: list[int] = []
    ticket = Admission(running=1, waiting=1).join(told.append)
    await ticket.wait()
    assert told == []


async def test_who_waits_hears_each_new_place_until_the_turn_comes() -> None:
    admission = Admission(running=1, waiting=3)
    first = admission.join(lambda _: None)
    second_told: list[int] = []
    third_told: list[int] = []
    second = admission.join(second_told.append)
    third = admission.join(third_told.append)
    assert (second_told, third_told) == ([1], [2])
    first.leave()
    await second.wait()
    assert third_told == [2, 1]
    second.leave()
    await third.wait()
    assert (admission.running, admission.waiting) == (1, 0)


async def test_beyond_the_waiting_room_one_is_told_when_to_come_back() -> None:
    admission = Admission(running=1, waiting=1)
    admission.join(lambda _: None)
    admission.join(lambda _: None)
    with pytest.raises(QueueFull) as refusal:
        admission.join(lambda _: None)
    assert 1 <= refusal.value.retry_after <= 120


async def test_leaving_the_queue_moves_those_behind_and_leaving_twice_does_nothing() -> None:
    admission = Admission(running=1, waiting=2)
    admission.join(lambda _: None)
    impatient = admission.join(lambda _: None)
    told: list[int] = []
    admission.join(told.append)
    impatient.leave()
    impatient.leave()
    assert told == [2, 1]
    assert (admission.running, admission.waiting) == (1, 1)


async def test_a_newcomer_never_overtakes_who_waits() -> None:
    admission = Admission(running=1, waiting=2)
    first = admission.join(lambda _: None)
    second = admission.join(lambda _: None)
    first.leave()
    told: list[int] = []
    admission.join(told.append)
    assert told == [1]
    await second.wait()
