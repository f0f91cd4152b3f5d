"""``/settings/data``: one's own data: take it all away, bring conversations in, delete the account."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commun.web import leaving
from commun.web.chat import erase
from commun.web.data_export import export
from commun.web.data_import import ADDRESS, bring_in, offered_in, told_of_import
from commun.web.sidebar import sidebar_of
from commun.web.templating import page
from commun.web.visit import Visit, member_of

REFRESH: Final = "2; url=/settings/data"


def data_routes() -> list[Route]:
    return [
        Route("/settings/data", your_data),
        Route("/settings/export", export),
        Route("/c/{id}/erase", erase, methods=["POST"]),
        Route(ADDRESS, bring_in, methods=["POST"]),
        Route(leaving.ADDRESS, leaving.leaving),
        Route(leaving.ADDRESS, leaving.leave, methods=["POST"]),
    ]


async def your_data(request: Request) -> Response:
    return await data_page(await member_of(request))


async def data_page(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    """``problem``: why what was just asked for was not done. While something is brought in, the page asks again."""
    groups = await sidebar_of(visit)
    own = await visit.services.instructions.get(visit.owner)
    job, lines = told_of_import(visit) or (None, ())  # after the last await: both of the same moment
    response = page(
        visit,
        "your_data.html",
        status=status,
        groups=groups,
        problem=problem,
        job=job,
        trouble=job.problem.text(visit.translate) if job is not None and job.problem is not None else "",
        lines=lines,
        offered="" if job is None or job.running else offered_in(visit, job, beside=own.text),
        replaced=bool(own.text),
        most=visit.services.settings.max_import_bytes,
    )
    if job is not None and job.running:
        response.headers["Refresh"] = REFRESH
    return response
