"""``/witness/``: the witness over HTTP, as C2SP tlog-witness v1.0.0 has it. Needs no key: heads are signed.

- ``POST /witness/add-checkpoint``: the cosignature lines, or the refusal's status and sentence; 409 with the size
  alone, as ``text/x.tlog.size``;
- ``GET /witness/<sha256 of the origin>/checkpoint``: the latest head that was cosigned, with the witness's lines;
- ``GET /witness/key``: the witness's public keys, a line each, to be put into policies.

A body is bounded before it is read. The witness works in one thread of its own (it is one step after the other anyway):
the event loop never waits for its disk, and it keeps nothing here. At most MAX_WAITING requests wait; more get 503.
A witness without logs answers 404 everywhere, and makes no key.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from commun.errors import CommunError
from commun.ledger.comparison import Evidence
from commun.ledger.witness import MAX_REQUEST_BYTES, NotWitnessed, OtherSize, SubmissionTooLarge
from commun.ledger.witness_state import Witness, WitnessUnready

PREFIX: Final = "/witness"
SIZE_TYPE: Final = "text/x.tlog.size"
MAX_WAITING: Final = 64
CLIENT_GONE: Final = 499
MAX_DIGITS: Final = 20  # of a Content-Length: more is too much in any case
RETRY_S: Final = 5

log = structlog.get_logger()
T = TypeVar("T")


def witness_routes(witness: Witness) -> list[BaseRoute]:
    """For whoever mounts them; below PREFIX."""
    desk = _Desk(witness)
    return [
        Route(f"{PREFIX}/add-checkpoint", desk.add_checkpoint, methods=["POST"]),
        Route(f"{PREFIX}/key", desk.key, methods=["GET"]),
        Route(f"{PREFIX}/{{origin_hash}}/checkpoint", desk.checkpoint, methods=["GET"]),
    ]


def tell_evidence(evidence: Evidence, file: str) -> None:
    """For ``Witness(tell=…)``: loud, since somebody must look at it."""
    first, second = evidence.heads()
    log.error(
        "a witnessed ledger shows two histories"
        if evidence.is_proof
        else "a witnessed ledger did not prove its growth",
        origin=first.origin,
        fault=evidence.fault.value,
        sizes=[first.size, second.size],
        evidence=file or "not kept: there is enough of it",
    )


class _Desk:
    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="witness")
        self._waiting = 0

    async def add_checkpoint(self, request: Request) -> Response:
        try:
            data = await _body(request)
            lines = await self._work(lambda: self._witness.add_checkpoint(data))
        except OtherSize as error:
            return Response(f"{error.size}\n".encode(), error.status, media_type=SIZE_TYPE)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        except CommunError as error:
            return _refusal(error)
        return _text(lines)

    async def checkpoint(self, request: Request) -> Response:
        origin_hash = request.path_params["origin_hash"]
        try:
            data = await self._work(lambda: self._witness.find_checkpoint(origin_hash))
        except CommunError as error:
            return _refusal(error)
        return _refusal(NotWitnessed()) if data is None else _text(data)

    async def key(self, _request: Request) -> Response:
        try:
            lines = await self._work(lambda: self._witness.keys.lines() if self._witness.logs() else ())
        except CommunError as error:
            return _refusal(error)
        return _text("".join(f"{line}\n" for line in lines).encode()) if lines else _refusal(NotWitnessed())

    async def _work(self, action: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise WitnessUnready(reason="too many requests wait")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, action)
        except OSError as error:
            log.exception("the witness's disk refuses")
            raise WitnessUnready(reason="its disk refuses") from error
        finally:
            self._waiting -= 1


async def _body(request: Request) -> bytes:
    """Raises SubmissionTooLarge."""
    length = request.headers.get("content-length", "0")
    data = bytearray()
    if length.isascii() and length.isdigit() and (len(length) > MAX_DIGITS or int(length) > MAX_REQUEST_BYTES):
        raise SubmissionTooLarge(limit=MAX_REQUEST_BYTES)
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_REQUEST_BYTES:
            raise SubmissionTooLarge(limit=MAX_REQUEST_BYTES)
    return bytes(data)


def _refusal(error: CommunError) -> Response:
    headers = {"retry-after": str(RETRY_S)} if isinstance(error, WitnessUnready) else None
    return Response(f"{error.text()}\n".encode(), error.status, headers, media_type="text/plain")


def _text(data: bytes) -> Response:
    return Response(data, media_type="text/plain")
