"""The ways into an account, in the tables. Functions for the database's threads; ``ways_in.py`` is their face.

Each way wraps the vault's private key under a secret of its own (``vault.wrap``), so that one is added, changed or
taken away without touching what is sealed, nor the other ways.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from commun.store.passwords import Derived
from commun.store.people import Kind, UnlockInfo, Viewer
from commun.store.schema import accounts, unlocks
from commun.store.tree import new_id
from commun.store.vault import AccountKey, VaultError, bind, unwrap, wrap

SIGNING_IN = frozenset({Kind.PASSWORD, Kind.PASSKEY, Kind.RECOVERY, Kind.PROVIDER})
TOUCH_EVERY_S = 60.0  # last-used times are true to the minute


@dataclass(frozen=True, slots=True)
class Way:
    """One way in, as it is stored. ``wrapped`` None: it signs in and opens nothing."""

    id: str
    account_id: str
    vault_id: str | None
    kind: Kind
    name: str
    parameters: Mapping[str, Any]
    verifier: bytes | None = field(repr=False)
    wrapped: bytes | None = field(repr=False)
    created: float
    last_used: float | None

    def key_under(self, secret: bytes) -> AccountKey:
        """The private key that it holds. Raises VaultError."""
        if self.wrapped is None or self.vault_id is None:
            raise VaultError
        return unwrap(self.wrapped, secret, holding(self.kind, self.id, self.account_id, self.vault_id))


def holding(kind: Kind, unlock_id: str, account_id: str, vault_id: str) -> bytes:
    """The context of a key that a way in holds. A recovery code's is that of the column in which it stood first: codes
    that were made before there were other ways still open.
    """
    if kind is Kind.RECOVERY:
        return bind("vaults", "recovery", account_id, vault_id)
    return bind("unlocks", "wrapped_key", kind.value, unlock_id, account_id, vault_id)


def _way(row: Row[Any]) -> Way:
    return Way(
        id=row.id,
        account_id=row.account_id,
        vault_id=row.vault_id,
        kind=Kind(row.kind),
        name=row.name,
        parameters=json.loads(row.parameters),
        verifier=row.verifier,
        wrapped=row.wrapped_key,
        created=row.created,
        last_used=row.last_used,
    )


def _ways(connection: Connection, query: Select[Any]) -> list[Way]:
    return [_way(row) for row in connection.execute(query)]


def ways_of(connection: Connection, account_id: str) -> list[Way]:
    """Oldest first."""
    return _ways(connection, select(unlocks).where(unlocks.c.account_id == account_id).order_by(unlocks.c.created))


def find_way(connection: Connection, account_id: str, kind: Kind) -> Way | None:
    """The way of a kind of which an account has one at most."""
    query = select(unlocks).where(unlocks.c.account_id == account_id, unlocks.c.kind == kind.value)
    found = _ways(connection, query)
    return found[0] if found else None


def find_by_name(connection: Connection, name_key: str, kind: Kind) -> Way | None:
    """That of whoever signs in with a name; None for a name that nobody has, and for an account that is disabled."""
    query = (
        select(unlocks)
        .join(accounts, accounts.c.id == unlocks.c.account_id)
        .where(accounts.c.name_key == name_key, accounts.c.disabled.is_(None), unlocks.c.kind == kind.value)
    )
    found = _ways(connection, query)
    return found[0] if found else None


def find_by_credential(
    connection: Connection, kind: Kind, credential: bytes, *, also_disabled: bool = False
) -> Way | None:
    """A passkey, by its number, or an account at a provider, by its mark; None where nobody has it, and for an account
    that is disabled. Never one for the other: whoever makes a passkey chooses its number.
    """
    query = (
        select(unlocks)
        .join(accounts, accounts.c.id == unlocks.c.account_id)
        .where(unlocks.c.kind == kind.value, unlocks.c.credential == credential)
    )
    found = _ways(connection, query if also_disabled else query.where(accounts.c.disabled.is_(None)))
    return found[0] if found else None


def find_way_by_id(connection: Connection, way_id: str) -> Way | None:
    found = _ways(connection, select(unlocks).where(unlocks.c.id == way_id))
    return found[0] if found else None


def set_parameters(connection: Connection, way: Way, parameters: Mapping[str, Any]) -> None:
    stored = json.dumps(parameters, sort_keys=True)
    connection.execute(update(unlocks).where(unlocks.c.id == way.id).values(parameters=stored))


def is_as_it_was(connection: Connection, way: Way) -> bool:
    """Whether it has been neither changed nor taken away since it was read."""
    query = select(unlocks.c.verifier, unlocks.c.wrapped_key).where(unlocks.c.id == way.id)
    row = connection.execute(query).first()
    return row is not None and (row.verifier, row.wrapped_key) == (way.verifier, way.wrapped)


def add_way(
    connection: Connection,
    viewer: Viewer,
    kind: Kind,
    now: float,
    *,
    secret: bytes | None,
    verifier: bytes | None = None,
    parameters: Mapping[str, Any] | None = None,
    name: str = "",
    credential: bytes | None = None,
) -> str:
    """Replaces that of the same kind, where an account has one at most. ``secret``: what opens the vault, which is
    ``viewer``'s and open; None: it only signs in. Returns its id.
    """
    if kind is not Kind.PASSKEY:
        former = delete(unlocks).where(unlocks.c.account_id == viewer.account_id, unlocks.c.kind == kind.value)
        connection.execute(former)
    way_id = new_id()
    wrapped = None
    if secret is not None and viewer.key is not None:
        wrapped = wrap(viewer.key, secret, holding(kind, way_id, viewer.account_id, viewer.vault_id))
    row = {
        "id": way_id,
        "account_id": viewer.account_id,
        "vault_id": viewer.vault_id if wrapped is not None else None,
        "kind": kind.value,
        "name": name,
        "credential": credential,
        "parameters": json.dumps(parameters or {}, sort_keys=True),
        "verifier": verifier,
        "wrapped_key": wrapped,
        "created": now,
    }
    connection.execute(insert(unlocks), row)
    return way_id


def wrap_again(
    connection: Connection, way: Way, key: AccountKey, derived: Derived, parameters: Mapping[str, Any]
) -> None:
    """The same way, derived at another cost."""
    values: dict[str, Any] = {"verifier": derived.verifier, "parameters": json.dumps(parameters, sort_keys=True)}
    if way.vault_id is not None:
        values["wrapped_key"] = wrap(key, derived.secret, holding(way.kind, way.id, way.account_id, way.vault_id))
    connection.execute(update(unlocks).where(unlocks.c.id == way.id).values(values))


def mark_used(connection: Connection, way: Way, now: float) -> None:
    if way.last_used is None or now - way.last_used > TOUCH_EVERY_S:
        connection.execute(update(unlocks).where(unlocks.c.id == way.id).values(last_used=now))


def remove_way(connection: Connection, account_id: str, way_id: str) -> bool:
    chosen = delete(unlocks).where(unlocks.c.id == way_id, unlocks.c.account_id == account_id)
    return bool(connection.execute(chosen).rowcount)


def forget_opened(connection: Connection, account_id: str) -> None:
    """Of ways into a vault that was given up those go that do nothing else; the others sign in as before."""
    opens_only = (Kind.RECOVERY.value, Kind.PASSPHRASE.value)
    mine = unlocks.c.account_id == account_id
    connection.execute(delete(unlocks).where(mine, unlocks.c.kind.in_(opens_only)))
    connection.execute(update(unlocks).where(mine).values(vault_id=None, wrapped_key=None))


def info_of(way: Way, viewer: Viewer) -> UnlockInfo:
    return UnlockInfo(
        id=way.id,
        kind=way.kind,
        name=way.name,
        created=way.created,
        last_used=way.last_used,
        opens=way.wrapped is not None and way.vault_id == viewer.vault_id,
        signs_in=way.kind in SIGNING_IN,
    )
