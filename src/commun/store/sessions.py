"""Sessions, links and vaults in the tables. Functions for the database's threads; ``accounts.py`` is their face."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from commun.errors import LinkExpired, NotSignedIn
from commun.store.people import Role, Viewer
from commun.store.schema import accounts, conversations, guests, links, sessions, unlocks, vaults
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


def find_founder(connection: Connection) -> str | None:
    """The account that the link of ``commun serve`` opens."""
    return connection.execute(select(accounts.c.id).where(accounts.c.founder == 1)).scalar()


def ensure_founder(connection: Connection, now: float) -> str:
    """The founder's account; made, without a vault, if there is none."""
    return find_founder(connection) or new_account(connection, Role.ADMINISTRATOR, now, founder=True)


def new_account(
    connection: Connection, role: Role, now: float, *, founder: bool = False, account_id: str | None = None
) -> str:
    """An account without a name and without a vault. ``account_id``: by which a passkey knows it already."""
    account_id = account_id or new_id()
    row = {"id": account_id, "role": role.value, "created": now, "language": "", "theme": "", "founder": int(founder)}
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
    """The session of a cookie, with the vault's key if it opens it. Nobody's while the account is disabled."""
    query = (
        select(
            sessions,
            accounts.c.language,
            accounts.c.theme,
            accounts.c.told_edition,
            accounts.c.role,
            accounts.c.name,
            accounts.c.vault_id.label("vault_in_use"),
        )
        .join(accounts, accounts.c.id == sessions.c.account_id)
        .where(sessions.c.token_hash == identify(token), sessions.c.expires > now, accounts.c.disabled.is_(None))
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
    return Viewer(
        account_id=row.account_id,
        session_id=row.id,
        language=row.language,
        theme=row.theme,
        key=key,
        vault_id=row.vault_in_use or "",
        told_edition=row.told_edition,
        role=Role(row.role),
        name=row.name or "",
        since=row.shown or 0.0,
    )


def new_session(
    connection: Connection,
    account_id: str,
    now: float,
    expires: float,
    *,
    key: tuple[AccountKey, str] | None = None,
    shows: bool = True,
) -> str:
    """A session for another browser; returns its token. ``key``: what it opens, and which vault that is. Without one it
    opens the vault only if there is nothing to lose yet. ``shows``: who signed in showed by it who they are.
    """
    token, session_id = new_token(), new_id()
    connection.execute(
        insert(sessions),
        {
            "id": session_id,
            "account_id": account_id,
            "token_hash": identify(token),
            "created": now,
            "shown": now if shows else None,
            "last_used": now,
            "expires": expires,
        },
    )
    if key is not None:
        give_key(connection, key[0], token, account_id=account_id, session_id=session_id, vault_id=key[1])
    elif not is_vault_in_use(connection, account_id, now):
        new_vault(connection, token, account_id, session_id, now)
    return token


def end_session(connection: Connection, token: str) -> None:
    """A browser that signs in again, or enters a class, leaves nothing of what it held before."""
    for table in (sessions, guests):
        connection.execute(delete(table).where(table.c.token_hash == identify(token)))


def end_others(connection: Connection, account_id: str, session_id: str) -> int:
    """Signs every other browser out; returns how many there were."""
    others = delete(sessions).where(sessions.c.account_id == account_id, sessions.c.id != session_id)
    return connection.execute(others).rowcount


def mark_shown(connection: Connection, session_id: str, now: float) -> None:
    """Whoever sits there has just shown who they are."""
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(shown=now))


def renew_token(connection: Connection, token: str, session_id: str, account_id: str) -> str:
    """Another token for the session; the former one is nobody's from now on, and opens nothing. Raises NotSignedIn if
    ``token`` is not this session's.
    """
    renewed = new_token()
    mine = (sessions.c.id == session_id, sessions.c.account_id == account_id)
    row = connection.execute(select(sessions).where(*mine, sessions.c.token_hash == identify(token))).first()
    if row is None:
        raise NotSignedIn
    values: dict[str, Any] = {"token_hash": identify(renewed), "wrapped_key": None}
    if row.wrapped_key is not None:
        context = wrapping(session_id, account_id, row.vault_id)
        key = unwrap(row.wrapped_key, token.encode(), context)
        values["wrapped_key"] = wrap(key, renewed.encode(), context)
    connection.execute(update(sessions).where(*mine).values(values))
    return renewed


def is_vault_in_use(connection: Connection, account_id: str, now: float) -> bool:
    """Whether a new key pair would cost somebody something: stored conversations, a way in that holds the present key,
    or another browser that does.
    """
    vault = select(vaults).join(accounts, accounts.c.vault_id == vaults.c.id).where(accounts.c.id == account_id)
    row = connection.execute(vault).first()
    if row is None:
        return False
    held = exists().where(sessions.c.vault_id == row.id, sessions.c.expires > now)
    written = exists().where(conversations.c.vault_id == row.id)
    wrapped = exists().where(unlocks.c.vault_id == row.id, unlocks.c.wrapped_key.is_not(None))
    return bool(connection.execute(select(held | written | wrapped)).scalar())


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
