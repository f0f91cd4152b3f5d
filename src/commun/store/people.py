"""Who somebody is, as the rest of the program sees it."""

from dataclasses import dataclass, field
from enum import StrEnum

from commun.store.vault import AccountKey, PublicKey


class Role(StrEnum):
    """What an account may do. A board's keyholders are no role of accounts: they are keys of the charter."""

    ADMINISTRATOR = "administrator"
    MEMBER = "member"


class Kind(StrEnum):
    """A way in. Each opens the vault, but for a provider and for a passkey that holds no key; each signs in, but for a
    passphrase.
    """

    PASSWORD = "password"  # noqa: S105  (the name of a kind)
    PASSPHRASE = "passphrase"  # noqa: S105
    PASSKEY = "passkey"
    RECOVERY = "recovery"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in browser. ``key`` None: signed in, but the vault is locked. ``vault_id``: the key pair in use.

    ``language`` and ``theme``: "" until chosen (then the browser decides). ``told_edition``: the newest edition of the
    charter that the person was told of; None: nobody was told of any yet. ``name``: what the person signs in with; "":
    none was chosen yet (the founder, who comes by a link). ``since``: when they last showed who they are in this
    browser, by signing in or again; seconds since 1970; 0: they came by a provider, and have not since.
    """

    account_id: str
    session_id: str
    language: str
    theme: str
    key: AccountKey | None = field(repr=False)
    vault_id: str
    told_edition: int | None = None
    role: Role = Role.MEMBER
    name: str = ""
    since: float = 0.0

    @property
    def administers(self) -> bool:
        return self.role is Role.ADMINISTRATOR


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds an API key. ``public_key`` None: the account has no vault yet, nothing can be stored for it."""

    account_id: str
    key_id: str
    name: str
    public_key: PublicKey | None = field(repr=False)
    vault_id: str
    role: Role = Role.MEMBER


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``token``: the session cookie's value; it identifies and opens the vault, and is stored nowhere."""

    token: str = field(repr=False)
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """``current``: the browser that asks. ``unlocked``: it opens the vault. Times: seconds since 1970."""

    id: str
    created: float
    last_used: float
    expires: float
    current: bool
    unlocked: bool


@dataclass(frozen=True, slots=True)
class UnlockInfo:
    """One way in. ``name``: what its owner calls a passkey. ``opens``: it opens the vault in use, too. ``signs_in``: a
    browser that is signed out comes in with it.
    """

    id: str
    kind: Kind
    name: str
    created: float
    last_used: float | None
    opens: bool
    signs_in: bool


@dataclass(frozen=True, slots=True)
class InvitationInfo:
    """``note``: for whom it is. ``made_by``: an account's id, None for the command line. ``used``: None until then."""

    id: str
    role: Role
    note: str
    made_by: str | None
    created: float
    expires: float
    used: float | None


@dataclass(frozen=True, slots=True)
class ApiKeyInfo:
    """``prefix``: its first characters, to recognise it by. ``last_used``: to the minute. ``daily_tokens`` and
    ``at_once`` None: as its owner.
    """

    id: str
    name: str
    prefix: str
    created: float
    last_used: float | None
    daily_tokens: int | None = None
    at_once: int | None = None
