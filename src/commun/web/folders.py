"""Folders on the pages: made, renamed, instructed, deleted; conversations moved into them; and the list of everything.

All of it is forms and links. Whose a folder and a conversation are, the store checks (``store/folders.py``).
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commun.errors import BadRequest
from commun.store.conversations import Summary
from commun.store.folders import MAX_NAME
from commun.web.forms import field, form_of, see
from commun.web.instructions import instructions_view
from commun.web.pages import engine_view
from commun.web.sidebar import Group, group_by_day, sidebar_of
from commun.web.templating import page
from commun.web.visit import Visit, member_of

PAGE: Final = 100  # conversations
MOST_PAGES: Final = 1000
NEW: Final = "new"  # instead of a folder's id: one that is made


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of conversations, by day. ``newer`` and ``older``: numbers of other pages, 0 where there is none."""

    groups: list[Group]
    newer: int
    older: int


def folder_routes() -> list[Route]:
    return [
        Route("/conversations", conversations),
        Route("/folders", folders),
        Route("/folders", make, methods=["POST"]),
        Route("/folders/{id}", folder),
        Route("/folders/{id}", change, methods=["POST"]),
        Route("/folders/{id}/delete", delete, methods=["POST"]),
        Route("/c/{id}/move", move_page),
        Route("/c/{id}/move", move, methods=["POST"]),
    ]


async def conversations(request: Request) -> Response:
    """All of them, in folders and in none."""
    visit = await member_of(request)
    listed = await _listed(visit)
    named = {folder.id: folder.name for folder in await visit.services.folders.list(visit.owner)}
    return page(visit, "conversations.html", listed=listed, named=named, groups=await sidebar_of(visit))


async def folders(request: Request) -> Response:
    visit = await member_of(request)
    found = await visit.services.folders.list(visit.owner)
    return page(visit, "folders.html", folders=found, most=MAX_NAME, groups=await sidebar_of(visit))


async def make(request: Request) -> Response:
    visit = await member_of(request)
    name = _name(field(await form_of(request), "name"))
    return see(f"/folders/{await visit.services.folders.add(visit.owner, name)}")


async def folder(request: Request) -> Response:
    visit = await member_of(request)
    found = await visit.services.folders.get(visit.owner, request.path_params["id"])
    return page(
        visit,
        "folder.html",
        folder=found,
        most=MAX_NAME,
        instructions=await instructions_view(visit, found.instructions),
        listed=await _listed(visit, found.id),
        engine=engine_view(visit.services),
        groups=await sidebar_of(visit),
    )


async def change(request: Request) -> Response:
    """Its name and its instructions."""
    visit = await member_of(request)
    found = await visit.services.folders.get(visit.owner, request.path_params["id"])
    form = await form_of(request)
    name, instructions = _name(field(form, "name")), field(form, "instructions")
    await visit.services.folders.change(visit.owner, found.id, name=name, instructions=instructions)
    return see(f"/folders/{found.id}")


async def delete(request: Request) -> Response:
    """Its conversations stay, in no folder, unless the reader asked for them to go with it."""
    visit = await member_of(request)
    too = field(await form_of(request), "conversations") == "yes"
    await visit.services.folders.delete(visit.owner, request.path_params["id"], conversations_too=too)
    return see("/folders")


async def move_page(request: Request) -> Response:
    visit = await member_of(request)
    found = await visit.services.conversations.get(visit.owner, request.path_params["id"])
    return page(
        visit,
        "move.html",
        conversation=found,
        folders=await visit.services.folders.list(visit.owner),
        new=NEW,
        most=MAX_NAME,
        groups=await sidebar_of(visit, found.id),
    )


async def move(request: Request) -> Response:
    """Into a folder, into one that is made for it, or out of any."""
    visit = await member_of(request)
    store, conversation_id = visit.services.folders, request.path_params["id"]
    form = await form_of(request)
    wanted = field(form, "folder")
    if wanted == NEW:
        await store.move_to_new(visit.owner, conversation_id, _name(field(form, "name")))
    else:
        await store.move(visit.owner, conversation_id, wanted or None)
    return see(f"/c/{conversation_id}")


async def _listed(visit: Visit, folder_id: str | None = None) -> Listed:
    """The page that the address asks for."""
    text = visit.request.query_params.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_PAGES)) else 1
    number = min(max(number, 1), MOST_PAGES)
    found: list[Summary] = await visit.services.conversations.list(
        visit.owner, limit=PAGE + 1, after=(number - 1) * PAGE, folder_id=folder_id
    )
    groups = group_by_day(visit, found[:PAGE], "")
    return Listed(groups, newer=number - 1, older=number + 1 if len(found) > PAGE else 0)


def _name(text: str) -> str:
    """On one line. Raises BadRequest for nothing."""
    name = " ".join(text.split())[:MAX_NAME]
    if not name:
        raise BadRequest
    return name
