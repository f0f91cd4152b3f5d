"""Sending one answer to the administrators, and what they do with what was sent.

- ``/receipt/{id}/send`` shows its owner exactly what goes, to whom, and asks; nothing goes before that. It is sealed to
  the administrators whom that page named, and only if they still are (``store/sent.py``);
- ``/sent`` is the administrators': opened with their own vault while they look. What is not sealed to who asks is
  NotFound, and counted in the list without anything of it;
- with a name it stands in its sender's settings and is withdrawn there. Without one no account is stored, so nobody can
  withdraw it. How many somebody sends a day is counted in memory alone.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from commun.errors import BadRequest, NotFound
from commun.receipts.errors import ReceiptError
from commun.receipts.statement import Statement, is_receipt_id
from commun.store.feedback import MAX_REMARK, Opinion
from commun.store.receipts import StoredReceipt
from commun.store.sent import MOST, MOST_DAYS, NobodyToSendTo, SentAnswer
from commun.web.feedback import REASONS, opinion_in
from commun.web.forms import field, form_of, see
from commun.web.i18n import long_date
from commun.web.instructions import added_in
from commun.web.limits import counted_apart
from commun.web.pages import engine_view
from commun.web.receipt_view import file_name
from commun.web.sent_view import Letter, letter_to_send, letter_view, whole_letter
from commun.web.share import told_receipt
from commun.web.share_view import can_be_shared
from commun.web.sidebar import sidebar_of
from commun.web.templating import page
from commun.web.transcript import title_of
from commun.web.visit import Visit, member_of

MOST_A_DAY: Final = "10/day"
PAGE: Final = 20  # lines
MOST_FIELDS: Final = 500  # of the form that sends: one for each administrator


def sent_routes() -> list[BaseRoute]:
    return [
        Route("/receipt/{id}/send", form),
        Route("/receipt/{id}/send", send, methods=["POST"]),
        Route("/settings/sent/{id}/withdraw", withdraw, methods=["POST"]),
        Route("/sent", sent),
        Route("/sent/{id}", sent_answer),
        Route("/sent/{id}/bundle", bundle),
        Route("/sent/{id}/state", set_state, methods=["POST"]),
        Route("/sent/{id}/delete", delete, methods=["POST"]),
    ]


# --- the sender's side


async def form(request: Request) -> Response:
    """What goes, and to whom. ``?done=``: it went."""
    visit, stored = await _kept(request)
    question, said = await _question(visit, stored), await _said(visit, stored)
    to = await visit.services.sent.administrators()
    added = await added_in(visit, stored)
    whole = await asyncio.to_thread(lambda: letter_view(whole_letter(stored, question, said, added)))
    return await _page(
        visit,
        "send.html",
        shown=whole,
        to=to,
        possible=await visit.services.sent.can_send(visit.owner),
        done=request.query_params.get("done", ""),
        name=visit.owner.name,
        reasons=REASONS,
        most=MAX_REMARK,
        days=_kept_days(visit),
        receipt_id=stored.id,
        answer_url=f"/c/{stored.conversation_id}?message={stored.message_id}#m-{stored.message_id}",
    )


async def send(request: Request) -> Response:
    visit, stored = await _kept(request)
    wishes = await request.form(max_files=0, max_fields=MOST_FIELDS)
    named = field(wishes, "named")
    if named not in {"yes", "no"}:
        raise BadRequest
    if not await visit.services.sent.can_send(visit.owner):
        raise NobodyToSendTo
    counted_apart(request.app.state, "sent_limits", MOST_A_DAY, setting="sent").check(visit.owner.account_id)
    question, said = await _question(visit, stored), opinion_in(wishes)
    with_before, with_receipt, added = "before" in wishes, "receipt" in wishes, await added_in(visit, stored)

    def written() -> bytes:
        letter = letter_to_send(stored, question, said, added, with_before=with_before, with_receipt=with_receipt)
        return letter.data()

    to = {each for each in wishes.getlist("to") if isinstance(each, str)}
    content = await asyncio.to_thread(written)
    await visit.services.sent.send(visit.owner, content, to=to, named=named == "yes")
    return see(f"/receipt/{stored.id}/send?done={'named' if named == 'yes' else 'nameless'}")


async def withdraw(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.sent.withdraw(visit.owner, request.path_params["id"])
    return see("/settings#sent")


@dataclass(frozen=True, slots=True)
class SentLine:
    """One line of a list, or above a whole letter. ``letter``: in a list without answer, what was before it, and proof.
    ``sender``: as SentAnswer's. ``done``: "" while it is open.
    """

    id: str
    title: str
    letter: Letter
    sender: str | None
    day: str
    done: str


async def sent_by(visit: Visit) -> list[SentLine]:
    """What somebody sent with their name, for their settings. No words of what this vault does not open."""
    lines = _lines(visit, await visit.services.sent.mine(visit.owner, brief=brief))
    closed = await visit.services.sent.mine_closed(visit.owner)
    nothing = Letter("", "", Opinion())
    return lines + [
        SentLine(each.id, "", nothing, each.sender, _day(visit, each.day), _day(visit, each.done)) for each in closed
    ]


async def _kept(request: Request) -> tuple[Visit, StoredReceipt]:
    """The visitor's own answer. Raises NotFound."""
    visit = await member_of(request)
    receipt_id = request.path_params["id"]
    if not is_receipt_id(receipt_id):
        raise NotFound
    stored = await visit.services.receipts.get(visit.owner, receipt_id)
    if not can_be_shared(stored):
        raise NotFound
    return visit, stored


