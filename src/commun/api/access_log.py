"""One line per request: method, route, status, milliseconds. Never a path, a query, a body or an address.

The route is its template (``/v1/models/{model:path}``), so no id of a conversation stands in the log. The outermost
ASGI layer; it also counts the request for ``/metrics``.
"""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commun.api.metrics import Metrics

UNMATCHED = "(no route)"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ASKED_ALL_THE_TIME = frozenset({"/healthz", "/readyz", "/metrics"})  # by supervisors: only at level debug
NO_ANSWER = 499  # the client left before the answer began

log = structlog.get_logger("commun.access")


class AccessLog:
    """Around everything. Costs about as much as the log line itself."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = NO_ANSWER

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception:
            status = 500 if status == NO_ANSWER else status
            raise
        finally:
            route = template(scope)
            self._metrics.request_ended(route, status)
            method = scope["method"] if scope["method"] in METHODS else "(other)"
            taken = round((time.perf_counter() - began) * 1000, 2)
            tell = log.debug if route in ASKED_ALL_THE_TIME else log.info
            tell("request", method=method, route=route, status=status, ms=taken)


def template(scope: Scope) -> str:
    """The route that answered, without what stood in its places."""
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is None:
        return UNMATCHED
    mounted: str = scope.get("root_path", "")[len(scope.get("app_root_path", "")) :]
    return mounted + path if path not in ("", mounted) else mounted or UNMATCHED
