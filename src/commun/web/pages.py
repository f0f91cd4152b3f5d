"""What one reads: a new chat, a conversation, search, exports. Nothing here changes anything."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from commun.engine.base import EngineState
from commun.engine.weights import ModelLibrary
from commun.errors import N_, CommunError, NotFound
from commun.services import Services
from commun.store.conversations import Conversation, MessageState, StoredMessage
from commun.store.feedback import Opinion
from commun.web.audits import is_to_be_asked, rate_of
from commun.web.hold import day_of, find_hold
from commun.web.i18n import long_date
from commun.web.live import live_turns, text_so_far
from commun.web.render import render_markdown, split_reasoning
from commun.web.rules import check_temporary, end_of, is_only_temporary, rules_of, told_of, why_nothing_is_answered
from commun.web.sidebar import sidebar_of, view_hits
from commun.web.templating import page, part
from commun.web.transcript import MessageView, imported_from, is_copied, view_path
from commun.web.visit import Visit, asker_of, member_of

SOON_S: Final = 30 * 86_400
STARTERS: Final = (
    N_("What is the difference between weather and climate?"),
    N_("List five questions to ask before renting a flat."),
    N_("Write a Python function that reverses a string."),
    N_("Give three tips for sleeping better."),
)


@dataclass(frozen=True, slots=True)
class EngineView:
    """``state``: ready, loading or failed. ``small``: the embedded default model answers. ``remote``: another
    server runs it.
    """

    state: str
    model: str
    small: bool
    remote: bool


@dataclass(frozen=True, slots=True)
class ChatView:
    """The main part of a chat. ``action``: where the composer sends; ``parent``: the message it continues. ``persona``:
    who answered last, None where nobody has chosen yet. ``ends``: the day on which the charter's retention erases it,
    or ""; ``ends_soon``: that is not far; ``held``: the last day of a legal hold, or "". ``folder_id``: in
    which it lies, or is to lie, or "".
    """

    conversation_id: str
    title: str
    action: str
    parent: str
    messages: tuple[MessageView, ...] = ()
    temporary: bool = False
    running: str = ""
    starters: tuple[str, ...] = ()
    deleted: str = ""
    persona: str | None = None
    ends: str = ""
    ends_soon: bool = False
    held: str = ""
    folder_id: str = ""


def engine_view(services: Services) -> EngineView:
    assistant = services.assistant
    ready = assistant.state is EngineState.READY
    state = "ready" if ready else "failed" if assistant.state is EngineState.FAILED else "loading"
    try:
        info = assistant.info
    except CommunError:
        return EngineView(state, "", small=False, remote=False)
    remote = info.profile == "remote"
    return EngineView(state, shown_name(services.library, info.model), small=info.embedded_default, remote=remote)


@lru_cache(maxsize=8)
def shown_name(library: ModelLibrary, model_id: str) -> str:
    """A model's own name rather than the id that it has here."""
    try:
        return library.get(model_id).name
    except CommunError:
        return model_id


def new_chat(
    visit: Visit, *, temporary: bool = False, deleted: str = "", persona: str | None = None, folder_id: str = ""
) -> ChatView:
    return ChatView(
        conversation_id="",
        title="",
        action="/temporary" if temporary else "/ask",
        parent="",
        temporary=temporary,
        starters=tuple(visit.translate(starter) for starter in STARTERS),
        deleted=deleted,
        held=day_of(find_hold(visit), visit.language),
        persona=persona,
        folder_id=folder_id,
    )


def chat_of(visit: Visit, conversation: Conversation) -> ChatView:
    present = present_edition(visit)
    messages = [_as_written_now(visit, message) for message in view_path(conversation, visit.language, present=present)]
    running = [message.id for message in messages if message.running]
    end = end_of(visit, conversation)
    return ChatView(
        conversation_id=conversation.id,
        title=conversation.title,
        action=f"/c/{conversation.id}/ask",
        parent=messages[-1].id,
        messages=tuple(messages),
        running=running[-1] if running else "",
        persona=persona_of(visit, conversation),
        ends=long_date(visit.local(end).date(), visit.language) if end is not None else "",
        ends_soon=end is not None and end - time.time() < SOON_S,
        held=day_of(find_hold(visit), visit.language),
        folder_id=conversation.folder_id or "",
    )


