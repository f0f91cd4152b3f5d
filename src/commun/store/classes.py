"""Classes: an administrator opens one, whoever has its code asks, and nothing of what they ask is stored.

- A class ends by itself or when an administrator ends it; its row goes, and with it the browsers that were in it.
- A browser in a class has a token like a session's (``tokens.identify``), and no account, no vault and no name. It ends
  with the class, after IDLE_S without use, and after LONGEST_S in any case. Its times are stored in steps, so that they
  do not tell who came first.
- A browser is one person: who enters a class leaves the account that was signed in there, and the other way round
  (``sessions.end_session``).
- What a guest is called for the queue is made of the token's image: no column more.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sqlalchemy import Connection, delete, func, insert, select, update

from commun.errors import N_, Conflict, NotFound, NotSignedIn
from commun.store import sessions as rows
from commun.store.accounts import Accounts
from commun.store.class_codes import image_of, new_code
from commun.store.database import Database
from commun.store.schema import classes, guests
from commun.store.tokens import Recent, digest, identify, new_token
from commun.store.tree import new_id

HOUR_S: Final = 3600.0
MOST_HOURS: Final = 14 * 24
MOST_PLACES: Final = 500
IDLE_S: Final = 2 * HOUR_S
LONGEST_S: Final = 8 * HOUR_S
STEP_S: Final = 600.0

T = TypeVar("T")


class ClassOver(NotSignedIn):
    """Ended, never opened or mistyped: which of them is not told."""

    code = "class_over"
    problem = N_("No class is open under this code.")
    cure = N_("Compare it with the one that is shown to you: ten letters and digits. A class that has ended has none.")


class ClassFull(Conflict):
    code = "class_full"
    problem = N_("Every place in this class is taken.")
    cure = N_("Ask whoever opened it: somebody may leave, or another class be opened.")


@dataclass(frozen=True, slots=True)
class Guest:
    """A browser in a class. ``id``: for the queue and for its own answers, never stored."""

    id: str
    class_id: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Entered:
    """``token``: the cookie's value; stored nowhere."""

    token: str = field(repr=False)
    guest: Guest


@dataclass(frozen=True, slots=True)
class Gone:
    """Ids of classes and of guests that have ended, whose answers are to be stopped."""

    classes: list[str]
    guests: list[str]


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """``taken``: places. ``used``: tokens of the day ``day`` (UTC, counted from 1970)."""

    id: str
    name: str
    created: float
    expires: float
    places: int
    taken: int
    daily_tokens: int
    day: int
    used: int


