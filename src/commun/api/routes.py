"""The API's addresses, in one place. ``app.py`` mounts them before the pages."""

import re

from starlette.routing import BaseRoute, Mount, Route, Router, request_response
from starlette.types import ASGIApp

from commun.api.completions import chat
from commun.api.errors import OpenAIErrors
from commun.api.health import healthz, readyz
from commun.api.keys import Handler, WithKey
from commun.api.metrics import Metrics
from commun.api.models import get_model, list_models
from commun.api.openapi import openapi
from commun.api.receipts import get_receipt
from commun.api.text_completions import complete


def api_routes(metrics: Metrics) -> list[BaseRoute]:
    """Everything for programs. ``metrics`` is shared with the access log and the assistant's watcher."""
    v1 = Router(
        [
            _with_key("POST", "/chat/completions", chat),
            _with_key("POST", "/completions", complete),
            _with_key("GET", "/receipts/{receipt}", get_receipt),
            _with_key("GET", "/models", list_models),
            _with_key("GET", "/models/{model:path}", get_model),
        ],
        redirect_slashes=False,
    )
    return [
        Route("/v1", OpenAIErrors(v1)),
        _under("/v1", OpenAIErrors(v1)),
        Route("/openapi.json", openapi),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", OpenAIErrors(request_response(metrics.answer)), methods=["GET"]),
    ]


def _under(path: str, app: ASGIApp) -> Mount:
    """Every address below ``path``, one with a line break in it too: none of them is a page."""
    mount = Mount(path, app=app)
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount


def _with_key(method: str, path: str, handler: Handler) -> Route:
    return Route(path, WithKey(handler), methods=[method])
