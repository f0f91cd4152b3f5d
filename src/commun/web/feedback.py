"""``/c/{id}/feedback``: a thumb under an answer, with reasons and a remark, for whoever asked and for nobody else.

- a thumb is a form's button that sends what is to be: pressed again, it takes itself back. Without scripts that ends in
  the page; our own script is told what is now so;
- what is said stays in the vault (``store/feedback.py``). ``sent.py`` sends a single answer, if its owner wants that.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from commun.errors import N_, BadRequest, NotFound
from commun.store.conversations import MessageState
from commun.store.feedback import MAX_REMARK, Opinion, Reason, Thumb, plain_remark
from commun.web.forms import field, form_of, see
from commun.web.pages import engine_view
from commun.web.sidebar import sidebar_of
from commun.web.templating import page, part
from commun.web.visit import Visit, member_of

REASONS: Final[Mapping[Reason, str]] = {
    Reason.UNTRUE: N_("It is not true"),
    Reason.DISOBEYED: N_("It did not follow what I asked"),
    Reason.LANGUAGE: N_("It is in the wrong language"),
    Reason.HARMFUL: N_("It is harmful"),
    Reason.OTHER: N_("Something else"),
}
SAID: Final[Mapping[Thumb, str]] = {
    Thumb.UP: N_("Kept: a good answer."),
    Thumb.DOWN: N_("Kept: a bad answer."),
    Thumb.NONE: N_("The thumb is taken back."),
}


def feedback_routes() -> list[BaseRoute]:
    return [
        Route("/c/{id}/feedback", form),
        Route("/c/{id}/feedback", say, methods=["POST"]),
    ]


async def form(request: Request) -> Response:
    """Why, in words: a page of its own; for our own script, a dialog."""
    visit = await member_of(request)
    context = await _context(visit, request.query_params.get("message", ""))
    if visit.wants_data:
        html = part(visit.language, "_feedback_panel.html", **context)
        return JSONResponse({"html": html}, headers={"Cache-Control": "no-store"})
    return page(visit, "feedback.html", groups=await sidebar_of(visit), engine=engine_view(visit.services), **context)


async def say(request: Request) -> Response:
    """A thumb alone; or, from the form, all that is said (``whole``). ``then``: and on to sending the answer."""
    visit = await member_of(request)
    wishes = await form_of(request)
    conversation_id, message_id = request.path_params["id"], field(wishes, "message")
    feedback = visit.services.feedback
    if "whole" in wishes:
        said = await feedback.say(visit.owner, conversation_id, message_id, opinion_in(wishes))
        told = visit.translate(N_("Kept.") if said else N_("It is taken back."))
    else:
        said = await feedback.set_thumb(visit.owner, conversation_id, message_id, _thumb(field(wishes, "thumb")))
        told = visit.translate(SAID[said.thumb])
    url = f"/c/{conversation_id}?message={message_id}#m-{message_id}"
    if "send" in wishes:
        url = f"/receipt/{(await _context(visit, message_id))['receipt_id']}/send"
    if not visit.wants_data:
        return see(url)
    return JSONResponse({"thumb": said.thumb.value, "said": bool(said), "told": told, "url": url})


def opinion_in(wishes: FormData) -> Opinion:
    """What a form says. ``back``: nothing any more. Raises BadRequest."""
    if "back" in wishes:
        return Opinion()
    chosen = set(wishes.getlist("reason"))
    if not chosen <= set(Reason):
        raise BadRequest
    reasons = tuple(each for each in Reason if each in chosen)
    return Opinion(_thumb(field(wishes, "thumb")), reasons, plain_remark(field(wishes, "remark")))


def _thumb(value: str) -> Thumb:
    if value not in set(Thumb):
        raise BadRequest
    return Thumb(value)


async def _context(visit: Visit, message_id: str) -> dict[str, Any]:
    """What the form shows. Raises NotFound for what is no finished answer of this conversation."""
    conversation_id = visit.request.path_params["id"]
    found = await visit.services.conversations.get(visit.owner, conversation_id)
    message = found.messages.get(message_id)
    if message is None or message.role != "assistant" or message.state is MessageState.RUNNING:
        raise NotFound
    receipt_id = str(message.content.get("receipt", ""))
    return {
        "conversation_id": conversation_id,
        "message_id": message_id,
        "said": await visit.services.feedback.find(visit.owner, conversation_id, message_id),
        "reasons": REASONS,
        "most": MAX_REMARK,
        "receipt_id": receipt_id,
        "can_send": bool(receipt_id) and await visit.services.sent.can_send(visit.owner),
    }
