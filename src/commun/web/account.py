"""Signing in by link, the settings, and the vault's recovery."""

from typing import Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from commun.errors import BadRequest, NotSignedIn, Refused
from commun.store.people import SignedIn, Viewer
from commun.web.audits import consent_of, rate_of
from commun.web.i18n import LANGUAGES, long_date
from commun.web.pages import engine_view
from commun.web.sidebar import sidebar_of
from commun.web.templating import page
from commun.web.visit import (
    THEMES,
    Visit,
    check_signing_in,
    forget_session,
    member_of,
    remember_session,
    session_token,
    visit_of,
)

NAME_LIMIT: Final = 60


async def _form(request: Request) -> FormData:
    return await request.form(max_files=0, max_fields=20)


def _field(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _see(url: str) -> Response:
    return RedirectResponse(url, status_code=303)


async def sign_in(request: Request) -> Response:
    """Redeems the link that ``commun serve`` prints. A browser that only looks ahead does not spend it."""
    if request.method == "HEAD" or "prefetch" in request.headers.get("sec-purpose", ""):
        return Response(status_code=204)
    check_signing_in(request)
    visit = await visit_of(request)
    token = request.query_params.get("token", "")
    signed_in = await visit.services.accounts.redeem_link(token, session=session_token(request) or None)
    response = _see("/" if signed_in.viewer.key is not None else "/unlock")
    remember_session(request, response, signed_in.token)
    return response


async def sign_out(request: Request) -> Response:
    visit = await visit_of(request)
    if visit.viewer is not None:
        await visit.services.accounts.sign_out(visit.viewer)
    response = _see("/")
    forget_session(request, response)
    return response


async def unlock_page(request: Request) -> Response:
    return await _unlock_page(await visit_of(request))


async def _unlock_page(visit: Visit, problem: str = "") -> Response:
    viewer = _known(visit)
    if viewer.key is not None:
        return _see("/")
    has_code = await visit.services.ways_in.has_recovery_code(viewer)
    status = 200 if not problem else 403
    return page(visit, "unlock.html", status=status, has_code=has_code, problem=problem)


def _known(visit: Visit) -> Viewer:
    """Whoever is signed in, the vault open or not."""
    if visit.viewer is None:
        raise NotSignedIn
    return visit.viewer


async def unlock(request: Request) -> Response:
    visit = await visit_of(request)
    check_signing_in(request)
    code = _field(await _form(request), "code")
    try:
        signed_in = await visit.services.ways_in.unlock(visit.token, _known(visit), code)
    except Refused as error:
        return await _unlock_page(visit, error.text(visit.translate))
    return _signed_in(request, signed_in)


def _signed_in(request: Request, signed_in: SignedIn, url: str = "/") -> Response:
    response = _see(url)
    remember_session(request, response, signed_in.token)
    return response


async def start_over(request: Request) -> Response:
    visit = await visit_of(request)
    return _signed_in(request, await visit.services.ways_in.start_over(visit.token, _known(visit)))


async def settings(request: Request) -> Response:
    return await _settings_page(await member_of(request))


async def _settings_page(visit: Visit, *, new_key: str = "", new_code: str = "") -> Response:
    """``new_key`` and ``new_code`` are shown this once: only what opens with them is stored."""
    accounts = visit.services.accounts
    keys = await accounts.api_keys(visit.owner.account_id)
    sessions = await accounts.sessions(visit.owner)
    shares = await visit.services.shares.list(visit.owner)
    moments = [key.created for key in keys] + [key.last_used or 0 for key in keys]
    moments += [each.created for each in sessions] + [each.last_used for each in sessions]
    moments += [each.created for each in shares] + [each.expires for each in shares]
    days = {moment: long_date(visit.local(moment).date(), visit.language) for moment in moments}
    return page(
        visit,
        "settings.html",
        api_url=f"{visit.services.settings.public_url.rstrip('/') or str(visit.request.base_url).rstrip('/')}/v1",
        groups=await sidebar_of(visit),
        engine=engine_view(visit.services),
        language_setting=visit.owner.language,
        keys=keys,
        sessions=sessions,
        shares=shares,
        public_shares=visit.services.settings.public_shares,
        days=days,
        has_code=await visit.services.ways_in.has_recovery_code(visit.owner),
        consent=await consent_of(visit),
        consent_rate=rate_of(visit),
        new_key=new_key,
        new_code=new_code,
    )


async def save_preferences(request: Request) -> Response:
    visit = await member_of(request)
    form = await _form(request)
    language, theme = _field(form, "language"), _field(form, "theme")
    if language not in {"", *LANGUAGES} or theme not in THEMES:
        raise BadRequest
    await visit.services.accounts.set_language(visit.owner, language)
    await visit.services.accounts.set_theme(visit.owner, theme)
    return _see("/settings")


async def make_key(request: Request) -> Response:
    visit = await member_of(request)
    name = " ".join(_field(await _form(request), "name").split())[:NAME_LIMIT]
    if not name:
        raise BadRequest
    key = await visit.services.accounts.make_api_key(visit.owner.account_id, name)
    return await _settings_page(visit, new_key=key)


async def revoke_key(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.accounts.revoke_api_key(visit.owner.account_id, request.path_params["id"])
    return _see("/settings#keys")


async def revoke_session(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.accounts.revoke_session(visit.owner, request.path_params["id"])
    return _see("/settings#sessions")


async def make_code(request: Request) -> Response:
    visit = await member_of(request)
    return await _settings_page(visit, new_code=await visit.services.ways_in.make_recovery_code(visit.owner))
