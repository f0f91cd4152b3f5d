"""The ledger's published files, as C2SP tlog-tiles has them: for verifiers, witnesses and other houses' pages.

- what is served is ``checkpoint`` and what is a tile's path, read by ``LogFolder``: nothing else of the folder,
  whatever the address says; beside them ``witnessed`` (the last head that fulfils the charter's policy), ``key`` and
  ``policy`` (what a reader tells a verifier, so that it knows whose ledger this is);
- it is public: any site's script may read it. No cookie is read and none is set, also where nothing is found;
- a full tile never changes and is kept for ever; a partial one goes away once it is full; a head is asked for anew;
- the disk is read in threads.
"""

import asyncio
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from commun.ledger.errors import LedgerError
from commun.ledger.files import TILES, LogFolder
from commun.ledger.policy import policy_naming
from commun.ledger.tiles import Tile
from commun.places import LEDGER_FOLDER
from commun.web.unchanged import file_unless_had
from commun.web.visit import services_of

PUBLIC_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
ANEW: Final = "public, no-cache"
FOR_EVER: Final = "public, max-age=31536000, immutable"
SHORTLY: Final = "public, max-age=60"
NOTHING_HERE: Final = "not found\n"
UNREADABLE: Final = "the ledger cannot be read\n"

log = structlog.get_logger()


def folder_of(request: Request) -> LogFolder:
    return LogFolder(services_of(request).settings.home / LEDGER_FOLDER)


async def checkpoint(request: Request) -> Response:
    """The newest head."""
    try:
        data = await asyncio.to_thread(folder_of(request).find_checkpoint)
    except LedgerError as error:
        return _unreadable(error)
    return _head(request, data)


async def witnessed(request: Request) -> Response:
    """The newest head that fulfils the charter's policy on witnesses; without one, the newest head."""
    head = services_of(request).recorder.witnessed
    return _head(request, head.data if head is not None else None)


async def key(request: Request) -> Response:
    """The public key, as verifiers take it."""
    found = services_of(request).recorder.log
    return _head(request, f"{found.key.verifier.text()}\n".encode() if found is not None else None)


async def policy(request: Request) -> Response:
    """A C2SP tlog-policy: this ledger's key, and the witnesses that the charter in force asks for."""
    services = services_of(request)
    found, in_force = services.recorder.log, services.charter.find()
    if found is None or in_force is None:
        return _nothing()
    public = services.settings.public_url.rstrip("/")
    url = f"{public}/ledger" if public else ""
    try:
        return _head(request, policy_naming(found.key.verifier, in_force.charter.witnesses.policy, url=url))
    except LedgerError as error:
        return _unreadable(error)


async def tile(request: Request) -> Response:
    """Hashes or entries. What is no tile's path, in its one writing, is not there."""
    try:
        wanted = Tile.from_path(f"{TILES}/{request.path_params['path']}")
    except LedgerError:
        return _nothing()
    try:
        data = await asyncio.to_thread(folder_of(request).find, wanted)
    except LedgerError as error:
        return _unreadable(error)
    if data is None:
        return _nothing()
    headers = {**PUBLIC_HEADERS, "Cache-Control": FOR_EVER if wanted.is_full else SHORTLY}
    return Response(data, headers=headers, media_type=BYTES)


def _head(request: Request, data: bytes | None) -> Response:
    if data is None:
        return _nothing()
    return file_unless_had(request, data, TEXT, {**PUBLIC_HEADERS, "Cache-Control": ANEW})


def _nothing() -> Response:
    return PlainTextResponse(NOTHING_HERE, status_code=404, headers={**PUBLIC_HEADERS, "Cache-Control": "no-store"})


def _unreadable(error: LedgerError) -> Response:
    log.error("a file of the ledger could not be served", code=error.code)
    return PlainTextResponse(UNREADABLE, status_code=503, headers={**PUBLIC_HEADERS, "Cache-Control": "no-store"})
