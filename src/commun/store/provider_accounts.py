"""Accounts at an identity provider: whose account here each of them signs in to.

Rules:

- an account at the provider is known by its mark alone (``openid/provider.py``), never by a name or an e-mail address:
  whoever takes over an address there takes over nobody here;
- it is linked by its owner, signed in (``link``), or in the moment in which the account here is made (``join``). One
  account there opens one account here, and the other way round;
- it is a way in that signs in and opens nothing (``unlocks.py``): the provider can impersonate a person, and reads
  nothing of theirs, and does not show who sits there (``web/is_it_you.py``). So whoever joins brings a passphrase, or a
  passkey that derives a secret, which alone opens the new vault;
- a mark whose owner is disabled signs nobody in, and stays taken.
"""

from collections.abc import Callable

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from commun.errors import N_, BadRequest, Conflict
from commun.store import sessions as rows
from commun.store.accounts import Accounts, give_name
from commun.store.invitations import Invitations
from commun.store.names import NameTaken, key_of, read_name
from commun.store.passkeys import NewPasskey, add_passkey
from commun.store.passwords import Hasher, check_password
from commun.store.people import Kind, Role, SignedIn, Viewer
from commun.store.schema import accounts
from commun.store.unlocks import Way, add_way, find_by_credential
from commun.store.ways_in import WaysIn


class MarkTaken(Conflict):
    code = "provider_account_taken"
    problem = N_("That account is linked to somebody else here.")
    cure = N_("Sign in with it, or use another one.")


class PasskeyOpensNothing(BadRequest):
    code = "passkey_opens_nothing"
    problem = N_("A passkey of this device derives no secret: it would sign you in and open nothing.")
    cure = N_("No account was made yet: choose a passphrase, or make the passkey on another device.")


class ProviderAccounts:
    def __init__(self, accounts: Accounts, ways_in: WaysIn, invitations: Invitations, hasher: Hasher) -> None:
        self._accounts = accounts
        self._ways_in = ways_in
        self._invitations = invitations
        self._hasher = hasher

    async def find(self, mark: bytes) -> Way | None:
        """None where nobody has linked it, and for an account that is disabled."""
        return await self._accounts.read(lambda connection: find_by_credential(connection, Kind.PROVIDER, mark))

    async def is_taken(self, mark: bytes) -> bool:
        """Also by somebody who is disabled."""
        found = await self._accounts.read(lambda each: _holder(each, mark))
        return found is not None

    async def sign_in(self, way: Way, *, session: str | None) -> SignedIn:
        """``session``: the browser's former cookie, which ends. The vault stays shut. Raises SignInFailed if it was
        taken away meanwhile.
        """
        return await self._ways_in.enter(way, None, session=session)

    async def link(self, viewer: Viewer, mark: bytes) -> None:
        """Replaces the one that was linked before. Raises MarkTaken."""

        def work(connection: Connection) -> None:
            present = _holder(connection, mark)
            if present is None:
                self._add(connection, viewer, mark)
            elif present.account_id != viewer.account_id:
                raise MarkTaken

        await self._accounts.change(work)

    async def join(
        self, mark: bytes, name: str, passphrase: str, *, invitation: str | None, session: str | None
    ) -> SignedIn:
        """A new account with its vault, the passphrase that opens it, and a session in which it is open.
        ``invitation``: its token; None: a member's account without one. Raises InvitationOver, MarkTaken, NameTaken
        and what ``read_name`` and ``check_password`` raise.
        """
        chosen = read_name(name)
        check_password(passphrase, chosen)
        derived, parameters = await self._hasher.derive_new(passphrase)
        secret, stored = derived.secret, parameters.to_stored()

        def open_with_words(connection: Connection, viewer: Viewer) -> None:
            add_way(connection, viewer, Kind.PASSPHRASE, self._accounts.now, secret=secret, parameters=stored)

        return await self._join(mark, chosen, open_with_words, invitation=invitation, session=session)

    async def join_with_passkey(
        self,
        mark: bytes,
        name: str,
        passkey: NewPasskey,
        *,
        account_id: str,
        invitation: str | None,
        session: str | None,
    ) -> SignedIn:
        """The same with a passkey, which knows the account already as ``account_id`` and signs in, too. Raises
        PasskeyOpensNothing and what ``join`` raises, without its words.
        """
        if passkey.secret is None:
            raise PasskeyOpensNothing

        def open_with_passkey(connection: Connection, viewer: Viewer) -> None:
            add_passkey(connection, viewer, passkey, self._accounts.now)

        return await self._join(
            mark, read_name(name), open_with_passkey, invitation=invitation, session=session, account_id=account_id
        )

    async def _join(
        self,
        mark: bytes,
        name: str,
        make_opening: Callable[[Connection, Viewer], None],
        *,
        invitation: str | None,
        session: str | None,
        account_id: str | None = None,
    ) -> SignedIn:
        """All of it or nothing. The name comes last: whoever is refused for another reason learns of no name."""

        def work(connection: Connection) -> SignedIn:
            now = self._accounts.now
            role = Role.MEMBER if invitation is None else self._invitations.spend(connection, invitation)
            made = rows.new_account(connection, role, now, account_id=account_id)
            signed_in = self._accounts.enter(connection, made, None, session=session)
            make_opening(connection, signed_in.viewer)
            self._add(connection, signed_in.viewer, mark)
            give_name(connection, made, name)
            return SignedIn(signed_in.token, self._accounts.again(connection, signed_in.token))

        return await self._accounts.change(work)

    async def check_name(self, name: str) -> str:
        """As it will be written, before a passkey is made under it. Raises NameTaken and what ``read_name`` raises."""
        chosen = read_name(name)
        query = select(accounts.c.id).where(accounts.c.name_key == key_of(chosen))
        if await self._accounts.read(lambda connection: connection.execute(query).scalar()) is not None:
            raise NameTaken
        return chosen

    def _add(self, connection: Connection, viewer: Viewer, mark: bytes) -> None:
        try:
            add_way(connection, viewer, Kind.PROVIDER, self._accounts.now, secret=None, credential=mark)
        except IntegrityError as error:
            raise MarkTaken from error


def _holder(connection: Connection, mark: bytes) -> Way | None:
    """Also that of somebody who is disabled."""
    return find_by_credential(connection, Kind.PROVIDER, mark, also_disabled=True)
