"""``Commun-Receipt``: which turns a request has begun.

The header stands on everything that is answered after that, errors too: a receipt's id follows from its turn's and is
known at its beginning. Several prompts have several ids, ", " between them, HEADER_IDS at most, because proxies refuse
long heads; all of them stand in the body.
"""

from collections.abc import Sequence

from starlette.types import Scope

from commun.assistant.turn import Turn

RECEIPT_HEADER = "commun-receipt"
HEADER_IDS = 16
BEGUN = "commun.begun"  # in the request's scope: ids of the receipts of its turns


def begun(scope: Scope, turn: Turn) -> Turn:
    """Notes that a turn of this request has begun."""
    scope.setdefault(BEGUN, []).append(turn.receipt_id)
    return turn


def receipt_header(ids: Sequence[str]) -> dict[str, str]:
    """Empty where no turn has begun."""
    return {RECEIPT_HEADER: ", ".join(ids[:HEADER_IDS])} if ids else {}


def header_of(scope: Scope) -> dict[str, str]:
    return receipt_header(scope.get(BEGUN, ()))
