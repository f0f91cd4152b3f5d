"""Who somebody is, as the rest of the program sees it."""

from dataclasses import dataclass, field

from commun.store.vault import AccountKey, PublicKey


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in browser. ``key`` None: signed in, but the vault is locked. ``vault_id``: the key pair in use.

    ``language`` and ``theme``: "" until chosen (then the browser decides). ``told_edition``: the newest edition of the
    charter that the person was told of; None: nobody was told of any yet.
    """

    account_id: str
    session_id: str
    language: str
    theme: str
    key: AccountKey | None = field(repr=False)
    vault_id: str
    told_edition: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds an API key. ``public_key`` None: the account has no vault yet, nothing can be stored for it."""

    account_id: str
    key_id: str
    name: str
    public_key: PublicKey | None = field(repr=False)
    vault_id: str


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
class ApiKeyInfo:
    """``prefix``: its first characters, to recognise it by. ``last_used``: to the minute."""

    id: str
    name: str
    prefix: str
    created: float
    last_used: float | None
