"""``/people``: whom this Commun knows, for administrators. Names, roles, days and counts; nothing out of any vault.

What an administrator may do here stands in ``store/administration.py``; that nobody else comes here, in
``authority.py``. Disabling somebody also stops their running answers and closes what they were reading.
"""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from commun.errors import BadRequest
from commun.store.administration import DAY_S, MOST_AT_ONCE, MOST_TOKENS, SHOWN_DAYS, PersonInfo, Used
from commun.store.people import Role
from commun.web.classes import end_all_of
from commun.web.forms import field, form_of, number_up_to, see
from commun.web.i18n import long_date
from commun.web.live import live_turns
from commun.web.pages import engine_view
from commun.web.sidebar import sidebar_of
from commun.web.templating import page
from commun.web.visit import Visit, member_of

NOTE_LIMIT: Final = 60
INVITATION_DAYS: Final = (1, 7, 30)
WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class DayUsed:
    """One line of a person's table."""

    day: str
    used: Used


@dataclass(frozen=True, slots=True)
class PersonView:
    """``seen``: "" where they never were. ``me``: who looks. ``only``: the one administrator who can sign in."""

    info: PersonInfo
    since: str
    seen: str
    disabled: str
    me: bool
    only: bool
    today: Used
    week: Used
    month: Used


async def people(request: Request) -> Response:
    return await _people_page(await member_of(request))


async def _people_page(visit: Visit, *, link: str = "") -> Response:
    """``link``: a new invitation's, shown this once."""
    listed = await visit.services.invitations.list()
    invitations = [each for each in listed if each.used is None and each.expires > time.time()]
    days = {each.id: long_date(visit.local(each.expires).date(), visit.language) for each in invitations}
    return await _page(
        visit,
        "people.html",
        people=await _views(visit),
        invitations=invitations,
        ends=days,
        link=link,
        invitation_days=INVITATION_DAYS,
    )


async def invite(request: Request) -> Response:
    """A link for one person, who chooses a name and a password with it."""
    visit = await member_of(request)
    form = await form_of(request)
    days, role = field(form, "days"), field(form, "role")
    if days not in map(str, INVITATION_DAYS) or role not in set(Role):
        raise BadRequest
    note = " ".join(field(form, "note").split())[:NOTE_LIMIT]
    token = await visit.services.invitations.make(Role(role), days=int(days), made_by=visit.owner.account_id, note=note)
    base = visit.services.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return await _people_page(visit, link=f"{base}/invitation/{token}")


async def revoke_invitation(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.invitations.revoke(request.path_params["id"])
    return see("/people#invitations")


async def person(request: Request) -> Response:
    visit = await member_of(request)
    views = await _views(visit)
    info = await visit.services.administration.person(request.path_params["id"])
    (view,) = (each for each in views if each.info.id == info.id)
    today = datetime.now(UTC).date()
    shown = [today - timedelta(days=back) for back in range(SHOWN_DAYS)]
    days = [
        DayUsed(long_date(day, visit.language), used)
        for day in shown
        if (used := info.days.get(_number(day), Used())).answers
    ]
    return await _page(visit, "person.html", view=view, days=days, most_at_once=MOST_AT_ONCE)


async def disable(request: Request) -> Response:
    """Ends sessions, keys and the classes that they opened, then what is being written and read by them."""
    visit = await member_of(request)
    account_id = request.path_params["id"]
    await visit.services.administration.disable(account_id)
    live_turns(request).close(account_id)
    visit.services.assistant.shut_out(account_id)
    await end_all_of(request, account_id)
    return _see_person(account_id)


async def enable(request: Request) -> Response:
    visit = await member_of(request)
    account_id = request.path_params["id"]
    await visit.services.administration.enable(account_id)
    visit.services.assistant.let_in(account_id)
    return _see_person(account_id)


async def set_role(request: Request) -> Response:
    visit = await member_of(request)
    role = field(await form_of(request), "role")
    if role not in set(Role):
        raise BadRequest
    account_id = request.path_params["id"]
    await visit.services.administration.set_role(account_id, Role(role))
    if Role(role) is not Role.ADMINISTRATOR:
        await end_all_of(request, account_id)
    mine = account_id == visit.owner.account_id and Role(role) is not Role.ADMINISTRATOR
    return see("/settings") if mine else _see_person(account_id)


async def set_quota(request: Request) -> Response:
    """An empty field: as everybody."""
    visit = await member_of(request)
    form = await form_of(request)
    await visit.services.administration.set_quota(
        request.path_params["id"],
        daily_tokens=number_up_to(field(form, "daily_tokens"), MOST_TOKENS),
        at_once=number_up_to(field(form, "at_once"), MOST_AT_ONCE),
    )
    return _see_person(request.path_params["id"])


async def _views(visit: Visit) -> list[PersonView]:
    found = await visit.services.administration.people()
    administrators = [each.id for each in found if each.role is Role.ADMINISTRATOR and each.disabled is None]
    today = _number(datetime.now(UTC).date())

    def view(info: PersonInfo) -> PersonView:
        recent = {day: used for day, used in info.days.items() if day > today - WEEK}
        return PersonView(
            info=info,
            since=_day(visit, info.since),
            seen=_day(visit, info.seen),
            disabled=_day(visit, info.disabled),
            me=info.id == visit.owner.account_id,
            only=administrators == [info.id],
            today=info.days.get(today, Used()),
            week=sum(recent.values(), Used()),
            month=info.used,
        )

    return [view(each) for each in found]


def _number(day: date) -> int:
    """Days since 1970."""
    return (day - date(1970, 1, 1)).days


def _day(visit: Visit, number: int | None) -> str:
    if number is None:
        return ""
    return long_date(datetime.fromtimestamp(number * DAY_S, UTC).date(), visit.language)


async def _page(visit: Visit, template: str, **context: Any) -> Response:
    return page(visit, template, groups=await sidebar_of(visit), engine=engine_view(visit.services), **context)


def _see_person(account_id: str) -> Response:
    return see(f"/people/{account_id}")
