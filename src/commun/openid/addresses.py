"""Which addresses a provider may have.

Rules:

- ``https``; ``http`` only on this machine (``localhost`` and its addresses), and only where the issuer is there, too: a
  provider elsewhere cannot point at a server that trusts whatever comes from its own machine;
- no user, no fragment, nothing that is not plain ASCII; the issuer has no query (OpenID Connect Discovery 1.0, §2).
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

MAX_ADDRESS: Final = 2048
_FORBIDDEN: Final = frozenset(" \"'<>\\^`{|}#;")


def is_usable(url: str, *, near: bool) -> bool:
    """``near``: plain http to this machine will do."""
    if len(url) > MAX_ADDRESS or not url.isascii() or not url.isprintable() or _FORBIDDEN & set(url):
        return False
    try:
        parts = urlsplit(url)
        named = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not named or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and near and _is_this_machine(named))


def is_near(issuer: str) -> bool:
    """Whether the issuer is on this machine, spoken to without TLS."""
    return is_usable(issuer, near=True) and urlsplit(issuer).scheme == "http"


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
