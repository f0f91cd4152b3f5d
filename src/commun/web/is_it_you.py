"""“Is it you?”: whoever does what outlasts their session shows first who they are, unless they just have.

Which addresses that is stands in ``authority.FRESH``, and each is asked at its door (``doors.py``), before anything of
the request is read.

- Shown is it with any way in of one's own: password, passphrase, passkey, recovery code (which stays good). Not with a
  provider: there, whoever sits before an open browser is let in, too.
- It counts for ten minutes (``FRESH_S``), from then or from signing in with such a way, in that browser, which gets a
  new token. It is kept with the session, so a restart forgets nothing. Who came by a provider shows it when they open
  the vault; who cannot any more starts nothing over and takes nothing away: nor does whoever sits there in their place.
- Whoever has no such way yet (the founder, by the link; somebody with a provider alone) has nothing but the browser to
  show and is asked nothing: else nobody could ever make a first one.
- Tries are counted as at the door (``attempts.py``), under the account.
- Afterwards one goes on where the act begins, on one of the pages that ``FRESH`` names and nowhere else. What a form
  had sent is kept nowhere: it may hold a new password. So the settings say beforehand that one will be asked.
"""

import re
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from commun.authority import FRESH, is_fresh
from commun.errors import N_, Busy, CommunError, NotSignedIn, Refused
from commun.store.people import Kind, Viewer
from commun.store.ways_in import SignInFailed
from commun.web.attempts import attempts_of
from commun.web.ceremonies import (
    PasskeyRefused,
    as_json,
    can_have_passkeys,
    challenges_of,
    number_of,
    options_to_use,
    sent_by,
    verified,
)
from commun.web.forms import field, form_of, see
from commun.web.limits import address_of
from commun.web.templating import page
from commun.web.visit import Visit, check_signing_in, remember_session, services_of, session_token, visit_of

ADDRESS: Final = "/is-it-you"
ELSE: Final = "/settings"
_PAGES: Final = tuple(re.compile(re.escape(each).replace(r"\{id\}", r"[0-9A-Za-z_-]{1,64}")) for each in FRESH.values())


class IsItYou(Refused):
    """``wanted``: where the act begins. ``url``: where it is asked."""

    code = "is_it_you"
    problem = N_("What you are about to do outlasts this visit: first show that it is you.")
    cure = N_("Show it with one of your ways in, then do it again.")

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted
        self.url = f"{ADDRESS}?next={quote(wanted, safe='/')}"


def is_it_you_routes() -> list[BaseRoute]:
    return [
        Route(ADDRESS, form),
        Route(ADDRESS, show, methods=["POST"]),
        Route(f"{ADDRESS}/passkey/options", options_to_show, methods=["POST"]),
        Route(f"{ADDRESS}/passkey", show_passkey, methods=["POST"]),
    ]


async def check_fresh(request: Request, begins: str) -> None:
    """``begins``: the page of the act, ``{id}`` in it as in its address. Raises IsItYou."""
    services = services_of(request)
    viewer = await services.accounts.viewer(session_token(request))
    if viewer is None or is_fresh(viewer.since, services.accounts.now):
        return
    if await services.ways_in.shown_by(viewer):
        raise IsItYou(begins.format(**request.path_params))


async def is_asked(visit: Visit) -> bool:
    """Whether who looks would be asked now."""
    if is_fresh(visit.owner.since, visit.services.accounts.now):
        return False
    return bool(await visit.services.ways_in.shown_by(visit.owner))


def going_on(wanted: str) -> str:
    """``wanted``, if it is a page on which an act begins."""
    return wanted if any(each.fullmatch(wanted) for each in _PAGES) else ELSE


def _signed_in(visit: Visit) -> Viewer:
    """The vault open or not. Raises NotSignedIn."""
    if visit.viewer is None:
        raise NotSignedIn
    return visit.viewer


async def form(request: Request) -> Response:
    visit = await visit_of(request)
    viewer, wanted = _signed_in(visit), going_on(request.query_params.get("next", ""))
    fresh = is_fresh(viewer.since, visit.services.accounts.now)
    if fresh or not await visit.services.ways_in.shown_by(viewer):
        return see(wanted)
    return await asking(visit, wanted)


async def asking(visit: Visit, wanted: str, error: CommunError | None = None) -> Response:
    """The page. ``error``: why what was shown was not enough, or that nothing was."""
    viewer, told = _signed_in(visit), None if isinstance(error, IsItYou) else error
    kinds = await visit.services.ways_in.shown_by(viewer)
    response = page(
        visit,
        "is_it_you.html",
        status=error.status if error is not None else 200,
        next=going_on(wanted),
        name=viewer.name,
        has_words=bool(kinds & {Kind.PASSWORD, Kind.PASSPHRASE}),
        has_passkey=Kind.PASSKEY in kinds,
        has_code=Kind.RECOVERY in kinds,
        only_code=kinds == {Kind.RECOVERY},
        passkeys_possible=can_have_passkeys(visit.request),
        locked=viewer.key is None,
        comes_in=bool(kinds & {Kind.PASSWORD, Kind.PASSKEY, Kind.RECOVERY}),
        problem=told.text(visit.translate) if told is not None else "",
    )
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def show(request: Request) -> Response:
    """With the recovery code, or with the password or the passphrase."""
    visit = await visit_of(request)
    viewer, ways_in = _signed_in(visit), visit.services.ways_in
    sent = await form_of(request)
    wanted = going_on(field(sent, "next"))
    attempts, mine, address = attempts_of(request), f"account {viewer.account_id}", address_of(request)
    try:
        check_signing_in(request)
        attempts.begin(mine, address, "")
        if "code" in sent:
            signed_in = await ways_in.show_with_code(visit.token, viewer, field(sent, "code"))
        else:
            signed_in = await ways_in.show_with_words(visit.token, viewer, field(sent, "words"))
    except (Refused, Busy) as error:
        return await asking(visit, wanted, error)
    attempts.succeeded(mine, address, "")
    response = see(wanted)
    remember_session(request, response, signed_in.token)
    return response


# --- with a passkey


def _whose(viewer: Viewer) -> str:
    return f"shown in {viewer.session_id}"


async def options_to_show(request: Request) -> Response:
    """Of the passkeys of who is signed in, and of no others."""
    check_signing_in(request)
    visit = await visit_of(request)
    viewer = _signed_in(visit)
    mine = await visit.services.passkeys.numbers_of(viewer)
    return as_json(options_to_use(request, _whose(viewer), among=mine))


async def show_passkey(request: Request) -> Response:
    check_signing_in(request)
    visit = await visit_of(request)
    viewer, passkeys = _signed_in(visit), visit.services.passkeys
    sent = await sent_by(request)
    challenge = challenges_of(request).take(_whose(viewer))
    passkey = await passkeys.find(number_of(sent["credential"]))
    if passkey is None or passkey.way.account_id != viewer.account_id:
        raise PasskeyRefused
    count = verified(request, sent["credential"], challenge, passkey)
    try:
        signed_in = await passkeys.show(visit.token, viewer, passkey, count)
    except (SignInFailed, Refused):
        raise PasskeyRefused from None
    response = as_json({"url": going_on(str(sent.get("next", "")))})
    remember_session(request, response, signed_in.token)
    return response
