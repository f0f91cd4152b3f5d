"""Every exception that ends a page's request, turned into one of ours and shown (``problem.py``).

The API has its own door (``api/errors.py``); what reaches these handlers was meant for a person.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from commun.errors import BadRequest, CommunError, InternalError, MethodNotAllowed, NotFound
from commun.web.problem import problem_response

log = structlog.get_logger()
Handler = Callable[[Request, Any], Awaitable[Response]]

NOT_FOUND = 404
NOT_ALLOWED = 405


def page_error_handlers() -> Mapping[Any, Handler]:
    """For ``Starlette(exception_handlers=…)``."""
    return {CommunError: _ours, HTTPException: _framework, ClientDisconnect: _gone, Exception: _unforeseen}


class ProblemPage:
    """The page of an error, as an ASGI application (the guard refuses before any route is known)."""

    def __init__(self, error: CommunError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await problem_response(Request(scope, receive), self._error)
        await response(scope, receive, send)


async def _ours(request: Request, error: CommunError) -> Response:
    return await problem_response(request, error)


async def _framework(request: Request, error: HTTPException) -> Response:
    if error.status_code == NOT_FOUND:
        return await problem_response(request, NotFound())
    if error.status_code == NOT_ALLOWED:
        return await problem_response(request, MethodNotAllowed())
    return await problem_response(request, BadRequest())


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("a page failed", exc_info=error)
    return await problem_response(request, InternalError())
