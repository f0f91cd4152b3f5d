"""``/healthz``: the process answers. ``/readyz``: it could answer a question now, or why not.

Both are for supervisors and need no key; they tell nothing else about the server.
"""

import json

import structlog
from starlette.requests import Request
from starlette.responses import Response

from commun.api.keys import services_of
from commun.assistant.in_force import CharterInForce
from commun.charter.errors import NoCharter
from commun.engine.base import EngineState

NOT_CACHED = {"cache-control": "no-store"}
log = structlog.get_logger()


def _told(status: int, document: dict[str, str]) -> Response:
    return Response(json.dumps(document).encode(), status, NOT_CACHED, media_type="application/json")


async def healthz(_request: Request) -> Response:
    """GET /healthz."""
    return _told(200, {"status": "alive"})


async def readyz(request: Request) -> Response:
    """GET /readyz: a valid charter, the engine ready, the database takes writes; else 503 with what is missing."""
    services = services_of(request)
    charter = charter_state(services.charter)
    engine = services.assistant.state
    database = await _database_state(request)
    ready = charter in ("valid", "stale") and engine is EngineState.READY and database == "writable"
    document = {
        "status": "ready" if ready else "not ready",
        "charter": charter,
        "engine": engine.value,
        "database": database,
    }
    return _told(200 if ready else 503, document)


def charter_state(charter: CharterInForce) -> str:
    """“stale”: its mandate has ended; it answers."""
    in_force = charter.find()
    if in_force is None:
        return "missing" if isinstance(charter.error, NoCharter) else "invalid"
    return "valid" if in_force.stale_since is None else "stale"


async def _database_state(request: Request) -> str:
    try:
        await services_of(request).database.check_writable()
    except Exception:
        log.exception("the database takes no writes")
        return "not writable"
    return "writable"
