"""The settings' part about ways in: name, password, passphrase, what there is, and taking one away."""

from starlette.requests import Request
from starlette.responses import Response

from commun.errors import BadRequest, Busy, CommunError, NotFound, Refused
from commun.store.ways_in import LastWayIn
from commun.web.account import settings_page
from commun.web.attempts import attempts_of, choosing_a_name
from commun.web.forms import field, form_of, see
from commun.web.hold import LastWayOnHold, find_refusal
from commun.web.limits import address_of
from commun.web.sidebar import sidebar_of
from commun.web.signing_in import signed_in_response
from commun.web.templating import page
from commun.web.visit import Visit, member_of


async def set_name(request: Request) -> Response:
    visit = await member_of(request)
    try:
        with choosing_a_name(request, f"account {visit.owner.account_id}"):
            await visit.services.accounts.set_name(visit.owner, field(await form_of(request), "name"))
    except (BadRequest, Busy) as error:
        return await _again(visit, "name", error)
    return see("/settings?done=name#password")


async def set_password(request: Request) -> Response:
    """The first one, or another one; the present one is asked for, as often as when signing in."""
    visit = await member_of(request)
    form = await form_of(request)
    attempts, mine = attempts_of(request), f"account {visit.owner.account_id}"
    try:
        attempts.begin(mine, address_of(request), "")
        signed_in = await visit.services.ways_in.set_password(
            visit.token,
            visit.owner,
            field(form, "password"),
            present=field(form, "present"),
            name=field(form, "name"),
        )
    except (BadRequest, Refused, Busy) as error:
        return await _again(visit, "password", error)
    attempts.succeeded(mine, address_of(request), "")
    return signed_in_response(request, signed_in, "/settings?done=password#password")


async def set_passphrase(request: Request) -> Response:
    visit = await member_of(request)
    try:
        await visit.services.ways_in.set_passphrase(visit.owner, field(await form_of(request), "passphrase"))
    except (BadRequest, Busy) as error:
        return await _again(visit, "passphrase", error)
    return see("/settings?done=passphrase#ways")


async def remove(request: Request) -> Response:
    """The last one goes only after its owner was told what that means, and said so; and not while the charter holds
    what is stored: what nobody can open any more is as good as erased.
    """
    visit = await member_of(request)
    way_id = request.path_params["id"]
    told = field(await form_of(request), "told") == "yes"
    held = find_refusal(visit, LastWayOnHold)
    try:
        await visit.services.ways_in.remove(visit.owner, way_id, though_last=told and held is None)
    except LastWayIn as error:
        return await _last_page(visit, way_id, error, held)
    return see("/settings#ways")


async def _last_page(visit: Visit, way_id: str, error: LastWayIn, refusal: CommunError | None) -> Response:
    """``refusal``: why it may not be taken away even by whoever says so."""
    ways = [way for way in await visit.services.ways_in.list(visit.owner) if way.id == way_id]
    if not ways:
        raise NotFound
    groups = await sidebar_of(visit)
    held = "" if refusal is None else refusal.text(visit.translate)
    return page(visit, "last_way_in.html", status=error.status, way=ways[0], groups=groups, held=held)


async def revoke_others(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.accounts.revoke_others(visit.owner)
    return see("/settings#sessions")


async def _again(visit: Visit, at: str, error: CommunError) -> Response:
    """The settings, with what was wrong beside its field."""
    response = await settings_page(visit, at=at, problem=error.text(visit.translate))
    response.status_code = error.status
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after)
    return response
