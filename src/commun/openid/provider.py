"""The provider of this Commun: where a person is sent, and who comes back.

One try, in this order; ``Asked`` is kept by whoever began it, bound to the browser (``web/provider.py``):

1. ``begin``: the provider's document is read, at most every KNOWN_S, by one try while the others wait; where it does
   not come or is no good, nobody asks again before SILENT_S. The person is sent to its authorization address with
   ``state`` and ``nonce`` (256 bits each) and the digest of a verifier (PKCE, S256);
2. the browser comes back. ``state`` must be that of its try; whatever else the answer says is read only then;
3. who sent it back (``iss``, RFC 9207) must be the provider, where it is said or where the provider always says it: the
   answer of another provider is never taken to this one (mix-up);
4. a refusal of the provider ends it; else its ``code`` is exchanged, with the verifier, at the token address. The code
   works once: the provider sees to that, and ``Asked`` is used once, too;
5. the ID token is checked (``id_token.py``). A key that is unknown makes the provider's keys be read once more: it may
   have changed them;
6. what is left is a mark of issuer and subject (``mark_of``): nobody is known by a name or an e-mail address. The
   access token is dropped unused.

Why a try failed stands in the log, without a token, a code or a subject.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import structlog

from commun.config import Settings
from commun.errors import ConfigError
from commun.openid.addresses import is_usable
from commun.openid.asking import Line, NoAnswer
from commun.openid.discovery import BadDocument, Endpoints, document_of, read_document
from commun.openid.errors import ProviderDown, ProviderError, ProviderSaidNo, ProviderUnproven, TryOver
from commun.openid.id_token import BadToken, Claims, Expected, UnknownKey, read_id_token

KNOWN_S: Final = 3_600.0
SILENT_S: Final = 10.0
MOST_CODE: Final = 2048
MARK: Final = b"commun provider account v1"
DEFAULT_NAME: Final = "OpenID Connect"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Registration:
    """How the provider knows this Commun. ``name``: what people call the provider."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One try. ``back``: where the browser is to come back to."""

    back: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in there. ``proposed``: what the provider calls them, or ""."""

    mark: bytes
    proposed: str


def mark_of(issuer: str, subject: str) -> bytes:
    """By which an account at a provider is known here (SHA-256, 32 B)."""
    parts = (MARK, issuer.encode(), subject.encode())
    return hashlib.sha256(b"".join(len(part).to_bytes(4) + part for part in parts)).digest()


def open_provider(settings: Settings) -> "Provider | None":
    """That of the settings; None where they name none. Raises ConfigError."""
    issuer = settings.oidc_issuer
    if not issuer:
        return None
    if "?" in issuer or not is_usable(issuer, near=True):
        raise ConfigError(setting="oidc_issuer", reason="it must begin with https:// and have neither “?” nor “#”")
    if not settings.oidc_client_id:
        raise ConfigError(setting="oidc_client_id", reason="a provider knows its programs by it")
    name = " ".join(settings.oidc_name.split()) or DEFAULT_NAME
    secret = settings.oidc_client_secret.get_secret_value()
    return Provider(Registration(issuer, settings.oidc_client_id, secret, name))


class Provider:
    """``now``: seconds since 1970, for what is signed; ``clock``: for how long something is known."""

    def __init__(
        self,
        registration: Registration,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registration = registration
        self._now = now
        self._clock = clock
        self._line = Line()
        self._endpoints: tuple[float, Endpoints] | None = None
        self._keys: tuple[float, dict[str, Any]] | None = None
        self._finding = asyncio.Lock()
        self._failed: tuple[float, type[ProviderError]] | None = None

    @property
    def name(self) -> str:
        return self._registration.name

    async def close(self) -> None:
        await self._line.close()

    async def begin(self, back: str) -> tuple[str, Asked]:
        """Where to send the person, and what to keep until they come back. Raises ProviderDown, ProviderUnproven."""
        endpoints = await self._find_endpoints()
        asked = Asked(back, *(secrets.token_urlsafe(32) for _ in range(3)))
        digest = hashlib.sha256(asked.verifier.encode()).digest()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._registration.client_id,
                "redirect_uri": asked.back,
                "scope": endpoints.scopes,
                "state": asked.state,
                "nonce": asked.nonce,
                "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoints.authorization}{'&' if '?' in endpoints.authorization else '?'}{query}", asked

    async def finish(self, asked: Asked, answer: Mapping[str, str]) -> Person:
        """Who came back. ``answer``: the query with which they did. Raises TryOver, ProviderSaidNo, ProviderDown,
        ProviderUnproven.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), asked.state.encode()):
            raise TryOver(provider=self.name)
        endpoints = await self._find_endpoints()
        said = answer.get("iss")
        if said != self._registration.issuer and (said is not None or endpoints.says_issuer):
            raise self._unproven("the answer is another issuer's, or nobody's")
        if "error" in answer:
            log.info("a provider sent somebody back without signing them in", error=ascii(answer["error"][:64]))
            raise ProviderSaidNo(provider=self.name)
        code = answer.get("code", "")
        if not 1 <= len(code) <= MOST_CODE:
            raise self._unproven("there is no code in the answer")
        claims = await self._read(await self._exchange(endpoints, asked, code), asked)
        return Person(mark_of(self._registration.issuer, claims.subject), claims.proposed)

    # What the provider is asked

    async def _find_endpoints(self) -> Endpoints:
        """Raises ProviderDown, ProviderUnproven."""
        issuer = self._registration.issuer
        async with self._finding:
            if self._endpoints is None or self._endpoints[0] < self._clock():
                document = await self._get(document_of(issuer))
                try:
                    self._endpoints = (self._clock() + KNOWN_S, read_document(document, issuer))
                except BadDocument as error:
                    self._failed = (self._clock() + SILENT_S, ProviderUnproven)
                    raise self._unproven(f"its document: {error}") from error
            return self._endpoints[1]

    async def _exchange(self, endpoints: Endpoints, asked: Asked, code: str) -> str:
        """The ID token. Raises ProviderUnproven."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked.back,
            "code_verifier": asked.verifier,
        }
        headers: dict[str, str] = {}
        client_id, secret = self._registration.client_id, self._registration.client_secret
        if secret and not endpoints.posts_secret:  # RFC 6749, §2.3.1: each half form-encoded, then Basic
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        try:
            given = await self._line.post(endpoints.token, form, headers)
        except NoAnswer as error:
            raise self._unproven(f"its token address: {error}") from error
        token = given.get("id_token")
        if not isinstance(token, str):
            raise self._unproven("it gave no ID token")
        return token

    async def _read(self, token: str, asked: Asked) -> Claims:
        """Raises ProviderDown, ProviderUnproven."""
        known = self._registration
        expected = Expected(known.issuer, known.client_id, asked.nonce, self._now())
        try:
            try:
                return read_id_token(token, await self._find_keys(), expected)
            except UnknownKey:
                self._keys = None
                return read_id_token(token, await self._find_keys(), expected)
        except BadToken as error:
            raise self._unproven(f"its ID token: {error}") from error

    async def _find_keys(self) -> dict[str, Any]:
        endpoints = await self._find_endpoints()
        async with self._finding:
            if self._keys is None or self._keys[0] < self._clock():
                self._keys = (self._clock() + KNOWN_S, await self._get(endpoints.keys))
            return self._keys[1]

    async def _get(self, url: str) -> dict[str, Any]:
        """By whoever holds ``_finding``. Raises what the last one raised, where that is not long ago."""
        if self._failed is not None and self._clock() < self._failed[0]:
            raise self._failed[1](provider=self.name)
        try:
            return await self._line.get(url)
        except NoAnswer as error:
            self._failed = (self._clock() + SILENT_S, ProviderDown)
            log.warning("a provider does not answer as it should", url=url, reason=str(error))
            raise ProviderDown(provider=self.name) from error

    def _unproven(self, reason: str) -> ProviderUnproven:
        log.warning("a provider did not prove who somebody is", issuer=self._registration.issuer, reason=reason)
        return ProviderUnproven(provider=self.name)
