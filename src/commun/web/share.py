"""Single answers as public pages: made by their owner, one by one, where whoever runs this Commun allows it.

- ``public_shares`` is off unless the configuration says otherwise; switched off again, every link stops at once;
- making, listing and revoking are the owner's (``store/shares.py`` checks whose the message is); a link is shown once;
- ``/share/{token}`` reads no cookie and sets none: it is the same page for everybody, its owner included. It asks not
  to be indexed and is kept by no cache. A link that is unknown, expired, revoked, switched off or damaged gets one and
  the same page;
- opening links is counted for each address, as signing in is, on a counter of its own: many readers of one answer
  lock nobody out of signing in.
"""

import asyncio
import math
import time
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from commun.errors import N_, BadRequest, CommunError, NotFound, Refused, TooManyRequests
from commun.receipts.bundle import Bundle
from commun.receipts.errors import ReceiptError
from commun.receipts.statement import State, Statement, is_receipt_id
from commun.store.receipts import StoredReceipt
from commun.store.shares import MadeShare, OpenedShare
from commun.web.i18n import LANGUAGES, choose_language, long_date
from commun.web.instructions import added_in, added_to
from commun.web.pages import engine_view
from commun.web.receipt import model_name
from commun.web.receipt_view import Recorded, file_name, receipt_view
from commun.web.rules import state_of
from commun.web.share_view import DAYS, bundle_to_share, can_be_shared, shared_answer, told_in
from commun.web.sidebar import sidebar_of
from commun.web.templating import page, part
from commun.web.visit import Visit, check_address, member_of, services_of, zone_named

PUBLIC_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Vary": "Accept-Language",
}
MAX_TOKEN: Final = 64  # characters; a token has 43


class SharesOff(Refused):
    code = "public_shares_off"
    problem = N_("On this Commun answers are not published.")
    cure = N_("Whoever runs it can allow it: public_shares in the configuration.")


# --- the owner's side


async def form(request: Request) -> Response:
    """What is published, for how long: a page of its own for who has no scripts, or comes from a menu."""
    visit, stored = await _kept(request)
    return await _page(visit, stored, None)


async def make(request: Request) -> Response:
    visit, stored = await _kept(request)
    wishes = await request.form(max_files=0, max_fields=5)
    days = str(wishes.get("days", ""))
    if days not in map(str, DAYS):
        raise BadRequest
    whole = wishes.get("conversation") == "yes"
    content = await asyncio.to_thread(lambda: bundle_to_share(stored, conversation=whole).data())
    made = await visit.services.shares.make(
        visit.owner,
        conversation_id=stored.conversation_id or "",
        message_id=stored.message_id or "",
        content=content,
        days=int(days),
    )
    if visit.wants_data:
        html = part(visit.language, "_share_made.html", **_made(visit, made))
        return JSONResponse({"html": html}, headers={"Cache-Control": "no-store"})
    return await _page(visit, stored, made)


async def revoke(request: Request) -> Response:
    """Also where sharing has been switched off since."""
    visit = await member_of(request)
    await visit.services.shares.revoke(visit.owner, request.path_params["id"])
    return RedirectResponse("/settings#shares", status_code=303)


async def _kept(request: Request) -> tuple[Visit, StoredReceipt]:
    """The visitor's own answer. Raises SharesOff, NotFound."""
    visit = await member_of(request)
    if not visit.services.settings.public_shares:
        raise SharesOff
    receipt_id = request.path_params["id"]
    if not is_receipt_id(receipt_id):
        raise NotFound
    stored = await visit.services.receipts.get(visit.owner, receipt_id)
    if not can_be_shared(stored):
        raise NotFound
    return visit, stored


async def _page(visit: Visit, stored: StoredReceipt, made: MadeShare | None) -> Response:
    context = _made(visit, made) if made is not None else {"url": ""}
    return page(
        visit,
        "shares.html",
        groups=await sidebar_of(visit),
        engine=engine_view(visit.services),
        receipt_id=stored.id,
        added=await added_in(visit, stored),
        answer_url=f"/c/{stored.conversation_id}?message={stored.message_id}#m-{stored.message_id}",
        **context,
    )


