"""Classes in the tables: a code opens a place for some hours, and nothing more is known of who took it."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from commun.errors import NotFound
from commun.store.accounts import Accounts
from commun.store.class_codes import image_of, new_code
from commun.store.classes import HOUR_S, IDLE_S, LONGEST_S, Classes, ClassFull, ClassOver
from commun.store.erasure import erase_account
from commun.store.own_data import OwnData
from commun.store.schema import classes, guests
from commun.store.usage import Usage

DAY_S = 86_400
START = 20_000.0 * DAY_S + 9 * HOUR_S


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class School:
    """Classes over a store, on a clock of the test's."""

    def __init__(self, store: Any) -> None:
        self.store, self.clock = store, Clock()
        self.accounts = Accounts(store.database, session_days=30, now=self.clock)
        self.classes = Classes(self.accounts, store.database)
        self.teacher = ""

    async def open(self, **options: int) -> str:
        self.teacher = self.teacher or (await self.store.founder()).account_id
        chosen = {"hours": 24, "places": 3, "daily_tokens": 1000} | options
        return await self.classes.open(self.teacher, "History", **chosen)

    async def rows(self, table: Any) -> list[Any]:
        return list(await self.store.database.read(lambda connection: connection.execute(select(table)).all()))


@pytest.fixture
def school(store) -> School:
    return School(store)


AS_TYPED: dict[str, Callable[[str], str]] = {
    "small": str.lower,
    "spaces": lambda code: code.replace("-", " "),
    "together": lambda code: code.replace("-", ""),
    "around": lambda code: f"  {code}\n",
    "long dashes": lambda code: code.replace("-", "\u2013"),
    "letters for digits": lambda code: code.replace("0", "o").replace("1", "l"),
    "capital letters for digits": lambda code: code.replace("0", "O").replace("1", "I"),
}


@pytest.mark.parametrize("typed", AS_TYPED.values(), ids=AS_TYPED.keys())
def test_a_code_is_typed_as_one_hears_it(typed: Callable[[str], str]) -> None:
    for code in [new_code() for _ in range(50)]:
        assert image_of(typed(code)) == image_of(code)


def test_a_code_has_fifty_bits_and_nothing_that_is_taken_for_something_else() -> None:
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(
        re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{3}-[0-9A-HJKMNP-TV-Z]{3}-[0-9A-HJKMNP-TV-Z]{4}", code) for code in codes
    )
    assert len(set("".join(codes))) == 33  # all thirty-two, and the dash


def test_whoever_has_the_code_gets_a_place_and_nobody_is_known(school: School, run) -> None:
    async def scenario() -> None:
        code = await school.open()
        one, two = await school.classes.enter(code), await school.classes.enter(code.lower())
        assert one.guest.class_id == two.guest.class_id
        assert one.guest.id != two.guest.id
        assert await school.classes.guest(one.token) == one.guest
        rows = await school.rows(guests)
        assert len({(row.expires, row.ends) for row in rows}) == 1  # who came first is not told
        assert all(row.expires % 600 == 0 and row.ends % HOUR_S == 0 for row in rows)
        held = str(rows) + str(await school.rows(classes))
        for secret in (code, code.replace("-", ""), one.token, one.guest.id):
            assert secret not in held

    run(scenario())


def test_what_was_never_opened_has_ended_or_was_replaced_is_told_alike(school: School, run) -> None:
    async def scenario() -> None:
        ended, replaced, expired = await school.open(), await school.open(), await school.open(hours=1)
        kept, by_code = (
            await school.classes.enter(replaced),
            {each.id: each for each in await school.classes.list_open()},
        )
        gone = next(row.id for row in await school.rows(classes) if row.code_hash == image_of(ended))
        await school.classes.end(gone)
        new = await school.classes.renew_code(kept.guest.class_id)
        school.clock.now += HOUR_S
        told = set()
        for code in (ended, replaced, expired, new_code(), "", "é\ud800" * 20):
            with pytest.raises(ClassOver) as error:
                await school.classes.enter(code)
            told.add(error.value.text())
        assert len(told) == 1
        assert await school.classes.guest(kept.token) == kept.guest  # who is in it stays
        assert (await school.classes.enter(new)).guest.class_name == "History"
        assert len(by_code) == 3
        for act in (school.classes.end(gone), school.classes.renew_code(gone)):
            with pytest.raises(NotFound):
                await act

    run(scenario())


