"""Whose JSON Schema is tried when, what is remembered, and how many may wait."""

import asyncio
import threading
from pathlib import Path

import pytest

from commun.engine import grammar_check
from commun.engine.grammar_check import EACH, WAITING, GrammarCheck, GrammarProcess
from commun.errors import EngineFailed, InvalidParameter, QueueFull, TooManyWaiting

pytestmark = pytest.mark.anyio


class Scripted(GrammarProcess):
    """Finds good what begins so, in the order of ``tried``; each waits until the gate is open."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tried: list[str] = []
        self.gate = threading.Event()
        self.begun = threading.Event()

    def compiles(self, schema: str) -> bool:
        self.tried.append(schema)
        self.begun.set()
        assert self.gate.wait(60)
        return schema.startswith("good")


@pytest.fixture
def process(tmp_path: Path) -> Scripted:
    return Scripted(tmp_path)


async def results(*asked: asyncio.Task[None]) -> list[BaseException | None]:
    return await asyncio.gather(*asked, return_exceptions=True)


async def asking(check: GrammarCheck, *schemas: str, asker: str = "") -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(check.check(schema, asker)) for schema in schemas]
    await asyncio.sleep(0)  # each has taken its turn, in this order
    return tasks


async def test_what_came_out_is_remembered_good_or_bad(process: Scripted) -> None:
    check = GrammarCheck(process)
    process.gate.set()
    for _ in range(3):
        await check.check("good")
        with pytest.raises(InvalidParameter):
            await check.check("bad")
        await check.check("{}")
    assert process.tried == ["good", "bad"]


async def test_only_so_many_are_remembered_and_the_oldest_go_first(
    process: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar_check, "REMEMBERED", 2)
    check = GrammarCheck(process)
    process.gate.set()
    for schema in ("good 1", "good 2", "good 1", "good 3", "good 1", "good 2"):
        await check.check(schema)
    assert process.tried == ["good 1", "good 2", "good 3", "good 2"]


async def test_one_schema_that_many_ask_for_at_once_is_tried_once(process: Scripted) -> None:
    check = GrammarCheck(process)
    tasks = [task for asker in "abc" for task in await asking(check, "good", asker=asker)]
    process.gate.set()
    assert await results(*tasks) == [None] * 3
    assert process.tried == ["good"]


async def test_askers_take_turns(process: Scripted) -> None:
    check = GrammarCheck(process)
    many = await asking(check, *(f"bad {number}" for number in range(5)), asker="many")
    assert await asyncio.to_thread(process.begun.wait, 60)
    few = await asking(check, "good", asker="few")
    process.gate.set()
    assert await results(*few) == [None]
    assert process.tried.index("good") <= 2
    assert all(isinstance(each, InvalidParameter) for each in await results(*many))


async def test_no_more_wait_than_there_is_patience_for(process: Scripted) -> None:
    check = GrammarCheck(process)
    held = []
    for asker in range(WAITING // EACH):
        schemas = [f"good {asker} {number}" for number in range(EACH)]
        held += await asking(check, *schemas, asker=str(asker))
        if asker == 0:
            with pytest.raises(TooManyWaiting):
                await check.check("one more", "0")
    with pytest.raises(QueueFull):
        await check.check("one more", "somebody else")
    process.gate.set()
    assert await results(*held) == [None] * WAITING
    await check.check("good, later", "0")


async def test_whoever_leaves_ends_nobody_s_question(process: Scripted) -> None:
    check = GrammarCheck(process)
    gone, stays = await asking(check, "good", "good")
    gone.cancel()
    process.gate.set()
    first, second = await results(gone, stays)
    assert isinstance(first, asyncio.CancelledError)
    assert second is None


async def test_a_process_that_cannot_start_refuses_nothing_for_good(tmp_path: Path) -> None:
    """There is no model in that folder."""
    check = GrammarCheck(GrammarProcess(tmp_path))
    for _ in range(2):
        with pytest.raises(EngineFailed):
            await check.check('{"type": "string"}')
    await check.close()
    with pytest.raises(EngineFailed):
        await check.check('{"type": "string"}')
