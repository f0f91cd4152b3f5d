"""A whole conversation shared with another person: the owner's page of it, and the link that the other person opens.

- ``/c/{id}/readers`` is the owner's: who reads, since when, links that nobody has accepted, and the button for another
  one. A link is shown once. Ending a reading gives the conversation another key (``store/readers.py``);
- ``/with/{token}`` is for whoever is signed in and has the link: it says who shares, and changes nothing; accepting is
  a form. A link that is unknown, spent, withdrawn, expired or damaged gets one and the same page;
- what is read then stands at ``/reading/{id}`` (``reading.py``).
"""

from collections.abc import Iterable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from commun.errors import NotFound
from commun.store.readers import LINK_DAYS, MadeLink, Offer, ReaderInfo
from commun.web.forms import field, form_of, see
from commun.web.i18n import long_date
from commun.web.pages import engine_view
from commun.web.sidebar import sidebar_of
from commun.web.templating import page
from commun.web.visit import Visit, member_of

MAX_TOKEN: Final = 64  # characters; a token has 43
NO_REFERRER: Final = {"Referrer-Policy": "no-referrer"}


def readers_routes() -> list[BaseRoute]:
    return [
        Route("/c/{id}/readers", readers),
        Route("/c/{id}/readers", make_link, methods=["POST"]),
        Route("/readers/{id}/end", end, methods=["POST"]),
        Route("/with/{token}", offered),
        Route("/with/{token}", accept, methods=["POST"]),
    ]


async def readers(request: Request) -> Response:
    return await _page(await member_of(request))


async def make_link(request: Request) -> Response:
    visit = await member_of(request)
    return await _page(visit, await visit.services.readers.make_link(visit.owner, request.path_params["id"]))


async def end(request: Request) -> Response:
    """Of a reader, or of a link that nobody has accepted. From the settings one comes back to them."""
    visit = await member_of(request)
    form = await form_of(request)
    conversation_id = await visit.services.readers.end(visit.owner, request.path_params["id"])
    return see("/settings#readers" if field(form, "from") == "settings" else f"/c/{conversation_id}/readers?done=ended")


async def _page(visit: Visit, made: MadeLink | None = None) -> Response:
    conversation_id = visit.request.path_params["id"]
    conversation = await visit.services.conversations.get(visit.owner, conversation_id)
    listed = await visit.services.readers.list(visit.owner, conversation_id)
    response = page(
        visit,
        "readers.html",
        groups=await sidebar_of(visit, conversation_id),
        engine=engine_view(visit.services),
        conversation_id=conversation_id,
        conversation_title=conversation.title,
        readers=listed,
        reader_days=reader_days(visit, listed),
        link_days=LINK_DAYS,
        ended=visit.request.query_params.get("done") == "ended",
        **_made(visit, made),
    )
    response.headers.update(NO_REFERRER)
    return response


def reader_days(visit: Visit, listed: Iterable[ReaderInfo]) -> dict[float, str]:
    moments = (moment for each in listed for moment in (each.created, each.since, each.expires) if moment is not None)
    return {moment: long_date(visit.local(moment).date(), visit.language) for moment in moments}


def _made(visit: Visit, made: MadeLink | None) -> dict[str, Any]:
    if made is None:
        return {"url": "", "until": ""}
    base = visit.services.settings.public_url.rstrip("/") or str(visit.request.base_url).rstrip("/")
    return {
        "url": f"{base}/with/{made.token}",
        "until": long_date(visit.local(made.expires).date(), visit.language),
    }


async def offered(request: Request) -> Response:
    """Who shares, and what accepting means: nothing has happened yet."""
    visit = await member_of(request)
    try:
        offer = await visit.services.readers.offer(visit.owner, _token(request))
    except NotFound:
        return await _offer_page(visit, None)
    return await _offer_page(visit, offer)


async def accept(request: Request) -> Response:
    visit = await member_of(request)
    try:
        reading_id = await visit.services.readers.accept(visit.owner, _token(request))
    except NotFound:
        return await _offer_page(visit, None)
    return see(f"/reading/{reading_id}")


def _token(request: Request) -> str:
    """Raises NotFound for what no link can be."""
    token = str(request.path_params["token"])
    if len(token) > MAX_TOKEN:
        raise NotFound
    return token


async def _offer_page(visit: Visit, offer: Offer | None) -> Response:
    response = page(
        visit,
        "with.html",
        status=404 if offer is None else 200,
        groups=await sidebar_of(visit),
        engine=engine_view(visit.services),
        path=visit.request.url.path,
        offer=offer,
        name=visit.owner.name,
        until=long_date(visit.local(offer.expires).date(), visit.language) if offer is not None else "",
    )
    response.headers.update(NO_REFERRER)
    return response
