"""A published log read over HTTP: static files of one site, bounded, by nobody's leave but the caller's.

Rules:

- ``http`` or ``https``, no user in the address; a redirect is followed within the same scheme, host and port only, and
  MAX_REDIRECTS times;
- an answer is bounded while it comes in, by what the file can be at most; compressed (gzip: tlog-tiles lets a log use
  it unasked) it is bounded again while it is unpacked;
- 404 and 410 mean that the file is not there; a server that is busy or that breaks off is asked ATTEMPTS times;
- what comes is not believed: ``ledger/verification.py`` checks every byte of it.

Raises NotReachable, and nothing else.
"""

import time
import zlib
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx2

from commun.errors import N_, CommunError
from commun.ledger.files import CHECKPOINT, most_bytes
from commun.ledger.note import MAX_NOTE_BYTES
from commun.ledger.tiles import Tile

TIMEOUT_S: Final = 30
ATTEMPTS: Final = 3
PAUSE_S: Final = 1.0
MAX_REDIRECTS: Final = 3
HEADERS: Final = {"User-Agent": "commun", "Accept-Encoding": "gzip, identity"}
_OK: Final = 200
_ABSENT: Final = frozenset({404, 410})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_GZIP: Final = 16 + zlib.MAX_WBITS


class NotReachable(CommunError):
    """``details``: ``host``, ``reason``."""

    code = "site_not_reachable"
    status = 502
    problem = N_("%(host)s could not be read: %(reason)s.")
    cure = N_("Check the address and the network, and try again.")


class LogSite:
    """A ``LogReader`` of the log published below ``url``. Used by one thread at a time; ``close`` it."""

    def __init__(self, url: str, *, transport: httpx2.BaseTransport | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or not self._host or "@" in parts.netloc or parts.query:
            raise NotReachable(host=self._host or "?", reason="this is no plain http or https address")
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"
        self._client = httpx2.Client(
            follow_redirects=False, timeout=TIMEOUT_S, headers=HEADERS, transport=transport, trust_env=transport is None
        )

    def find_checkpoint(self) -> bytes | None:
        return self._get(CHECKPOINT, MAX_NOTE_BYTES)

    def find(self, tile: Tile) -> bytes | None:
        return self._get(tile.path(), most_bytes(tile))

    def close(self) -> None:
        self._client.close()

    def _get(self, name: str, limit: int) -> bytes | None:
        reason = "it does not answer"
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S)
            try:
                status, data = self._follow(urljoin(self._base, name), limit)
            except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL):
                continue
            if status == _OK:
                return data
            if status in _ABSENT:
                return None
            reason = f"it answers with status {status}"
            if status not in _AGAIN:
                break
        raise NotReachable(host=self._host, reason=reason)

    def _follow(self, url: str, limit: int) -> tuple[int, bytes]:
        for _ in range(MAX_REDIRECTS + 1):
            with self._client.stream("GET", url) as answer:
                if answer.status_code not in _REDIRECTS:
                    return answer.status_code, self._body(answer, limit) if answer.status_code == _OK else b""
                url = self._next(url, answer.headers.get("location", ""))
        raise NotReachable(host=self._host, reason="it redirects too often")

    def _next(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        if urlsplit(target)[:2] != urlsplit(url)[:2]:
            raise NotReachable(host=self._host, reason="it redirects to another place")
        return target

    def _body(self, answer: httpx2.Response, limit: int) -> bytes:
        encoding = answer.headers.get("content-encoding", "identity").lower()
        if encoding not in {"gzip", "identity"}:
            raise NotReachable(host=self._host, reason="its answer is compressed in a way that was not asked for")
        data = bytearray()
        unpack = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
        for chunk in answer.iter_raw():
            try:
                data += chunk if unpack is None else unpack.decompress(chunk, limit + 1 - len(data))
            except zlib.error:
                raise NotReachable(host=self._host, reason="its answer is not compressed as it says") from None
            if len(data) > limit:
                raise NotReachable(host=self._host, reason="its answer is longer than it can be")
        if unpack is not None and not unpack.eof:
            raise NotReachable(host=self._host, reason="its answer is not compressed as it says")
        return bytes(data)
