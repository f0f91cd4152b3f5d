"""The settings, and opening the vault in a browser that is signed in."""

from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from commun.errors import N_, BadRequest, Busy, CommunError, Conflict, NotSignedIn, Refused
from commun.store.administration import MOST_AT_ONCE, MOST_TOKENS
from commun.store.passwords import MIN_LENGTH
from commun.store.people import Kind, UnlockInfo, Viewer
from commun.web.attempts import attempts_of
from commun.web.audits import consent_of, rate_of
from commun.web.ceremonies import can_have_passkeys
from commun.web.forms import field, form_of, number_up_to, see
from commun.web.hold import HoldUnknown, OnHold, VaultOnHold, check_erasing
from commun.web.i18n import LANGUAGES, long_date
from commun.web.instructions import instructions_view
from commun.web.is_it_you import is_asked
from commun.web.leaving import NotTyped, check_typed
from commun.web.limits import address_of
from commun.web.pages import engine_view
from commun.web.readers import reader_days
from commun.web.sent import sent_by
from commun.web.sidebar import sidebar_of
from commun.web.signing_in import signed_in_response
from commun.web.templating import page
from commun.web.visit import THEMES, Visit, check_signing_in, member_of, visit_of

NAME_LIMIT: Final = 60
START_OVER: Final = N_("start over")


class StartNotTyped(NotTyped):
    problem = N_("To start over, type: %(words)s.")


class NothingLost(Conflict):
    code = "nothing_lost"
    problem = N_("Your conversations are open in this browser: there is nothing to start over for.")
    cure = N_("The settings delete the account, if that is what you want.")


async def unlock_page(request: Request) -> Response:
    return await _unlock_page(await visit_of(request))


async def _unlock_page(visit: Visit, problem: str = "", *, start: CommunError | None = None) -> Response:
    """``start``: why it is not started over."""
    viewer = _known(visit)
    if viewer.key is not None:
        return see("/")
    kinds = {way.kind for way in await visit.services.ways_in.list(viewer) if way.opens}
    return page(
        visit,
        "unlock.html",
        status=start.status if start is not None else 403 if problem else 200,
        has_code=Kind.RECOVERY in kinds,
        has_passkey=Kind.PASSKEY in kinds,
        passkeys_possible=can_have_passkeys(visit.request),
        has_words=bool(kinds & {Kind.PASSWORD, Kind.PASSPHRASE}),
        problem=problem,
        start_words=_start_words(visit, viewer),
        start_problem="" if start is None else start.text(visit.translate),
    )


def _known(visit: Visit) -> Viewer:
    """Whoever is signed in, the vault open or not."""
    if visit.viewer is None:
        raise NotSignedIn
    return visit.viewer


async def unlock(request: Request) -> Response:
    """With the recovery code, or with the password or the passphrase."""
    visit = await visit_of(request)
    viewer = _known(visit)
    form = await form_of(request)
    attempts, mine, address = attempts_of(request), f"account {viewer.account_id}", address_of(request)
    try:
        check_signing_in(request)
        attempts.begin(mine, address, "")
        if "words" in form:
            signed_in = await visit.services.ways_in.unlock_with_words(visit.token, viewer, field(form, "words"))
        else:
            signed_in = await visit.services.ways_in.unlock(visit.token, viewer, field(form, "code"))
    except (Refused, Busy) as error:
        return await _unlock_page(visit, error.text(visit.translate))
    attempts.succeeded(mine, address, "")
    return signed_in_response(request, signed_in)


async def start_over(request: Request) -> Response:
    """For whoever has lost their key, and says so in writing. Under a legal hold for nobody who can still open what is
    kept, by a way in or in another browser: afterwards nobody could.
    """
    visit = await visit_of(request)
    viewer, ways_in = _known(visit), visit.services.ways_in
    form = await form_of(request)
    if viewer.key is not None:
        check_erasing(visit, VaultOnHold)
        raise NothingLost
    try:
        if await _opens_anywhere(visit, viewer):
            check_erasing(visit, VaultOnHold)
        check_typed(_start_words(visit, viewer), field(form, "words"), StartNotTyped)
    except (NotTyped, OnHold, HoldUnknown) as error:
        return await _unlock_page(visit, start=error)
    return signed_in_response(request, await ways_in.start_over(visit.token, viewer))


