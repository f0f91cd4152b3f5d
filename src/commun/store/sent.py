"""Single answers that somebody sends to the administrators: sealed to those of that moment, and to nobody else.

- a random key seals what is sent, once; that key is sealed to each administrator's public key, and to the sender's own
  where it is sent with a name. The database opens nothing of it. Who becomes an administrator later has no key to what
  was sent before; who is none any more loses theirs (``administration.py``);
- without a name no account is stored with it, and its sender cannot be told from who has a key: then only
  administrators have one, all of them;
- the day is stored and not the moment; the size shows in powers of two;
- it is gone at once when its sender withdraws it, an administrator deletes it or an account that sent it is deleted,
  and by itself after the days that conversations have, MOST_DAYS at most: overwritten, in the write-ahead log too;
- at most MOST are kept. What the viewer has no key to is NotFound like what does not exist.

Raises VaultLocked, VaultError.
"""

import asyncio
import builtins
import time
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, select, update

from commun.errors import N_, BadRequest, Conflict, NotFound
from commun.store import rows
from commun.store.database import Database
from commun.store.people import Role, Viewer
from commun.store.schema import accounts, sent_answers, sent_keys, vaults
from commun.store.tree import new_id
from commun.store.vault import ConversationKey, PublicKey, bind

DAY_S: Final = 86_400.0
MOST_DAYS: Final = 90
MOST: Final = 1_000
MAX_BYTES: Final = 4 << 20  # of one, before it is packed
MOST_LISTED: Final = 200
LEAST_BYTES: Final = 4_096  # of what is sealed
COMPRESSION: Final = 6

Brief = Callable[[bytes], bytes]


class NobodyToSendTo(Conflict):
    code = "nobody_to_send_to"
    problem = N_("No administrator whom this page named can receive the answer any more.")
    cure = N_("Open the page again: it says who would get it now.")


class SentFull(Conflict):
    code = "sent_full"
    problem = N_("The administrators have as many sent answers as can be kept.")
    cure = N_("Ask them to look through what they have, then send it again.")


class SentTooLarge(BadRequest):
    code = "sent_too_large"
    status = 413
    problem = N_("This is too much to be sent at once.")
    cure = N_("Send the answer without what the model read before it.")


@dataclass(frozen=True, slots=True)
class Recipient:
    """An administrator with a vault. ``name``: "" where none was chosen."""

    account_id: str
    name: str
    vault_id: str
    public_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SentAnswer:
    """``sender``: a name, "" where the sender chose none, None where it was sent without. ``day`` and ``done`` (None:
    open): seconds since 1970.
    """

    id: str
    sender: str | None
    day: float
    done: float | None
    content: bytes = field(repr=False)


