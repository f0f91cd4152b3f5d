"""What a browser is in the middle of: kept for minutes, taken once, and never more than there is room for."""

from commun.web.provider import GOOD_FOR_S, Tries


def test_a_try_is_taken_once_and_ends_after_its_minutes() -> None:
    now = [0.0]
    tries: Tries[str] = Tries(clock=lambda: now[0])
    first, second = tries.keep("first"), tries.keep("second")
    assert first != second
    assert tries.find(first) == tries.take(first) == "first"
    assert tries.find(first) is tries.take(first) is None
    now[0] = GOOD_FOR_S - 1
    assert tries.find(second) == "second"
    now[0] = GOOD_FOR_S
    assert tries.find(second) is tries.take(second) is None
    assert tries.find("") is None


def test_whoever_begins_very_often_pushes_out_the_oldest() -> None:
    tries: Tries[int] = Tries(size=3)
    tokens = [tries.keep(number) for number in range(5)]
    assert [tries.find(token) for token in tokens] == [None, None, 2, 3, 4]
