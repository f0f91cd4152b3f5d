"""``/settings/delete``: the account goes, for good, by its owner's hand.

Not while the charter holds what is stored (``hold.py``): the page then says why and until when, and has no form.

Asked for: a sentence typed by hand (the account's name, where it has one) and the password, where there is one. Also
with a locked vault: what cannot be read any more can still be erased. Answers that are being written are stopped first.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from commun.errors import N_, Busy, CommunError, NotSignedIn, Refused
from commun.store.administration import LastAdministrator
from commun.store.erasure import erase_account
from commun.store.people import Viewer
from commun.web.attempts import attempts_of
from commun.web.classes import put_out
from commun.web.forms import field, form_of
from commun.web.hold import AccountOnHold, HoldUnknown, OnHold, check_erasing, find_refusal
from commun.web.limits import address_of
from commun.web.templating import page
from commun.web.visit import Visit, forget_session, visit_of

ADDRESS: Final = "/settings/delete"
WORDS: Final = N_("delete my account")


class NotTyped(Refused):
    """``details``: ``words``."""

    code = "not_typed"
    problem = N_("To delete the account, type: %(words)s.")
    cure = ""


async def leaving(request: Request) -> Response:
    visit = await visit_of(request)
    return await _leaving_page(visit, _signed_in(visit))


def _signed_in(visit: Visit) -> Viewer:
    """The vault open or not. Raises NotSignedIn."""
    if visit.viewer is None:
        raise NotSignedIn
    return visit.viewer


async def _leaving_page(visit: Visit, viewer: Viewer, error: CommunError | None = None) -> Response:
    held = find_refusal(visit, AccountOnHold)
    return page(
        visit,
        "leaving.html",
        status=200 if error is None else error.status,
        words=_words(visit, viewer),
        has_password=await visit.services.ways_in.has_password(viewer),
        problem="" if error is None else error.text(visit.translate),
        held="" if held is None else held.text(visit.translate),
    )


def _words(visit: Visit, viewer: Viewer) -> str:
    return viewer.name or visit.translate(WORDS)


async def leave(request: Request) -> Response:
    visit = await visit_of(request)
    viewer, services = _signed_in(visit), visit.services
    form = await form_of(request)
    try:
        check_erasing(visit, AccountOnHold)
        check_typed(_words(visit, viewer), field(form, "words"))
        await _check_password(request, visit, viewer, field(form, "password"))
        services.assistant.shut_out(viewer.account_id)
        opened = await services.classes.opened_by(viewer.account_id)
        await erase_account(services.accounts, services.database, viewer.account_id)
    except LastAdministrator as error:
        services.assistant.let_in(viewer.account_id)
        return await _leaving_page(visit, viewer, error)
    except (Refused, Busy, OnHold, HoldUnknown) as error:
        return await _leaving_page(visit, viewer, error)
    services.classes.forget()
    put_out(request, opened)
    response = page(visit, "gone.html")
    forget_session(request, response)
    response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return response


def check_typed(words: str, typed: str, refused: type[NotTyped] = NotTyped) -> None:
    """Case and spaces are forgiven. Raises ``refused``."""
    if " ".join(typed.split()).casefold() != " ".join(words.split()).casefold():
        raise refused(words=words)


async def _check_password(request: Request, visit: Visit, viewer: Viewer, typed: str) -> None:
    """Counted like signing in. Raises PasswordWrong, TooManyRequests."""
    attempts, mine, address = attempts_of(request), f"account {viewer.account_id}", address_of(request)
    attempts.begin(mine, address, "")
    await visit.services.ways_in.check_present(viewer, typed)
    attempts.succeeded(mine, address, "")
