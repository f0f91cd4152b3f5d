"""Receipts for programs: named with every answer, whole where the program asks, later by id.

- ``Commun-Receipt: ID`` stands on everything that is answered after a turn has begun, errors too (``begun.py``);
- ``commun.receipt`` is ``{"id": …}``; for a request with ``"receipt": "bundle"`` also ``"bundle"``: everything
  disclosed, the charter's files, the ledger's proof still pending;
- ``GET /v1/receipts/{id}``: the bundle as of now. Whole for the API key that had the answer stored; where nobody keeps
  the answer, without what was written, for whoever has the id. For everybody else there is no such receipt.
"""

import json
from typing import TYPE_CHECKING, Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from commun.api.keys import key_of, services_of
from commun.errors import NotFound
from commun.receipts.bundle import PENDING, Bundle, Logged
from commun.receipts.issue import Receipt
from commun.receipts.statement import is_receipt_id
from commun.store.accounts import Caller

if TYPE_CHECKING:
    from commun.services import Services

BUNDLES_AT_ONCE = 8  # each has the charter's files
NOT_CACHED = {"cache-control": "no-store"}

log = structlog.get_logger()


class NoReceipt(NotFound):
    """Unknown, purged, or somebody else's: which of these is nobody's business."""

    problem = "There is no such receipt."
    cure = "Ask with the API key that had the answer; receipts go with their conversation."


async def told(services: "Services", receipt: Receipt, *, whole: bool) -> dict[str, Any]:
    """What ``commun.receipt`` says. ``whole``: with its bundle."""
    named: dict[str, Any] = {"id": receipt.statement.receipt}
    if whole:
        named["bundle"] = json.loads((await _fresh(services, receipt)).data())
    return named


async def _fresh(services: "Services", receipt: Receipt) -> Bundle:
    """Without the charter's files where they cannot be read: the salts are told now or never."""
    try:
        return await services.bundles.fresh(receipt)
    except Exception:
        log.exception("a bundle lacks the charter", receipt=receipt.statement.receipt)
        return receipt.bundle(ledger=Logged(receipt=PENDING))


async def get_receipt(request: Request, caller: Caller) -> Response:
    """GET /v1/receipts/{id}. Raises NoReceipt."""
    receipt_id = request.path_params["receipt"]
    if not is_receipt_id(receipt_id):
        raise NoReceipt
    services = services_of(request)
    try:
        stored = await services.receipts.get_for_caller(caller, key_of(request), receipt_id)
    except NotFound:
        raise NoReceipt from None
    bundle = await services.bundles.bundle(stored)
    return Response(bundle.data(), headers=NOT_CACHED, media_type="application/json")