def _made(visit: Visit, made: MadeShare) -> dict[str, Any]:
    base = visit.services.settings.public_url.rstrip("/") or str(visit.request.base_url).rstrip("/")
    return {
        "share_id": made.id,
        "url": f"{base}/share/{made.token}",
        "until": long_date(visit.local(made.expires).date(), visit.language),
    }


# --- the public side


async def share(request: Request) -> Response:
    """The answer, for whoever has the link."""
    visit = _stranger(request)
    try:
        opened, bundle = await _opened(visit)
        statement, told = Statement.from_envelope(bundle.envelope), told_in(bundle)
        shown = await asyncio.to_thread(shared_answer, bundle, await added_to(visit, statement, told))
    except (NotFound, ReceiptError):
        return _closed(visit, NotFound())
    except TooManyRequests as error:
        return _closed(visit, error)
    context = {
        "shown": shown,
        "receipt": await told_receipt(visit, bundle, shown.statement),
        "until": long_date(datetime.fromtimestamp(opened.expires, UTC).date(), visit.language),
        "disclosure": _disclosure(visit),
        "broken": shown.statement.state is not State.COMPLETE,
    }
    return _public(visit, 200, closed=None, **context)


async def bundle(request: Request) -> Response:
    """Its proof, as a file, with the charter's files and the ledger's newest proof."""
    visit = _stranger(request)
    try:
        _opened_share, found = await _opened(visit)
        statement = Statement.from_envelope(found.envelope)
    except (NotFound, ReceiptError):
        return _closed(visit, NotFound())
    except TooManyRequests as error:
        return _closed(visit, error)
    completed = await visit.services.bundles.completed(found)
    name = f'attachment; filename="{file_name(statement.receipt)}"'
    headers = {**PUBLIC_HEADERS, "Content-Disposition": name}
    return Response(completed.data(), media_type="application/json", headers=headers)


def _stranger(request: Request) -> Visit:
    """Whoever asks is nobody in particular. ``?lang=``: the page in another language."""
    wanted = request.query_params.get("lang", "")
    language = choose_language(wanted if wanted in LANGUAGES else "", request.headers.get("accept-language", ""))
    return Visit(request, services_of(request), None, "", language, "auto", zone_named(""))


async def _opened(visit: Visit) -> tuple[OpenedShare, Bundle]:
    """Raises NotFound, TooManyRequests, ReceiptError."""
    check_address(visit.request, "share_limits")
    token = visit.request.path_params["token"]
    if not visit.services.settings.public_shares or len(token) > MAX_TOKEN:
        raise NotFound
    opened = await visit.services.shares.open(token)
    return opened, await asyncio.to_thread(Bundle.from_bytes, opened.content)


async def told_receipt(visit: Visit, found: Bundle, statement: Statement) -> Any:
    """What the receipt says, in the words of its own page."""
    services = visit.services
    position = await services.receipts.find_position(statement.receipt)
    stored = StoredReceipt(
        statement.receipt, "", position, statement.ended.timestamp(), found.key, found.envelope, None, None,
        salts={}, values=None,
    )  # fmt: skip
    waited_s = max(0.0, time.time() - statement.ended.timestamp())
    recorded = Recorded.of(services.recorder, statement, position, waited_s=waited_s)
    model = model_name(services, statement)
    return receipt_view(stored, statement, recorded, visit.language, model=model)


def _disclosure(visit: Visit) -> str:
    """What the charter in force says of machines that answer."""
    in_force = visit.services.charter.find()
    return in_force.charter.disclosure.in_language(visit.language).strip() if in_force is not None else ""


def _closed(visit: Visit, error: CommunError) -> Response:
    """The one page of every link that opens nothing; or "wait"."""
    response = _public(visit, error.status, closed=error)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response


def _public(visit: Visit, status: int, *, closed: CommunError | None, **context: Any) -> HTMLResponse:
    html = part(
        visit.language,
        "share.html",
        theme=visit.theme,
        sidebar_hidden=False,
        charter_state=state_of(visit),
        path=visit.request.url.path,
        closed=closed.text(visit.translate) if isinstance(closed, TooManyRequests) else closed is not None,
        **context,
    )
    return HTMLResponse(html, status_code=status, headers={**PUBLIC_HEADERS, "Content-Language": visit.language})
