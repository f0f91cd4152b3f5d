"""``GET /v1/models``: what can be asked for. One model is served at a time; “default” always names it."""

import json
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from commun.api.keys import services_of
from commun.engine.base import EngineInfo
from commun.errors import ModelNotFound
from commun.store.accounts import Caller

if TYPE_CHECKING:
    from commun.services import Services

DEFAULT = "default"
MAX_SHOWN = 200  # characters of an unknown model's name that are repeated in the error


def model_ids(services: "Services") -> list[str]:
    """The served model's id and “default”."""
    return list(dict.fromkeys([services.assistant.info.model, DEFAULT]))


def check_model(info: EngineInfo, model: str) -> None:
    """Raises ModelNotFound."""
    if model not in (DEFAULT, info.model):
        raise ModelNotFound(model=model[:MAX_SHOWN])


def _model(services: "Services", model: str) -> dict[str, Any]:
    """``max_model_len``: the context in tokens; vLLM's word, which another Commun reads."""
    context = services.assistant.info.context_length
    return {"id": model, "object": "model", "created": 0, "owned_by": "commun", "max_model_len": context}


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document).encode(), media_type="application/json")


async def list_models(request: Request, caller: Caller) -> ASGIApp:
    del caller
    services = services_of(request)
    return _json({"object": "list", "data": [_model(services, each) for each in model_ids(services)]})


async def get_model(request: Request, caller: Caller) -> ASGIApp:
    del caller
    model = request.path_params["model"]
    services = services_of(request)
    check_model(services.assistant.info, model)
    return _json(_model(services, model))
