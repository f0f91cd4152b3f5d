"""The ways into an account and its vault: password, passphrase, passkey, recovery code. Added, changed, taken away.

Signing in tells nobody which names there are: a name that nobody has, an account that is disabled, one without a
password and a wrong password cost the same work and raise the same error. How often somebody may try is the pages'
business (``web/attempts.py``).
"""

from collections.abc import Callable, Iterable
from typing import Final

from sqlalchemy import Connection

from commun.errors import N_, NotFound, NotSignedIn, Refused, VaultLocked
from commun.store import sessions as rows
from commun.store.accounts import Accounts, give_name
from commun.store.instructions import erase_all_of
from commun.store.names import key_of, read_name
from commun.store.passwords import Derived, Hasher, Parameters, check_password
from commun.store.people import Kind, SignedIn, UnlockInfo, Viewer
from commun.store.readers import end_all_of
from commun.store.recovery import RecoveryCodeWrong, new_secret, read_code, write_code
from commun.store.unlocks import (
    Way,
    add_way,
    find_by_name,
    find_way,
    forget_opened,
    info_of,
    is_as_it_was,
    mark_used,
    remove_way,
    ways_of,
    wrap_again,
)
from commun.store.vault import AccountKey, VaultError

_NOBODYS_CODE: Final = Way(
    id="nobody",
    account_id="nobody",
    vault_id="nobody",
    kind=Kind.RECOVERY,
    name="",
    parameters={},
    verifier=None,
    wrapped=b"\x04" + bytes(200),
    created=0.0,
    last_used=None,
)


class SignInFailed(NotSignedIn):
    """Which of the two it was is not told, nor whether there is such a name."""

    code = "sign_in_failed"
    problem = N_("This name and this password do not go together.")
    cure = N_("Try again, or use your recovery code.")


class CodeSignInFailed(NotSignedIn):
    code = "code_sign_in_failed"
    problem = N_("This name and this recovery code do not go together.")
    cure = N_("Use the code that was made last: a newer one replaces the older.")


class PasswordWrong(Refused):
    code = "password_wrong"
    problem = N_("This is not your present password.")
    cure = N_("Type it again.")


class NameNeeded(Refused):
    code = "name_needed"
    problem = N_("A password needs a name to sign in with.")
    cure = N_("Choose a name first.")


class LastWayIn(Refused):
    """Only somebody who was told may go on."""

    code = "last_way_in"
    problem = N_("Without this one, no way into your conversations is left but the browsers that are signed in now.")
    cure = N_("Make another one first: a password, a passkey or a recovery code.")


