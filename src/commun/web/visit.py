"""Who asks, in which language: what every page needs to know first."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Final, cast
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from commun.errors import NotSignedIn, VaultLocked
from commun.services import Services
from commun.store.accounts import Viewer
from commun.store.classes import Guest
from commun.web.i18n import choose_language, translator
from commun.web.limits import RateLimits, address_of, counted_apart

COOKIE: Final = "commun_session"
SECURE_COOKIE: Final = "__Host-commun_session"  # the browser then refuses it without Secure and Path=/
LANGUAGE_COOKIE: Final = "commun_language"  # of whoever has no account; for as long as the browser is open
THEME_COOKIE: Final = "commun_theme"
ZONE_COOKIE: Final = "commun_zone"  # set by app.js: the browser's time zone, so that “Today” is the reader's
SIDEBAR_COOKIE: Final = "commun_sidebar"  # set by shell.js
FOLDERS_COOKIE: Final = "commun_folders"  # set by shell.js: ids between dots, with a hyphen before one that is closed
THEMES: Final = ("auto", "light", "dark")
DAY_S: Final = 86_400
GUEST_RATE: Final = "20/minute"  # questions of one guest


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a page. ``viewer`` None: not signed in. ``token``: the session cookie's value, or empty.
    ``guest``: whoever is in a class, without an account.
    """

    request: Request
    services: Services
    viewer: Viewer | None
    token: str
    language: str
    theme: str
    zone: tzinfo
    guest: Guest | None = None

    def translate(self, message: str) -> str:
        return translator(self.language)(message)

    @property
    def owner(self) -> Viewer:
        """The signed-in person, the vault open. Raises NotSignedIn, VaultLocked."""
        if self.viewer is None:
            raise NotSignedIn
        if self.viewer.key is None:
            raise VaultLocked
        return self.viewer

    @property
    def asker(self) -> str:
        """Whose a question in a temporary chat is: an account's id, or a guest's. Raises NotSignedIn, VaultLocked."""
        return self.guest.id if self.guest is not None else self.owner.account_id

    @property
    def wants_data(self) -> bool:
        """Our own script asks: answer with JSON that holds rendered parts, not with a page."""
        return "application/json" in self.request.headers.get("accept", "")

    @property
    def hides_sidebar(self) -> bool:
        return self.request.cookies.get(SIDEBAR_COOKIE) == "hidden"

    def shows_folder(self, folder_id: str) -> bool | None:
        """Whether the reader left it open in the sidebar; None where they never opened or closed it."""
        states = self.request.cookies.get(FOLDERS_COOKIE, "").split(".")
        return None if folder_id not in {state.lstrip("-") for state in states} else folder_id in states

    def local(self, moment: float) -> datetime:
        """A stored time (seconds since 1970) on the reader's clock."""
        return datetime.fromtimestamp(moment, self.zone)


def services_of(request: Request) -> Services:
    return cast("Services", request.app.state.services)


async def visit_of(request: Request) -> Visit:
    """Who asks, whoever it is."""
    services = services_of(request)
    token = session_token(request)
    viewer = await services.accounts.viewer(token) if token else None
    guest = await services.classes.guest(token) if token and viewer is None else None
    accepted = request.headers.get("accept-language", "")
    language, theme = (viewer.language, viewer.theme) if viewer else _chosen_without_account(request)
    return Visit(
        request=request,
        services=services,
        viewer=viewer,
        token=token,
        language=choose_language(language, accepted),
        theme=theme if theme in THEMES else THEMES[0],
        zone=zone_named(request.cookies.get(ZONE_COOKIE, "")),
        guest=guest,
    )


def _chosen_without_account(request: Request) -> tuple[str, str]:
    return request.cookies.get(LANGUAGE_COOKIE, ""), request.cookies.get(THEME_COOKIE, "")


async def member_of(request: Request) -> Visit:
    """Who asks, signed in and with an open vault. Raises NotSignedIn, VaultLocked."""
    visit = await visit_of(request)
    _ = visit.owner
    return visit


async def asker_of(request: Request) -> Visit:
    """Who asks in a temporary chat: a member, or a guest. Raises NotSignedIn, VaultLocked."""
    visit = await visit_of(request)
    _ = visit.asker
    return visit


@cache
def zone_named(name: str) -> tzinfo:
    """The IANA time zone, or UTC. Cached: names come from a cookie, so only short plain ones are looked up."""
    if name and len(name) < 48 and all(part.isascii() and part.replace("_", "").isalnum() for part in name.split("/")):  # noqa: PLR2004
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            return UTC
    return UTC


def check_asking(visit: Visit) -> None:
    """Counts one question of this person; a guest may ask as fast as one types. Raises TooManyRequests."""
    if visit.guest is not None:
        counted_apart(visit.request.app.state, "guest_questions", GUEST_RATE, setting="rate_limit").check(visit.asker)
    cast("RateLimits", visit.request.app.state.rate_limits).check(visit.asker)


def check_signing_in(request: Request) -> None:
    """Counts one try from this address. Raises TooManyRequests."""
    cast("RateLimits", request.app.state.sign_in_limits).check(address_of(request))


def check_address(request: Request, counter: str) -> None:
    """Counts one request from this address, as often as one may sign in, on a counter of its own: it locks nobody out
    of signing in. Raises TooManyRequests.
    """
    spec = services_of(request).settings.sign_in_rate_limit
    counted_apart(request.app.state, counter, spec, setting="sign_in_rate_limit").check(address_of(request))


def is_secure(request: Request) -> bool:
    return services_of(request).settings.public_url.startswith("https://") or request.url.scheme == "https"


def session_token(request: Request) -> str:
    return request.cookies.get(SECURE_COOKIE if is_secure(request) else COOKIE, "")


def remember_session(request: Request, response: Response, token: str) -> None:
    secure = is_secure(request)
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        token,
        max_age=services_of(request).settings.session_days * DAY_S,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def remember_guest(request: Request, response: Response, token: str) -> None:
    """In the cookie of sessions, so that one browser is one person; until the browser is closed."""
    secure = is_secure(request)
    name = SECURE_COOKIE if secure else COOKIE
    response.set_cookie(name, token, path="/", secure=secure, httponly=True, samesite="lax")


def forget_session(request: Request, response: Response) -> None:
    secure = is_secure(request)
    name = SECURE_COOKIE if secure else COOKIE
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")
