"""Whole conversations that their owner lets another person read: the owner's side, and the link.

- the owner makes a link for one person. Nobody is chosen by name, so nobody learns who else is here. Its token has 256
  random bits and is stored nowhere; until somebody accepts, the conversation's key is sealed under it
  (``vault.seal_under``), for LINK_DAYS at most;
- whoever is signed in with an open vault and has the link sees who shares, and accepts: then, and not before, the key
  is sealed to their vault. The link is spent and the copy under it overwritten, in the write-ahead log too;
- the owner sees who reads, and ends it: the row goes, and the conversation gets another key (``rekeying.py``), which
  only those who go on reading are given. Links that nobody has accepted end with it, for they carry the old key;
- a conversation is its owner's as before: everything else asks ``rows.owned``, which a reader is not. What a reader may
  is in ``reading.py``;
- a row goes with its conversation, its reader's account and its owner's, and where either starts over with another
  vault. While the conversation is deleted, or its owner's account disabled, it opens nothing.

What belongs to somebody else, has ended or does not exist is NotFound. Raises VaultLocked, VaultError.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from commun.errors import N_, NotFound, Refused
from commun.store import rows
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.rekeying import give_new_key
from commun.store.schema import accounts, conversations, readers
from commun.store.tokens import digest, new_token
from commun.store.tree import new_id
from commun.store.vault import ConversationKey, VaultError, bind, open_under, seal_under

DAY_S: Final = 86_400.0
LINK_DAYS: Final = 7
MOST: Final = 30  # people and links of one conversation


class TooManyReaders(Refused):
    """``details``: ``most``."""

    code = "too_many_readers"
    problem = N_("A conversation can have %(most)s readers and links at once, and this one has them.")
    cure = N_("Withdraw a link, or end somebody’s reading, and try again.")


class OwnLink(Refused):
    code = "own_link"
    problem = N_("This is a conversation of your own.")
    cure = N_("Send the link to the person who is to read it.")


@dataclass(frozen=True, slots=True)
class MadeLink:
    """``token``: stands in the link and nowhere else. ``expires``: seconds since 1970."""

    id: str
    token: str = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """Who reads (``name``: what they sign in with, "" where they have none), ``since`` when; or a link that nobody has
    accepted: ``since`` None, and when it ``expires``. ``title``: the conversation's.
    """

    id: str
    conversation_id: str
    title: str
    name: str
    created: float
    since: float | None
    expires: float | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a link says before it is accepted. ``owner``: the name of who shares. ``own``: it is the viewer's."""

    owner: str
    expires: float
    own: bool


