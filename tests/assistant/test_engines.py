"""The engine follows the charter: a new one for a new wish, the old one until its last answer, never another."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from charters import CHARTER, Fixed, in_force, model
from commun.app import follow_charter
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines, EngineWish, wish_of
from commun.assistant.question import Question
from commun.assistant.turn import Assistant, Done, Turn
from commun.charter.clauses import Charter, Models, Profile
from commun.charter.errors import ModelNotAdopted
from commun.engine.base import EngineState, Message
from commun.errors import EngineFailed, EngineLoading
from fake_engine import FakeEngine
from issuers import issuer

pytestmark = pytest.mark.anyio
QUESTION = Question(messages=(Message("user", "Hello"),))
OTHER = replace(CHARTER, models=Models("other", (model(), model("other", "1" * 64))))
FAST = replace(CHARTER, sampling=replace(CHARTER.sampling, profile=Profile.FAST))
REWORDED = replace(CHARTER, prompts=replace(CHARTER.prompts, language="fr"))


class Workshop:
    """Builds scripted engines and remembers them; ``gates`` hold their answers back."""

    def __init__(self, *, room: bool = True, **fake: Any) -> None:
        self.fake = fake
        self.built: list[tuple[EngineWish, FakeEngine]] = []
        self.charter = Fixed(in_force())
        self.engines = Engines(self.build, has_room_beside=lambda _wish: room)
        follow_charter(self.charter, self.engines)
        self.assistant = Assistant(
            charter=self.charter,
            engines=self.engines,
            admission=Admission(running=4, waiting=4),
            meter=EnergyMeter(watt=10),
            issuer=issuer(),
        )

    def build(self, wish: EngineWish) -> FakeEngine:
        engine = FakeEngine(f"{wish.model.id} {wish.profile}", **self.fake)
        engine.state = EngineState.LOADING
        self.built.append((wish, engine))
        return engine

    async def adopt(self, charter: Charter, number: int = 2) -> None:
        self.charter.set(in_force(charter, number))
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def answer(turn: Turn) -> str:
    events = [event async for _number, event in turn.follow()]
    assert isinstance(events[-1], Done)
    return events[-1].answer.text


async def test_a_new_edition_with_the_same_wish_keeps_its_engine() -> None:
    shop = Workshop()
    await shop.adopt(CHARTER, 1)
    await shop.adopt(REWORDED, 2)
    assert len(shop.built) == 1
    assert wish_of(REWORDED) == wish_of(CHARTER)


@pytest.mark.parametrize(
    ("charter", "said"),
    [
        (OTHER, "other exact"),
        (FAST, "default fast"),
        (replace(CHARTER, context=replace(CHARTER.context, most_tokens=99)), "default exact"),
    ],
    ids=["model", "profile", "context"],
)
async def test_another_wish_gets_another_engine_and_running_answers_end_on_the_old(charter: Charter, said: str) -> None:
    gate = asyncio.Event()
    shop = Workshop(gate=gate)
    await shop.adopt(CHARTER, 1)
    before = shop.assistant.begin(QUESTION)
    await settle()
    await shop.adopt(charter)
    after = shop.assistant.begin(QUESTION)
    (_, old), (_, new) = shop.built
    assert (old.state, new.state) == (EngineState.READY, EngineState.READY)
    gate.set()
    assert [await answer(before), await answer(after)] == ["default exact", said]
    await settle()
    assert (old.state, new.state) == (EngineState.CLOSED, EngineState.READY)
    assert [len(engine.calls) for engine in (old, new)] == [1, 1]


async def test_until_the_new_engine_has_loaded_questions_wait_and_the_old_one_is_not_asked() -> None:
    loaded = asyncio.Event()

    class Slow(FakeEngine):
        async def start(self) -> None:
            await loaded.wait()
            await super().start()

    shop = Workshop()
    await shop.adopt(CHARTER, 1)
    shop.engines._build = lambda _wish: Slow(state=None)
    slow = Slow()
    slow.state = EngineState.LOADING
    shop.engines._build = lambda _wish: slow
    await shop.adopt(OTHER)
    assert shop.assistant.state is EngineState.LOADING
    with pytest.raises(EngineLoading):
        shop.assistant.begin(QUESTION)
    loaded.set()
    await settle()
    await answer(shop.assistant.begin(QUESTION))
    assert (len(slow.calls), shop.built[0][1].calls) == (1, [])


async def test_without_memory_for_two_the_old_one_ends_first() -> None:
    gate = asyncio.Event()
    shop = Workshop(room=False, gate=gate)
    await shop.adopt(CHARTER, 1)
    before = shop.assistant.begin(QUESTION)
    await settle()
    await shop.adopt(OTHER)
    (_, old), (_, new) = shop.built
    assert (new.starts, old.state) == (0, EngineState.READY)
    gate.set()
    await answer(before)
    await settle()
    assert (new.starts, old.state) == (1, EngineState.CLOSED)


async def test_editions_that_follow_each_other_quickly_leave_one_engine() -> None:
    shop = Workshop()
    for number, charter in enumerate([CHARTER, OTHER, FAST, CHARTER, OTHER], start=1):
        shop.charter.set(in_force(charter, number))
    await settle()
    await settle()
    assert [engine.state for _, engine in shop.built[:-1]] == [EngineState.CLOSED] * 4
    assert await answer(shop.assistant.begin(QUESTION)) == "other exact"


async def test_a_question_between_the_adoption_and_its_news_is_not_answered_by_the_old_engine() -> None:
    shop = Workshop()
    await shop.adopt(CHARTER, 1)
    shop.charter._held = in_force(OTHER, 2)
    with pytest.raises(EngineLoading):
        shop.assistant.begin(QUESTION)
    await settle()
    assert await answer(shop.assistant.begin(QUESTION)) == "other exact"


async def test_a_model_that_was_not_adopted_is_refused_by_its_name_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("commun.assistant.engines.RETRY_S", (0.0,))
    mended = False

    class Refusing(FakeEngine):
        async def start(self) -> None:
            if not mended:
                await asyncio.sleep(0.001)
                raise ModelNotAdopted(model="default", reason="the SHA-256 of a file is wrong")
            await super().start()

    engine = Refusing()
    engine.state = EngineState.LOADING
    engines = Engines(lambda _wish: engine)
    with pytest.raises(ModelNotAdopted):
        await engines.load(CHARTER)
    assert engines.state is EngineState.FAILED
    with pytest.raises(ModelNotAdopted):
        engines.get(CHARTER)
    mended = True
    async with asyncio.timeout(120):
        while engines.state is not EngineState.READY:  # noqa: ASYNC110  (nobody is told)
            await asyncio.sleep(0.005)
    assert engines.get(CHARTER) is engine
    await engines.close()


async def test_any_other_failure_to_load_is_told_as_one() -> None:
    class Broken(FakeEngine):
        async def start(self) -> None:
            raise RuntimeError("a bug")

    engine = Broken()
    engine.state = EngineState.LOADING
    engines = Engines(lambda _wish: engine)
    with pytest.raises(EngineFailed):
        await engines.load(CHARTER)
    with pytest.raises(EngineFailed):
        engines.get(CHARTER)
    await engines.close()
    assert engine.state is EngineState.CLOSED
