"""Coming in: with a name and a password, with a recovery code, by the founder's link, by an invitation.

Whoever comes in gets a session that was not there before; what the browser held ends. Nothing here tells a name that
somebody has from one that nobody has: the same words, the same status, the same work (``store/ways_in.py``), the same
waiting (``attempts.py``).
"""

from collections.abc import Awaitable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from commun.errors import BadRequest, Busy, CommunError, NotSignedIn, Refused
from commun.store.invitations import InvitationOver
from commun.store.passwords import MIN_LENGTH
from commun.store.people import SignedIn
from commun.store.recovery import RecoveryCodeMistyped
from commun.web.attempts import KNOWN, KNOWN_DAYS, SECURE_KNOWN, attempts_of, choosing_a_name, known_mark, new_mark
from commun.web.ceremonies import can_have_passkeys
from commun.web.forms import field, form_of, own_path, see
from commun.web.i18n import long_date
from commun.web.limits import address_of
from commun.web.templating import page
from commun.web.visit import (
    DAY_S,
    Visit,
    check_signing_in,
    forget_session,
    is_secure,
    member_of,
    remember_session,
    session_token,
    visit_of,
)

MAX_TOKEN: Final = 64  # characters; a token has 43
MAX_SHOWN_NAME: Final = 100


def signed_in_response(request: Request, signed_in: SignedIn, url: str = "/") -> Response:
    """Sends the browser on with its new session; to the vault's door where it did not open."""
    response = see(url if signed_in.viewer.key is not None else "/unlock")
    remember_session(request, response, signed_in.token)
    return response


def _former(request: Request) -> str | None:
    return session_token(request) or None


# --- name and password


async def sign_in(request: Request) -> Response:
    """The form; or, with ``?token=``, the link that ``commun serve`` prints."""
    if "token" in request.query_params:
        return await _by_link(request)
    visit = await visit_of(request)
    wanted = own_path(request.query_params.get("next", "/"))
    if visit.viewer is not None:
        return see(wanted if visit.viewer.key is not None else "/unlock")
    return form_page(visit, wanted)


async def _by_link(request: Request) -> Response:
    """A browser that only looks ahead does not spend it."""
    if request.method == "HEAD" or "prefetch" in request.headers.get("sec-purpose", ""):
        return Response(status_code=204)
    check_signing_in(request)
    visit = await visit_of(request)
    token = request.query_params["token"]
    return signed_in_response(request, await visit.services.accounts.redeem_link(token, session=_former(request)))


def form_page(
    visit: Visit, wanted: str, *, name: str = "", error: CommunError | None = None, by_code: bool = False
) -> Response:
    template = "sign_in_with_code.html" if by_code else "sign_in.html"
    response = page(
        visit,
        template,
        status=error.status if error else 200,
        next=wanted,
        passkeys_possible=can_have_passkeys(visit.request),
        name=name[:MAX_SHOWN_NAME],
        problem=error.text(visit.translate) if error else "",
    )
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def sign_in_with_password(request: Request) -> Response:
    visit = await visit_of(request)
    form = await form_of(request)
    name, password, wanted = field(form, "name"), field(form, "password"), own_path(field(form, "next"))
    services, attempts, address = visit.services, attempts_of(request), address_of(request)
    mark = known_mark(request, await services.ways_in.verifier_of(name))
    try:
        if not mark:
            check_signing_in(request)
        attempts.begin(name, address, mark)
        signed_in = await services.ways_in.sign_in(name, password, session=_former(request))
    except (NotSignedIn, Busy) as error:
        return form_page(visit, wanted, name=name, error=error)
    attempts.succeeded(name, address, mark)
    response = signed_in_response(request, signed_in, wanted)
    await _mark_known(visit, response, name)
    return response


