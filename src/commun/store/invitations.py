"""Invitations: a link for one person, made by an administrator, good for some days and for one account.

The token is shown once, to whoever made it; what is stored is its hash. Accepting it makes the account, its vault and
its password in one transaction: an invitation that is used twice at once is used once.
"""

from typing import Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from commun.errors import N_, NotFound, NotSignedIn
from commun.store import sessions as rows
from commun.store.accounts import Accounts, give_name
from commun.store.names import read_name
from commun.store.passwords import Hasher, check_password
from commun.store.people import InvitationInfo, Kind, Role, SignedIn
from commun.store.schema import invitations
from commun.store.tokens import digest, new_token
from commun.store.tree import new_id
from commun.store.unlocks import add_way

DAYS: Final = 7
MAX_DAYS: Final = 90
KEPT_DAYS: Final = 30  # a used or expired one is listed this long
_DAY_S: Final = 86_400.0


class InvitationOver(NotSignedIn):
    """Used, withdrawn, expired or never made: which of them is not told."""

    code = "invitation_over"
    problem = N_("This invitation has been used, has been withdrawn or has expired.")
    cure = N_("Ask whoever invited you for another one.")


class Invitations:
    def __init__(self, accounts: Accounts, hasher: Hasher) -> None:
        self._accounts = accounts
        self._hasher = hasher

    async def make(self, role: Role, *, days: int = DAYS, made_by: str | None = None, note: str = "") -> str:
        """The link's token, which is shown this once. ``note``: for whom it is."""
        token, now = new_token(), self._accounts.now
        row = {
            "id": new_id(),
            "token_hash": digest(token),
            "role": role.value,
            "note": note,
            "made_by": made_by,
            "created": now,
            "expires": now + min(max(days, 1), MAX_DAYS) * _DAY_S,
        }
        await self._accounts.change(lambda connection: connection.execute(insert(invitations), row))
        return token

    async def list(self) -> list[InvitationInfo]:
        """Newest first."""
        query = select(invitations).order_by(invitations.c.created.desc())
        found = await self._accounts.read(lambda connection: connection.execute(query).all())
        return [_info(row) for row in found]

    async def revoke(self, invitation_id: str) -> None:
        """Raises NotFound; an invitation that was accepted is not there to be withdrawn."""
        chosen = delete(invitations).where(invitations.c.id == invitation_id, invitations.c.used.is_(None))
        if not await self._accounts.change(lambda connection: connection.execute(chosen).rowcount):
            raise NotFound

    async def find(self, token: str) -> InvitationInfo:
        """Raises InvitationOver."""
        return await self._accounts.read(lambda connection: self._open(connection, token))

    def _open(self, connection: Connection, token: str) -> InvitationInfo:
        query = select(invitations).where(
            invitations.c.token_hash == digest(token),
            invitations.c.used.is_(None),
            invitations.c.expires > self._accounts.now,
        )
        row = connection.execute(query).first()
        if row is None:
            raise InvitationOver
        return _info(row)

    def spend(self, connection: Connection, token: str) -> Role:
        """In the writer: from now on it is used; what whoever accepts it may do. Raises InvitationOver."""
        invitation = self._open(connection, token)
        used = update(invitations).where(invitations.c.id == invitation.id).values(used=self._accounts.now)
        connection.execute(used)
        return invitation.role

    async def accept(self, token: str, name: str, password: str, *, session: str | None = None) -> SignedIn:
        """The account with its vault and its password, and a session that opens it. ``session``: the browser's former
        cookie, which ends. Raises InvitationOver, NameTaken and what ``read_name`` and ``check_password`` raise.
        """
        await self.find(token)
        chosen = read_name(name)
        check_password(password, chosen)
        derived, parameters = await self._hasher.derive_new(password)

        def work(connection: Connection) -> SignedIn:
            now = self._accounts.now
            account_id = rows.new_account(connection, self.spend(connection, token), now)
            give_name(connection, account_id, chosen)
            signed_in = self._accounts.enter(connection, account_id, None, session=session)
            add_way(
                connection,
                signed_in.viewer,
                Kind.PASSWORD,
                now,
                secret=derived.secret,
                verifier=derived.verifier,
                parameters=parameters.to_stored(),
            )
            return signed_in

        return await self._accounts.change(work)

    async def purge(self) -> int:
        """Removes those that ended some while ago."""
        before = self._accounts.now - KEPT_DAYS * _DAY_S
        chosen = delete(invitations).where((invitations.c.expires <= before) | (invitations.c.used <= before))
        return await self._accounts.change(lambda connection: connection.execute(chosen).rowcount)


def _info(row: Row[tuple[object, ...]]) -> InvitationInfo:
    return InvitationInfo(
        id=row.id,
        role=Role(row.role),
        note=row.note,
        made_by=row.made_by,
        created=row.created,
        expires=row.expires,
        used=row.used,
    )