class Classes:
    def __init__(self, accounts: Accounts, database: Database) -> None:
        self._accounts = accounts
        self._database = database
        self._guests: Recent[Guest] = Recent()

    # Administration

    async def open(self, account_id: str, name: str, *, hours: int, places: int, daily_tokens: int) -> str:
        """The code, which is shown this once."""
        code, now = new_code(), self._accounts.now
        row = {
            "id": new_id(),
            "account_id": account_id,
            "code_hash": image_of(code),
            "name": name,
            "created": now,
            "expires": now + min(max(hours, 1), MOST_HOURS) * HOUR_S,
            "places": min(max(places, 1), MOST_PLACES),
            "daily_tokens": daily_tokens,
            "day": 0,
            "tokens": 0,
        }
        await self._change(lambda connection: connection.execute(insert(classes), row))
        return code

    async def list_open(self) -> list[ClassInfo]:
        """Those that are open, newest first."""
        now = self._accounts.now
        taken = select(func.count()).where(guests.c.class_id == classes.c.id, guests.c.expires > now)
        query = (
            select(classes, taken.scalar_subquery().label("taken"))
            .where(classes.c.expires > now)
            .order_by(classes.c.created.desc())
        )
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [
            ClassInfo(
                id=row.id,
                name=row.name,
                created=row.created,
                expires=row.expires,
                places=row.places,
                taken=row.taken,
                daily_tokens=row.daily_tokens,
                day=row.day,
                used=row.tokens,
            )
            for row in found
        ]

    async def renew_code(self, class_id: str) -> str:
        """Another code, for a lost one or one that has gone too far: nobody enters with the former. Who is in the class
        stays. Raises NotFound.
        """
        code = new_code()
        chosen = update(classes).where(classes.c.id == class_id, classes.c.expires > self._accounts.now)
        if not await self._change(
            lambda connection: connection.execute(chosen.values(code_hash=image_of(code))).rowcount
        ):
            raise NotFound
        return code

    async def empty(self, class_id: str) -> list[str]:
        """Everybody in it is put out, and comes back with its code alone. Returns who they were."""
        chosen = delete(guests).where(guests.c.class_id == class_id).returning(guests.c.token_hash)
        return await self._change(lambda connection: [_name(each) for each in connection.execute(chosen).scalars()])

    async def end(self, class_id: str) -> None:
        """From now on nobody is in it. Raises NotFound."""
        chosen = delete(classes).where(classes.c.id == class_id)
        if not await self._change(lambda connection: connection.execute(chosen).rowcount):
            raise NotFound

    async def end_all_of(self, account_id: str) -> list[str]:
        """Of whoever may open none any more. Returns which they were."""
        chosen = delete(classes).where(classes.c.account_id == account_id).returning(classes.c.id)
        return await self._change(lambda connection: list(connection.execute(chosen).scalars()))

    async def opened_by(self, account_id: str) -> list[str]:
        """Which go with the account."""
        query = select(classes.c.id).where(classes.c.account_id == account_id)
        return await self._database.read(lambda connection: list(connection.execute(query).scalars()))

    def forget(self) -> None:
        """Guests that were remembered: their classes went with an account."""
        self._guests.clear()

    async def purge(self) -> Gone:
        """Removes what has ended."""
        now = self._accounts.now
        over = delete(guests).where(guests.c.expires <= now).returning(guests.c.token_hash)
        ended = delete(classes).where(classes.c.expires <= now).returning(classes.c.id)

        def work(connection: Connection) -> Gone:
            left = [_name(each) for each in connection.execute(over).scalars()]
            return Gone(list(connection.execute(ended).scalars()), left)

        return await self._change(work)

    # Guests

    async def enter(self, code: str, *, session: str | None = None) -> Entered:
        """A place in the class. ``session``: the browser's former cookie, which ends. Raises ClassOver, ClassFull."""
        token, now = new_token(), self._accounts.now

        def work(connection: Connection) -> Guest:
            found = connection.execute(
                select(classes).where(classes.c.code_hash == image_of(code), classes.c.expires > now)
            ).first()
            if found is None:
                raise ClassOver
            if session:
                rows.end_session(connection, session)
            taken = select(func.count()).where(guests.c.class_id == found.id, guests.c.expires > now)
            if connection.execute(taken).scalar_one() >= found.places:
                raise ClassFull
            ends = min(found.expires, _up(now + LONGEST_S, HOUR_S))
            expires = min(ends, _up(now + IDLE_S, STEP_S))
            row = {"token_hash": identify(token), "class_id": found.id, "expires": expires, "ends": ends}
            connection.execute(insert(guests), row)
            return Guest(_name(identify(token)), found.id, found.name)

        guest = await self._accounts.change(work)  # a session may have ended, or another guest's place
        self._guests.clear()
        return Entered(token, guest)

    async def guest(self, token: str) -> Guest | None:
        """Whose cookie this is; None if nobody's or over. On the path of every request: remembered for seconds."""
        known_as, generation, now = digest(token), self._guests.generation, self._accounts.now
        known = self._guests.find(known_as)
        if known is not None:
            return known
        image = identify(token)
        query = (
            select(guests, classes.c.name)
            .join(classes, classes.c.id == guests.c.class_id)
            .where(guests.c.token_hash == image, guests.c.expires > now)
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            return None
        expires = min(row.ends, _up(now + IDLE_S, STEP_S))
        if expires > row.expires:
            longer = update(guests).where(guests.c.token_hash == image).values(expires=expires)
            self._database.post(lambda connection: connection.execute(longer))
        found = Guest(_name(image), row.class_id, row.name)
        self._guests.put(known_as, found, generation)
        return found

    async def leave(self, token: str) -> None:
        """The place is free again."""
        chosen = delete(guests).where(guests.c.token_hash == identify(token))
        await self._change(lambda connection: connection.execute(chosen))

    async def _change(self, work: Callable[[Connection], T]) -> T:
        """Writes, then forgets what was remembered."""
        try:
            return await self._database.write(work)
        finally:
            self._guests.clear()


def _name(token_hash: bytes) -> str:
    return f"guest-{token_hash.hex()[:32]}"


def _up(moment: float, step: float) -> float:
    return math.ceil(moment / step) * step
