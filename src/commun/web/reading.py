"""``/reading/{id}``: a conversation that somebody else shares, to be read: as it goes on, with its receipts.

- the address names the reading, not the conversation: that stands at ``/c/{id}`` for its owner, and for nobody else;
- all that was written is shown, every branch of it, which are links here; nothing can be changed. What is the owner's
  own stays out of it: folder, thumbs, and what they tell every answer about themselves;
- a receipt is shown as it is; its file proves the answer, without what the model was told before it: the owner's own
  instructions can be in that. Probabilities stay out of the export, since guesses of them could be tried against
  these; how many tokens were read stands in the receipt, which is signed as it is;
- whoever reads can leave, export, and go on in a copy of their own, where the charter lets anything be stored.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from commun.errors import NotFound
from commun.receipts.statement import Statement, is_receipt_id
from commun.store.conversations import Conversation
from commun.store.reading import OpenReading
from commun.store.receipts import StoredReceipt
from commun.web.forms import see
from commun.web.i18n import long_date
from commun.web.pages import download, engine_view, export_of, markdown_of, present_edition
from commun.web.receipt_view import file_name
from commun.web.rules import check_stored, end_of, is_only_temporary
from commun.web.share import told_receipt
from commun.web.share_view import bundle_to_share, can_be_shared
from commun.web.sidebar import sidebar_of
from commun.web.templating import page
from commun.web.transcript import view_path
from commun.web.visit import Visit, check_asking, member_of

# Of a message’s content: that its owner had told the model of themselves, and what guesses of it could be tried on.
OWNERS: Final = frozenset({"instructed", "logprobs", "prompt_tokens"})


def reading_routes() -> list[BaseRoute]:
    return [
        Route("/reading/{id}", reading),
        Route("/reading/{id}/export.md", export_markdown),
        Route("/reading/{id}/export.json", export_json),
        Route("/reading/{id}/leave", leave, methods=["POST"]),
        Route("/reading/{id}/copy", copy, methods=["POST"]),
        Route("/reading/{id}/receipt/{receipt}", receipt),
        Route("/reading/{id}/receipt/{receipt}/bundle", bundle),
    ]


async def reading(request: Request) -> Response:
    """``?message=``: the branch on which that message stands; else the one that its owner sees."""
    visit = await member_of(request)
    found = await _reading(visit)
    conversation = found.conversation
    wanted = request.query_params.get("message")
    if wanted:
        if wanted not in conversation.messages:
            raise NotFound
        conversation.leaf_id = conversation.leaf_under(wanted)
    end = end_of(visit, conversation)
    return page(
        visit,
        "reading.html",
        groups=await sidebar_of(visit, found.id),
        engine=engine_view(visit.services),
        reading_id=found.id,
        reading_title=conversation.title,
        owner=found.owner,
        since=long_date(visit.local(found.since).date(), visit.language),
        ends=long_date(visit.local(end).date(), visit.language) if end is not None else "",
        messages=view_path(conversation, visit.language, present=present_edition(visit)),
        may_copy=not is_only_temporary(visit),
    )


async def _reading(visit: Visit) -> OpenReading:
    """Raises NotFound."""
    found = await visit.services.reading.get(visit.owner, visit.request.path_params["id"])
    return replace(found, conversation=_without_owners(found.conversation))


def _without_owners(conversation: Conversation) -> Conversation:
    kept = {}
    for message in conversation.messages.values():
        content = {name: value for name, value in message.content.items() if name not in OWNERS}
        kept[message.id] = replace(message, content=content)
    return replace(conversation, messages=kept)


async def export_markdown(request: Request) -> Response:
    """The branch that its owner sees."""
    visit = await member_of(request)
    found = await _reading(visit)
    text = markdown_of(visit, found.conversation, asked_by=owner_name(visit, found.owner))
    return download(text, "text/markdown; charset=utf-8", f"{found.id}.md")


async def export_json(request: Request) -> Response:
    """All branches, as the owner's own export has them, without what is the owner's own."""
    visit = await member_of(request)
    found = await _reading(visit)
    exported = export_of(found.conversation, {}) | {"shared_by": found.owner}
    return download(json.dumps(exported, ensure_ascii=False, indent=1), "application/json", f"{found.id}.json")


def owner_name(visit: Visit, name: str) -> str:
    return name or visit.translate("somebody without a name")


async def leave(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.reading.leave(visit.owner, request.path_params["id"])
    return see("/")


async def copy(request: Request) -> Response:
    """A conversation of the reader's own, with what was written; receipts stay with the original."""
    visit = await member_of(request)
    check_asking(visit)
    check_stored(visit)
    called = visit.translate("%(title)s (copy)")
    copy_id = await visit.services.reading.copy(
        visit.owner, request.path_params["id"], called=lambda title: called % {"title": title}
    )
    return see(f"/c/{copy_id}")


async def receipt(request: Request) -> Response:
    """What the receipt says, in the words of its own page."""
    visit = await member_of(request)
    stored = await _receipt(visit)
    made = await asyncio.to_thread(bundle_to_share, stored, conversation=False)
    return page(
        visit,
        "reading_receipt.html",
        groups=await sidebar_of(visit, request.path_params["id"]),
        engine=engine_view(visit.services),
        view=await told_receipt(visit, made, Statement.from_envelope(stored.envelope)),
        reading_id=request.path_params["id"],
        message_id=stored.message_id,
    )


async def bundle(request: Request) -> Response:
    """The answer's proof, as a file: without what the model was told."""
    visit = await member_of(request)
    stored = await _receipt(visit)
    made = await asyncio.to_thread(bundle_to_share, stored, conversation=False)
    data = await asyncio.to_thread((await visit.services.bundles.completed(made)).data)
    headers: Mapping[str, Any] = {
        "Content-Disposition": f'attachment; filename="{file_name(stored.id)}"',
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/json", headers=headers)


async def _receipt(visit: Visit) -> StoredReceipt:
    """Raises NotFound."""
    params = visit.request.path_params
    if not is_receipt_id(params["receipt"]):
        raise NotFound
    stored = await visit.services.reading.receipt(visit.owner, params["id"], params["receipt"])
    if not can_be_shared(stored):
        raise NotFound
    return stored
