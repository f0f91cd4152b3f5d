"""Signing in at the identity provider: sending a browser there, and taking it back.

- Every way there is a POST, which no other site can make (``guard.py``); it answers with a page that goes on by itself,
  for a browser would hold a redirect to the rule that forms stay here (``form-action``), wherever the provider sends it
  next.
- A try is counted where it begins, not when it comes back. It is kept in this process's memory and bound to the
  browser by a cookie of its own, which lives for ten minutes and is spent by the first way back, whatever comes of it.
  Where the try links an account, the session must be the one that began it. Nothing in the provider's answer says where
  to go: the try does (``own_path``).
- Who comes back with an account that somebody here has linked is signed in, the vault shut. Who does not and was
  invited, or may come uninvited (``oidc_accounts``), chooses a name and a passphrase first, or makes a passkey that
  derives a secret: then the account is made, its vault and both ways in at once, or nothing of it.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as part
from typing import Final, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from commun.authority import FRESH
from commun.errors import BadRequest, CommunError, NotFound
from commun.openid.errors import LinkedElsewhere, TryOver, Unlinked
from commun.openid.provider import Asked, Person, Provider
from commun.store.provider_accounts import MarkTaken
from commun.store.tree import new_id
from commun.store.ways_in import SignInFailed
from commun.web.account import settings_page
from commun.web.forms import field, form_of, own_path, see
from commun.web.is_it_you import check_fresh
from commun.web.signing_in import MAX_TOKEN, form_page, signed_in_response
from commun.web.templating import page
from commun.web.visit import Visit, check_signing_in, is_secure, member_of, session_token, visit_of

BACK: Final = "/sign-in/provider/back"
JOIN: Final = "/sign-in/provider/join"
GOOD_FOR_S: Final = 600.0
SIZE: Final = 10_000
COOKIE: Final = "commun_provider"
SECURE_COOKIE: Final = "__Host-commun_provider"
ANSWER: Final = ("state", "iss", "code", "error")

T = TypeVar("T")


class Tries(Generic[T]):
    """What browsers are in the middle of, each known by a token that only its cookie holds. ``clock``: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, size: int = SIZE) -> None:
        self._clock = clock
        self._size = size
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def keep(self, what: T) -> str:
        """Its token. The oldest try goes first where there are too many."""
        token = secrets.token_urlsafe(32)
        self._kept[token] = (self._clock() + GOOD_FOR_S, what)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return token

    def find(self, token: str) -> T | None:
        expires, what = self._kept.get(token, (0.0, None))
        return what if expires > self._clock() else None

    def take(self, token: str) -> T | None:
        """Once."""
        found = self.find(token)
        self._kept.pop(token, None)
        return found