class WaysIn:
    def __init__(self, accounts: Accounts, hasher: Hasher) -> None:
        self._accounts = accounts
        self._hasher = hasher

    async def list(self, viewer: Viewer) -> list[UnlockInfo]:
        """Oldest first."""
        ways = await self._accounts.read(lambda connection: ways_of(connection, viewer.account_id))
        return [info_of(way, viewer) for way in ways]

    # Signing in

    async def verifier_of(self, name: str) -> bytes | None:
        """What the password of this name is compared with: another one after each change. None: nobody has one."""
        found = await self._accounts.read(lambda connection: find_by_name(connection, key_of(name), Kind.PASSWORD))
        return None if found is None else found.verifier

    async def sign_in(self, name: str, password: str, *, session: str | None = None) -> SignedIn:
        """``session``: the browser's former cookie, which ends. Raises SignInFailed, ManySignIns."""
        way = await self._accounts.read(lambda connection: find_by_name(connection, key_of(name), Kind.PASSWORD))
        parameters = None if way is None else Parameters.from_stored(way.parameters)
        derived = await self._hasher.derive(password, parameters)
        if not derived.matches(None if way is None else way.verifier) or way is None or parameters is None:
            raise SignInFailed
        key = _key_of(way, derived.secret)
        signed_in = await self._enter(way, key, session, SignInFailed)
        if key is not None and parameters.cost != self._hasher.cost:
            await self._raise_cost(way, key, password)
        return signed_in

    async def sign_in_with_code(self, name: str, code: str, *, session: str | None = None) -> SignedIn:
        """For who lost the password. Raises RecoveryCodeMistyped, CodeSignInFailed."""
        secret = read_code(code)
        way = await self._accounts.read(lambda connection: find_by_name(connection, key_of(name), Kind.RECOVERY))
        try:
            key = (way or _NOBODYS_CODE).key_under(secret)
        except VaultError:
            raise CodeSignInFailed from None
        if way is None:
            raise CodeSignInFailed
        return await self._enter(way, key, session, CodeSignInFailed)

    async def enter(self, way: Way, key: AccountKey | None, *, session: str | None) -> SignedIn:
        """Signs in whoever has shown that ``way`` is theirs. Raises SignInFailed if it was taken away meanwhile."""
        return await self._enter(way, key, session, SignInFailed)

    async def _enter(
        self, way: Way, key: AccountKey | None, session: str | None, failed: type[NotSignedIn]
    ) -> SignedIn:
        def work(connection: Connection) -> SignedIn:
            if not is_as_it_was(connection, way):
                raise failed
            opened = None if key is None or way.vault_id is None else (key, way.vault_id)
            shows = way.kind is not Kind.PROVIDER
            try:
                signed_in = self._accounts.enter(connection, way.account_id, opened, session=session, shows=shows)
            except NotFound:
                raise failed from None  # disabled since it was read
            mark_used(connection, way, self._accounts.now)
            return signed_in

        return await self._accounts.change(work)

    async def _raise_cost(self, way: Way, key: AccountKey, password: str) -> None:
        """The password was made when less was asked of a guesser."""
        derived, parameters = await self._hasher.derive_new(password)

        def work(connection: Connection) -> None:
            if is_as_it_was(connection, way):
                wrap_again(connection, way, key, derived, parameters.to_stored())

        await self._accounts.change(work)

    # The password

    async def has_password(self, viewer: Viewer) -> bool:
        query = Kind.PASSWORD
        return await self._accounts.read(lambda found: find_way(found, viewer.account_id, query)) is not None

    async def check_present(self, viewer: Viewer, present: str) -> Way | None:
        """The password that the account has, if ``present`` is it; None where it has none. Raises PasswordWrong."""
        way = await self._accounts.read(lambda found: find_way(found, viewer.account_id, Kind.PASSWORD))
        if way is not None:
            derived = await self._hasher.derive(present, Parameters.from_stored(way.parameters))
            if not derived.matches(way.verifier):
                raise PasswordWrong
        return way

    async def set_password(
        self, token: str, viewer: Viewer, password: str, *, present: str = "", name: str = ""
    ) -> SignedIn:
        """The first one, or another one for which ``present`` is asked. Wraps the vault's key again and nothing else;
        every other browser is signed out, and this one gets a new token. ``name``: what to sign in with, where none was
        chosen yet. Raises VaultLocked, NameNeeded, PasswordWrong and what ``check_password`` and ``read_name`` raise.
        """
        if viewer.key is None:
            raise VaultLocked
        chosen = viewer.name or (read_name(name) if name else "")
        if not chosen:
            raise NameNeeded
        check_password(password, chosen)
        before = await self.check_present(viewer, present)
        derived, parameters = await self._hasher.derive_new(password)

        def work(connection: Connection) -> SignedIn:
            if before is not None and not is_as_it_was(connection, before):
                raise PasswordWrong
            if not viewer.name:
                give_name(connection, viewer.account_id, chosen)
            self._put_password(connection, viewer, derived, parameters)
            rows.end_others(connection, viewer.account_id, viewer.session_id)
            rows.mark_shown(connection, viewer.session_id, self._accounts.now)
            return self._renewed(connection, token, viewer)

        return await self._accounts.change(work)

    def _put_password(self, connection: Connection, viewer: Viewer, derived: Derived, parameters: Parameters) -> None:
        add_way(
            connection,
            viewer,
            Kind.PASSWORD,
            self._accounts.now,
            secret=derived.secret,
            verifier=derived.verifier,
            parameters=parameters.to_stored(),
        )

    def _renewed(self, connection: Connection, token: str, viewer: Viewer) -> SignedIn:
        renewed = rows.renew_token(connection, token, viewer.session_id, viewer.account_id)
        return SignedIn(renewed, self._accounts.again(connection, renewed))

    # The passphrase: opens the vault of somebody who signs in elsewhere

    async def set_passphrase(self, viewer: Viewer, passphrase: str) -> None:
        """Raises VaultLocked and what ``check_password`` raises."""
        if viewer.key is None:
            raise VaultLocked
        check_password(passphrase, viewer.name)
        derived, parameters = await self._hasher.derive_new(passphrase)
        stored = parameters.to_stored()
        await self._accounts.change(
            lambda connection: add_way(
                connection, viewer, Kind.PASSPHRASE, self._accounts.now, secret=derived.secret, parameters=stored
            )
        )

    # The recovery code

    async def make_recovery_code(self, viewer: Viewer) -> str:
        """A code that opens the vault in another browser; replaces the older one. Shown once. Raises VaultLocked."""
        if viewer.key is None:
            raise VaultLocked
        secret = new_secret()
        await self._accounts.change(
            lambda connection: add_way(connection, viewer, Kind.RECOVERY, self._accounts.now, secret=secret)
        )
        return write_code(secret)

    async def try_recovery_code(self, viewer: Viewer, code: str) -> None:
        """Whether what was written down is the code. Raises RecoveryCodeMistyped, RecoveryCodeWrong."""
        secret = read_code(code)

        def work(connection: Connection) -> None:
            way, _key = self._opened_by(connection, viewer, Kind.RECOVERY, secret)
            mark_used(connection, way, self._accounts.now)

        await self._accounts.change(work)

    async def has_recovery_code(self, viewer: Viewer) -> bool:
        return any(way.kind is Kind.RECOVERY and way.opens for way in await self.list(viewer))

    # Showing again who one is, in a browser that is signed in

    async def shown_by(self, viewer: Viewer) -> frozenset[Kind]:
        """With what they can. A provider is not among it: it may let in whoever sits before an open browser. Empty for
        who has nothing yet but this browser (the founder's link, a provider alone): nothing can be asked of them.
        """
        return frozenset(way.kind for way in await self.list(viewer) if way.kind is not Kind.PROVIDER)

    async def show_with_words(self, token: str, viewer: Viewer, typed: str) -> SignedIn:
        """With the password or the passphrase. The browser gets a new token, and opens what it opened before. Raises
        PasswordWrong, NotSignedIn if ``token`` is not this session's.
        """
        ways = await self._accounts.read(lambda connection: ways_of(connection, viewer.account_id))
        for way in ways:
            if way.kind in {Kind.PASSWORD, Kind.PASSPHRASE}:
                derived = await self._hasher.derive(typed, Parameters.from_stored(way.parameters))
                if derived.matches(way.verifier) or _key_of(way, derived.secret) is not None:
                    return await self.shown(token, viewer, way)
        raise PasswordWrong

    async def show_with_code(self, token: str, viewer: Viewer, code: str) -> SignedIn:
        """With the recovery code, which stays good. Raises RecoveryCodeMistyped, RecoveryCodeWrong, NotSignedIn."""
        secret = read_code(code)
        way = await self._accounts.read(lambda found: find_way(found, viewer.account_id, Kind.RECOVERY))
        if way is None or _key_of(way, secret) is None:
            raise RecoveryCodeWrong
        return await self.shown(token, viewer, way)

    async def shown(self, token: str, viewer: Viewer, way: Way) -> SignedIn:
        """For who has shown that ``way`` is theirs. Raises Refused if it was changed or taken away meanwhile."""

        def work(connection: Connection) -> SignedIn:
            if way.account_id != viewer.account_id or not is_as_it_was(connection, way):
                raise Refused
            mark_used(connection, way, self._accounts.now)
            rows.mark_shown(connection, viewer.session_id, self._accounts.now)
            return self._renewed(connection, token, viewer)

        return await self._accounts.change(work)

    # Opening the vault in a browser that is signed in

    async def unlock(self, token: str, viewer: Viewer, code: str) -> SignedIn:
        """Opens the vault in this browser, for as long as it stays signed in; its token is a new one. Raises
        RecoveryCodeMistyped and RecoveryCodeWrong (both Refused), NotSignedIn if ``token`` is not this session's.
        """
        return await self._unlock(token, viewer, Kind.RECOVERY, read_code(code))

    async def unlock_with_words(self, token: str, viewer: Viewer, typed: str) -> SignedIn:
        """The same with the password or the passphrase. Raises PasswordWrong."""
        ways = await self._accounts.read(lambda connection: ways_of(connection, viewer.account_id))
        for way in ways:
            if way.kind in {Kind.PASSWORD, Kind.PASSPHRASE} and way.vault_id == viewer.vault_id:
                derived = await self._hasher.derive(typed, Parameters.from_stored(way.parameters))
                if _key_of(way, derived.secret) is not None:
                    return await self._unlock(token, viewer, way.kind, derived.secret)
        raise PasswordWrong

    async def _unlock(self, token: str, viewer: Viewer, kind: Kind, secret: bytes) -> SignedIn:
        def work(connection: Connection) -> SignedIn:
            way, key = self._opened_by(connection, viewer, kind, secret)
            mark_used(connection, way, self._accounts.now)
            rows.mark_shown(connection, viewer.session_id, self._accounts.now)
            return self.give(connection, token, viewer, key)

        return await self._accounts.change(work)

    def give(self, connection: Connection, token: str, viewer: Viewer, key: AccountKey) -> SignedIn:
        """In the writer: the session opens the vault, under a new token. Raises NotSignedIn."""
        rows.give_key(
            connection,
            key,
            token,
            account_id=viewer.account_id,
            session_id=viewer.session_id,
            vault_id=viewer.vault_id,
        )
        return self._renewed(connection, token, viewer)

    def _opened_by(self, connection: Connection, viewer: Viewer, kind: Kind, secret: bytes) -> tuple[Way, AccountKey]:
        """Raises RecoveryCodeWrong, PasswordWrong."""
        wrong: Callable[[], Refused] = RecoveryCodeWrong if kind is Kind.RECOVERY else PasswordWrong
        way = find_way(connection, viewer.account_id, kind)
        if way is None or way.vault_id != viewer.vault_id:
            raise wrong()
        key = _key_of(way, secret)
        if key is None:
            raise wrong()
        return way, key

    async def start_over(self, token: str, viewer: Viewer) -> SignedIn:
        """A new key pair for an account whose key is lost. Older conversations stay sealed and are hidden, from who
        read them, too; folders and instructions go; other browsers are locked. Raises NotSignedIn if ``token`` is not
        this session's.
        """

        def work(connection: Connection) -> SignedIn:
            forget_opened(connection, viewer.account_id)
            end_all_of(connection, viewer.account_id)
            erase_all_of(connection, viewer.account_id)
            rows.new_vault(connection, token, viewer.account_id, viewer.session_id, self._accounts.now)
            return self._renewed(connection, token, viewer)

        return await self._accounts.erase(work)

    # Taking away

    async def remove(self, viewer: Viewer, way_id: str, *, though_last: bool = False) -> None:
        """Raises NotFound; LastWayIn where what is left does not sign in and open the vault, unless ``though_last``."""

        def work(connection: Connection) -> None:
            ways = [info_of(way, viewer) for way in ways_of(connection, viewer.account_id)]
            chosen = [way for way in ways if way.id == way_id]
            if not chosen:
                raise NotFound
            counts = chosen[0].opens or _is_enough(ways)
            if counts and not _is_enough(way for way in ways if way.id != way_id) and not though_last:
                raise LastWayIn
            remove_way(connection, viewer.account_id, way_id)

        await self._accounts.change(work)


def _is_enough(ways: Iterable[UnlockInfo]) -> bool:
    """Whether a browser that is signed out can be signed in and opened: by one of them, or by two."""
    those = list(ways)
    return any(way.signs_in for way in those) and any(way.opens for way in those)


def _key_of(way: Way, secret: bytes) -> AccountKey | None:
    try:
        return way.key_under(secret)
    except VaultError:
        return None
