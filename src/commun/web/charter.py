"""The charter's public pages: the rules in force, every edition before them, the published files themselves.

Nobody needs to be signed in, and nothing here changes anything but what a person was told (``told``). Every page can be
kept by caches under an entity tag and costs one comparison when nothing has changed. What is served raw is text or a
download, in a sandbox without any rights.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from commun.charter.errors import CharterError
from commun.errors import NotFound
from commun.web import assets
from commun.web.adopted import adopted_of
from commun.web.charter_views import (
    both,
    change_groups,
    edition_views,
    entrenched_titles,
    in_flight,
    state_of_edition,
)
from commun.web.feed import MEDIA_TYPE, atom_feed, signed_at
from commun.web.hold import find_hold
from commun.web.i18n import LANGUAGES
from commun.web.kept import kept_views
from commun.web.rules import take_as_told
from commun.web.templating import page
from commun.web.unchanged import file_unless_had, has_already
from commun.web.visit import Visit, member_of, visit_of

RAW_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
BACK: Final = re.compile(r"/(?:temporary|c/[A-Za-z0-9_-]{1,64})?")
HISTORY_FILE: Final = "charter.zip"


async def _visit(request: Request) -> Visit:
    """``?lang=`` shows the page in another language than the reader's own, so that it can be passed on."""
    visit = await visit_of(request)
    wanted = request.query_params.get("lang", "")
    return replace(visit, language=wanted) if wanted in LANGUAGES else visit


def _base(visit: Visit) -> str:
    return visit.services.settings.public_url.rstrip("/") or str(visit.request.base_url).rstrip("/")


def _tag(visit: Visit, *more: object) -> str:
    """Of all that a page depends on."""
    in_force = visit.services.charter.get()
    return adopted_of(visit.request).tag(
        assets.version(), in_force.edition.digest, in_force.newest.digest, in_force.freeze, in_force.stale_since,
        find_hold(visit),
        visit.language, visit.theme, visit.viewer is not None, _base(visit), *more,
    )  # fmt: skip


def _cache(visit: Visit | None, tag: str) -> dict[str, str]:
    private = visit is not None and visit.viewer is not None
    return {"Cache-Control": f"{'private' if private else 'public'}, no-cache", "ETag": tag}


def _page(visit: Visit, template: str, tag: str, context: Mapping[str, Any]) -> Response:
    response = page(visit, template, **context)
    response.headers.update(_cache(visit, tag))
    return response


async def _unchanged(visit: Visit, tag: str) -> Response | None:
    if has_already(visit.request, tag):
        return Response(status_code=304, headers={**_cache(visit, tag), "Vary": "Cookie, Accept-Language"})
    return None


def _frame(visit: Visit) -> dict[str, Any]:
    """What every page of the charter has around it."""
    in_force = visit.services.charter.get()
    return {
        "in_force": in_force,
        "signed_in": visit.viewer is not None,
        "path": visit.request.url.path,
        "base": _base(visit),
        "suffix": f"?lang={wanted}" if (wanted := visit.request.query_params.get("lang")) in LANGUAGES else "",
        "member_names": {member.key: member.name for member in in_force.newest.charter.board.members},
    }


async def charter(request: Request) -> Response:
    """The edition in force."""
    visit = await _visit(request)
    tag = _tag(visit)
    if unchanged := await _unchanged(visit, tag):
        return unchanged
    in_force = visit.services.charter.get()
    edition, rules = in_force.edition, in_force.charter
    founded = broken = ""
    try:
        founded = (await adopted_of(request).history()).founded
    except CharterError as error:  # what is in force holds all the same
        broken = error.problem_text(visit.translate)
    language = visit.language
    context = {
        **_frame(visit),
        "charter": rules,
        "hold": find_hold(visit),
        "edition": edition,
        "signed_at": signed_at(edition),
        "board": in_force.newest.charter.board,
        "purpose": both(rules.purpose, language),
        "system": both(rules.prompts.system, language),
        "disclosure": both(rules.disclosure, language),
        "personas": [(persona, both(persona.prompt, language)) for persona in rules.personas],
        "entrenched": entrenched_titles(rules, language),
        "lying": in_flight(await adopted_of(request).lying()),
        "founded": founded,
        "broken": broken,
    }
    return _page(visit, "charter.html", tag, context)


