"""Who calls: API keys, and how often.

A key is sent as ``Authorization: Bearer cm_…``. Keys are made in the settings page or by ``commun user key``; the
store knows their hashes only.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from commun.errors import BadApiKey
from commun.store.accounts import Caller

if TYPE_CHECKING:
    from commun.services import Services

MAX_KEY = 200  # characters; ours have far fewer


def services_of(request: Request) -> "Services":
    services: Services = request.app.state.services
    return services


def find_key(request: Request) -> str | None:
    """The bearer token, if there is one of a sensible length."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    return key if scheme.lower() == "bearer" and 0 < len(key) <= MAX_KEY else None


def key_of(request: Request) -> str:
    """The bearer token of a request whose caller is known. Raises BadApiKey."""
    key = find_key(request)
    if key is None:
        raise BadApiKey
    return key


async def check_caller(request: Request) -> Caller:
    """Whose key it is. Raises BadApiKey."""
    key = find_key(request)
    caller = await services_of(request).accounts.caller(key) if key else None
    if caller is None:
        raise BadApiKey
    request.app.state.rate_limits.check(f"key:{caller.key_id}")
    return caller


Handler = Callable[[Request, Caller], Awaitable[ASGIApp]]


class WithKey:
    """An address of the API: the caller is known before anything of the request is read."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        caller = await check_caller(request)
        response = await self._handler(request, caller)
        await response(scope, receive, send)
