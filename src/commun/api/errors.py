"""OpenAI's error shape for everything that goes wrong under ``/v1``.

``{"error": {"message": …, "type": …, "param": …, "code": …}}``: every ``CommunError`` has one, and so have the errors
of the framework (404, 405, a body that cannot be read). Some codes are OpenAI's own words, because clients look for
them. The texts are English: programs and their authors read them.
"""

import json
from collections.abc import Mapping

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commun.api.begun import header_of
from commun.errors import (
    BadApiKey,
    BadRequest,
    BodyTooLarge,
    Busy,
    CommunError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    NotSignedIn,
    Refused,
    TooManyRequests,
)

OPENAI_CODES = {
    "message_too_long": "context_length_exceeded",
    "rate_limited": "rate_limit_exceeded",
    "too_many_waiting": "rate_limit_exceeded",
    "daily_tokens_used": "insufficient_quota",
}
OPENAI_PARAMS = {"message_too_long": "messages", "model_not_found": "model"}
CLIENT_GONE = 499  # nobody reads it; the log and the metrics do

log = structlog.get_logger()


class UnknownAddress(NotFound):
    """A path that the API does not have."""

    problem = "The API has no such address."
    cure = "The addresses are listed in /openapi.json."


class ClientGone(CommunError):
    """The client left before its answer was whole. Nobody reads this error."""

    code = "client_gone"
    status = CLIENT_GONE


def error_type(error: CommunError) -> str:
    """OpenAI's word for the kind of error."""
    if isinstance(error, TooManyRequests):
        return "rate_limit_error"
    if isinstance(error, NotSignedIn):
        return "authentication_error"
    if isinstance(error, Refused):
        return "permission_error"
    return "server_error" if error.status >= 500 else "invalid_request_error"  # noqa: PLR2004


def error_object(error: CommunError) -> dict[str, dict[str, str | None]]:
    """The body, as plain data."""
    param = error.details.get("parameter") or OPENAI_PARAMS.get(error.code)
    return {
        "error": {
            "message": error.text(),
            "type": error_type(error),
            "param": str(param) if param else None,
            "code": OPENAI_CODES.get(error.code, error.code),
        }
    }


def error_bytes(error: CommunError) -> bytes:
    """The body, as JSON."""
    return json.dumps(error_object(error)).encode()


def openai_response(error: CommunError) -> Response:
    """The whole answer: body, status, and the header that belongs to the error."""
    headers = {}
    if isinstance(error, Busy):
        headers["retry-after"] = str(error.retry_after)
    if isinstance(error, BadApiKey):
        headers["www-authenticate"] = 'Bearer realm="Commun"'
    return Response(error_bytes(error), error.status, headers, media_type="application/json")


def framework_error(error: HTTPException) -> CommunError:
    """What the framework says, in our words."""
    known: Mapping[int, type[CommunError]] = {404: UnknownAddress, 405: MethodNotAllowed, 413: BodyTooLarge}
    if error.status_code == 413:  # noqa: PLR2004
        return BodyTooLarge(limit="")
    fallback = BadRequest if error.status_code < 500 else InternalError  # noqa: PLR2004
    return known.get(error.status_code, fallback)()


class OpenAIErrors:
    """Around the whole API: whatever is raised before the answer began is answered in OpenAI's shape, and names the
    receipt of a turn that had begun.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    @property
    def routes(self) -> list[BaseRoute]:
        """What it stands around, for whoever walks the routes (``doors.py``)."""
        return list(getattr(self._app, "routes", ()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def watched_send(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception as failure:
            if began:
                raise
            response = self._answer(failure)
            response.headers.update(header_of(scope))
            await response(scope, receive, send)

    def _answer(self, failure: Exception) -> Response:
        if isinstance(failure, CommunError):
            return openai_response(failure)
        if isinstance(failure, ClientDisconnect):
            return openai_response(ClientGone())
        if isinstance(failure, HTTPException):
            response = openai_response(framework_error(failure))
            response.headers.update(failure.headers or {})
            return response
        log.error("request failed", exc_info=failure)
        return openai_response(InternalError())
