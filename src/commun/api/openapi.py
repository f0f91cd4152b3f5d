"""``/openapi.json``: the API described, out of the very types that check what comes in.

Written without the framework's generator, because the hot path does without its dependency injection; schemathesis
holds it against the running server in the tests.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

import commun
from commun.api import answers, requests

MODELS = (
    requests.ChatRequest,
    requests.CompletionRequest,
    answers.ChatCompletion,
    answers.TextCompletion,
    answers.Bundle,
    answers.Model,
    answers.ModelList,
    answers.ErrorBody,
    answers.Health,
    answers.Readiness,
)
JSON = "application/json"
RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
PROBLEMS: dict[int, tuple[str, dict[str, Any]]] = {
    400: ("A parameter is not valid, not supported or outside the charter's bounds; `param` names it.", {}),
    401: (
        "The API key is missing, wrong or revoked.",
        {"WWW-Authenticate": {"schema": {"type": "string"}}},
    ),
    403: ("The key's owner has no vault in which an answer could be stored.", {}),
    404: ("There is no such model, or receipt.", {}),
    409: ("The nonce has served already.", {}),
    413: ("The body is too large.", {}),
    429: ("Too many requests with this key.", RETRY),
    431: ("The head of the request is too large.", {}),
    500: ("A fault of the server; its log says where.", {}),
    503: ("No valid charter; or the model is loading, failed, or too many questions wait.", RETRY),
}
ALWAYS = (400, 401, 429, 431, 500, 503)  # 400: a head that makes no sense
CHARTER = {
    "Commun-Charter": {
        "description": "Number and digest of the charter's edition that the answer was written under.",
        "schema": {"type": "string"},
    },
    "Commun-Charter-Stale": {
        "description": "The last day of the board's mandate, when it has ended; absent else.",
        "schema": {"type": "string", "format": "date"},
    },
}
RECEIPT = {
    "Commun-Receipt": {
        "description": "Ids of the receipts of what this request began, 16 at most; absent where nothing began.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}(, [0-9a-f]{64}){0,15}$"},
    }
}
DROPPED = {
    "Commun-Dropped-Messages": {
        "description": "How many of the oldest messages were left out to fit the context; absent when none.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
NONCE = {
    "name": "Commun-Nonce",
    "in": "header",
    "description": "The same as the field commun.nonce: 16 to 64 random bytes, new for each request.",
    "schema": {"type": "string", "pattern": "^(?:[0-9a-f]{2}){16,64}$"},
}
NO_HEADERS: Mapping[str, Any] = {}
EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
EVENTS = {"text/event-stream": {"schema": EVENT | {"description": "One chunk as JSON; the last event is [DONE]."}}}


def _content(model: str) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}}}


def _problems(*statuses: int, headers: Mapping[str, Any] = NO_HEADERS) -> dict[str, Any]:
    """``headers``: that any of them may have."""
    told = {}
    for status in sorted({*ALWAYS, *statuses}):
        text, own = PROBLEMS[status]
        told[str(status)] = {"description": text, "headers": {**own, **headers}, "content": _content("ErrorBody")}
    return told


def _post(name: str, summary: str, asks: str, tells: str, *statuses: int) -> dict[str, Any]:
    done = {"description": "The answer.", "headers": DROPPED | CHARTER | RECEIPT, "content": _content(tells) | EVENTS}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "parameters": [NONCE],
            "requestBody": {"required": True, "content": _content(asks)},
            "responses": {"200": done, **_problems(404, 409, 413, *statuses, headers=RECEIPT)},
        }
    }


def _get(name: str, summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"get": {"operationId": name, "summary": summary, "responses": responses, **more}}


def _paths() -> dict[str, Any]:
    model = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    receipt = {"name": "receipt", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    proof = {"200": {"description": "The receipt's bundle, as of now.", "content": _content("Bundle")}}
    listed = {"200": {"description": "The models.", "content": _content("ModelList")}}
    one = {"200": {"description": "The model.", "content": _content("Model")}}
    alive = {"200": {"description": "The process is alive.", "content": _content("Health")}}
    ready = {
        "200": {"description": "A question could be answered now.", "content": _content("Readiness")},
        "503": {"description": "It could not, and why.", "content": _content("Readiness")},
    }
    figures = {"200": {"description": "Prometheus's text.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    described = {"200": {"description": "This document.", "content": {JSON: {"schema": {"type": "object"}}}}}
    nobody: dict[str, Any] = {"security": []}
    return {
        "/v1/chat/completions": _post("chat", "Answer a chat", "ChatRequest", "ChatCompletion", 403),
        "/v1/completions": _post("complete", "Continue or score a text", "CompletionRequest", "TextCompletion"),
        "/v1/receipts/{receipt}": _get("getReceipt", "One receipt", proof | _problems(404), parameters=[receipt]),
        "/v1/models": _get("listModels", "The models", listed | _problems()),
        "/v1/models/{model}": _get("getModel", "One model", one | _problems(404), parameters=[model]),
        "/healthz": _get("healthz", "Is the process alive?", alive, **nobody),
        "/readyz": _get("readyz", "Could a question be answered now?", ready, **nobody),
        "/metrics": _get("metrics", "Figures for Prometheus", figures | _problems()),
        "/openapi.json": _get("openapi", "This document", described, **nobody),
    }


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in MODELS], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Commun",
            "version": commun.__version__,
            "description": "OpenAI's API on models of your own; see docs/api.md.",
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, cm_…"}},
        },
        "security": [{"key": []}],
    }


async def openapi(_request: Request) -> Response:
    """GET /openapi.json."""
    return Response(json.dumps(document()).encode(), media_type=JSON)