def test_a_class_is_full_until_somebody_leaves_even_for_many_at_once(school: School, run) -> None:
    async def scenario() -> None:
        code = await school.open(places=3)
        tried = await asyncio.gather(*(school.classes.enter(code) for _ in range(8)), return_exceptions=True)
        inside = [each for each in tried if not isinstance(each, BaseException)]
        assert len(inside) == 3
        assert sum(isinstance(each, ClassFull) for each in tried) == 5
        [info] = await school.classes.list_open()
        assert (info.taken, info.places) == (3, 3)
        assert await school.classes.guest(inside[0].token) is not None
        again = await school.classes.enter(code, session=inside[0].token)  # one's own place is free for oneself
        assert await school.classes.guest(inside[0].token) is None
        assert await school.classes.guest(again.token) is not None
        await school.classes.leave(inside[1].token)
        assert await school.classes.guest(inside[1].token) is None
        await school.classes.enter(code)
        with pytest.raises(ClassFull):
            await school.classes.enter(code)

    run(scenario())


def test_a_place_ends_unused_after_hours_and_with_the_class(school: School, run) -> None:
    async def scenario() -> None:
        code = await school.open(hours=24)
        idle, busy = await school.classes.enter(code), await school.classes.enter(code)
        step = IDLE_S / 2
        for _ in range(int(LONGEST_S / step) - 1):
            school.clock.now += step
            school.classes._guests.clear()
            assert await school.classes.guest(busy.token) is not None
            await school.store.database.check_writable()
        assert await school.classes.guest(idle.token) is None
        school.clock.now = START + LONGEST_S
        school.classes._guests.clear()
        assert await school.classes.guest(busy.token) is None
        short = await school.classes.enter(await school.open(hours=1))
        school.clock.now += HOUR_S
        school.classes._guests.clear()
        assert await school.classes.guest(short.token) is None
        gone = await school.classes.purge()
        assert gone.classes == [short.guest.class_id]
        assert set(gone.guests) == {idle.guest.id, busy.guest.id, short.guest.id}
        assert await school.rows(guests) == []
        assert len(await school.rows(classes)) == 1
        school.clock.now += DAY_S
        assert (await school.classes.purge()).classes == [idle.guest.class_id]
        assert await school.rows(classes) == []

    run(scenario())


def test_who_ends_a_class_puts_everybody_out_at_once(school: School, run) -> None:
    async def scenario() -> None:
        inside = await school.classes.enter(await school.open())
        assert await school.classes.guest(inside.token) is not None  # and remembered
        await school.classes.end(inside.guest.class_id)
        assert await school.classes.guest(inside.token) is None
        assert await school.rows(guests) == []

    run(scenario())


def test_one_browser_is_one_person(school: School, run) -> None:
    async def scenario() -> None:
        code = await school.open()
        link = await school.accounts.make_link()
        signed_in = await school.accounts.redeem_link(link)
        assert await school.accounts.viewer(signed_in.token) is not None
        inside = await school.classes.enter(code, session=signed_in.token)
        assert await school.accounts.viewer(signed_in.token) is None
        assert await school.accounts.viewer(inside.token) is None  # a guest's cookie is no session
        await school.accounts.redeem_link(await school.accounts.make_link(), session=inside.token)
        school.classes._guests.clear()
        assert await school.classes.guest(inside.token) is None
        with pytest.raises(ClassOver):
            await school.classes.enter(new_code(), session=inside.token)

    run(scenario())


def test_a_class_has_one_number_a_day_for_all_of_it(school: School, run) -> None:
    async def scenario() -> None:
        inside = await school.classes.enter(await school.open(daily_tokens=1000, hours=48))
        usage = Usage(school.store.database, now=school.clock)
        usage.add_to_class(inside.guest.class_id, 300)
        usage.add_to_class(inside.guest.class_id, 45)
        await school.store.database.check_writable()
        allowance = await usage.allowance_of_class(inside.guest.class_id)
        assert (allowance.daily_tokens, allowance.used) == (1000, 345)
        school.clock.now += DAY_S
        assert (await usage.allowance_of_class(inside.guest.class_id)).used == 0
        usage.add_to_class(inside.guest.class_id, 7)
        await school.store.database.check_writable()
        assert (await usage.allowance_of_class(inside.guest.class_id)).used == 7
        school.clock.now = START + 48 * HOUR_S
        over = await usage.allowance_of_class(inside.guest.class_id)
        assert over.used >= over.daily_tokens == 0  # its row is there until the next purge
        await school.classes.end(inside.guest.class_id)
        gone = await usage.allowance_of_class(inside.guest.class_id)
        assert gone.used >= gone.daily_tokens == 0  # of a class that has ended nobody asks

    run(scenario())


def test_a_class_is_its_maker_s_in_the_export_and_when_the_account_goes(school: School, run) -> None:
    async def scenario() -> None:
        code = await school.open()
        teacher = await school.store.founder()
        [told] = (await OwnData(school.store.database).rows(teacher))["classes"]
        assert told["name"] == "History"
        assert "code_hash" not in told
        inside = await school.classes.enter(code)
        await erase_account(school.accounts, school.store.database, school.teacher)
        assert await school.rows(classes) == await school.rows(guests) == []
        school.classes._guests.clear()
        assert await school.classes.guest(inside.token) is None

    run(scenario())