@dataclass(frozen=True, slots=True)
class Try:
    """``session_id``: of who links an account; "": somebody comes in, with ``invitation`` (its token) or without."""

    asked: Asked
    wanted: str = "/"
    invitation: str | None = None
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who may have an account here and has none yet. ``account_id``: under which it will be made; a passkey is
    told before. ``names``: keys of those that were looked at for them, and counted.
    """

    person: Person
    invitation: str | None
    account_id: str
    names: set[str] = part(default_factory=set)


def provider_routes() -> list[BaseRoute]:
    return [
        Route("/sign-in/provider", sign_in, methods=["POST"]),
        Route(BACK, back),
        Route("/invitation/{token}/provider", accept, methods=["POST"]),
        Route("/settings/provider", link, methods=["POST"]),
    ]


def provider_of(visit: Visit) -> Provider:
    """Raises NotFound where there is none."""
    if visit.services.provider is None:
        raise NotFound
    return visit.services.provider


def _tries(request: Request) -> Tries[Try]:
    """Those of this application, made when somebody first tries."""
    made: Tries[Try] | None = getattr(request.app.state, "provider_tries", None)
    if made is None:
        made = request.app.state.provider_tries = Tries()
    return made


def arrivals_of(request: Request) -> Tries[Arrival]:
    made: Tries[Arrival] | None = getattr(request.app.state, "provider_arrivals", None)
    if made is None:
        made = request.app.state.provider_arrivals = Tries()
    return made


# --- going there


async def sign_in(request: Request) -> Response:
    visit = await visit_of(request)
    check_signing_in(request)
    wanted = own_path(field(await form_of(request), "next"))
    try:
        return await _send(visit, wanted=wanted)
    except CommunError as error:
        return form_page(visit, wanted, error=error)


async def accept(request: Request) -> Response:
    """An invitation, by the provider; it is spent when the account is made."""
    visit = await visit_of(request)
    check_signing_in(request)
    token = request.path_params["token"][:MAX_TOKEN]
    await visit.services.invitations.find(token)
    return await _send(visit, invitation=token)


async def link(request: Request) -> Response:
    visit = await member_of(request)
    check_signing_in(request)
    try:
        return await _send(visit, session_id=visit.owner.session_id)
    except CommunError as error:
        return await _settings_again(visit, error)


async def _send(visit: Visit, *, wanted: str = "/", invitation: str | None = None, session_id: str = "") -> Response:
    provider, request = provider_of(visit), visit.request
    base = visit.services.settings.public_url or str(request.base_url)
    url, asked = await provider.begin(base.rstrip("/") + BACK)
    token = _tries(request).keep(Try(asked, wanted, invitation, session_id))
    response = page(visit, "going.html", url=url)
    _remember(request, response, token)
    return response


def _remember(request: Request, response: Response, token: str) -> None:
    secure = is_secure(request)
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        token,
        max_age=int(GOOD_FOR_S),
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",  # the provider's page sends the browser back
    )


def forget_try(request: Request, response: Response) -> None:
    secure = is_secure(request)
    name = SECURE_COOKIE if secure else COOKIE
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")


def token_of(request: Request) -> str:
    return request.cookies.get(SECURE_COOKIE if is_secure(request) else COOKIE, "")


# --- coming back


async def back(request: Request) -> Response:
    if request.method == "HEAD":
        return Response(status_code=204)  # who only looks spends nothing
    visit = await visit_of(request)
    provider = provider_of(visit)
    begun = _tries(request).take(token_of(request))
    if begun is None:
        return form_page(visit, "/", error=TryOver(provider=provider.name))
    try:
        person = await provider.finish(begun.asked, _answer(request))
        return await _arrive(visit, begun, person)
    except CommunError as error:
        response = await _told(visit, begun, error)
        forget_try(request, response)
        return response


def _answer(request: Request) -> dict[str, str]:
    """Raises BadRequest for what is said twice (RFC 6749, §3.1)."""
    said = [(name, value) for name, value in request.query_params.multi_items() if name in ANSWER]
    answer = dict(said)
    if len(answer) != len(said):
        raise BadRequest
    return answer


async def _told(visit: Visit, begun: Try, error: CommunError) -> Response:
    """What was wrong, where the person began."""
    if begun.session_id and visit.viewer is not None and visit.viewer.key is not None:
        return await _settings_again(visit, error)
    return form_page(visit, begun.wanted, error=error)


async def _settings_again(visit: Visit, error: CommunError) -> Response:
    response = await settings_page(visit, at="provider", problem=error.text(visit.translate))
    response.status_code = error.status
    return response


async def _arrive(visit: Visit, begun: Try, person: Person) -> Response:
    if begun.session_id:
        return await _link(visit, begun, person)
    accounts, name = visit.services.provider_accounts, provider_of(visit).name
    way = await accounts.find(person.mark)
    if way is not None:
        try:
            signed_in = await accounts.sign_in(way, session=session_token(visit.request) or None)
        except SignInFailed:
            raise Unlinked(provider=name) from None
        response = signed_in_response(visit.request, signed_in, begun.wanted)
        forget_try(visit.request, response)
        return response
    uninvited = begun.invitation is None and visit.services.settings.oidc_accounts != "anybody"
    if uninvited or await accounts.is_taken(person.mark):
        raise Unlinked(provider=name)
    response = see(JOIN)
    _remember(visit.request, response, arrivals_of(visit.request).keep(Arrival(person, begun.invitation, new_id())))
    return response


async def _link(visit: Visit, begun: Try, person: Person) -> Response:
    viewer = visit.viewer
    if viewer is None or viewer.key is None or viewer.session_id != begun.session_id:
        raise TryOver(provider=provider_of(visit).name)
    await check_fresh(visit.request, FRESH["POST /settings/provider"])  # asked where it began, which may be long ago
    try:
        await visit.services.provider_accounts.link(viewer, person.mark)
    except MarkTaken:
        raise LinkedElsewhere(provider=provider_of(visit).name) from None
    response = see("/settings?done=provider#ways")
    forget_try(visit.request, response)
    return response
