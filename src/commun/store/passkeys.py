"""Passkeys: a key pair whose private half stays in the authenticator; what stands here is its public half.

Where the authenticator can derive a secret (WebAuthn's extension ``prf``), that secret wraps the vault's key, and the
passkey opens the vault. Where it cannot, the passkey only signs in, and another way in opens the vault.

What the browser sends is verified by ``web/ceremonies.py``, with the library that knows WebAuthn.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from commun.errors import N_, BadRequest, VaultLocked
from commun.store.accounts import Accounts
from commun.store.people import Kind, SignedIn, Viewer
from commun.store.unlocks import Way, add_way, find_by_credential, find_way_by_id, set_parameters, ways_of
from commun.store.vault import AccountKey, VaultError
from commun.store.ways_in import SignInFailed, WaysIn

MOST = 20  # passkeys of one account


class TooManyPasskeys(BadRequest):
    """``details``: ``most``."""

    code = "too_many_passkeys"
    problem = N_("There are already %(most)s passkeys.")
    cure = N_("Take one away first.")


class PasskeyTaken(BadRequest):
    """Browsers refuse to make a second one: whoever sends this number did not ask one."""

    code = "passkey_taken"
    problem = N_("This passkey is already in use.")
    cure = N_("Make another one.")


@dataclass(frozen=True, slots=True)
class Passkey:
    """``sign_count``: how often the authenticator says that it was used; 0 where it does not count."""

    way: Way = field(repr=False)
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """One that an authenticator has just made. ``secret``: what it derives, 32 bytes; None where it cannot."""

    credential: bytes
    public_key: bytes
    sign_count: int
    name: str
    secret: bytes | None = field(repr=False)


def add_passkey(connection: Connection, viewer: Viewer, made: NewPasskey, now: float) -> None:
    """Raises TooManyPasskeys, PasskeyTaken."""
    mine = [way for way in ways_of(connection, viewer.account_id) if way.kind is Kind.PASSKEY]
    if len(mine) >= MOST:
        raise TooManyPasskeys(most=MOST)
    if find_by_credential(connection, Kind.PASSKEY, made.credential, also_disabled=True) is not None:
        raise PasskeyTaken
    parameters = {
        "credential": made.credential.hex(),
        "public_key": made.public_key.hex(),
        "sign_count": made.sign_count,
    }
    add_way(
        connection,
        viewer,
        Kind.PASSKEY,
        now,
        secret=made.secret,
        parameters=parameters,
        name=made.name,
        credential=made.credential,
    )


class Passkeys:
    def __init__(self, accounts: Accounts, ways_in: WaysIn) -> None:
        self._accounts = accounts
        self._ways_in = ways_in

    async def numbers_of(self, viewer: Viewer) -> list[bytes]:
        """By which the account's passkeys are known, so that none is made twice on one authenticator."""
        ways = await self._accounts.read(lambda connection: ways_of(connection, viewer.account_id))
        return [bytes.fromhex(str(way.parameters["credential"])) for way in ways if way.kind is Kind.PASSKEY]

    async def add(self, viewer: Viewer, made: NewPasskey) -> None:
        """Raises VaultLocked and what ``add_passkey`` raises."""
        if viewer.key is None:
            raise VaultLocked
        await self._accounts.change(lambda connection: add_passkey(connection, viewer, made, self._accounts.now))

    async def find(self, credential: bytes) -> Passkey | None:
        """None where nobody has it, and for an account that is disabled."""
        way = await self._accounts.read(lambda connection: find_by_credential(connection, Kind.PASSKEY, credential))
        if way is None:
            return None
        return Passkey(way, bytes.fromhex(str(way.parameters["public_key"])), int(way.parameters["sign_count"]))

    async def sign_in(
        self, passkey: Passkey, sign_count: int, secret: bytes | None, *, session: str | None
    ) -> SignedIn:
        """For whom the signature was verified. ``session``: the browser's former cookie, which ends. Raises
        SignInFailed: taken away meanwhile, or used a second time with one answer.
        """
        await self._count(passkey, sign_count)
        return await self._ways_in.enter(passkey.way, _key_under(passkey.way, secret), session=session)

    async def show(self, token: str, viewer: Viewer, passkey: Passkey, sign_count: int) -> SignedIn:
        """That somebody who is signed in has it; for whom the signature was verified. Raises SignInFailed, as above,
        and what ``WaysIn.shown`` raises.
        """
        await self._count(passkey, sign_count)
        return await self._ways_in.shown(token, viewer, passkey.way)

    async def _count(self, passkey: Passkey, sign_count: int) -> None:
        """Raises SignInFailed."""

        def count(connection: Connection) -> None:
            way = find_way_by_id(connection, passkey.way.id)
            if way is None or ((sign_count or passkey.sign_count) and sign_count <= int(way.parameters["sign_count"])):
                raise SignInFailed
            set_parameters(connection, way, {**way.parameters, "sign_count": sign_count})

        await self._accounts.change(count)


def _key_under(way: Way, secret: bytes | None) -> AccountKey | None:
    try:
        return way.key_under(secret) if secret is not None else None
    except VaultError:
        return None
