"""How much each account uses on each day, in clear: numbers of answers and tokens, with which key, and nothing of what.
And how many tokens each class uses on this day, all its guests together.

Rules:

- a day is UTC's, counted from 1970; what is counted is what the model read and what it wrote;
- counting is posted to the writer: no answer waits for it, and a crash may lose the last few counts;
- an account that is gone counts nothing. Its rows go with it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, case, exists, func, select, update
from sqlalchemy.dialects.sqlite import insert

from commun.store.database import Database
from commun.store.schema import accounts, api_keys, classes, usage

DAY_S: Final = 86_400
PAGES: Final = ""  # in place of a key's id


@dataclass(frozen=True, slots=True)
class Allowance:
    """What somebody may use and has used today. None: nothing of their own is set."""

    daily_tokens: int | None
    at_once: int | None
    used: int


class Usage:
    """``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    @property
    def seconds_left(self) -> float:
        """Of today."""
        return DAY_S - self._now() % DAY_S

    async def allowances(self, account_id: str, key_id: str = PAGES) -> tuple[Allowance, Allowance | None]:
        """Of the account, over all its keys and the pages; and of the key, where there is one."""
        day = self._day()

        def work(connection: Connection) -> tuple[Allowance, Allowance | None]:
            spent = select(func.coalesce(func.sum(usage.c.tokens_read + usage.c.tokens_written), 0)).where(
                usage.c.account_id == account_id, usage.c.day == day
            )
            account = connection.execute(
                select(accounts.c.daily_tokens, accounts.c.at_once, spent.scalar_subquery()).where(
                    accounts.c.id == account_id
                )
            ).first()
            if key_id == PAGES:
                return _allowance(account), None
            by_key = spent.where(usage.c.key_id == key_id).scalar_subquery()
            key = connection.execute(
                select(api_keys.c.daily_tokens, api_keys.c.at_once, by_key).where(api_keys.c.id == key_id)
            ).first()
            return _allowance(account), _allowance(key)

        return await self._database.read(work)

    async def settle(self) -> None:
        """Until what was counted before is there to be read."""
        await self._database.write(lambda _connection: None, flush=False)

    def add(self, account_id: str, key_id: str, *, read: int, written: int) -> None:
        """One answer more."""
        row = {
            "account_id": account_id,
            "day": self._day(),
            "key_id": key_id,
            "answers": 1,
            "tokens_read": read,
            "tokens_written": written,
        }
        counted = ("answers", "tokens_read", "tokens_written")
        change = insert(usage).values(row)
        change = change.on_conflict_do_update(
            index_elements=["account_id", "day", "key_id"],
            set_={name: usage.c[name] + change.excluded[name] for name in counted},
        )

        def work(connection: Connection) -> None:
            if connection.execute(select(exists().where(accounts.c.id == account_id))).scalar():
                connection.execute(change)

        self._database.post(work)

    async def allowance_of_class(self, class_id: str) -> Allowance:
        """Nothing, for a class that has ended."""
        day = self._day()
        query = select(classes.c.daily_tokens, classes.c.day, classes.c.tokens).where(
            classes.c.id == class_id, classes.c.expires > self._now()
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            return Allowance(0, None, 0)
        return Allowance(row.daily_tokens, None, row.tokens if row.day == day else 0)

    def add_to_class(self, class_id: str, tokens: int) -> None:
        """What one answer of one of its guests took."""
        day = self._day()
        before = case((classes.c.day == day, classes.c.tokens), else_=0)
        change = update(classes).where(classes.c.id == class_id).values(day=day, tokens=before + tokens)
        self._database.post(lambda connection: connection.execute(change))

    def _day(self) -> int:
        return int(self._now() // DAY_S)


def _allowance(row: tuple[int | None, int | None, int] | None) -> Allowance:
    return Allowance(None, None, 0) if row is None else Allowance(row[0], row[1], int(row[2]))