async def _mark_known(visit: Visit, response: Response, name: str) -> None:
    """From now on a stranger's failures at this name make this browser wait for nothing."""
    verifier = await visit.services.ways_in.verifier_of(name)
    if verifier is None:
        return
    secure = is_secure(visit.request)
    response.set_cookie(
        SECURE_KNOWN if secure else KNOWN,
        new_mark(verifier),
        max_age=KNOWN_DAYS * DAY_S,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


async def with_code(request: Request) -> Response:
    """For who has lost the password."""
    return form_page(await visit_of(request), "/", by_code=True)


async def sign_in_with_code(request: Request) -> Response:
    visit = await visit_of(request)
    form = await form_of(request)
    name, code = field(form, "name"), field(form, "code")
    attempts, address = attempts_of(request), address_of(request)
    try:
        check_signing_in(request)
        attempts.begin(name, address, "")
        signed_in = await visit.services.ways_in.sign_in_with_code(name, code, session=_former(request))
    except (NotSignedIn, RecoveryCodeMistyped, Busy) as error:
        return form_page(visit, "/", name=name, error=error, by_code=True)
    attempts.succeeded(name, address, "")
    return signed_in_response(request, signed_in, "/settings#password")


async def sign_out(request: Request) -> Response:
    visit = await visit_of(request)
    if visit.viewer is not None:
        await visit.services.accounts.sign_out(visit.viewer)
    if visit.guest is not None:
        await visit.services.classes.leave(visit.token)
    response = see("/sign-in")
    forget_session(request, response)
    return response


# --- invitations


async def invitation(request: Request) -> Response:
    """Looking at it spends nothing."""
    check_signing_in(request)
    return await _invitation_page(await visit_of(request))


async def _invitation_page(visit: Visit, *, name: str = "", error: CommunError | None = None) -> Response:
    found = await visit.services.invitations.find(visit.request.path_params["token"][:MAX_TOKEN])
    response = page(
        visit,
        "invitation.html",
        status=error.status if error else 200,
        path=visit.request.url.path,
        invitation=found,
        until=long_date(visit.local(found.expires).date(), visit.language),
        name=name[:MAX_SHOWN_NAME],
        least=MIN_LENGTH,
        problem=error.text(visit.translate) if error else "",
        present=visit.viewer.name if visit.viewer is not None else None,
    )
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def accept(request: Request) -> Response:
    check_signing_in(request)
    visit = await visit_of(request)
    form = await form_of(request)
    name, password = field(form, "name"), field(form, "password")
    token = request.path_params["token"][:MAX_TOKEN]
    try:
        with choosing_a_name(request, f"invitation {token}"):
            signed_in = await visit.services.invitations.accept(token, name, password, session=_former(request))
    except InvitationOver:
        raise
    except (BadRequest, Busy) as error:
        return await _invitation_page(visit, name=name, error=error)
    response = signed_in_response(request, signed_in, "/welcome")
    await _mark_known(visit, response, name)
    return response


# --- the recovery code, shown once and tried at once


async def welcome(request: Request) -> Response:
    visit = await member_of(request)
    return page(visit, "welcome.html", step="offer", code="", problem="", name=visit.owner.name)


async def welcome_code(request: Request) -> Response:
    visit = await member_of(request)
    code = await visit.services.ways_in.make_recovery_code(visit.owner)
    return page(visit, "welcome.html", step="show", code=code, problem="", name=visit.owner.name)


async def welcome_try(request: Request) -> Response:
    visit = await member_of(request)
    return page(visit, "welcome.html", step="try", code="", problem="", name=visit.owner.name)


async def welcome_tried(request: Request) -> Response:
    visit = await member_of(request)
    check_signing_in(request)
    typed = field(await form_of(request), "code")
    return await _tried(visit, visit.services.ways_in.try_recovery_code(visit.owner, typed))


async def _tried(visit: Visit, trying: Awaitable[None]) -> Response:
    try:
        await trying
    except Refused as error:
        told = error.text(visit.translate)
        return page(visit, "welcome.html", status=403, step="try", code="", problem=told, name=visit.owner.name)
    return page(visit, "welcome.html", step="done", code="", problem="", name=visit.owner.name)
