"""The ID token: what a provider signs about whoever signed in (OpenID Connect Core 1.0, §3.1.3.7), checked.

In this order:

1. it is a signed token of three parts (joserfc's bounds), of no other type than a plain one (``at+jwt``, ``logout+jwt``
   are made for something else), its algorithm one of ALGORITHMS: a public key's. ``none`` and the ``HS…`` family, in
   which whoever checks could sign as well, are not among them;
2. the key is one of the provider's set: the one that the token names, or any where it names none; made for signing, and
   an RSA key of 2,048 bits at least. What the token's own head says of keys (``jwk``, ``jku``, ``x5c``) is not read;
3. ``iss`` is the issuer, to the letter;
4. ``aud`` is us; where it is others, too, ``azp`` says that it was made for us; an ``azp`` is us in any case;
5. ``exp`` has not come and ``iat`` is not ahead, with LEEWAY_S for clocks that differ, and ``iat`` is no older than
   OLDEST_S: the token was made for this try;
6. ``nonce`` is that of this try, compared in constant time;
7. ``sub`` is a text of 1 to 255 characters. No text is taken that UTF-8 cannot write (JSON can: half a surrogate).

Refuses with BadToken, and UnknownKey where no key of the set is the one that the token names.
"""

import base64
import binascii
import contextlib
import hmac
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
LEEWAY_S: Final = 120.0
OLDEST_S: Final = 900.0
MOST_KEYS: Final = 32
LEAST_RSA_BITS: Final = 2048
MOST_SUB: Final = 255
_HEAD_BYTES: Final = 8192  # a chain of certificates may stand in it


class BadToken(Exception):
    """``args[0]``: why, for the log."""


class UnknownKey(BadToken):
    """Perhaps the provider has changed its keys since they were read."""


@dataclass(frozen=True, slots=True)
class Expected:
    issuer: str
    client_id: str
    nonce: str
    now: float


@dataclass(frozen=True, slots=True)
class Claims:
    """``subject``: the provider's own number for the person, never given to another. ``proposed``: what it calls them,
    or "": nothing to know anybody by.
    """

    subject: str
    proposed: str


def read_id_token(token: str, key_set: dict[str, Any], expected: Expected) -> Claims:
    """``key_set``: a JWK Set as the provider publishes it. Raises BadToken, UnknownKey."""
    claims = _verified(token, key_set)
    if claims.get("iss") != expected.issuer:
        raise BadToken("iss is another issuer")
    _check_audience(claims, expected.client_id)
    _check_times(claims, expected.now)
    nonce = claims.get("nonce")
    if not _is_text(nonce) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise BadToken("nonce is not that of this try")
    subject = claims.get("sub")
    if not _is_text(subject) or not 1 <= len(subject) <= MOST_SUB:
        raise BadToken("sub is no text of a bearable length")
    return Claims(subject, _proposed(claims))


def _verified(token: str, key_set: dict[str, Any]) -> dict[str, Any]:
    from joserfc import jws, jwt
    from joserfc.errors import JoseError

    registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    registry.max_header_length = _HEAD_BYTES
    keys = _keys(key_set, _named_key(token, registry))
    for key in keys:
        with contextlib.suppress(JoseError, ValueError, TypeError):
            return jwt.decode(token, key, registry=registry).claims
    raise BadToken("no key of the provider has signed it")


def _named_key(token: str, registry: Any) -> str | None:
    """Its head is read before its signature: only for which key to try, and whether its algorithm may be tried."""
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        head = jws.extract_compact(token.encode(), registry=registry).headers()
        registry.get_alg(str(head.get("alg")))
    except (JoseError, ValueError, TypeError) as error:
        raise BadToken(f"its head: {type(error).__name__}") from error
    if str(head.get("typ", "JWT")).upper() != "JWT":
        raise BadToken("its head: it was made for something else")
    named = head.get("kid")
    return named if isinstance(named, str) else None


def _keys(key_set: dict[str, Any], named: str | None) -> list[Any]:
    """Raises UnknownKey."""
    found = key_set.get("keys")
    given = [key for key in found[:MOST_KEYS] if isinstance(key, dict)] if isinstance(found, list) else []
    usable = [key for key in (_imported(each) for each in given if _is_meant(each, named)) if key is not None]
    if not usable:
        raise UnknownKey("the provider publishes no such key")
    return usable


def _is_meant(key: dict[str, Any], named: str | None) -> bool:
    return key.get("use", "sig") == "sig" and (named is None or key.get("kid") == named)


def _imported(key: dict[str, Any]) -> Any:
    """None for what is no public key that signs."""
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    kinds: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(str(key.get("kty")))
    if kind is None or (kind is RSAKey and _bits(key.get("n")) < LEAST_RSA_BITS):
        return None
    try:
        return kind.import_key(key)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _bits(number: object) -> int:
    """Of a number as JSON Web Keys write it."""
    try:
        return int.from_bytes(base64.urlsafe_b64decode(f"{number}==")).bit_length()
    except (ValueError, binascii.Error):
        return 0


def _check_audience(claims: dict[str, Any], client_id: str) -> None:
    audience, party = claims.get("aud"), claims.get("azp")
    named = audience if isinstance(audience, list) else [audience]
    if client_id not in named:
        raise BadToken("aud is somebody else")
    if (len(named) > 1 or party is not None) and party != client_id:
        raise BadToken("azp is somebody else")


def _check_times(claims: dict[str, Any], now: float) -> None:
    if not _moment(claims, "exp") > now - LEEWAY_S:
        raise BadToken("it has expired")
    if not now - OLDEST_S <= _moment(claims, "iat") <= now + LEEWAY_S:
        raise BadToken("it was not made now")
    if "nbf" in claims and not _moment(claims, "nbf") <= now + LEEWAY_S:
        raise BadToken("it does not hold yet")


def _moment(claims: dict[str, Any], name: str) -> float:
    """Seconds since 1970. Raises BadToken."""
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise BadToken(f"{name} is no moment")
    return found


def _proposed(claims: dict[str, Any]) -> str:
    for name in ("preferred_username", "nickname", "name"):
        found = claims.get(name)
        if _is_text(found) and found.strip():
            return found.strip()[:100]
    return ""


def _is_text(found: object) -> TypeGuard[str]:
    """Which UTF-8 can write."""
    if not isinstance(found, str):
        return False
    try:
        found.encode()
    except UnicodeEncodeError:
        return False
    return True