def present_edition(visit: Visit) -> int:
    """The number of the edition in force; 0 where there is none."""
    in_force = visit.services.charter.find()
    return in_force.edition.number if in_force is not None else 0


def persona_of(visit: Visit, conversation: Conversation) -> str | None:
    """Who gave the last answer of the shown branch, or gives it now. None where nobody was asked for."""
    for message in reversed(conversation.path()):
        if message.role != "assistant":
            continue
        live = live_turns(visit.request).find(visit.services.assistant, message.id, visit.owner.account_id)
        if live is not None and live.persona is not None:
            return live.persona
        if "persona" in message.content:
            return str(message.content["persona"])
    return None


def _as_written_now(visit: Visit, message: MessageView) -> MessageView:
    """A running answer shows what has been written, not the last checkpoint: so it can be read without scripts, too."""
    if not message.running:
        return message
    live = live_turns(visit.request).find(visit.services.assistant, message.id, visit.owner.account_id)
    if live is None:
        return message
    thought, answer = split_reasoning(text_so_far(live.turn))
    return replace(message, html=Markup(render_markdown(answer)), thought=Markup(render_markdown(thought)))  # noqa: S704


async def chat_response(visit: Visit, chat: ChatView) -> Response:
    """The whole page, or for our own script its two parts and the address they stand at.

    Without a charter in force: why, and what was said before, to be read.
    """
    error = visit.services.charter.error
    refusals = why_nothing_is_answered(error) if error is not None else []
    refusals.sort(key=lambda each: each.language != visit.language)
    context = {
        "chat": chat,
        "engine": engine_view(visit.services),
        "rules": rules_of(visit, chat.persona),
        "refusals": refusals,
        "consent_rate": rate_of(visit) if not chat.temporary and await is_to_be_asked(visit) else None,
        "feedback": {} if chat.temporary else await visit.services.feedback.find_all(visit.owner, chat.conversation_id),
    }
    context["readers"] = await _readers_of(visit, chat.conversation_id) if chat.conversation_id else ()
    groups = await sidebar_of(visit, chat.conversation_id)
    context["folder"] = next((group for group in groups if group.folder and group.folder == chat.folder_id), None)
    if not visit.wants_data:
        told = await told_of(visit)
        status = error.status if error is not None else 200
        path = f"/c/{chat.conversation_id}" if chat.conversation_id else "/"
        return page(visit, "chat.html", status=status, groups=groups, told=told, back=path, **context)
    if error is not None and not chat.messages:
        raise error
    return JSONResponse(
        {
            "main": part(visit.language, "_main.html", guest=visit.guest, **context),
            "sidebar": part(visit.language, "_list.html", groups=groups),
            "title": chat.title,
            "url": f"/c/{chat.conversation_id}" if chat.conversation_id else None,
        },
        headers={"Cache-Control": "no-store"},
    )


async def _readers_of(visit: Visit, conversation_id: str) -> tuple[str, ...]:
    """The names of who reads it, too."""
    listed = await visit.services.readers.list(visit.owner, conversation_id)
    return tuple(each.name or visit.translate("somebody without a name") for each in listed if each.since is not None)


async def home(request: Request) -> Response:
    """Where the charter allows temporary chats only, this is one. ``?folder=``: the new chat is to lie there."""
    visit = await member_of(request)
    deleted, folder = (request.query_params.get(name, "")[:64] for name in ("deleted", "folder"))
    temporary = is_only_temporary(visit)
    folder = "" if temporary else folder
    return await chat_response(visit, new_chat(visit, temporary=temporary, deleted=deleted, folder_id=folder))


