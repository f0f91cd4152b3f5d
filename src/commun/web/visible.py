"""``/what-we-can-see``: what whoever runs this Commun sees of its people, from the tables' own comments.

For whoever is signed in, and for who speaks for them: it holds nothing of anybody, prints well, and says the same to a
member and to an administrator.
"""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from commun.store.visible import Reveals, visible
from commun.web.hold import day_of, find_hold
from commun.web.i18n import LANGUAGES
from commun.web.pages import engine_view
from commun.web.templating import page
from commun.web.visit import visit_of


async def what_we_can_see(request: Request) -> Response:
    """``?lang=`` shows it in another language than the reader's own, so that it can be passed on."""
    visit = await visit_of(request)
    wanted = request.query_params.get("lang", "")
    if wanted in LANGUAGES:
        visit = replace(visit, language=wanted)
    services = visit.services
    in_force = services.charter.find()
    base = services.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return page(
        visit,
        "what_we_can_see.html",
        groups=visible(),
        reveals=Reveals,
        remote=engine_view(services).remote,
        retention=in_force.charter.retention.days if in_force is not None else 0,
        held=day_of(find_hold(visit), visit.language),
        signed_in=True,
        suffix="",
        base=base,
        path=request.url.path,
    )
