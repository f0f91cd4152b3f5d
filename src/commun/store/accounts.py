"""Accounts: who signs in, with which browser or key, and what opens their vault."""

from dataclasses import dataclass, field

from commun.store.database import Database
from commun.store.vault import AccountKey, PublicKey


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in browser. ``key`` None: signed in, but the vault is locked. ``vault_id``: the key pair in use."""

    account_id: str
    session_id: str
    language: str
    theme: str
    key: AccountKey | None = field(repr=False)
    vault_id: str


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
    """``token``: the session cookie's value; it authenticates and opens the vault, and is stored nowhere."""

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
    """``prefix``: its first characters, to recognise it by."""

    id: str
    name: str
    prefix: str
    created: float
    last_used: float | None


class Accounts:
    def __init__(self, database: Database, *, session_days: int) -> None:
        self._database = database
        self._session_days = session_days

    async def make_link(self) -> str:
        """A one-time sign-in token for the founder; good for an hour, replaced by a newer one."""
        raise NotImplementedError

    async def redeem_link(self, token: str, *, session: str | None = None) -> SignedIn:
        """Raises LinkExpired."""
        raise NotImplementedError

    async def viewer(self, token: str) -> Viewer | None:
        raise NotImplementedError

    async def sign_out(self, viewer: Viewer) -> None:
        raise NotImplementedError

    async def sessions(self, viewer: Viewer) -> list[SessionInfo]:
        raise NotImplementedError

    async def revoke_session(self, viewer: Viewer, session_id: str) -> None:
        raise NotImplementedError

    async def make_recovery_code(self, viewer: Viewer) -> str:
        raise NotImplementedError

    async def has_recovery_code(self, viewer: Viewer) -> bool:
        raise NotImplementedError

    async def unlock(self, token: str, viewer: Viewer, code: str) -> Viewer:
        """Raises RecoveryCodeMistyped, RecoveryCodeWrong (both Refused)."""
        raise NotImplementedError

    async def start_over(self, token: str, viewer: Viewer) -> Viewer:
        raise NotImplementedError

    async def set_language(self, viewer: Viewer, language: str) -> None:
        raise NotImplementedError

    async def set_theme(self, viewer: Viewer, theme: str) -> None:
        raise NotImplementedError

    async def founder_id(self) -> str | None:
        raise NotImplementedError

    async def ensure_founder(self) -> str:
        """The founder's account, made (without a vault) if there is none."""
        raise NotImplementedError

    async def make_api_key(self, account_id: str, name: str) -> str:
        raise NotImplementedError

    async def caller(self, api_key: str) -> Caller | None:
        raise NotImplementedError

    async def api_keys(self, account_id: str) -> list[ApiKeyInfo]:
        raise NotImplementedError

    async def revoke_api_key(self, account_id: str, key_id: str) -> None:
        raise NotImplementedError
