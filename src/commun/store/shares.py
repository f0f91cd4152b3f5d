"""Single answers that their owner shares by a link: sealed under the link, until it expires or is revoked.

- the link's token has 256 random bits and is stored nowhere: the table has its SHA-256, and what is shared is sealed
  under a key that HKDF derives from it (``vault.seal_under``). The database alone opens nothing, and neither does who
  runs this Commun, unless they are sent the link;
- a share is its owner's: made for a message of theirs, listed and revoked by them alone. What belongs to somebody else,
  is deleted or does not exist is NotFound;
- it ends with its conversation: hidden as soon as that is deleted (and back if that is undone), gone when it is purged;
  hidden, too, while its owner's account is disabled;
- an expired one opens nothing from that second on. Revoked and expired ones are removed and overwritten, in the
  write-ahead log too.

Raises NotFound, VaultLocked, VaultError.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from commun.errors import NotFound
from commun.store import rows
from commun.store.database import Database
from commun.store.people import Viewer
from commun.store.schema import accounts, conversations, shares
from commun.store.tokens import digest, new_token
from commun.store.tree import new_id
from commun.store.vault import VaultError, bind, open_under, seal_under

DAY_S: Final = 86_400.0
MOST: Final = 200  # links of one account at a time


@dataclass(frozen=True, slots=True)
class MadeShare:
    """``token``: stands in the link and nowhere else. ``expires``: seconds since 1970."""

    id: str
    token: str = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class ShareInfo:
    """A line of the owner's list. ``title``: the conversation's; "" where it does not open any more."""

    id: str
    conversation_id: str
    message_id: str
    title: str
    created: float
    expires: float


@dataclass(frozen=True, slots=True)
class OpenedShare:
    """What whoever has the link is given."""

    content: bytes = field(repr=False)
    created: float
    expires: float


class Shares:
    """``now``: seconds since 1970."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def make(
        self, viewer: Viewer, *, conversation_id: str, message_id: str, content: bytes, days: int
    ) -> MadeShare:
        """Raises NotFound unless the message is the viewer's. Of MOST links the oldest makes room."""
        rows.unlocked(viewer)
        now, share_id, token = self._now(), new_id(), new_token()
        expires = now + days * DAY_S

        def work(connection: Connection) -> None:
            rows.get_owned(connection, viewer, conversation_id)
            rows.get_message(connection, conversation_id, message_id)
            _make_room(connection, viewer.account_id)
            row = {
                "id": share_id,
                "token_hash": digest(token),
                "account_id": viewer.account_id,
                "conversation_id": conversation_id,
                "message_id": message_id,
                "created": now,
                "expires": expires,
                "sealed": seal_under(token, content, _context(share_id, message_id, conversation_id)),
            }
            connection.execute(insert(shares), row)

        await self._database.write(work)
        return MadeShare(share_id, token, expires)

    async def list(self, viewer: Viewer) -> list[ShareInfo]:
        """Those that still open, newest first."""
        rows.unlocked(viewer)
        query = (
            select(shares)
            .join(conversations, conversations.c.id == shares.c.conversation_id)
            .where(
                shares.c.account_id == viewer.account_id,
                shares.c.expires > self._now(),
                conversations.c.deleted.is_(None),
            )
            .order_by(shares.c.created.desc())
        )

        def work(connection: Connection) -> list[ShareInfo]:
            return [
                ShareInfo(
                    row.id, row.conversation_id, row.message_id, _title(connection, viewer, row), row.created,
                    row.expires,
                )
                for row in connection.execute(query)
            ]  # fmt: skip

        return await self._database.read(work)

    async def revoke(self, viewer: Viewer, share_id: str) -> None:
        """Raises NotFound."""
        which = delete(shares).where(shares.c.id == share_id, shares.c.account_id == viewer.account_id)
        removed = await self._database.write(lambda connection: connection.execute(which).rowcount)
        if not removed:
            raise NotFound
        await self._database.forget()

    async def open(self, token: str) -> OpenedShare:
        """Whoever has the link. Raises NotFound for every link that opens nothing, whatever the reason."""
        query = (
            select(shares)
            .join(conversations, conversations.c.id == shares.c.conversation_id)
            .join(accounts, accounts.c.id == shares.c.account_id)
            .where(
                shares.c.token_hash == digest(token),
                shares.c.expires > self._now(),
                conversations.c.deleted.is_(None),
                accounts.c.disabled.is_(None),
            )
        )

        def work(connection: Connection) -> OpenedShare:
            row = connection.execute(query).first()
            if row is None:
                raise NotFound
            try:
                content = open_under(token, row.sealed, _context(row.id, row.message_id, row.conversation_id))
            except VaultError:
                raise NotFound from None  # somebody changed the row
            return OpenedShare(content, row.created, row.expires)

        return await self._database.read(work)

    async def purge_expired(self) -> int:
        """Removes for good what has expired; returns how many."""
        old = delete(shares).where(shares.c.expires <= self._now())
        purged = await self._database.write(lambda connection: connection.execute(old).rowcount)
        if purged:
            await self._database.forget()
        return purged


def _make_room(connection: Connection, account_id: str) -> None:
    """An account has MOST links at most: the oldest ones go."""
    kept = (
        select(shares.c.id).where(shares.c.account_id == account_id).order_by(shares.c.created.desc()).limit(MOST - 1)
    )
    connection.execute(delete(shares).where(shares.c.account_id == account_id, shares.c.id.not_in(kept)))


def _title(connection: Connection, viewer: Viewer, row: Row[Any]) -> str:
    try:
        owned = rows.get_owned(connection, viewer, row.conversation_id)
        return rows.open_title(rows.open_conversation_key(viewer, owned), owned)
    except (NotFound, VaultError):  # sealed with a key pair that is no longer in use: it can be revoked all the same
        return ""


def _context(share_id: str, message_id: str, conversation_id: str) -> bytes:
    return bind("shares", "sealed", share_id, message_id, conversation_id)