class Readers:
    """``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now
        self._giving = asyncio.Lock()  # one conversation under its new key in memory

    async def make_link(self, viewer: Viewer, conversation_id: str) -> MadeLink:
        """For one person. Raises NotFound, TooManyReaders."""
        rows.unlocked(viewer)
        now, reader_id, token = self._now(), new_id(), new_token()
        expires = now + LINK_DAYS * DAY_S

        def work(connection: Connection) -> None:
            owned = rows.get_owned(connection, viewer, conversation_id)
            key = rows.open_conversation_key(viewer, owned)
            _check_room(connection, conversation_id, now)
            row = {
                "id": reader_id,
                "conversation_id": conversation_id,
                "link_hash": digest(token),
                "sealed_key": seal_under(token, key.to_bytes(), _link_context(reader_id, conversation_id)),
                "created": now,
                "expires": expires,
            }
            connection.execute(insert(readers), row)

        await self._database.write(work)
        return MadeLink(reader_id, token, expires)

    async def list(self, viewer: Viewer, conversation_id: str | None = None) -> list[ReaderInfo]:
        """Who reads, and links that are open, oldest first: of one conversation of the viewer's, or of all."""
        rows.unlocked(viewer)
        query = (
            select(
                readers, accounts.c.name, conversations.c.title, conversations.c.sealed_key.label("owners_key"),
                conversations.c.account_id.label("owner_id"), conversations.c.vault_id.label("owners_vault"),
            )
            .join(conversations, conversations.c.id == readers.c.conversation_id)
            .outerjoin(accounts, accounts.c.id == readers.c.account_id)
            .where(rows.owned(viewer), _is_alive(self._now()))
            .order_by(readers.c.created)
        )  # fmt: skip
        if conversation_id is not None:
            query = query.where(conversations.c.id == conversation_id)
        return await self._database.read(
            lambda connection: [_info(viewer, row) for row in connection.execute(query).all()]
        )

    async def end(self, viewer: Viewer, reader_id: str) -> str:
        """Ends a reading, or withdraws a link, and gives the conversation another key; returns the conversation's id.
        Raises NotFound; StillWriting, and nothing has changed then.
        """
        found = select(readers.c.conversation_id).where(readers.c.id == reader_id)

        def is_of(connection: Connection) -> str:
            return str(rows.get_owned(connection, viewer, connection.execute(found).scalar() or "").id)

        def end(connection: Connection) -> None:
            is_of(connection)
            connection.execute(delete(readers).where(readers.c.id == reader_id))

        async with self._giving:
            conversation_id = await self._database.read(is_of)
            await give_new_key(self._database, viewer, conversation_id, end)
        await self._database.forget()
        return conversation_id

    async def offer(self, viewer: Viewer, token: str) -> Offer:
        """What a link says to who is signed in. Raises NotFound for every link that opens nothing."""
        rows.unlocked(viewer)

        def work(connection: Connection) -> Offer:
            row = self._offered(connection, token)
            return Offer(row.name or "", row.expires, row.owner_id == viewer.account_id)

        return await self._database.read(work)

    async def accept(self, viewer: Viewer, token: str) -> str:
        """The conversation's key is sealed to the viewer, and the link is spent; returns the reading's id. Who reads it
        already reads it under the new id alone. Raises NotFound, OwnLink.
        """
        to = rows.unlocked(viewer)
        now = self._now()

        def work(connection: Connection) -> str:
            row = self._offered(connection, token)
            if row.owner_id == viewer.account_id:
                raise OwnLink
            try:
                key = open_under(token, row.sealed_key, _link_context(row.id, row.conversation_id))
            except VaultError:
                raise NotFound from None  # somebody changed the row
            mine = readers.c.conversation_id == row.conversation_id, readers.c.account_id == viewer.account_id
            connection.execute(delete(readers).where(*mine))
            context = rows.reader_context(row.id, row.conversation_id, viewer.account_id, viewer.vault_id)
            accepted = {
                "account_id": viewer.account_id,
                "vault_id": viewer.vault_id,
                "sealed_key": to.seal(key, context),
                "link_hash": None,
                "expires": None,
                "accepted": now,
            }
            connection.execute(update(readers).where(readers.c.id == row.id).values(accepted))
            return str(row.id)

        reader_id = await self._database.write(work)
        await self._database.forget()
        return reader_id

    def _offered(self, connection: Connection, token: str) -> Row[Any]:
        query = (
            select(readers, accounts.c.name, accounts.c.id.label("owner_id"))
            .join(conversations, conversations.c.id == readers.c.conversation_id)
            .join(accounts, accounts.c.id == conversations.c.account_id)
            .where(readers.c.link_hash == digest(token), readers.c.expires > self._now(), is_there())
        )
        row = connection.execute(query).first()
        if row is None:
            raise NotFound
        return row

    async def purge_expired(self) -> int:
        """Removes for good links that nobody accepted in time; returns how many."""
        old = delete(readers).where(readers.c.expires <= self._now())
        purged = await self._database.write(lambda connection: connection.execute(old).rowcount)
        if purged:
            await self._database.forget()
        return purged


def is_there() -> ColumnElement[bool]:
    """Of a conversation joined with its owner's account: it is not deleted, and its owner can open it."""
    return and_(
        conversations.c.deleted.is_(None),
        conversations.c.vault_id == accounts.c.vault_id,
        accounts.c.disabled.is_(None),
    )


def end_all_of(connection: Connection, account_id: str) -> None:
    """Where somebody starts over: nobody reads what they cannot open any more, and they read nothing of others'."""
    theirs = select(conversations.c.id).where(conversations.c.account_id == account_id)
    gone = or_(readers.c.account_id == account_id, readers.c.conversation_id.in_(theirs))
    connection.execute(delete(readers).where(gone))


def _is_alive(now: float) -> ColumnElement[bool]:
    return or_(readers.c.accepted.is_not(None), readers.c.expires > now)


def _check_room(connection: Connection, conversation_id: str, now: float) -> None:
    here = readers.c.conversation_id == conversation_id
    count = connection.execute(select(func.count()).select_from(readers).where(here, _is_alive(now))).scalar_one()
    if count >= MOST:
        raise TooManyReaders(most=MOST)


def _info(viewer: Viewer, row: Row[Any]) -> ReaderInfo:
    return ReaderInfo(
        row.id, row.conversation_id, _title(viewer, row), row.name or "", row.created, row.accepted, row.expires
    )


def _title(viewer: Viewer, row: Row[Any]) -> str:
    context = rows.key_context(row.conversation_id, row.owner_id, row.owners_vault)
    key = ConversationKey.from_bytes(rows.unlocked(viewer).open(row.owners_key, context))
    return key.open(row.title, rows.title_context(row.conversation_id)).decode()


def _link_context(reader_id: str, conversation_id: str) -> bytes:
    """Of a conversation's key under a link that nobody has accepted."""
    return bind("readers", "sealed_key", reader_id, conversation_id)
