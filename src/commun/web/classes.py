"""``/classes``: administrators open classes and end them. Who is in one, and what is asked there, nobody sees here.

A code is shown once, large enough for a projector; another one replaces it, and may put out whoever came in with the
first: one person can take every place. Ending a class puts its guests out at once,
stops what is being answered and closes what they were reading.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from commun.errors import BadRequest
from commun.store.administration import MOST_TOKENS
from commun.store.classes import MOST_PLACES, ClassInfo
from commun.web.classroom import is_closed
from commun.web.forms import field, form_of, number_up_to, see
from commun.web.i18n import long_date
from commun.web.live import live_turns
from commun.web.pages import engine_view
from commun.web.rules import check_temporary
from commun.web.sidebar import sidebar_of
from commun.web.templating import page
from commun.web.visit import DAY_S, Visit, member_of, services_of

NAME_LIMIT: Final = 60
HOURS: Final = (1, 2, 4, 8, 24, 72, 168, 336)
PLACES: Final = 35
DAILY_TOKENS: Final = 300_000


@dataclass(frozen=True, slots=True)
class ClassView:
    """``ends``: day and hour on the reader's clock. ``used``: tokens of today."""

    info: ClassInfo
    ends: str
    used: int


async def classes(request: Request) -> Response:
    return await _page(await member_of(request))


async def open_class(request: Request) -> Response:
    """The code's page, this once."""
    visit = await member_of(request)
    form = await form_of(request)
    name = " ".join(field(form, "name").split())[:NAME_LIMIT]
    hours = field(form, "hours")
    places = number_up_to(field(form, "places"), MOST_PLACES)
    daily_tokens = number_up_to(field(form, "daily_tokens"), MOST_TOKENS)
    if not name or hours not in map(str, HOURS) or not places or not daily_tokens:
        raise BadRequest
    check_temporary(visit)
    code = await visit.services.classes.open(
        visit.owner.account_id, name, hours=int(hours), places=places, daily_tokens=daily_tokens
    )
    return _code_page(visit, code, name)


async def renew_code(request: Request) -> Response:
    visit = await member_of(request)
    class_id = request.path_params["id"]
    form = await form_of(request)
    code = await visit.services.classes.renew_code(class_id)
    if field(form, "out"):
        put_out(request, await visit.services.classes.empty(class_id))
    name = next((each.name for each in await visit.services.classes.list_open() if each.id == class_id), "")
    return _code_page(visit, code, name)


async def end(request: Request) -> Response:
    visit = await member_of(request)
    class_id = request.path_params["id"]
    await visit.services.classes.end(class_id)
    put_out(request, [class_id])
    return see("/classes")


async def end_all_of(request: Request, account_id: str) -> None:
    """Of an administrator who is none any more, or was disabled."""
    put_out(request, await services_of(request).classes.end_all_of(account_id))


def put_out(request: Request, names: Iterable[str]) -> None:
    """Of classes, or of guests, that are none any more."""
    for name in names:
        live_turns(request).close(name)
        services_of(request).assistant.shut_out(name)


def _code_page(visit: Visit, code: str, name: str) -> Response:
    """For a projector; this once."""
    base = visit.services.settings.public_url.rstrip("/") or str(visit.request.base_url).rstrip("/")
    return page(visit, "class_code.html", code=code, name=name, address=f"{base}/class")


async def _page(visit: Visit) -> Response:
    return page(
        visit,
        "classes.html",
        groups=await sidebar_of(visit),
        engine=engine_view(visit.services),
        classes=[_view(visit, each) for each in await visit.services.classes.list_open()],
        closed=is_closed(visit),
        hours=HOURS,
        places=PLACES,
        daily_tokens=DAILY_TOKENS,
    )


def _view(visit: Visit, info: ClassInfo) -> ClassView:
    end = visit.local(info.expires)
    today = info.day == int(time.time() // DAY_S)
    ends = f"{long_date(end.date(), visit.language)}, {end:%H:%M}"
    return ClassView(info, ends, info.used if today else 0)
