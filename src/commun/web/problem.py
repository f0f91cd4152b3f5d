"""Errors on pages: one shape for people (a page) and for our own script (JSON), in the reader's language."""

import contextlib
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from commun.charter.errors import CharterError
from commun.errors import Busy, CommunError, NotSignedIn, VaultLocked
from commun.services import Services
from commun.web.ceremonies import can_have_passkeys
from commun.web.forms import own_path
from commun.web.i18n import choose_language, translator
from commun.web.is_it_you import IsItYou, asking
from commun.web.rules import Refusal, why_nothing_is_answered
from commun.web.templating import page
from commun.web.visit import Visit, visit_of, zone_named

UNAVAILABLE: Final = 503


async def problem_response(request: Request, error: CommunError) -> Response:
    """The response to an error, also to one that came before anybody knew who asks."""
    visit = await _visit(request)
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Busy) else {}
    if visit.wants_data:
        data: dict[str, object] = {"error": problem_data(error, visit.language)}
        if isinstance(error, IsItYou):
            data["url"] = error.url
        return JSONResponse(data, status_code=error.status, headers=headers)
    if isinstance(error, IsItYou):
        return await asking(visit, error.wanted, error)
    if isinstance(error, CharterError) and error.status == UNAVAILABLE and visit.services.charter.error is not None:
        return page(visit, "no_charter.html", status=error.status, refusals=_own_first(visit, error))
    context = {
        "told": error.problem_text(visit.translate),
        "problem": "",
        "cure": error.cure_text(visit.translate),
        "code": error.code,
        "locked": isinstance(error, VaultLocked),
        "signed_out": type(error) is NotSignedIn,
        "stranger": isinstance(error, NotSignedIn),
        "next": own_path(_asked_for(request)),
        "name": "",
        "passkeys_possible": type(error) is NotSignedIn and can_have_passkeys(request),
    }
    response = page(visit, "problem.html", status=error.status, **context)
    response.headers.update(headers)
    return response


def _asked_for(request: Request) -> str:
    """Where somebody wanted to go, to be sent there once they are signed in."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}" if request.method == "GET" else "/"


def problem_data(error: CommunError, language: str) -> dict[str, str]:
    translate = translator(language)
    return {
        "code": error.code,
        "problem": error.problem_text(translate),
        "cure": error.cure_text(translate),
    }


def _own_first(visit: Visit, error: CharterError) -> list[Refusal]:
    return sorted(why_nothing_is_answered(error), key=lambda each: each.language != visit.language)


async def _visit(request: Request) -> Visit:
    """Who asks, if that can be told: the very store that tells it may be what failed."""
    services: Services | None = getattr(request.app.state, "services", None) if "app" in request.scope else None
    if services is not None:
        with contextlib.suppress(Exception):
            return await visit_of(request)
    language = choose_language("", request.headers.get("accept-language", ""))
    return Visit(request, services, None, "", language, "auto", zone_named(""))  # type: ignore[arg-type]