async def temporary(request: Request) -> Response:
    visit = await asker_of(request)
    check_temporary(visit)
    return await chat_response(visit, new_chat(visit, temporary=True))


async def conversation(request: Request) -> Response:
    """``?message=``: the branch on which that message stands (a link from search); the stored branch stays."""
    visit = await member_of(request)
    found = await visit.services.conversations.get(visit.owner, request.path_params["id"])
    wanted = request.query_params.get("message")
    if wanted:
        if wanted not in found.messages:
            raise NotFound
        found.leaf_id = found.leaf_under(wanted)
    return await chat_response(visit, chat_of(visit, found))


async def engine(request: Request) -> Response:
    """Whether the model is loaded: asked by the page until it is."""
    visit = await asker_of(request)
    view = engine_view(visit.services)
    data = {"state": view.state, "html": part(visit.language, "_engine.html", engine=view)}
    return JSONResponse(data, headers={"Cache-Control": "no-store"})


async def search(request: Request) -> Response:
    visit = await member_of(request)
    wanted = request.query_params.get("q", "").strip()[:200]
    found = await visit.services.conversations.search(visit.owner, wanted) if wanted else []
    hits = await view_hits(visit, found, wanted)
    if visit.wants_data:
        html = part(visit.language, "_hits.html", hits=hits, wanted=wanted)
        return JSONResponse({"html": html}, headers={"Cache-Control": "no-store"})
    groups = await sidebar_of(visit)
    return page(visit, "search.html", hits=hits, wanted=wanted, groups=groups)


async def export_markdown(request: Request) -> Response:
    """The shown branch, as one reads it."""
    visit = await member_of(request)
    found = await visit.services.conversations.get(visit.owner, request.path_params["id"])
    return download(markdown_of(visit, found), "text/markdown; charset=utf-8", f"{found.id}.md")


def markdown_of(visit: Visit, found: Conversation, *, asked_by: str = "") -> str:
    """``asked_by``: whose conversation it is, where it is not the visitor's."""
    _ = visit.translate
    parts = [f"# {found.title}\n"]
    for message in found.path():
        moment = visit.local(message.created).isoformat(sep=" ", timespec="minutes")
        parts.append(f"## {_speaker(visit, message, asked_by)} · {moment}\n\n{message.content['text'].strip()}\n")
    parts.append(f"---\n{_('The answers were written by an AI and may be wrong.')}\n")
    return "\n".join(parts)


def _speaker(visit: Visit, message: StoredMessage, asked_by: str) -> str:
    """Who wrote it: an answer that was brought in from elsewhere is not this assistant's."""
    if message.role == "assistant":
        return imported_from(message.content, visit.language) or "Commun"
    if message.role != "user":
        return message.role
    _ = visit.translate
    return asked_by or (_("Asked in the original") if is_copied(message.content) else _("You"))


async def export_json(request: Request) -> Response:
    """Everything that is stored of the conversation: all branches, token ids and log-probabilities included."""
    visit = await member_of(request)
    found = await visit.services.conversations.get(visit.owner, request.path_params["id"])
    said = await visit.services.feedback.find_all(visit.owner, found.id)
    text = json.dumps(export_of(found, said), ensure_ascii=False, indent=1)
    return download(text, "application/json", f"{found.id}.json")


def export_of(found: Conversation, said: Mapping[str, Opinion]) -> dict[str, Any]:
    """``said``: what its owner thinks of answers, by message."""
    return {
        "format": "commun-conversation/1",
        "id": found.id,
        "title": found.title,
        "created": found.created,
        "updated": found.updated,
        "leaf": found.leaf_id,
        "messages": [
            {
                "id": message.id,
                "parent": message.parent_id,
                "role": message.role,
                "state": MessageState(message.state).value,
                "created": message.created,
                "content": message.content,
                **({"feedback": said[message.id].to_json()} if message.id in said else {}),
            }
            for message in found.messages.values()
        ],
    }


def download(text: str, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="commun-{name}"', "Cache-Control": "no-store"}
    return Response(text, media_type=media_type, headers=headers)
