"""Accounts: who signs in, with which browser or API key, and what opens their vault.

Who owns what: the database owns the truth; this class owns two small caches of it (``tokens.Recent``), which any
change through this class empties (``change``, which ``ways_in.py`` and ``invitations.py`` write through, too). A change
by another process is noticed when an entry expires, seconds later.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from commun.errors import LinkExpired, NotFound
from commun.store import sessions as rows
from commun.store.database import Database
from commun.store.names import NameTaken, key_of, read_name
from commun.store.people import ApiKeyInfo, Caller, Role, SessionInfo, SignedIn, Viewer
from commun.store.receipts import clear_callers
from commun.store.schema import accounts, api_keys, links, sessions, vaults
from commun.store.tokens import API_KEY_PREFIX, Recent, digest, new_api_key, new_token
from commun.store.tree import new_id
from commun.store.vault import AccountKey, PublicKey

__all__ = ["Accounts", "ApiKeyInfo", "Caller", "SessionInfo", "SignedIn", "Viewer"]

T = TypeVar("T")

LINK_LIFETIME_S: Final = 3600.0
TOUCH_EVERY_S: Final = 60.0  # last-used times are true to the minute, and cost one write a minute
DAY_S: Final = 86_400.0
_PREFIX_LENGTH: Final = len(API_KEY_PREFIX) + 4


class Accounts:
    """``session_days``: how long a browser stays signed in after it was last used. ``now``: seconds since 1970."""

    def __init__(self, database: Database, *, session_days: int, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._session_s = session_days * DAY_S
        self._now = now
        self._viewers: Recent[Viewer] = Recent()
        self._callers: Recent[Caller] = Recent()

    # Signing in

    async def make_link(self) -> str:
        """A one-time sign-in token for the founder; good for an hour, replaced by a newer one."""
        token, expires = new_token(), self._now() + LINK_LIFETIME_S
        await self._database.write(lambda connection: rows.replace_link(connection, token, expires))
        return token

    async def redeem_link(self, link: str, *, session: str | None = None) -> SignedIn:
        """Signs a browser in; the first time, this makes the founder's account or its vault. ``session``: the
        browser's present cookie; the session of a valid one is kept under another token, and what it opens stays open.
        Raises LinkExpired.
        """
        now = self._now()

        def work(connection: Connection) -> SignedIn:
            rows.use_link(connection, link, now)
            account_id = rows.ensure_founder(connection, now)
            kept = rows.find_session(connection, session, now) if session else None
            if kept is not None and session and kept.viewer.account_id == account_id:
                rows.mark_shown(connection, kept.viewer.session_id, now)
                token = rows.renew_token(connection, session, kept.viewer.session_id, account_id)
                return SignedIn(token, self.again(connection, token))
            try:
                return self.enter(connection, account_id, None, session=session)
            except NotFound:
                raise LinkExpired from None  # the founder is disabled

        return await self.change(work)

    def enter(
        self,
        connection: Connection,
        account_id: str,
        key: tuple[AccountKey, str] | None,
        *,
        session: str | None,
        shows: bool = True,
    ) -> SignedIn:
        """A new session, in the writer: nothing that a browser held before becomes one. ``key``: what it opens, and
        which vault that is. ``session``: the browser's former cookie, which ends. ``shows``: it counts as showing who
        one is. Raises NotFound where the account is disabled.
        """
        now = self._now()
        if session:
            rows.end_session(connection, session)
        token = rows.new_session(connection, account_id, now, now + self._session_s, key=key, shows=shows)
        return SignedIn(token, self.again(connection, token))

    def again(self, connection: Connection, token: str) -> Viewer:
        """Whose session this is, as it now stands."""
        found = rows.find_session(connection, token, self._now())
        if found is None:
            raise NotFound
        return found.viewer

    async def viewer(self, token: str) -> Viewer | None:
        """Whose cookie this is; None if nobody's or expired. On the path of every request: remembered for seconds."""
        image, generation, now = digest(token), self._viewers.generation, self._now()
        known = self._viewers.find(image)
        if known is not None:
            return known
        found = await self._database.read(lambda connection: rows.find_session(connection, token, now))
        if found is None:
            return None
        if now - found.last_used > TOUCH_EVERY_S:
            self._touch_session(found.viewer.session_id, now)
        self._viewers.put(image, found.viewer, generation)
        return found.viewer

    def _touch_session(self, session_id: str, now: float) -> None:
        used = {"last_used": now, "expires": now + self._session_s}
        self._database.post(
            lambda connection: connection.execute(update(sessions).where(sessions.c.id == session_id).values(used))
        )

    # Sessions

    async def sign_out(self, viewer: Viewer) -> None:
        await self.revoke_session(viewer, viewer.session_id)

    async def sessions(self, viewer: Viewer) -> list[SessionInfo]:
        """The account's signed-in browsers, last used first."""
        query = (
            select(sessions)
            .where(sessions.c.account_id == viewer.account_id, sessions.c.expires > self._now())
            .order_by(sessions.c.last_used.desc())
        )
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [
            SessionInfo(
                id=row.id,
                created=row.created,
                last_used=row.last_used,
                expires=row.expires,
                current=row.id == viewer.session_id,
                unlocked=row.wrapped_key is not None and row.vault_id == viewer.vault_id,
            )
            for row in found
        ]

    async def revoke_session(self, viewer: Viewer, session_id: str) -> None:
        """Signs a browser out, this one or another. Raises NotFound."""
        chosen = delete(sessions).where(sessions.c.id == session_id, sessions.c.account_id == viewer.account_id)
        removed = await self._database.write(lambda connection: connection.execute(chosen).rowcount)
        self._forget()
        if not removed:
            raise NotFound

    async def revoke_others(self, viewer: Viewer) -> int:
        """Signs every other browser of this person out; returns how many there were."""
        return await self.change(lambda connection: rows.end_others(connection, viewer.account_id, viewer.session_id))

    async def purge_expired(self) -> int:
        """Removes sessions and links that have ended; returns how many sessions. What opens the vault of a disabled
        account sleeps as long as that (``administration.py``).
        """
        now = self._now()
        disabled = select(accounts.c.disabled).where(accounts.c.id == sessions.c.account_id).scalar_subquery()
        asleep = sessions.c.wrapped_key.is_not(None) & (sessions.c.expires > func.coalesce(disabled, now))
        ended = delete(sessions).where(sessions.c.expires <= now, ~asleep)

        def work(connection: Connection) -> int:
            connection.execute(delete(links).where(links.c.expires <= now))
            return connection.execute(ended).rowcount

        return await self._database.write(work)

    # Preferences

    async def set_language(self, viewer: Viewer, language: str) -> None:
        """``language``: a code such as “fr”, or "" for the browser's."""
        await self._prefer(viewer, "language", language)

    async def set_theme(self, viewer: Viewer, theme: str) -> None:
        """``theme``: “light”, “dark”, or "" for the browser's."""
        await self._prefer(viewer, "theme", theme)

    async def set_told_edition(self, viewer: Viewer, edition: int) -> None:
        """From now on only what changes after this edition of the charter is told."""
        await self._prefer(viewer, "told_edition", edition)

    async def set_name(self, viewer: Viewer, typed: str) -> None:
        """What the person signs in with from now on. Raises NameNotUsable, NameTaken."""
        await self.change(lambda connection: give_name(connection, viewer.account_id, read_name(typed)))

    async def _prefer(self, viewer: Viewer, column: str, value: str | int) -> None:
        change = update(accounts).where(accounts.c.id == viewer.account_id).values({column: value})
        await self.change(lambda connection: connection.execute(change))

    # API keys

    async def founder_id(self) -> str | None:
        return await self._database.read(rows.find_founder)

    async def ensure_founder(self) -> str:
        """The founder's account; made, without a vault, if nobody opened the link yet."""
        now = self._now()
        return await self._database.write(lambda connection: rows.ensure_founder(connection, now))

    async def make_api_key(
        self, account_id: str, name: str, *, daily_tokens: int | None = None, at_once: int | None = None
    ) -> str:
        """A new key, ``cm_…``; only its SHA-256 is stored, so this is the one time that it can be shown. It may have
        less than its owner; None: as its owner.
        """
        api_key = new_api_key()
        row = {
            "id": new_id(),
            "account_id": account_id,
            "name": name,
            "prefix": api_key[:_PREFIX_LENGTH],
            "token_hash": digest(api_key),
            "created": self._now(),
            "daily_tokens": daily_tokens,
            "at_once": at_once,
        }
        await self._database.write(lambda connection: connection.execute(insert(api_keys), row))
        return api_key

    async def caller(self, api_key: str) -> Caller | None:
        """Whose API key this is; None if nobody's or revoked, or its owner is disabled. Remembered for seconds."""
        image, generation, now = digest(api_key), self._callers.generation, self._now()
        known = self._callers.find(image)
        if known is not None:
            return known
        query = (
            select(api_keys, accounts.c.vault_id, accounts.c.role, vaults.c.public_key)
            .join(accounts, accounts.c.id == api_keys.c.account_id)
            .outerjoin(vaults, vaults.c.id == accounts.c.vault_id)
            .where(api_keys.c.token_hash == image, accounts.c.disabled.is_(None))
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            return None
        public_key = PublicKey.from_bytes(row.public_key) if row.public_key is not None else None
        caller = Caller(row.account_id, row.id, row.name, public_key, row.vault_id or "", Role(row.role))
        if row.last_used is None or now - row.last_used > TOUCH_EVERY_S:
            used = update(api_keys).where(api_keys.c.id == row.id).values(last_used=now)
            self._database.post(lambda connection: connection.execute(used))
        self._callers.put(image, caller, generation)
        return caller

    async def api_keys(self, account_id: str) -> list[ApiKeyInfo]:
        """The account's keys, newest first."""
        query = select(api_keys).where(api_keys.c.account_id == account_id).order_by(api_keys.c.created.desc())
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [
            ApiKeyInfo(row.id, row.name, row.prefix, row.created, row.last_used, row.daily_tokens, row.at_once)
            for row in found
        ]

    async def revoke_api_key(self, account_id: str, key_id: str) -> None:
        """From now on the key opens nothing, and what was sealed under it is gone, in the write-ahead log too. Backups
        are not touched. Raises NotFound.
        """
        chosen = delete(api_keys).where(api_keys.c.id == key_id, api_keys.c.account_id == account_id)

        def work(connection: Connection) -> None:
            if not connection.execute(chosen).rowcount:
                raise NotFound
            clear_callers(connection, key_id)

        await self.erase(work)

    async def change(self, work: Callable[[Connection], T]) -> T:
        """Writes, then forgets what was remembered: in this order, so that no reader brings the old state back."""
        try:
            return await self._database.write(work)
        finally:
            self._forget()

    async def erase(self, work: Callable[[Connection], T]) -> T:
        """As ``change``; what was deleted is gone from the write-ahead log, too."""
        result = await self.change(work)
        await self._database.forget()
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._database.read(work)

    @property
    def now(self) -> float:
        return self._now()

    def _forget(self) -> None:
        self._viewers.clear()
        self._callers.clear()


def give_name(connection: Connection, account_id: str, name: str) -> None:
    """Raises NameTaken."""
    try:
        change = update(accounts).where(accounts.c.id == account_id).values(name=name, name_key=key_of(name))
        connection.execute(change)
    except IntegrityError as error:
        raise NameTaken from error
