"""What an administrator does with accounts, and all that one is ever given of them.

Rules:

- names, roles, days and counts: nothing that comes out of a vault is read here, and nothing here opens one. There is no
  way in for somebody else: no reset, no link in another's name. Who has lost every way in is invited again, into an
  empty vault; the old one stays sealed;
- there is always an administrator who can sign in: the last one is neither disabled nor made a member, whoever asks,
  however many ask at once (the count is taken in the same transaction);
- disabling ends every session and API key in that transaction, and the invitations that the person had made. Where no
  password, passkey or recovery code opens the vault, the sessions that do are left asleep (nobody of a disabled account
  is found by them): an administrator can shut somebody out, and cannot make them lose what they wrote;
- days, not moments: when somebody was last here is told to the day.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, delete, exists, func, select, update

from commun.errors import N_, Conflict, NotFound
from commun.store.accounts import Accounts
from commun.store.database import Database
from commun.store.people import Role
from commun.store.receipts import clear_callers
from commun.store.schema import accounts, api_keys, invitations, sessions, unlocks, usage
from commun.store.sent import end_keys

DAY_S: Final = 86_400
SHOWN_DAYS: Final = 30
MOST_TOKENS: Final = 10**12
MOST_AT_ONCE: Final = 1024


class LastAdministrator(Conflict):
    code = "last_administrator"
    problem = N_("This is the only administrator who can sign in.")
    cure = N_("Make somebody else an administrator first.")


@dataclass(frozen=True, slots=True)
class Used:
    """How much, and nothing of what."""

    answers: int = 0
    tokens: int = 0

    def __add__(self, other: "Used") -> "Used":
        return Used(self.answers + other.answers, self.tokens + other.tokens)


@dataclass(frozen=True, slots=True)
class PersonInfo:
    """One account. ``name``: "" where none was chosen. ``since``, ``seen`` (None: never) and the keys of ``days``: days
    since 1970 (UTC). ``disabled``: since which day, None while it may be used. ``days``: what was used in the last
    SHOWN_DAYS. ``daily_tokens``, ``at_once``: None: as everybody.
    """

    id: str
    name: str
    role: Role
    since: int
    seen: int | None
    disabled: int | None
    daily_tokens: int | None
    at_once: int | None
    days: dict[int, Used] = field(default_factory=dict)

    @property
    def used(self) -> Used:
        return sum(self.days.values(), Used())


class Administration:
    """Writes through ``Accounts``, whose memory of who is who it empties so."""

    def __init__(self, accounts: Accounts, database: Database) -> None:
        self._accounts = accounts
        self._database = database

    async def people(self) -> list[PersonInfo]:
        """Everybody, the disabled ones last, then in the order in which they came."""
        today = int(self._accounts.now // DAY_S)
        found = await self._accounts.read(lambda connection: _people(connection, today))
        return sorted(found, key=lambda each: (each.disabled is not None, each.since, each.name.casefold()))

    async def person(self, account_id: str) -> PersonInfo:
        """Raises NotFound."""
        for each in await self.people():
            if each.id == account_id:
                return each
        raise NotFound

    async def disable(self, account_id: str) -> None:
        """From now on nobody comes in by this account. Raises NotFound, LastAdministrator."""
        now = self._accounts.now

        def work(connection: Connection) -> None:
            row = _row(connection, account_id)
            if row.disabled is not None:
                return
            _set(connection, account_id, disabled=now)
            check_administered(connection)
            _end_invitations(connection, account_id)
            _end_sessions(connection, account_id, row.vault_id)
            _end_keys(connection, account_id)

        await self._accounts.change(work)
        await self._database.forget()  # what was sealed under the keys is gone from the write-ahead log too

    async def enable(self, account_id: str) -> None:
        """The person may sign in again; the browsers that were left asleep have all their days before them. Raises
        NotFound.
        """
        now = self._accounts.now

        def work(connection: Connection) -> None:
            row = _row(connection, account_id)
            if row.disabled is not None:
                _wake_sessions(connection, account_id, row.disabled, now)
            _set(connection, account_id, disabled=None)

        await self._accounts.change(work)

    async def set_role(self, account_id: str, role: Role) -> None:
        """Who is no administrator any more has invited nobody, and opens nothing that was sent to them.

        Raises NotFound, LastAdministrator.
        """

        def work(connection: Connection) -> None:
            _row(connection, account_id)
            _set(connection, account_id, role=role.value)
            check_administered(connection)
            if role is not Role.ADMINISTRATOR:
                _end_invitations(connection, account_id)
                end_keys(connection, account_id)

        await self._accounts.change(work)
        await self._database.forget()  # the keys to what was sent to them are gone from the write-ahead log too

    async def set_quota(self, account_id: str, *, daily_tokens: int | None, at_once: int | None) -> None:
        """None: as everybody. Raises NotFound."""

        def work(connection: Connection) -> None:
            _row(connection, account_id)
            _set(connection, account_id, daily_tokens=daily_tokens, at_once=at_once)

        await self._accounts.change(work)


def _row(connection: Connection, account_id: str) -> Any:
    row = connection.execute(select(accounts).where(accounts.c.id == account_id)).first()
    if row is None:
        raise NotFound
    return row


def _set(connection: Connection, account_id: str, **values: Any) -> None:
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(values))


def check_administered(connection: Connection) -> None:
    """Raises LastAdministrator, which undoes the transaction, where nobody would be left."""
    left = exists().where(accounts.c.role == Role.ADMINISTRATOR.value, accounts.c.disabled.is_(None))
    if not connection.execute(select(left)).scalar():
        raise LastAdministrator


def _end_invitations(connection: Connection, account_id: str) -> None:
    open_ones = invitations.c.made_by == account_id, invitations.c.used.is_(None)
    connection.execute(delete(invitations).where(*open_ones))


def _end_sessions(connection: Connection, account_id: str, vault_id: str | None) -> None:
    """All of them, or all but those that alone open the vault."""
    opens = exists().where(unlocks.c.vault_id == vault_id, unlocks.c.wrapped_key.is_not(None))
    ended = delete(sessions).where(sessions.c.account_id == account_id)
    if not connection.execute(select(opens)).scalar():
        ended = ended.where(sessions.c.wrapped_key.is_(None) | sessions.c.vault_id.is_distinct_from(vault_id))
    connection.execute(ended)


def _wake_sessions(connection: Connection, account_id: str, disabled: float, now: float) -> None:
    """Those that had not ended when the account was disabled, for as long as each lasts from its last use on."""
    asleep = sessions.c.account_id == account_id, sessions.c.wrapped_key.is_not(None), sessions.c.expires > disabled
    lasts = sessions.c.expires - sessions.c.last_used
    connection.execute(update(sessions).where(*asleep).values(last_used=now, expires=now + lasts))


def _end_keys(connection: Connection, account_id: str) -> None:
    for key_id in connection.execute(select(api_keys.c.id).where(api_keys.c.account_id == account_id)).scalars().all():
        connection.execute(delete(api_keys).where(api_keys.c.id == key_id))
        clear_callers(connection, key_id)


def _people(connection: Connection, today: int) -> list[PersonInfo]:
    days = _days(connection, today - SHOWN_DAYS + 1)
    seen = _seen(connection)
    return [
        PersonInfo(
            id=row.id,
            name=row.name or "",
            role=Role(row.role),
            since=int(row.created // DAY_S),
            seen=max((day for day in (seen.get(row.id), *days.get(row.id, ())) if day is not None), default=None),
            disabled=None if row.disabled is None else int(row.disabled // DAY_S),
            daily_tokens=row.daily_tokens,
            at_once=row.at_once,
            days=days.get(row.id, {}),
        )
        for row in connection.execute(select(accounts)).all()
    ]


def _days(connection: Connection, first: int) -> dict[str, dict[int, Used]]:
    """What each account used on each day from ``first`` on, pages and keys together."""
    query = (
        select(
            usage.c.account_id,
            usage.c.day,
            func.sum(usage.c.answers).label("answers"),
            func.sum(usage.c.tokens_read + usage.c.tokens_written).label("tokens"),
        )
        .where(usage.c.day >= first)
        .group_by(usage.c.account_id, usage.c.day)
    )
    found: dict[str, dict[int, Used]] = {}
    for row in connection.execute(query).all():
        found.setdefault(row.account_id, {})[row.day] = Used(row.answers, row.tokens)
    return found


def _seen(connection: Connection) -> dict[str, int]:
    """The last day on which each account's browsers and keys were used."""
    found: dict[str, int] = {}
    for table in (sessions, api_keys):
        query = select(table.c.account_id, func.max(table.c.last_used)).group_by(table.c.account_id)
        for account_id, moment in connection.execute(query).all():
            if moment is not None:
                found[account_id] = max(found.get(account_id, 0), int(moment // DAY_S))
    return found
