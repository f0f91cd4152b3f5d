"""``/settings/data``: one's own data: take it all away, bring conversations in, delete the account."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commun.web.data_export import export
from commun.web.sidebar import sidebar_of
from commun.web.templating import page
from commun.web.visit import Visit, member_of


def data_routes() -> list[Route]:
    return [
        Route("/settings/data", your_data),
        Route("/settings/export", export),
    ]


async def your_data(request: Request) -> Response:
    return await data_page(await member_of(request))


async def data_page(visit: Visit, *, status: int = 200, problem: str = "") -> Response:
    """``problem``: why what was just asked for was not done."""
    return page(visit, "your_data.html", status=status, groups=await sidebar_of(visit), problem=problem)