async def _question(visit: Visit, stored: StoredReceipt) -> str:
    """The message that was answered, as its owner wrote it."""
    found = await visit.services.conversations.get(visit.owner, stored.conversation_id or "")
    parent = found.messages[stored.message_id or ""].parent_id
    return str(found.messages[parent].content["text"]) if parent is not None else ""


async def _said(visit: Visit, stored: StoredReceipt) -> Opinion:
    return await visit.services.feedback.find(visit.owner, stored.conversation_id or "", stored.message_id or "")


def _kept_days(visit: Visit) -> int:
    """How long a sent answer is kept at most."""
    in_force = visit.services.charter.find()
    days = in_force.charter.retention.days if in_force is not None else 0
    return min(days or MOST_DAYS, MOST_DAYS)


# --- the administrators' side


async def sent(request: Request) -> Response:
    """``?page=``: PAGE lines each, the first where it is no number of one."""
    visit = await member_of(request)
    text = request.query_params.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) else 1
    number = min(max(number, 1), MOST // PAGE)
    found = await visit.services.sent.list(visit.owner, after=(number - 1) * PAGE, limit=PAGE + 1, brief=brief)
    return await _page(
        visit,
        "sent.html",
        lines=_lines(visit, found[:PAGE]),
        before=number - 1,
        after=number + 1 if len(found) > PAGE else 0,
        closed=await visit.services.sent.count_closed(visit.owner),
        reasons=REASONS,
        days=_kept_days(visit),
    )


async def sent_answer(request: Request) -> Response:
    visit, found = await _found(request)
    letter = await asyncio.to_thread(Letter.from_bytes, found.content)
    line = _line(visit, found, letter, title_of(letter.question))
    shown = await asyncio.to_thread(letter_view, line.letter)
    return await _page(
        visit, "sent_answer.html", line=line, shown=shown, reasons=REASONS, receipt=await _receipt(visit, line.letter)
    )


async def bundle(request: Request) -> Response:
    """Its proof, as a file, with the charter's files and the ledger's newest proof."""
    visit, found = await _found(request)
    proof = Letter.from_bytes(found.content).proof
    if proof is None:
        raise NotFound
    completed = await visit.services.bundles.completed(proof)
    name = file_name(Statement.from_envelope(proof.envelope).receipt)
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(await asyncio.to_thread(completed.data), media_type="application/json", headers=headers)


async def set_state(request: Request) -> Response:
    visit, found = await _found(request)
    done = field(await form_of(request), "done")
    if done not in {"yes", "no"}:
        raise BadRequest
    await visit.services.sent.set_done(visit.owner, found.id, done=done == "yes")
    return see("/sent")


async def delete(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.sent.delete(visit.owner, request.path_params["id"])
    return see("/sent")


async def _found(request: Request) -> tuple[Visit, SentAnswer]:
    """Raises NotFound."""
    visit = await member_of(request)
    return visit, await visit.services.sent.get(visit.owner, request.path_params["id"])


async def _receipt(visit: Visit, letter: Letter) -> Any:
    """What its receipt says; None where it was sent without one."""
    try:
        proof = letter.proof
        return None if proof is None else await told_receipt(visit, proof, Statement.from_envelope(proof.envelope))
    except ReceiptError as error:
        raise NotFound from error


def brief(content: bytes) -> bytes:
    """Of a letter, what a line of a list tells."""
    letter = Letter.from_bytes(content)
    return Letter(title_of(letter.question), "", letter.opinion).data()


def _lines(visit: Visit, found: list[SentAnswer]) -> list[SentLine]:
    """``found``: in brief."""
    letters = [Letter.from_bytes(each.content) for each in found]
    return [_line(visit, each, letter, letter.question) for each, letter in zip(found, letters, strict=True)]


def _line(visit: Visit, sent: SentAnswer, letter: Letter, title: str) -> SentLine:
    return SentLine(sent.id, title, letter, sent.sender, _day(visit, sent.day), _day(visit, sent.done))


def _day(visit: Visit, moment: float | None) -> str:
    return "" if moment is None else long_date(datetime.fromtimestamp(moment, UTC).date(), visit.language)


async def _page(visit: Visit, template: str, **context: Any) -> Response:
    return page(visit, template, groups=await sidebar_of(visit), engine=engine_view(visit.services), **context)
