"""``/class``: coming in with a class's code, without an account, and leaving again.

- whoever comes in gets a token that was not there before; what the browser held ends, an account's session, too. The
  cookie is the session's own, so that one browser is one person, and ends with the browser at the latest;
- a wrong code is told from one that has ended by nothing. Each failure is counted for its address, and after
  FREE_FOR_CLASS_CODES the next try waits, LONGEST_FOR_CLASS_CODES_S at most. Whoever has the right code waits there,
  too, and so the bounds are a school's: 50 random bits are not guessed at TRIES, wait or no wait;
- nobody comes into one class more often than ENTRIES from one address, with the right code neither: enough for a class
  behind one door, and whoever takes places to keep others out takes them slowly. Another class's code is counted by
  itself, so that a whole school behind one address, or everybody behind a proxy that does not say whose it forwards,
  has ENTRIES for each class; TRIES bounds what comes from one address, whatever the code;
- where the charter's clause ``temporary`` has no temporary chats, no class opens;
- language and theme are in two cookies, which say nothing else.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from commun.charter.errors import OutsideCharter
from commun.errors import BadRequest, Busy, CommunError, Conflict, NotSignedIn
from commun.store.class_codes import image_of
from commun.web.attempts import FREE_FOR_CLASS_CODES, LONGEST_FOR_CLASS_CODES_S, Attempts
from commun.web.forms import field, form_of, own_path, see
from commun.web.i18n import LANGUAGES
from commun.web.limits import address_of, counted_apart
from commun.web.live import live_turns
from commun.web.rules import check_temporary
from commun.web.templating import page
from commun.web.visit import (
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    THEMES,
    Visit,
    forget_session,
    is_secure,
    remember_guest,
    session_token,
    visit_of,
)

MAX_TYPED: Final = 40
ENTRIES: Final = "60/minute"  # tries with one code from one address
TRIES: Final = "600/minute"  # from one address, whatever the code
CHAT: Final = "/temporary"


async def form(request: Request) -> Response:
    visit = await visit_of(request)
    return see(CHAT) if visit.guest is not None else _form_page(visit)


def _form_page(visit: Visit, *, typed: str = "", error: CommunError | None = None) -> Response:
    response = page(
        visit,
        "class.html",
        status=error.status if error else 200,
        typed=typed,
        problem=error.text(visit.translate) if error else "",
        closed=is_closed(visit),
        present=visit.viewer.name if visit.viewer is not None else None,
    )
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def is_closed(visit: Visit) -> bool:
    """Whether the charter has no temporary chats, so that no class can be open."""
    try:
        check_temporary(visit)
    except OutsideCharter:
        return True
    return False


async def enter(request: Request) -> Response:
    visit = await visit_of(request)
    typed = field(await form_of(request), "code")[:MAX_TYPED]
    tries, address = _tries(request), address_of(request)
    try:
        check_temporary(visit)
        _check_often(request, address, typed)
        tries.begin(address)
        entered = await visit.services.classes.enter(typed, session=session_token(request) or None)
    except Conflict as error:
        tries.forgive(address)  # the code was right
        return _form_page(visit, typed=typed, error=error)
    except (OutsideCharter, NotSignedIn, Busy) as error:
        return _form_page(visit, typed=typed, error=error)
    tries.forgive(address)
    response = see(CHAT)
    remember_guest(request, response, entered.token)
    return response


def _check_often(request: Request, address: str, typed: str) -> None:
    """Also with the right code nobody comes in without end. Raises TooManyRequests."""
    counted_apart(request.app.state, "class_tries", TRIES, setting="rate_limit").check(address)
    of_code = f"{image_of(typed).hex()} {address}"
    counted_apart(request.app.state, "class_entries", ENTRIES, setting="rate_limit").check(of_code)


def _tries(request: Request) -> Attempts:
    """Those of this application, made when somebody first tries; apart from those of passwords."""
    made: Attempts | None = getattr(request.app.state, "class_attempts", None)
    if made is None:
        made = request.app.state.class_attempts = Attempts(FREE_FOR_CLASS_CODES, longest_s=LONGEST_FOR_CLASS_CODES_S)
    return made


async def leave(request: Request) -> Response:
    """The place is free again, and what was being answered stops. Nobody else is signed out by it."""
    visit = await visit_of(request)
    response = see("/class")
    if visit.guest is not None:
        await visit.services.classes.leave(visit.token)
        live_turns(request).close(visit.guest.id)
        visit.services.assistant.shut_out(visit.guest.id)
        visit.services.assistant.let_in(visit.guest.id)  # nobody comes back under this name: nothing to remember
        forget_session(request, response)
    return response


async def look(request: Request) -> Response:
    """Language and theme of a browser that has no account."""
    form = await form_of(request)
    language, theme = field(form, "language"), field(form, "theme")
    if language not in {"", *LANGUAGES} or theme not in THEMES:
        raise BadRequest
    response = see(own_path(field(form, "back")))
    for name, value in ((LANGUAGE_COOKIE, language), (THEME_COOKIE, theme)):
        response.set_cookie(name, value, path="/", secure=is_secure(request), httponly=True, samesite="lax")
    return response
