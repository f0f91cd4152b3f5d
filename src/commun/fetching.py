"""The one way out over HTTP for ledgers: reading a published one, and asking a witness for its cosignature.

Rules:

- ``http`` or ``https``, no user in the address; a redirect is followed within the same scheme, host and port only, and
  MAX_REDIRECTS times; a request with a body only where it stays one (307, 308);
- an answer is bounded while it comes in, by what the file can be at most; compressed (gzip: tlog-tiles lets a log use
  it unasked) it is bounded again while it is unpacked;
- reading: 404 and 410 mean that the file is not there; a server that is busy or that breaks off is asked ATTEMPTS
  times. A witness is asked once (whoever asks knows when to ask again), and has WITNESS_S for its whole answer;
- what comes is not believed: ``ledger/verification.py`` checks every byte of a ledger, and ``recording/witnesses.py``
  every line of a witness.

Raises NotReachable, and nothing else.
"""

import time
import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx2

from commun.errors import N_, CommunError
from commun.ledger.files import CHECKPOINT, most_bytes
from commun.ledger.note import MAX_NOTE_BYTES
from commun.ledger.tiles import Tile
from commun.receipts.bundle import MAX_BUNDLE_BYTES

TIMEOUT_S: Final = 30
WITNESS_S: Final = 10.0
MAX_WITNESS_ANSWER: Final = 65_536  # 16 lines of the longest type are 54 KB
ATTEMPTS: Final = 3
PAUSE_S: Final = 1.0
MAX_REDIRECTS: Final = 3
HEADERS: Final = {"User-Agent": "commun", "Accept-Encoding": "gzip, identity"}
_OK: Final = 200
_ABSENT: Final = frozenset({404, 410})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_OF_A_BODY: Final = frozenset({307, 308})
_WITH_ANSWER: Final = frozenset({200, 409})
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_GZIP: Final = 16 + zlib.MAX_WBITS


class NotReachable(CommunError):
    """``details``: ``host``, ``reason``."""

    code = "site_not_reachable"
    status = 502
    problem = N_("%(host)s could not be read: %(reason)s.")
    cure = N_("Check the address and the network, and try again.")


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` is read where the status promises something in it; else it is empty."""

    status: int
    media_type: str
    data: bytes


class _Site:
    """Everything below one address. Used by one thread at a time; ``close`` it."""

    def __init__(self, url: str, transport: httpx2.BaseTransport | None, timeout_s: float) -> None:
        try:
            parts = urlsplit(url)
            self.host = parts.hostname or ""
        except ValueError:
            raise NotReachable(host="?", reason="this is no plain http or https address") from None
        if parts.scheme not in {"http", "https"} or not self.host or "@" in parts.netloc or parts.query:
            raise NotReachable(host=self.host or "?", reason="this is no plain http or https address")
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"
        self._client = httpx2.Client(
            follow_redirects=False, timeout=timeout_s, headers=HEADERS, transport=transport, trust_env=transport is None
        )

    def close(self) -> None:
        self._client.close()

    def _get(self, name: str, limit: int) -> bytes | None:
        reason = "it does not answer"
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S)
            try:
                answer = self._follow(name, limit)
            except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL):
                continue
            if answer.status == _OK:
                return answer.data
            if answer.status in _ABSENT:
                return None
            reason = f"it answers with status {answer.status}"
            if answer.status not in _AGAIN:
                break
        raise NotReachable(host=self.host, reason=reason)

    def _follow(self, name: str, limit: int, *, body: bytes | None = None, deadline: float | None = None) -> Answer:
        """``body``: for a POST. ``deadline``: of the monotonic clock, for the whole answer."""
        method, redirects = ("GET", _REDIRECTS) if body is None else ("POST", _REDIRECTS_OF_A_BODY)
        url = urljoin(self._base, name)
        for _ in range(MAX_REDIRECTS + 1):
            with self._client.stream(method, url, content=body) as answer:
                status = answer.status_code
                if status not in redirects:
                    data = self._body(answer, limit, deadline) if status in _WITH_ANSWER else b""
                    return Answer(status, answer.headers.get("content-type", ""), data)
                url = self._next(url, answer.headers.get("location", ""))
        raise NotReachable(host=self.host, reason="it redirects too often")

    def _next(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            same = urlsplit(target)[:2] == urlsplit(url)[:2]
        except ValueError:
            same = False
        if not same:
            raise NotReachable(host=self.host, reason="it redirects to another place")
        return target

    def _body(self, answer: httpx2.Response, limit: int, deadline: float | None) -> bytes:
        encoding = answer.headers.get("content-encoding", "identity").lower()
        if encoding not in {"gzip", "identity"}:
            raise NotReachable(host=self.host, reason="its answer is compressed in a way that was not asked for")
        data = bytearray()
        unpack = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
        for chunk in answer.iter_raw():
            try:
                data += chunk if unpack is None else unpack.decompress(chunk, limit + 1 - len(data))
            except zlib.error:
                raise NotReachable(host=self.host, reason="its answer is not compressed as it says") from None
            if len(data) > limit:
                raise NotReachable(host=self.host, reason="its answer is longer than it can be")
            if deadline is not None and time.monotonic() > deadline:
                raise NotReachable(host=self.host, reason="its answer takes too long")
        if unpack is not None and not unpack.eof:
            raise NotReachable(host=self.host, reason="its answer is not compressed as it says")
        return bytes(data)


class LogSite(_Site):
    """A ``LogReader`` of the log published below ``url``."""

    def __init__(self, url: str, *, transport: httpx2.BaseTransport | None = None) -> None:
        super().__init__(url, transport, TIMEOUT_S)

    def find_checkpoint(self) -> bytes | None:
        return self._get(CHECKPOINT, MAX_NOTE_BYTES)

    def find(self, tile: Tile) -> bytes | None:
        return self._get(tile.path(), most_bytes(tile))


class WitnessSite(_Site):
    """The witness whose submission prefix (C2SP tlog-witness) is ``url``."""

    def __init__(self, url: str, *, transport: httpx2.BaseTransport | None = None) -> None:
        super().__init__(url, transport, WITNESS_S)

    def add_checkpoint(self, request: bytes) -> Answer:
        """Its answer, whatever its status."""
        try:
            return self._follow(
                "add-checkpoint", MAX_WITNESS_ANSWER, body=request, deadline=time.monotonic() + WITNESS_S
            )
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise NotReachable(host=self.host, reason="it does not answer") from error


class ReceiptSite(_Site):
    """The receipts of the Commun at ``url``."""

    def __init__(self, url: str, *, transport: httpx2.BaseTransport | None = None) -> None:
        super().__init__(url, transport, TIMEOUT_S)

    def find_bundle(self, receipt: str) -> bytes | None:
        """``receipt``: an id. What everybody may have of it; at most MAX_BUNDLE_BYTES."""
        return self._get(f"receipt/{receipt}/bundle", MAX_BUNDLE_BYTES)
