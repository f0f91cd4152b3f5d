"""What one does in a chat: ask, edit, ask again, choose a branch, stop, rename, delete.

Every action is a form that works without scripts: it then ends in a page. Our own script asks for JSON and gets the
same parts rendered. An answer goes on when its reader leaves; ``live.py`` has the streams.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from commun.assistant.admission import Share
from commun.assistant.bounds import check_wishes
from commun.assistant.engines import Terms
from commun.assistant.question import Question
from commun.assistant.turn import Turn
from commun.engine.base import Message
from commun.errors import BadRequest, CommunError, NotFound
from commun.receipts.seeds import read_nonce
from commun.receipts.statement import is_receipt_id
from commun.store.conversations import Conversation, MessageState, OpenTurn
from commun.web.forms import field, see
from commun.web.hold import check_erasing, day_of, find_hold
from commun.web.instructions import own_messages
from commun.web.live import AnswerStream, Live, content_of, live_turns
from commun.web.pages import ChatView, chat_of, chat_response, new_chat, persona_of, present_edition
from commun.web.receipt_view import disclosed_of
from commun.web.rules import check_temporary, take_as_told
from commun.web.sidebar import sidebar_of
from commun.web.templating import part
from commun.web.transcript import (
    MessageView,
    answer_view,
    prompt_message,
    prompt_messages,
    question_view,
    title_of,
    view_message,
)
from commun.web.visit import Visit, asker_of, check_asking, member_of

WAIT_S: Final = 30.0  # how long a page without scripts waits for its answer before it is shown unfinished
TITLE_LIMIT: Final = 200
MAX_DIGITS: Final = 9  # of an event's number
HISTORY_LIMIT: Final = 400  # messages of a temporary chat; the body's size is bounded by guard.py


async def _form(request: Request) -> FormData:
    return await request.form(max_files=0, max_fields=20, max_part_size=4_194_304)


def _whole(text: str) -> str:
    """Half a character (a lone surrogate, which JSON can smuggle in) becomes “?”: neither a model nor a page has it."""
    return text.encode("utf-8", "replace").decode()


def _question(form: FormData) -> str:
    """What was asked, with newlines as one character. Raises BadRequest when there is nothing."""
    question = _whole(field(form, "question")).replace("\r\n", "\n").strip()
    if not question:
        raise BadRequest
    return question


async def ask(request: Request) -> Response:
    """A question: in a new conversation, or under ``parent``."""
    visit = await member_of(request)
    form = await _form(request)
    conversation_id = request.path_params.get("id")
    parent = field(form, "parent") or None
    return await _answer(visit, form, conversation_id, parent, _question(form))


async def edit(request: Request) -> Response:
    """A question asked differently: a sibling of ``message``."""
    visit = await member_of(request)
    form = await _form(request)
    message = await _message(visit, request.path_params["id"], field(form, "message"), "user")
    return await _answer(visit, form, request.path_params["id"], message.parent_id, _question(form))


async def again(request: Request) -> Response:
    """Another answer to the same question: a sibling of ``message``."""
    visit = await member_of(request)
    form = await _form(request)
    message = await _message(visit, request.path_params["id"], field(form, "message"), "assistant")
    return await _answer(visit, form, request.path_params["id"], message.parent_id, None)


async def branch(request: Request) -> Response:
    """Shows the branch through ``message``, and remembers it."""
    visit = await member_of(request)
    conversations = visit.services.conversations
    found = await conversations.get(visit.owner, request.path_params["id"])
    message_id = field(await _form(request), "message")
    if message_id not in found.messages:
        raise NotFound
    found.leaf_id = found.leaf_under(message_id)
    await conversations.choose_leaf(visit.owner, found.id, found.leaf_id)
    if visit.wants_data:
        return await chat_response(visit, chat_of(visit, found))
    return see(f"/c/{found.id}#m-{message_id}")


async def _message(visit: Visit, conversation_id: str, message_id: str, role: str) -> Any:
    found = await visit.services.conversations.get(visit.owner, conversation_id)
    message = found.messages.get(message_id)
    if message is None or message.role != role:
        raise NotFound
    return message


async def _answer(
    visit: Visit, form: FormData, conversation_id: str | None, parent: str | None, question: str | None
) -> Response:
    """What the charter does not allow is refused before anything is stored."""
    services = visit.services
    check_asking(visit)
    terms = services.assistant.terms()
    persona = await _persona(visit, form, conversation_id)
    wish = Question(persona=persona, language=visit.language, nonce=_nonce(form))
    check_wishes(wish, terms.charter, stored=True)
    share = await services.assistant.share_of(visit.owner.account_id)
    await services.assistant.check_nonce(wish.nonce)
    await take_as_told(visit, field(form, "told"))
    folder = field(form, "folder") or None
    told = await own_messages(visit, terms.charter, conversation_id=conversation_id, folder_id=folder)
    opened = await services.conversations.start_turn(
        visit.owner,
        conversation_id=conversation_id,
        parent_id=parent,
        question=question,
        title=title_of(question or ""),
        folder_id=folder,
    )
    found = await services.conversations.get(visit.owner, opened.conversation_id)
    messages = (*told, *prompt_messages(found.path(opened.question_id)))
    turn = await _begin(visit, opened, replace(wish, messages=messages), terms, share)
    if turn is not None:
        live = Live(turn, visit.owner.account_id, opened.conversation_id, persona)
        live_turns(visit.request).add(services.assistant, live)
    if not visit.wants_data:
        if turn is not None:
            await _wait(turn)
        return see(f"/c/{opened.conversation_id}#m-{opened.answer_id}")
    if turn is None or conversation_id is None or question is None or found.siblings(opened.question_id)[1:]:
        found = await services.conversations.get(visit.owner, opened.conversation_id)
        return await chat_response(visit, chat_of(visit, found))
    return await _appended(visit, found)


def _nonce(form: FormData) -> bytes | None:
    """What our script drew for this question; None: the page has no scripts. Raises BadRequest."""
    text = field(form, "nonce")
    nonce = read_nonce(text)
    if text and nonce is None:
        raise BadRequest
    return nonce


async def _persona(visit: Visit, form: FormData, conversation_id: str | None) -> str | None:
    """The one that was chosen; where the form has no choice, the conversation's last one if it is still adopted."""
    if "persona" in form:
        return field(form, "persona")
    if conversation_id is None:
        return None
    last = persona_of(visit, await visit.services.conversations.get(visit.owner, conversation_id))
    return last if not last or visit.services.charter.get().charter.persona(last) else None


