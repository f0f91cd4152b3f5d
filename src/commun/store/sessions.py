"""Sessions, links and vaults in the tables. Functions for the database's threads; ``accounts.py`` is their face."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from commun.errors import LinkExpired, NotSignedIn
from commun.store.people import Viewer
from commun.store.schema import accounts, conversations, links, sessions, vaults
from commun.store.tokens import digest, identify, new_token
from commun.store.tree import new_id
from commun.store.vault import AccountKey, VaultError, bind, unwrap, wrap


@dataclass(frozen=True, slots=True)
class Found:
    """A valid session and when it was last marked as used."""

    viewer: Viewer
    last_used: float


def wrapping(session_id: str, account_id: str, vault_id: str) -> bytes:
    """The context of a session's wrapped key."""
    return bind("sessions", "wrapped_key", session_id, account_id, vault_id)


def recovering(account_id: str, vault_id: str) -> bytes:
    """The context of a key wrapped by a recovery code."""
    return bind("vaults", "recovery", account_id, vault_id)


def find_founder(connection: Connection) -> str | None:
    founder = select(accounts.c.id).where(accounts.c.role == "founder")
    return connection.execute(founder).scalar()


def ensure_founder(connection: Connection, now: float) -> str:
    """The founder's account; made, without a vault, if there is none."""
    found = find_founder(connection)
    if found is not None:
        return found
    account_id = new_id()
    row = {"id": account_id, "role": "founder", "created": now, "language": "", "theme": ""}
    connection.execute(insert(accounts), row)
    return account_id


def replace_link(connection: Connection, token: str, expires: float) -> None:
    connection.execute(delete(links))
    connection.execute(insert(links), {"token_hash": digest(token), "expires": expires})


def use_link(connection: Connection, token: str, now: float) -> None:
    """Spends the link. Raises LinkExpired."""
    spent = connection.execute(delete(links).where(links.c.token_hash == digest(token), links.c.expires > now)).rowcount
    if not spent:
        raise LinkExpired


def find_session(connection: Connection, token: str, now: float) -> Found | None:
    """The session of a cookie, with the vault's key if it opens it."""
    query = (
        select(
            sessions,
            accounts.c.language,
            accounts.c.theme,
            accounts.c.told_edition,
            accounts.c.vault_id.label("vault_in_use"),
        )
        .join(accounts, accounts.c.id == sessions.c.account_id)
        .where(sessions.c.token_hash == identify(token), sessions.c.expires > now)
    )
    row = connection.execute(query).first()
    return None if row is None else Found(_viewer(row, token), row.last_used)


def _viewer(row: Row[Any], token: str) -> Viewer:
    key: AccountKey | None = None
    if row.wrapped_key is not None and row.vault_id == row.vault_in_use:
        try:
            key = unwrap(row.wrapped_key, token.encode(), wrapping(row.id, row.account_id, row.vault_id))
        except VaultError:
            key = None  # somebody changed the row: signed in, but locked
    return Viewer(row.account_id, row.id, row.language, row.theme, key, row.vault_in_use or "", row.told_edition)


def new_session(connection: Connection, account_id: str, now: float, expires: float) -> str:
    """A session for another browser; returns its token. It opens the vault only if there is nothing to lose yet."""
    token, session_id = new_token(), new_id()
    connection.execute(
        insert(sessions),
        {
            "id": session_id,
            "account_id": account_id,
            "token_hash": identify(token),
            "created": now,
            "last_used": now,
            "expires": expires,
        },
    )
    if not is_vault_in_use(connection, account_id, now):
        new_vault(connection, token, account_id, session_id, now)
    return token


def is_vault_in_use(connection: Connection, account_id: str, now: float) -> bool:
    """Whether a new key pair would cost somebody something: stored conversations, a recovery code, or another
    browser that holds the present key.
    """
    vault = select(vaults).join(accounts, accounts.c.vault_id == vaults.c.id).where(accounts.c.id == account_id)
    row = connection.execute(vault).first()
    if row is None:
        return False
    held = exists().where(sessions.c.vault_id == row.id, sessions.c.expires > now)
    written = exists().where(conversations.c.vault_id == row.id)
    return row.recovery is not None or bool(connection.execute(select(held | written)).scalar())


def new_vault(connection: Connection, token: str, account_id: str, session_id: str, now: float) -> AccountKey:
    """A new key pair for the account, opened by this session only. What is sealed to the older one stays sealed."""
    key, vault_id = AccountKey.generate(), new_id()
    row = {"id": vault_id, "account_id": account_id, "created": now, "public_key": key.public.to_bytes()}
    connection.execute(insert(vaults), row)
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(vault_id=vault_id))
    give_key(connection, key, token, account_id=account_id, session_id=session_id, vault_id=vault_id)
    return key


def give_key(
    connection: Connection, key: AccountKey, token: str, *, account_id: str, session_id: str, vault_id: str
) -> None:
    """Lets the session open the vault. Raises NotSignedIn if ``token`` is not this session's."""
    wrapped = wrap(key, token.encode(), wrapping(session_id, account_id, vault_id))
    given = connection.execute(
        update(sessions)
        .where(sessions.c.id == session_id, sessions.c.token_hash == identify(token))
        .values(vault_id=vault_id, wrapped_key=wrapped)
    ).rowcount
    if not given:
        raise NotSignedIn
