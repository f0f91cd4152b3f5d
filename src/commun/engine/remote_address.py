"""What may stand as the address of a model on another server."""

from urllib.parse import urlsplit

from commun.errors import ModelError


def check_address(url: str) -> None:
    """Raises ModelError for anything but an http(s) address without credentials."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(model=url, reason="not an http(s) address")
    if parts.username or parts.password:
        raise ModelError(model=parts.hostname, reason="credentials belong in the setting remote_key")