async def _opens_anywhere(visit: Visit, viewer: Viewer) -> bool:
    """Whether a way in opens the vault, or the cookie of a browser that is signed in, whoever sits before it."""
    if any(way.opens for way in await visit.services.ways_in.list(viewer)):
        return True
    return any(each.unlocked for each in await visit.services.accounts.sessions(viewer))


def _start_words(visit: Visit, viewer: Viewer) -> str:
    return viewer.name or visit.translate(START_OVER)


async def settings(request: Request) -> Response:
    return await settings_page(await member_of(request))


async def settings_page(
    visit: Visit, *, new_key: str = "", new_code: str = "", at: str = "", problem: str = ""
) -> Response:
    """``new_key`` and ``new_code`` are shown this once: only what opens with them is stored. ``problem``: what was
    wrong, shown ``at`` a field.
    """
    accounts = visit.services.accounts
    instructions = await visit.services.instructions.get(visit.owner)
    keys = await accounts.api_keys(visit.owner.account_id)
    sessions = await accounts.sessions(visit.owner)
    shares = await visit.services.shares.list(visit.owner)
    readers = await visit.services.readers.list(visit.owner)
    ways = await visit.services.ways_in.list(visit.owner)
    moments = [key.created for key in keys] + [key.last_used or 0 for key in keys]
    moments += [each.created for each in sessions] + [each.last_used for each in sessions]
    moments += [each.created for each in shares] + [each.expires for each in shares]
    moments += [each.created for each in ways] + [each.last_used or 0 for each in ways]
    days = {moment: long_date(visit.local(moment).date(), visit.language) for moment in moments}
    days |= reader_days(visit, readers)
    return page(
        visit,
        "settings.html",
        api_url=f"{visit.services.settings.public_url.rstrip('/') or str(visit.request.base_url).rstrip('/')}/v1",
        groups=await sidebar_of(visit),
        engine=engine_view(visit.services),
        language_setting=visit.owner.language,
        instructions=await instructions_view(visit, instructions.text, used=instructions.used),
        keys=keys,
        sessions=sessions,
        shares=shares,
        readers=readers,
        public_shares=visit.services.settings.public_shares,
        sent=await sent_by(visit),
        days=days,
        ways=ways,
        has_code=_opens(ways, Kind.RECOVERY),
        has_password=any(way.kind is Kind.PASSWORD for way in ways),
        comes_back=any(way.signs_in for way in ways) and any(way.opens for way in ways),
        ways_open=any(way.opens for way in ways),
        has_provider=any(way.kind is Kind.PROVIDER for way in ways),
        passkeys_possible=can_have_passkeys(visit.request),
        name=visit.owner.name,
        least=MIN_LENGTH,
        done=visit.request.query_params.get("done", ""),
        at=at,
        problem=problem,
        is_asked=await is_asked(visit),
        consent=await consent_of(visit),
        consent_rate=rate_of(visit),
        new_key=new_key,
        new_code=new_code,
    )


def _opens(ways: Iterable[UnlockInfo], *kinds: Kind) -> bool:
    return any(way.opens and way.kind in kinds for way in ways)


async def save_preferences(request: Request) -> Response:
    visit = await member_of(request)
    form = await form_of(request)
    language, theme = field(form, "language"), field(form, "theme")
    if language not in {"", *LANGUAGES} or theme not in THEMES:
        raise BadRequest
    await visit.services.accounts.set_language(visit.owner, language)
    await visit.services.accounts.set_theme(visit.owner, theme)
    return see("/settings")


async def make_key(request: Request) -> Response:
    visit = await member_of(request)
    form = await form_of(request)
    name = " ".join(field(form, "name").split())[:NAME_LIMIT]
    if not name:
        raise BadRequest
    key = await visit.services.accounts.make_api_key(
        visit.owner.account_id,
        name,
        daily_tokens=number_up_to(field(form, "daily_tokens"), MOST_TOKENS),
        at_once=number_up_to(field(form, "at_once"), MOST_AT_ONCE),
    )
    return await settings_page(visit, new_key=key)


async def revoke_key(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.accounts.revoke_api_key(visit.owner.account_id, request.path_params["id"])
    return see("/settings#keys")


async def revoke_session(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.accounts.revoke_session(visit.owner, request.path_params["id"])
    return see("/settings#sessions")


async def make_code(request: Request) -> Response:
    visit = await member_of(request)
    return await settings_page(visit, new_code=await visit.services.ways_in.make_recovery_code(visit.owner))