async def editions(request: Request) -> Response:
    """All of them, newest first."""
    visit = await _visit(request)
    tag = _tag(visit)
    if unchanged := await _unchanged(visit, tag):
        return unchanged
    history = await adopted_of(request).history()
    views = edition_views(history, visit.services.charter.get().edition.number)
    return _page(visit, "editions.html", tag, {**_frame(visit), "editions": views})


async def edition(request: Request) -> Response:
    """One edition: why, signed by whom, and what it changed."""
    visit = await _visit(request)
    tag = _tag(visit)
    if unchanged := await _unchanged(visit, tag):
        return unchanged
    history = await adopted_of(request).history()
    found = history.get(_number(request))
    before = history.find_before(found)
    groups = await kept_views(request).get(
        ("edition", found.digest, visit.language),
        lambda: change_groups(before.charter if before else None, found.charter, visit.language),
    )
    context = {
        **_frame(visit),
        "edition": found,
        "before": before,
        "last": len(history.editions),
        "signed_at": signed_at(found),
        "state": state_of_edition(history, found, visit.services.charter.get().edition.number),
        "freeze": history.find_freeze(found.number),
        "groups": groups,
        "files": sorted(found.files),
    }
    return _page(visit, "edition.html", tag, context)


def _number(request: Request) -> int:
    """Raises NotFound for anything that no edition has."""
    text = request.path_params["number"]
    if not (text.isascii() and text.isdigit() and len(text) < 7 and not text.startswith("0")):  # noqa: PLR2004
        raise NotFound
    return int(text)


async def source_file(request: Request) -> Response:
    """One file of an edition's source folder, as it was signed."""
    history = await adopted_of(request).history()
    data = history.get(_number(request)).files.get(request.path_params["path"])
    if data is None:
        raise NotFound
    return _raw(request, data, "text/plain; charset=utf-8")


async def published_file(request: Request) -> Response:
    """One file of the published folder: what ``commun charter verify`` and any TUF client elsewhere read."""
    name = request.path_params["path"]
    data = await adopted_of(request).file(name)
    return _raw(request, data, "application/json" if name.endswith(".json") else "application/octet-stream")


async def archive(request: Request) -> Response:
    """The whole published folder."""
    data = await adopted_of(request).archive()
    return _raw(request, data, "application/zip", attachment=HISTORY_FILE)


def _raw(request: Request, data: bytes, media_type: str, *, attachment: str = "") -> Response:
    headers = {**RAW_HEADERS, "Cache-Control": "public, no-cache"}
    if attachment:
        headers["Content-Disposition"] = f'attachment; filename="{attachment}"'
    return file_unless_had(request, data, media_type, headers)


async def feed(request: Request) -> Response:
    visit = await _visit(request)
    tag = _tag(visit)
    headers = {**RAW_HEADERS, **_cache(None, tag), "Vary": "Accept-Language", "Content-Language": visit.language}
    if has_already(request, tag):
        return Response(status_code=304, headers=headers)
    history = await adopted_of(request).history()
    response = Response(atom_feed(history, _base(visit), visit.language, visit.translate), headers=headers)
    response.headers["Content-Type"] = MEDIA_TYPE
    return response


async def told(request: Request) -> Response:
    """“Understood”: what was shown of the charter's changes is not shown again."""
    visit = await member_of(request)
    form = await request.form(max_files=0, max_fields=5)
    await take_as_told(visit, str(form.get("told", "")))
    if visit.wants_data:
        return JSONResponse({})
    back = str(form.get("back", ""))
    return RedirectResponse(back if BACK.fullmatch(back) else "/", status_code=303)