async def _begin(visit: Visit, opened: OpenTurn, question: Question, terms: Terms, share: Share) -> Turn | None:
    """Starts the turn; where it is refused (the waiting room is full) the answer is kept as failed: nothing may stay
    "running" that nobody writes.
    """
    try:
        return visit.services.assistant.begin(question, opened, turn_id=opened.answer_id, terms=terms, share=share)
    except CommunError as error:
        await opened.keep({"text": "", "error": error.code}, MessageState.FAILED)
        return None


async def _appended(visit: Visit, found: Conversation) -> Response:
    """The two new messages only: a long conversation is not rendered again for each question."""
    chat = ChatView(conversation_id=found.id, title=found.title, action=f"/c/{found.id}/ask", parent=found.leaf_id)
    present = present_edition(visit)
    views = [view_message(message, visit.language, present=present) for message in found.path()[-2:]]
    html = "".join(part(visit.language, "_message.html", message=view, chat=chat) for view in views)
    sidebar = part(visit.language, "_list.html", groups=await sidebar_of(visit, found.id))
    return JSONResponse({"append": html, "parent": found.leaf_id, "sidebar": sidebar})


async def _wait(turn: Turn) -> None:
    """Until the answer is whole, or WAIT_S."""

    async def ended() -> None:
        async for _number, _event in turn.follow():
            pass

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended(), WAIT_S)


async def ask_temporary(request: Request) -> Response:
    """A question in a chat that is nowhere but on the page: it sends all that was said before with each question."""
    visit = await asker_of(request)
    form = await _form(request)
    question = _question(form)
    history = _history(field(form, "history"))
    check_asking(visit)
    check_temporary(visit)
    persona = field(form, "persona") if "persona" in form else None
    said = [prompt_message(each["role"], each["text"]) for each in history]
    terms = visit.services.assistant.terms()
    told = await own_messages(visit, terms.charter)
    messages = (*told, *(message for message in said if message is not None), Message("user", question))
    wished = Question(messages=messages, persona=persona, language=visit.language, nonce=_nonce(form))
    share = await _share_of_asker(visit)
    await visit.services.assistant.check_nonce(wished.nonce)
    turn = visit.services.assistant.begin(wished, terms=terms, share=share)
    await take_as_told(visit, field(form, "told"))
    live_turns(request).add(visit.services.assistant, Live(turn, visit.asker, "", persona))
    asked = [*history, {"role": "user", "text": question}]
    answer = answer_view(turn.id, {"text": ""}, MessageState.RUNNING, visit.language)
    if visit.wants_data:
        views = (question_view(f"q-{turn.id}", question), answer)
        chat = new_chat(visit, temporary=True)
        html = "".join(part(visit.language, "_message.html", message=view, chat=chat) for view in views)
        return JSONResponse({"append": html, "parent": ""})
    await _wait(turn)
    return await _temporary_page(visit, turn, asked, persona)


async def _share_of_asker(visit: Visit) -> Share:
    """A class counts all its guests together; the queue knows them one by one."""
    assistant, guest = visit.services.assistant, visit.guest
    if guest is not None:
        return await assistant.share_of_guest(guest.id, guest.class_id)
    return await assistant.share_of(visit.asker)


