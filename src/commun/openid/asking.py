"""The one way out over HTTP to the provider.

- No redirect is followed, nothing is asked twice, no cookie is kept.
- One answer has ASK_S seconds, however slowly it drips, and MOST_BYTES, counted while it comes in; nothing compressed
  is taken, so that none unfolds.
- What comes is not believed: ``discovery.py`` and ``id_token.py`` check it.
"""

import asyncio
import contextlib
import json
from typing import Any, Final

import httpx2

ASK_S: Final = 10.0
MOST_BYTES: Final = 262_144
HEADERS: Final = {"User-Agent": "commun", "Accept": "application/json", "Accept-Encoding": "identity"}
_OK: Final = 200
_WITH_REASON: Final = frozenset({400, 401})


class NoAnswer(Exception):
    """``args[0]``: why, for the log."""


class Line:
    """To one provider. ``close`` it. Used in one event loop."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None

    async def get(self, url: str) -> dict[str, Any]:
        """Raises NoAnswer."""
        return await self._ask("GET", url)

    async def post(self, url: str, form: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
        """Raises NoAnswer."""
        return await self._ask("POST", url, data=form, headers=headers)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(self, method: str, url: str, **sent: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ASK_S), self._open().stream(method, url, **sent) as answer:
                if answer.headers.get("content-encoding", "identity").lower() != "identity":
                    raise NoAnswer("its answer is compressed though nobody asked for that")
                status = answer.status_code
                data = await _body(answer) if status == _OK or status in _WITH_REASON else b""
        except TimeoutError as error:
            raise NoAnswer(f"no whole answer in {ASK_S:.0f} seconds") from error
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        if status != _OK:
            raise NoAnswer(f"status {status}{_reason(data)}")
        return _object(data)

    def _open(self) -> httpx2.AsyncClient:
        """Made when it is first needed: reading the authorities' certificates takes a while."""
        if self._client is None:
            self._client = httpx2.AsyncClient(follow_redirects=False, timeout=ASK_S, headers=HEADERS)
        self._client.cookies.clear()
        return self._client


async def _body(answer: httpx2.Response) -> bytes:
    data = bytearray()
    async for chunk in answer.aiter_raw():
        data += chunk
        if len(data) > MOST_BYTES:
            raise NoAnswer(f"its answer is longer than {MOST_BYTES} bytes")
    return bytes(data)


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NoAnswer("its answer is no JSON") from error
    if not isinstance(found, dict):
        raise NoAnswer("its answer is no JSON object")
    return found


def _reason(data: bytes) -> str:
    """The name that OAuth has for what was wrong (RFC 6749, §5.2): it tells the operator of a wrong secret."""
    with contextlib.suppress(NoAnswer):
        name = _object(data).get("error")
        if isinstance(name, str):
            return f" ({name[:64]!a})"
    return ""
