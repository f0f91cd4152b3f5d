"""``/models``: the models on this machine, and one more from Hugging Face, for administrators.

What lies here answers nobody: which model does is the charter's, and a board's quorum signs it. So adding one is
operation (``engine/adding.py``), and removing one that the charter needs is refused.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from commun.drafting.models import is_published
from commun.engine.adding import Added, AlreadyAdding, NotAModelName
from commun.engine.manifest import Manifest, identity
from commun.errors import N_, CommunError, Conflict
from commun.web.forms import field, form_of, see
from commun.web.pages import engine_view
from commun.web.sidebar import sidebar_of
from commun.web.templating import page, part
from commun.web.visit import Visit, member_of

HERE: Final = "/models"
STOPPED: Final = N_("It was stopped. What has come stays, and adding it again goes on from there.")
BROKE_OFF: Final = N_("It broke off. The server’s log may say why; try again.")


class ModelInUse(Conflict):
    """``details``: ``model``."""

    code = "model_in_use"
    problem = N_("“%(model)s” is adopted by the charter in force: without it nothing would be answered.")
    cure = N_("It can be removed once an edition without it is in force.")


@dataclass(frozen=True, slots=True)
class ModelView:
    """``place``: "answers", "adopted" or "" (not in the charter). ``may_be_drafted``: on the board's page."""

    manifest: Manifest
    place: str
    may_be_drafted: bool


@dataclass(frozen=True, slots=True)
class AddedView:
    """``percent``: None where unknown. ``error``: in the reader's language."""

    state: Added
    percent: int | None
    error: str


async def models(request: Request) -> Response:
    return await _page(await member_of(request))


async def _page(visit: Visit, *, source: str = "", name: str = "", error: CommunError | None = None) -> Response:
    return page(
        visit,
        "models.html",
        status=error.status if error is not None else 200,
        models=await asyncio.to_thread(_views, visit),
        damaged=await asyncio.to_thread(visit.services.library.damaged),
        adding=_adding(visit),
        source=source,
        name=name,
        error=error.text(visit.translate) if error is not None else "",
        groups=await sidebar_of(visit),
        engine=engine_view(visit.services),
    )


async def add(request: Request) -> Response:
    visit = await member_of(request)
    form = await form_of(request)
    source, name = field(form, "source").strip(), field(form, "name").strip()
    try:
        visit.services.adding.begin(source, name)
    except (AlreadyAdding, NotAModelName) as error:
        return await _page(visit, source=source, name=name, error=error)
    return see(HERE)


async def stop(request: Request) -> Response:
    visit = await member_of(request)
    await visit.services.adding.stop()
    return see(HERE)


async def state(request: Request) -> Response:
    """How far it is: asked by the page until it is over."""
    visit = await member_of(request)
    view = _adding(visit)
    html = part(visit.language, "_adding.html", adding=view) if view is not None else ""
    data = {"over": view is None or view.state.is_over, "html": html}
    return JSONResponse(data, headers={"Cache-Control": "no-store"})


async def remove(request: Request) -> Response:
    """Raises ModelNotFound, ModelInUse, and CharterError where none is in force: nobody can tell what is in use."""
    visit = await member_of(request)
    model_id = request.path_params["id"]
    await asyncio.to_thread(_remove, visit, model_id)
    return see(HERE)


def _remove(visit: Visit, model_id: str) -> None:
    if visit.services.charter.error is not None:
        raise visit.services.charter.error
    for view in _views(visit):
        if view.manifest.id == model_id and view.place:
            raise ModelInUse(model=model_id)
    visit.services.library.remove(model_id)


def _views(visit: Visit) -> list[ModelView]:
    """By what they are, whatever they are called: as the charter names them."""
    in_force = visit.services.charter.find()
    places: dict[str, str] = {}
    if in_force is not None:
        clause = in_force.charter.models
        names = {model.id: identity(model.digest, model.url, model.remote_model) for model in clause.adopted}
        places = dict.fromkeys(names.values(), "adopted")
        places[names[clause.default]] = "answers"
    return [
        ModelView(each, places.get(each.identity, ""), is_published(each)) for each in visit.services.library.list()
    ]


def _adding(visit: Visit) -> AddedView | None:
    found = visit.services.adding.state
    if found is None:
        return None
    error = ""
    if found.is_stopped:
        error = visit.translate(STOPPED)
    elif found.errors:
        error = found.errors.get(visit.language) or visit.translate(BROKE_OFF)
    percent = min(100, found.done * 100 // found.total) if found.total else None
    return AddedView(found, percent, error)