class Sent:
    """``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def administrators(self) -> builtins.list[Recipient]:
        """To whom something would be sealed now, by name."""
        return await self._database.read(_administrators)

    async def can_send(self, viewer: Viewer) -> bool:
        """Whether an administrator other than the viewer has a vault."""
        return any(each.account_id != viewer.account_id for each in await self.administrators())

    async def send(self, viewer: Viewer, content: bytes, *, to: Collection[str], named: bool) -> str:
        """``to``: accounts; those that are administrators still get it, nobody else. Raises NobodyToSendTo, SentFull,
        SentTooLarge.
        """
        rows.unlocked(viewer)
        if len(content) > MAX_BYTES:
            raise SentTooLarge
        sent_id, key, day = new_id(), ConversationKey.generate(), self._today()
        packed = await asyncio.to_thread(_packed, content)
        sealed = key.seal(packed, bind("sent_answers", "sealed", sent_id))

        def work(connection: Connection) -> None:
            found = [each for each in _administrators(connection) if each.account_id in to]
            if all(each.account_id == viewer.account_id for each in found):
                raise NobodyToSendTo
            if (connection.execute(select(func.count()).select_from(sent_answers)).scalar() or 0) >= MOST:
                raise SentFull
            account_id = viewer.account_id if named else None
            row = {"id": sent_id, "account_id": account_id, "created": day, "sealed": sealed}
            connection.execute(insert(sent_answers), row)
            keys = {each.account_id: (each.vault_id, PublicKey.from_bytes(each.public_key)) for each in found}
            if named:
                keys[viewer.account_id] = (viewer.vault_id, rows.unlocked(viewer).public)
            connection.execute(insert(sent_keys), [_key_row(sent_id, one, *of, key) for one, of in keys.items()])

        await self._database.write(work)
        return sent_id

    async def list(
        self, viewer: Viewer, *, after: int = 0, limit: int = MOST_LISTED, brief: Brief = bytes
    ) -> builtins.list[SentAnswer]:
        """What the viewer has a key to: the open ones first, the newest of them first. ``brief``: what is kept of each
        content as it is opened, so that no two lie in memory whole.
        """
        order = sent_answers.c.done.is_not(None), sent_answers.c.created.desc(), sent_answers.c.id
        return await self._read(viewer, _openable(viewer).order_by(*order).offset(after).limit(limit), brief)

    async def mine(self, viewer: Viewer, *, brief: Brief = bytes) -> builtins.list[SentAnswer]:
        """What the viewer sent with their name, newest first; at most MOST_LISTED. ``brief``: as of ``list``."""
        query = _openable(viewer).where(sent_answers.c.account_id == viewer.account_id)
        return await self._read(
            viewer, query.order_by(sent_answers.c.created.desc(), sent_answers.c.id).limit(MOST_LISTED), brief
        )

    async def mine_closed(self, viewer: Viewer) -> builtins.list[SentAnswer]:
        """What the viewer sent with their name under an older vault, without its content: it can still be withdrawn."""
        own = sent_answers.c.account_id == viewer.account_id, sent_answers.c.id.not_in(_ids(viewer))
        query = (
            select(sent_answers)
            .where(*own)
            .order_by(sent_answers.c.created.desc(), sent_answers.c.id)
            .limit(MOST_LISTED)
        )
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [SentAnswer(row.id, viewer.name, row.created, row.done, b"") for row in found]

    async def get(self, viewer: Viewer, sent_id: str) -> SentAnswer:
        """Raises NotFound."""
        for found in await self._read(viewer, _openable(viewer).where(sent_answers.c.id == sent_id)):
            return found
        raise NotFound

    async def count_closed(self, viewer: Viewer) -> int:
        """How many there are that the viewer has no key to."""
        query = select(func.count()).select_from(sent_answers).where(sent_answers.c.id.not_in(_ids(viewer)))
        return await self._database.read(lambda connection: connection.execute(query).scalar() or 0)

    async def set_done(self, viewer: Viewer, sent_id: str, *, done: bool) -> None:
        """Raises NotFound."""
        change = update(sent_answers).where(sent_answers.c.id == sent_id, sent_answers.c.id.in_(_ids(viewer)))
        values = change.values(done=self._today() if done else None)
        if not await self._database.write(lambda connection: connection.execute(values).rowcount):
            raise NotFound

    async def delete(self, viewer: Viewer, sent_id: str) -> None:
        """By an administrator who has a key to it. Raises NotFound."""
        await self._erase((sent_answers.c.id == sent_id) & sent_answers.c.id.in_(_ids(viewer)))

    async def withdraw(self, viewer: Viewer, sent_id: str) -> None:
        """By its sender. Raises NotFound."""
        await self._erase((sent_answers.c.id == sent_id) & (sent_answers.c.account_id == viewer.account_id))

    async def purge(self, days: int) -> int:
        """Removes for good what is that old (0: conversations have no end here), and what nobody can open any more;
        returns how many.
        """
        until = self._now() - min(days or MOST_DAYS, MOST_DAYS) * DAY_S
        old = sent_answers.c.created <= until
        return await self._remove(old | sent_answers.c.id.not_in(select(sent_keys.c.sent_id)))

    def _today(self) -> float:
        return self._now() // DAY_S * DAY_S

    async def _read(self, viewer: Viewer, query: Select[Any], brief: Brief = bytes) -> builtins.list[SentAnswer]:
        rows.unlocked(viewer)

        def work(connection: Connection) -> builtins.list[SentAnswer]:
            return [_opened(viewer, row, brief) for row in connection.execute(query)]

        return await self._database.read(work)

    async def _erase(self, which: ColumnElement[bool]) -> None:
        if not await self._remove(which):
            raise NotFound

    async def _remove(self, which: ColumnElement[bool]) -> int:
        gone = delete(sent_answers).where(which)
        removed = await self._database.write(lambda connection: connection.execute(gone).rowcount)
        if removed:
            await self._database.forget()
        return removed


def end_keys(connection: Connection, account_id: str) -> None:
    """Who is no administrator any more opens only what they sent themselves. ``Database.forget`` after it."""
    own = select(sent_answers.c.id).where(sent_answers.c.account_id == account_id)
    lost = delete(sent_keys).where(sent_keys.c.account_id == account_id, sent_keys.c.sent_id.not_in(own))
    connection.execute(lost)


def _administrators(connection: Connection) -> list[Recipient]:
    query = (
        select(accounts.c.id, accounts.c.name, vaults.c.id.label("vault_id"), vaults.c.public_key)
        .join(vaults, vaults.c.id == accounts.c.vault_id)
        .where(accounts.c.role == Role.ADMINISTRATOR.value, accounts.c.disabled.is_(None))
        .order_by(accounts.c.name_key)
    )
    return [Recipient(row.id, row.name or "", row.vault_id, row.public_key) for row in connection.execute(query)]


def _mine(viewer: Viewer) -> ColumnElement[bool]:
    return (sent_keys.c.account_id == viewer.account_id) & (sent_keys.c.vault_id == viewer.vault_id)


def _ids(viewer: Viewer) -> Select[Any]:
    return select(sent_keys.c.sent_id).where(_mine(viewer))


def _openable(viewer: Viewer) -> Select[Any]:
    key = sent_keys.c.vault_id, sent_keys.c.sealed_key
    return (
        select(sent_answers, *key, accounts.c.name)
        .join(sent_keys, sent_keys.c.sent_id == sent_answers.c.id)
        .outerjoin(accounts, accounts.c.id == sent_answers.c.account_id)
        .where(_mine(viewer))
    )


def _key_row(sent_id: str, account_id: str, vault_id: str, to: PublicKey, key: ConversationKey) -> dict[str, Any]:
    sealed = to.seal(key.to_bytes(), _key_context(sent_id, account_id, vault_id))
    return {"sent_id": sent_id, "account_id": account_id, "vault_id": vault_id, "sealed_key": sealed}


def _key_context(sent_id: str, account_id: str, vault_id: str) -> bytes:
    return bind("sent_keys", "sealed_key", sent_id, account_id, vault_id)


def _opened(viewer: Viewer, row: Row[Any], brief: Brief) -> SentAnswer:
    context = _key_context(row.id, viewer.account_id, row.vault_id)
    key = ConversationKey.from_bytes(rows.unlocked(viewer).open(row.sealed_key, context))
    plain = key.open(row.sealed, bind("sent_answers", "sealed", row.id))
    sender = None if row.account_id is None else row.name or ""
    return SentAnswer(row.id, sender, row.created, row.done, brief(zlib.decompressobj().decompress(plain, MAX_BYTES)))


def _packed(content: bytes) -> bytes:
    """Compressed, and filled up with zeros, which the reader leaves alone."""
    packed = zlib.compress(content, COMPRESSION)
    return packed.ljust(max(LEAST_BYTES, 1 << (len(packed) - 1).bit_length()), b"\x00")
