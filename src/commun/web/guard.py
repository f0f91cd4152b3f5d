"""The HTTP guard: what every request and every response passes, before and after everything else.

In this order, and refused with the first thing that is wrong (``on_error`` renders the refusal):

1. the request gets an id (``scope["state"]["request_id"]``, ``X-Request-ID`` in the response);
2. its head is no larger than ``max_header_bytes``, and names no other encoding of its body than UTF-8;
3. ``Host`` names this Commun (pages only): against DNS rebinding, where a hostile name is pointed at this machine. An
   address instead of a name cannot be rebound and is always right. The ledger's files (``PUBLISHED``) are everybody's,
   under whatever name a mirror or a verifier knows them;
4. it does not come from another site (pages only, methods that change something): see ``is_cross_origin``;
5. its body is no larger than ``max_body_bytes`` (or what ``larger_bodies`` says of its path), by its Content-Length and
   again while it is read.

Every response gets the security headers of its kind. The API (``api_prefixes``) reads no cookie, only keys that another
site cannot know, or, as a witness, what other logs' keys have signed: it needs neither 3 nor 4, and is reached from
containers under any name.

Use ``Guard(app, rules=GuardRules(max_body_bytes=…, max_header_bytes=…, hosts=(…,), public_url=…), on_error=…)`` as the
outermost middleware; ``on_error(scope, error)`` returns an ASGI response.
"""

import ipaddress
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from python_multipart.multipart import parse_options_header
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commun.errors import BadRequest, BodyTooLarge, CommunError, CrossOrigin, HeadersTooLarge, UnknownHost

OnError = Callable[[Scope, CommunError], ASGIApp]

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "font-src 'self'",
    "media-src 'self' blob:",
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types commun",
)
CONTENT_SECURITY_POLICY = "; ".join(_POLICY)
_DENIED = "browsing-topics camera display-capture geolocation hid microphone midi payment serial usb"
PAGE_HEADERS = (
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("x-frame-options", "DENY"),
    ("permissions-policy", ", ".join(f"{name}=()" for name in _DENIED.split())),
)
API_HEADERS = (
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
)
STRICT_TRANSPORT = ("strict-transport-security", "max-age=31536000")
NO_STORE = (b"cache-control", b"no-store")  # unless the response says otherwise

CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
API_PREFIXES = ("/v1/", "/witness/")
PUBLISHED = ("/ledger/checkpoint", "/ledger/witnessed", "/ledger/key", "/ledger/policy", "/ledger/tile/")

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class GuardRules:
    """``hosts``: names of this Commun besides localhost, without ports. ``public_url``: as browsers see it, or "".
    ``larger_bodies``: paths whose bodies may be as large as this instead.
    """

    max_body_bytes: int
    max_header_bytes: int
    hosts: tuple[str, ...] = ()
    public_url: str = ""
    api_prefixes: tuple[str, ...] = API_PREFIXES
    larger_bodies: tuple[tuple[str, int], ...] = ()

    def most_bytes(self, path: str) -> int:
        return dict(self.larger_bodies).get(path, self.max_body_bytes)

    @property
    def names(self) -> frozenset[str]:
        public = urlsplit(self.public_url).hostname
        return frozenset(name.lower() for name in ("localhost", public, *self.hosts) if name)

    @property
    def origin(self) -> str:
        """The public origin (scheme, host, port), or ""."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""


class Guard:
    """Pure ASGI: wraps ``app``. Put it outermost. ``on_error(scope, error)`` gives the response to a refusal."""

    def __init__(self, app: ASGIApp, *, rules: GuardRules, on_error: OnError) -> None:
        self._app = app
        self._rules = rules
        self._on_error = on_error
        self._names = rules.names
        self._origin = rules.origin
        self._api_prefixes = rules.api_prefixes
        secure = (STRICT_TRANSPORT,) if rules.public_url.startswith("https://") else ()
        self._page_headers = _encoded((*PAGE_HEADERS, *secure))
        self._api_headers = _encoded((*API_HEADERS, *secure))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # nothing here speaks it
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        api = scope["path"].startswith(self._api_prefixes)
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(
            send=send,
            receive=receive,
            headers=((b"x-request-id", request_id.encode()), *(self._api_headers if api else self._page_headers)),
            limit=self._rules.most_bytes(scope["path"]),
        )
        try:
            self._check(scope, api=api)
            await self._app(scope, exchange.take, exchange.give)
        except CommunError as error:
            if exchange.started:
                raise
            exchange.refusal = error
        if exchange.refusal and not exchange.started:
            await self._on_error(scope, exchange.refusal)(scope, receive, exchange.give_refusal)

    def _check(self, scope: Scope, *, api: bool) -> None:
        headers: dict[bytes, bytes] = {}
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        for name, value in scope["headers"]:
            size += len(name) + len(value) + 4
            if name == b"host" and name in headers:
                raise BadRequest
            if name == b"content-type":
                check_charset(value)
            headers[name] = value
        if size > self._rules.max_header_bytes:
            raise HeadersTooLarge
        if not api:
            named = is_known_host(headers.get(b"host", b"").decode("latin-1"), self._names)
            if not named and not scope["path"].startswith(PUBLISHED):
                raise UnknownHost
            if is_cross_origin(scope["method"], headers, self._origin):
                raise CrossOrigin
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise BadRequest
        most = self._rules.most_bytes(scope["path"])
        if int(length) > most:
            raise BodyTooLarge(limit=most)


def check_charset(content_type: bytes) -> None:
    """Raises BadRequest for anything but UTF-8: forms are decoded by what the request itself names, and of Python's
    codecs some are quadratic, some raise what no reader of forms expects.
    """
    _, options = parse_options_header(content_type)
    if options.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise BadRequest


@dataclass(slots=True)
class _Exchange:
    """One request's ``receive`` and ``send`` with the bounds and headers on them."""

    send: Send
    receive: Receive
    headers: Headers
    limit: int
    taken: int = 0
    started: bool = False
    refusal: CommunError | None = None

    async def take(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.request":
            self.taken += len(message.get("body", b""))
            if self.taken > self.limit:
                self.refusal = BodyTooLarge(limit=self.limit)
                raise self.refusal
        return message

    async def give(self, message: Message) -> None:
        if self.refusal and not self.started:
            return  # the application answers to a body it could not read: the refusal is what is sent
        await self.give_refusal(message)

    async def give_refusal(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            own = list(message.get("headers", ()))
            names = {name.lower() for name, _ in own}
            own += [header for header in (*self.headers, NO_STORE) if header[0] not in names]
            message["headers"] = own
        await self.send(message)


def _encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    return tuple((name.encode(), value.encode()) for name, value in headers)


def is_known_host(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header names this Commun: one of ``names``, something.localhost, or any address. Any port."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        port = port.removeprefix(":") if bracket else "?"
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        return False
    name = name.lower().removesuffix(".")
    return name in names or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_cross_origin(method: str, headers: dict[bytes, bytes], public_origin: str) -> bool:
    """Whether a request that changes something was made by another site's page.

    The algorithm of Go 1.25's ``http.CrossOriginProtection`` (https://words.filippo.io/csrf): safe methods pass; a
    browser that says where from (``Sec-Fetch-Site``) is believed; else an ``Origin`` must name our own host (or be the
    public origin, where a proxy rewrites Host); neither header: no browser, so nobody's cookies are being abused.
    """
    if method in SAFE_METHODS:
        return False
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if origin and origin == public_origin:
        return False
    site = headers.get(b"sec-fetch-site", b"").decode("latin-1")
    if site:
        return site not in {"same-origin", "none"}
    if not origin:
        return False
    try:
        origin_host = urlsplit(origin).netloc
    except ValueError:
        return True
    return not origin_host or origin_host != headers.get(b"host", b"").decode("latin-1").lower()
