"""Puts every route behind the door that the table names (``authority.py``): the one place where it is enforced."""

from collections.abc import Iterable, Iterator, Mapping

from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from commun.api.keys import find_key
from commun.api.metrics import is_local
from commun.authority import ANY, FRESH, TABLE, WITH_KEY, Door, Who, refusal, refusal_without_key
from commun.web.is_it_you import check_fresh
from commun.web.visit import services_of, session_token


def put_doors(routes: Iterable[BaseRoute]) -> None:
    """Changes each route, below a mount too: its door is asked first. Raises RuntimeError where a row is missing."""
    for path, route in leaves(routes):
        doors = {method: TABLE.get(f"{method} {path}") for method in methods_of(route)}
        if None in doors.values():
            raise RuntimeError(f"{path} has no row for {sorted(doors)} in authority.TABLE: say who may")
        fresh = {method: page for method in doors if (page := FRESH.get(f"{method} {path}")) is not None}
        route.app = BehindDoor(route.app, {method: door for method, door in doors.items() if door is not None}, fresh)


def leaves(routes: Iterable[BaseRoute], under: str = "") -> Iterator[tuple[str, Route]]:
    """Every route and its whole path."""
    for route in routes:
        if isinstance(route, Mount):
            yield from leaves(route.routes, under + route.path)
        elif isinstance(route, Route):
            yield under + route.path, route
        else:
            raise TypeError(route)


def methods_of(route: Route) -> set[str]:
    """Whoever may read an address may ask for its head: HEAD goes by GET's row."""
    return {ANY} if route.methods is None else route.methods - {"HEAD"}


class BehindDoor:
    """An address as an ASGI application that refuses first. Raises what ``authority.refusal`` says, and IsItYou.
    ``fresh``: the methods that ask for who has just shown who they are, and where each begins.
    """

    def __init__(self, app: ASGIApp, doors: Mapping[str, Door], fresh: Mapping[str, str]) -> None:
        self._app = app
        self._doors = doors
        self._fresh = fresh

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        door = self._doors.get(ANY) or self._doors[method]
        if door is not Door.PUBLIC:
            await _check(door, Request(scope))
        if method in self._fresh:
            await check_fresh(Request(scope), self._fresh[method])
        await self._app(scope, receive, send)


async def _check(door: Door, request: Request) -> None:
    if door in WITH_KEY:
        error = refusal_without_key(door, has_key=await _has_key(request), near=is_local(request))
    else:
        error = refusal(door, await who_asks(request))
    if error is not None:
        raise error


async def who_asks(request: Request) -> Who:
    """By the session's cookie; a key says nothing here."""
    token = session_token(request)
    viewer = await services_of(request).accounts.viewer(token) if token else None
    if viewer is None:
        guest = await services_of(request).classes.guest(token) if token else None
        return Who.STRANGER if guest is None else Who.GUEST
    if viewer.key is None:
        return Who.LOCKED
    return Who.ADMINISTRATOR if viewer.administers else Who.MEMBER


async def _has_key(request: Request) -> bool:
    key = find_key(request)
    return key is not None and await services_of(request).accounts.caller(key) is not None