def _history(text: str) -> list[dict[str, str]]:
    """What the page remembers. Raises BadRequest for anything but a list of roles and texts, and ids of receipts."""
    if not text:
        return []
    try:
        history = json.loads(text)
        if not isinstance(history, list):
            raise BadRequest
        said = [_said(each) for each in history]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadRequest from error
    if len(said) > HISTORY_LIMIT or any(each["role"] not in {"user", "assistant"} for each in said):
        raise BadRequest
    return said


def _said(each: Mapping[str, Any]) -> dict[str, str]:
    said = {"role": str(each["role"]), "text": _whole(str(each["text"]))}
    receipt = str(each.get("receipt", ""))
    return said | {"receipt": receipt} if is_receipt_id(receipt) else said


async def _temporary_page(visit: Visit, turn: Turn, asked: list[dict[str, str]], persona: str | None) -> Response:
    """Without scripts: the page itself, with what was said in a hidden field of its form, and what the receipt of the
    newest answer discloses in another.
    """
    from commun.assistant.turn import Done, Failed

    last = turn.events[-1] if turn.ended else None
    content: Mapping[str, Any] = content_of(last) if isinstance(last, Done | Failed) else {"text": ""}
    receipt = last.receipt if isinstance(last, Done | Failed) else None
    error = last.error if isinstance(last, Failed) else None
    state = MessageState.FAILED if error or last is None else MessageState.COMPLETE
    views = [_said_view(f"t-{index}", each, visit.language) for index, each in enumerate(asked)]
    newest = answer_view(turn.id, content, state, visit.language, error=error)
    proof = json.dumps(disclosed_of(receipt)) if receipt else ""
    views.append(replace(newest, proof=proof, unsealed=newest.unsealed if last else ""))
    asked = [*asked, _said({"role": "assistant", "text": content["text"], "receipt": content.get("receipt", "")})]
    base = new_chat(visit, temporary=True)
    chat = ChatView(
        conversation_id="",
        title="",
        action=base.action,
        parent=json.dumps(asked),
        messages=tuple(views),
        temporary=True,
        persona=persona,
    )
    return await chat_response(visit, chat)


def _said_view(message_id: str, said: Mapping[str, str], language: str) -> MessageView:
    if said["role"] == "user":
        return question_view(message_id, said["text"])
    return replace(answer_view(message_id, said, MessageState.COMPLETE, language), unsealed="")


async def events(request: Request) -> Response:
    """An answer while it is being written. 204 when there is nothing (more) to follow: the reader then looks at the
    conversation itself.
    """
    visit = await asker_of(request)
    live = live_turns(request).find(visit.services.assistant, request.path_params["id"], visit.asker)
    seen = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if live is None or (live.turn.ended and _number(seen) >= len(live.turn.events)):
        return Response(status_code=204)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = AnswerStream(live.turn, visit.language, disclosing=not live.conversation_id, closed=live.closed)
    return StreamingResponse(stream.events(), media_type="text/event-stream", headers=headers)


def _number(seen: str) -> int:
    """Of the last event that the reader has; 0 for what is no number of ours."""
    return int(seen) if seen.isascii() and seen.isdigit() and len(seen) <= MAX_DIGITS else 0


async def stop(request: Request) -> Response:
    visit = await asker_of(request)
    live = live_turns(request).get(visit.services.assistant, request.path_params["id"], visit.asker)
    live.turn.stop()
    if visit.wants_data:
        return JSONResponse({})
    await _wait(live.turn)
    return see(f"/c/{live.conversation_id}#m-{live.turn.id}" if live.conversation_id else "/temporary")


async def rename(request: Request) -> Response:
    visit = await member_of(request)
    title = " ".join(field(await _form(request), "title").split())[:TITLE_LIMIT]
    if not title:
        raise BadRequest
    await visit.services.conversations.rename(visit.owner, request.path_params["id"], title)
    return await _changed(visit, f"/c/{request.path_params['id']}", {"title": title})


async def delete(request: Request) -> Response:
    visit = await member_of(request)
    conversation_id = request.path_params["id"]
    await visit.services.conversations.delete(visit.owner, conversation_id)
    held = day_of(find_hold(visit), visit.language)
    toast = part(visit.language, "_deleted.html", deleted=conversation_id, held=held)
    return await _changed(visit, f"/?deleted={conversation_id}", {"toast": toast})


async def restore(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.conversations.restore(visit.owner, request.path_params["id"])
    return await _changed(visit, f"/c/{request.path_params['id']}", {})


async def erase(request: Request) -> Response:
    """For good and at once, where deleting leaves an hour to undo it; not while the charter holds what is stored."""
    visit = await member_of(request)
    check_erasing(visit)
    await visit.services.conversations.erase(visit.owner, request.path_params["id"])
    return await _changed(visit, "/", {})


async def _changed(visit: Visit, url: str, data: dict[str, Any]) -> Response:
    if not visit.wants_data:
        return see(url)
    current = visit.request.query_params.get("current", "")
    sidebar = part(visit.language, "_list.html", groups=await sidebar_of(visit, current))
    return JSONResponse({"sidebar": sidebar, **data})
