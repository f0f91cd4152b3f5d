import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from charters import CHARTER, Fixed, in_force
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines
from commun.assistant.question import Question
from commun.assistant.turn import Assistant, Began, Done, Failed, Queued, Turn, TurnEvent
from commun.charter.errors import NoCharter, OutsideCharter
from commun.engine.base import Delta, EngineState, Message
from commun.errors import EngineFailed, EngineLoading, InternalError, MessageTooLong, QueueFull
from commun.receipts.issue import Receipt
from commun.store.conversations import MessageState
from fake_engine import FakeEngine
from issuers import TestIssuer, issuer

pytestmark = pytest.mark.anyio
QUESTION = Question(messages=(Message("user", "Who are you?"),))


class Notebook:
    """A record that remembers what it was given."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.kept: list[tuple[dict[str, Any], MessageState]] = []
        self.receipts: list[Receipt | None] = []
        self.checkpoints: list[dict[str, Any]] = []

    async def checkpoint(self, content: dict[str, Any]) -> None:
        self.checkpoints.append(content)

    async def keep(self, content: dict[str, Any], state: MessageState, receipt: Receipt | None) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.kept.append((content, state))
        self.receipts.append(receipt)


def assistant_on(
    engine: FakeEngine,
    *,
    running: int = 4,
    waiting: int = 4,
    charter: Fixed | None = None,
    issuing: TestIssuer | None = None,
) -> Assistant:
    return Assistant(
        charter=charter or Fixed(in_force()),
        engines=Engines(lambda _wish: engine),
        admission=Admission(running=running, waiting=waiting),
        meter=EnergyMeter(watt=10),
        issuer=issuing.issuer if issuing else issuer(),
    )


async def events_of(turn: Turn, after: int = 0) -> list[TurnEvent]:
    return [event async for _number, event in turn.follow(after)]


async def test_an_answer_is_told_piece_by_piece_and_kept_before_it_is_told_as_done() -> None:
    notebook = Notebook()
    turn = assistant_on(FakeEngine("One two three")).begin(QUESTION, notebook)
    kept_when_done = None
    pieces = []
    async for _number, event in turn.follow():
        if isinstance(event, Delta):
            pieces.append(event.text)
        if isinstance(event, Done):
            kept_when_done = list(notebook.kept)
            assert event.answer.text == "One two three" == "".join(pieces)
            assert event.answer.completion_tokens == len(event.answer.token_ids) == len(event.answer.logprobs)
            assert event.answer.energy_wh > 0
    assert kept_when_done is not None
    assert kept_when_done[0][0]["text"] == "One two three"
    assert kept_when_done[0][1] is MessageState.COMPLETE


async def test_a_stopped_answer_keeps_what_was_written_and_frees_its_place() -> None:
    notebook = Notebook()
    engine = FakeEngine("word " * 1000, delay_s=0.001)
    assistant = assistant_on(engine)
    turn = assistant.begin(QUESTION, notebook)
    async for _number, event in turn.follow():
        if isinstance(event, Delta):
            turn.stop()
    content, state = notebook.kept[0]
    assert state is MessageState.STOPPED
    assert content["text"].startswith("word")
    assert content["finish_reason"] == "cancelled"
    assert engine.cancelled == 1
    assert assistant.running == 0


async def test_who_stops_while_waiting_leaves_the_queue() -> None:
    engine = FakeEngine("word " * 1000, delay_s=0.001)
    assistant = assistant_on(engine, running=1)
    first = assistant.begin(QUESTION)
    second = assistant.begin(QUESTION)
    await asyncio.sleep(0.01)
    second.stop()
    ended = await events_of(second)
    assert isinstance(ended[0], Queued)
    assert isinstance(ended[-1], Done)
    assert len(engine.calls) == 1
    first.stop()
    await events_of(first)
    assert (assistant.running, assistant.waiting) == (0, 0)


async def test_an_engine_that_fails_ends_the_answer_visibly_and_what_was_written_is_kept() -> None:
    notebook = Notebook()
    turn = assistant_on(FakeEngine("one two three four", fail_after=2)).begin(QUESTION, notebook)
    last = (await events_of(turn))[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, EngineFailed)
    content, state = notebook.kept[0]
    assert state is MessageState.FAILED
    assert content["text"].split() == ["one", "two"]
    assert content["error"] == "engine_failed"


async def test_an_unforeseen_failure_is_an_internal_error_and_not_silence() -> None:
    engine = FakeEngine(lambda _prompt, _sampling: 1 / 0)  # type: ignore[arg-type,return-value]
    last = (await events_of(assistant_on(engine).begin(QUESTION)))[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, InternalError)


async def test_an_answer_that_cannot_be_kept_is_never_told_as_done() -> None:
    last = (await events_of(assistant_on(FakeEngine("a b")).begin(QUESTION, Notebook(broken=True))))[-1]
    assert isinstance(last, Failed)
    assert last.answer.text == "a b"


async def test_a_question_that_is_too_long_fails_before_the_engine_is_asked() -> None:
    engine = FakeEngine(context_length=5)
    last = (await events_of(assistant_on(engine).begin(QUESTION)))[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, MessageTooLong)
    assert engine.calls == []


async def test_no_turn_begins_on_an_engine_that_is_not_ready_nor_beyond_the_waiting_room() -> None:
    with pytest.raises(EngineLoading):
        assistant_on(FakeEngine(state=EngineState.LOADING)).begin(QUESTION)
    with pytest.raises(EngineFailed):
        assistant_on(FakeEngine(state=EngineState.FAILED)).begin(QUESTION)
    assistant = assistant_on(FakeEngine("x", delay_s=1), running=1, waiting=0)
    assistant.begin(QUESTION)
    with pytest.raises(QueueFull):
        assistant.begin(QUESTION)
    await assistant.close()


async def test_what_was_dropped_is_told_with_the_beginning_and_in_the_answer() -> None:
    engine = FakeEngine("ok", context_length=80)
    messages = (Message("user", "old " * 60), Message("assistant", "yes"), Message("user", "new"))
    events = await events_of(assistant_on(engine).begin(Question(messages=messages)))
    began = next(event for event in events if isinstance(event, Began))
    assert began.dropped_messages == 2
    assert isinstance(events[-1], Done)
    assert events[-1].answer.dropped_messages == 2


async def test_closing_the_server_keeps_unfinished_answers_as_interrupted() -> None:
    notebook = Notebook()
    assistant = assistant_on(FakeEngine("word " * 1000, delay_s=0.001))
    turn = assistant.begin(QUESTION, notebook)
    async for _number, event in turn.follow():
        if isinstance(event, Delta):
            break
    await assistant.close()
    assert notebook.kept[0][1] is MessageState.INTERRUPTED


async def test_watchers_hear_of_each_end_once() -> None:
    heard: list[str] = []
    assistant = assistant_on(FakeEngine("a"))
    assistant.watch(lambda answer, error: heard.append(answer.text if error is None else error.code))
    await events_of(assistant.begin(QUESTION))
    assert heard == ["a"]


async def test_a_turn_ends_under_the_edition_that_it_began_with() -> None:
    funny = replace(CHARTER, prompts=replace(CHARTER.prompts, persona="clown"))
    charter = Fixed(in_force())
    gate = asyncio.Event()
    engine = FakeEngine("a b", gate=gate)
    assistant = assistant_on(engine, charter=charter)
    before = assistant.begin(QUESTION)
    charter.set(in_force(funny, 2))
    after = assistant.begin(QUESTION)
    gate.set()
    answers = [(await events_of(turn))[-1].answer for turn in (before, after)]
    assert [(answer.edition, answer.persona) for answer in answers] == [(1, ""), (2, "clown")]
    assert answers[0].charter != answers[1].charter
    prompts = {call.messages[0].content for call, _sampling in engine.calls}
    assert prompts == {"Rule one.", "Rule one.\n\nBe funny."}


async def test_an_answer_says_under_which_rules_it_was_written() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    one = in_force(stale_since=since)
    notebook = Notebook()
    question = replace(QUESTION, persona="clown", language="fr")
    await events_of(assistant_on(FakeEngine("a"), charter=Fixed(one)).begin(question, notebook))
    content = notebook.kept[0][0]
    told = {name: content[name] for name in ("edition", "charter", "persona", "language", "stale")}
    assert told == {
        "edition": 1,
        "charter": one.edition.digest,
        "persona": "clown",
        "language": "fr",
        "stale": True,
    }


async def test_without_a_charter_nothing_is_answered_and_a_running_answer_ends() -> None:
    charter = Fixed(in_force())
    gate = asyncio.Event()
    assistant = assistant_on(FakeEngine("a b", gate=gate), charter=charter)
    running = assistant.begin(QUESTION)
    charter.set(NoCharter())
    with pytest.raises(NoCharter):
        assistant.begin(QUESTION)
    gate.set()
    assert isinstance((await events_of(running))[-1], Done)


async def test_a_wish_beyond_the_charter_begins_nothing() -> None:
    engine = FakeEngine()
    assistant = assistant_on(engine)
    with pytest.raises(OutsideCharter):
        assistant.begin(replace(QUESTION, temperature=2.5))
    assert (assistant.running, engine.calls) == (0, [])
