"""What readers of a turn are told, and what a stop can end: a turn alone, without an assistant."""

import asyncio

import pytest

from charters import in_force
from commun.assistant.answer import Began, Failed, TurnEvent
from commun.assistant.draft import Draft
from commun.assistant.engines import Terms
from commun.assistant.following import Turn
from commun.assistant.question import Question
from commun.engine.base import Delta, Message, Sampling
from commun.errors import InternalError
from fake_engine import FakeEngine
from issuers import issuer

pytestmark = pytest.mark.anyio
WORDS = ("a ", "b ", "c ", "d")


def new_turn() -> Turn:
    return Turn("one", Terms(in_force(), FakeEngine()))


def end(turn: Turn) -> None:
    question = Question(messages=(Message("user", "Who are you?"),))
    draft = Draft(issuer().begin(turn.id, question, turn.terms), Sampling(1, 8, 0.0), "")
    turn.tell(Failed(InternalError(), draft.answer(), None))


def text_of(events: list[tuple[int, TurnEvent]]) -> str:
    return "".join(event.text for _number, event in events if isinstance(event, Delta))


def said(word: str) -> Delta:
    return Delta((len(word),), word, (-1.0,))


async def test_a_reader_who_comes_back_gets_exactly_what_was_missed() -> None:
    turn = new_turn()
    turn.tell(Began(3, 0))
    turn.tell(said("a "))
    turn.tell(said("b "))
    before = []
    async for number, event in turn.follow():
        before.append((number, event))
        if text_of(before) == "a b ":
            break
    turn.tell(said("c "))
    turn.tell(said("d"))
    end(turn)
    after = [told async for told in turn.follow(after=before[-1][0])]
    assert text_of(before) + text_of(after) == "a b c d"
    assert after[-1][0] == len(turn.events) == 6


async def test_a_slow_reader_gets_what_piled_up_as_one_under_the_last_ones_number() -> None:
    turn = new_turn()
    turn.tell(Began(3, 0))
    for word in WORDS:
        turn.tell(said(word))
    end(turn)
    told = [one async for one in turn.follow()]
    assert [number for number, _event in told] == [1, 5, 6]
    assert told[1][1] == Delta((2, 2, 2, 1), "a b c d", (-1.0,) * 4)


async def test_two_readers_who_wait_are_both_told_and_leave_when_it_has_ended() -> None:
    turn = new_turn()

    async def read() -> str:
        return text_of([one async for one in turn.follow()])

    readers = [asyncio.create_task(read()) for _ in range(2)]
    for word in WORDS:
        await asyncio.sleep(0)
        turn.tell(said(word))
    end(turn)
    assert await asyncio.gather(*readers) == ["a b c d", "a b c d"]


async def test_a_stop_ends_the_writing_and_not_what_keeps_it() -> None:
    turn, begun = new_turn(), asyncio.Event()
    kept = []

    async def run() -> None:
        with turn.stoppable():
            begun.set()
            await asyncio.Event().wait()
        turn.stop()  # too late
        await asyncio.sleep(0)
        kept.append(turn.stopped)

    task = asyncio.create_task(run())
    await begun.wait()
    turn.stop()
    turn.stop()
    await task
    assert kept == [True]


async def test_who_cancels_the_task_itself_ends_it_whether_or_not_somebody_stopped_it() -> None:
    turn, begun = new_turn(), asyncio.Event()

    async def run() -> None:
        with turn.stoppable():
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await begun.wait()
    turn.stop()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
