"""What a provider says of itself (OpenID Connect Discovery 1.0, §3), checked.

- ``issuer`` is the operator's setting, to the letter: a document that speaks for another one is refused.
- Every address that we use is one that it may have (``addresses.py``).
- What we do not use is not looked at.
"""

from dataclasses import dataclass
from typing import Any, Final

from commun.openid.addresses import is_near, is_usable

DOCUMENT: Final = "/.well-known/openid-configuration"
BASIC, POST, NONE = "client_secret_basic", "client_secret_post", "none"


class BadDocument(Exception):
    """``args[0]``: why, for the log."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """``says_issuer``: it names itself when it sends somebody back (RFC 9207), always. ``scopes``: what is asked for:
    who it is and, where the provider knows that word, what it calls the person.
    """

    authorization: str
    token: str
    keys: str
    says_issuer: bool
    scopes: str
    posts_secret: bool


def document_of(issuer: str) -> str:
    return issuer.rstrip("/") + DOCUMENT


def read_document(document: dict[str, Any], issuer: str) -> Endpoints:
    """Raises BadDocument."""
    if document.get("issuer") != issuer:
        raise BadDocument(f"it calls itself {str(document.get('issuer'))[:200]!a}, not {issuer!a}")
    methods = _words(document, "token_endpoint_auth_methods_supported") or {BASIC}
    return Endpoints(
        authorization=_address(document, "authorization_endpoint", issuer),
        token=_address(document, "token_endpoint", issuer),
        keys=_address(document, "jwks_uri", issuer),
        says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        scopes="openid profile" if "profile" in _words(document, "scopes_supported") else "openid",
        posts_secret=BASIC not in methods and POST in methods,
    )


def _address(document: dict[str, Any], name: str, issuer: str) -> str:
    url = document.get(name)
    if not isinstance(url, str) or not is_usable(url, near=is_near(issuer)):
        raise BadDocument(f"its {name} is no address that it may have: {str(url)[:200]!a}")
    return url


def _words(document: dict[str, Any], name: str) -> frozenset[str]:
    found = document.get(name)
    return frozenset(word for word in found if isinstance(word, str)) if isinstance(found, list) else frozenset()
