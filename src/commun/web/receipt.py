"""``/receipt/{id}``: what produced one answer, as a page, as the seal's panel, and as a file that proves it.

- a receipt of a conversation is its owner's alone; one of an answer that nobody keeps is for whoever has its id, and
  holds nothing that was written. Everything else is NotFound, whether it exists or not;
- what is shown is read out of the signed statement; the file is made when it is asked for, with the ledger's newest
  proof. ``?texts=no`` leaves out everything that was written;
- a page that alone holds an answer's salts (a temporary chat) sends them along with its request for the file, where it
  has no scripts to put them in itself: they must be the receipt's own, and are kept nowhere. To check megabytes is
  work: only for who may ask, counted like a question, one at a time and in a thread.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from commun.errors import BadRequest, NotFound
from commun.receipts.bundle import Bundle, read_disclosed
from commun.receipts.commitments import FIELDS, check_commitment
from commun.receipts.errors import ReceiptError
from commun.receipts.statement import Statement, is_receipt_id
from commun.services import Services
from commun.store.receipts import StoredReceipt
from commun.web.instructions import added_in
from commun.web.pages import shown_name
from commun.web.receipt_view import ReceiptView, Recorded, file_name, receipt_view
from commun.web.share_view import can_be_shared
from commun.web.templating import page, part
from commun.web.visit import Visit, asker_of, check_asking, visit_of

MAX_DISCLOSED_BYTES: Final = 4_194_304  # of a form; the longest context's tokens and texts have a quarter of it
NO_STORE: Final = {"Cache-Control": "no-store", "Vary": "Cookie, Accept, Accept-Language"}


async def receipt(request: Request) -> Response:
    """The page; for our own script, the panel."""
    visit = await visit_of(request)
    stored = await _stored(visit)
    added = await added_in(visit, stored)
    view = _view(visit, stored, added)
    shareable = visit.services.settings.public_shares and can_be_shared(stored)
    context: dict[str, Any] = {"view": view, "receipt_id": stored.id, "shareable": shareable, "added": added}
    if visit.wants_data:
        html = part(visit.language, "_seal_panel.html", panel=True, **context)
        return JSONResponse({"html": html, "waiting": view.waiting}, headers=NO_STORE)
    return page(visit, "receipt.html", panel=False, signed_in=visit.viewer is not None, **context)


async def bundle(request: Request) -> Response:
    """The proof, as a file."""
    visit = await visit_of(request)
    stored = await _stored(visit)
    made = await visit.services.bundles.bundle(stored)
    if request.query_params.get("texts") == "no":
        made = made.without(*FIELDS)
    return _file(stored, await asyncio.to_thread(made.data))


async def bundle_with(request: Request) -> Response:
    """The same, with what the page alone holds put in."""
    visit = await asker_of(request)
    stored = await _stored(visit)
    check_asking(visit)
    form = await request.form(max_files=0, max_fields=2, max_part_size=MAX_DISCLOSED_BYTES)
    made = await visit.services.bundles.bundle(stored)
    async with _one_at_a_time(request):
        opened = await asyncio.to_thread(opened_with, made, str(form.get("disclosed", "")))
        data = await asyncio.to_thread(opened.data)
    return _file(stored, data)


def _one_at_a_time(request: Request) -> asyncio.Lock:
    """The server's one, made at its first use."""
    lock = getattr(request.app.state, "opened_bundles", None)
    if lock is None:
        lock = request.app.state.opened_bundles = asyncio.Lock()
    return cast("asyncio.Lock", lock)


def opened_with(made: Bundle, disclosed: str) -> Bundle:
    """``disclosed``: a bundle's field of this name, as JSON. Raises BadRequest unless each value is the receipt's."""
    try:
        found = read_disclosed(disclosed.encode())
        committed = Statement.from_envelope(made.envelope).commitments
        for name, item in found.items():
            check_commitment(name, item.value, item.salt, committed[name])
    except (ReceiptError, UnicodeEncodeError) as error:
        raise BadRequest from error
    return replace(made, disclosed=found)


async def _stored(visit: Visit) -> StoredReceipt:
    """Raises NotFound."""
    receipt_id = visit.request.path_params["id"]
    if not is_receipt_id(receipt_id):
        raise NotFound
    return await visit.services.receipts.get(visit.viewer, receipt_id)


def _view(visit: Visit, stored: StoredReceipt, added: str) -> ReceiptView:
    statement = Statement.from_envelope(stored.envelope)
    return receipt_view(
        stored,
        statement,
        _recorded(visit, stored, statement),
        visit.language,
        model=model_name(visit.services, statement),
        added=added,
    )


def model_name(services: Services, statement: Statement) -> str:
    """As the charter in force calls this very model, else as it is called here."""
    in_force = services.charter.find()
    adopted = in_force.charter.models.adopted if in_force is not None else ()
    for model in adopted:
        if (model.id, model.digest) == (statement.model_id, statement.model_digest):
            return model.name
    return shown_name(services.library, statement.model_id)


def _recorded(visit: Visit, stored: StoredReceipt, statement: Statement) -> Recorded:
    waited_s = max(0.0, time.time() - stored.created)
    return Recorded.of(visit.services.recorder, statement, stored.position, waited_s=waited_s)


def _file(stored: StoredReceipt, data: bytes) -> Response:
    headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{file_name(stored.id)}"'}
    return Response(data, media_type="application/json", headers=headers)
