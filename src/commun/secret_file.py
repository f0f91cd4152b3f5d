"""A file for its owner's eyes only: private from its first moment, there whole or not at all, and never in the place of
another.

Part of the trust ring: the standard library alone. What is in it (a sealed key, a seed) is for who asks.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from commun.plain_open import FOLDER, PLAIN

_NEW: Final[int] = os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN
_PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700


def write_secret(path: Path, data: bytes) -> None:
    """On the disk when this returns. Raises FileExistsError where something is there already, and OSError."""
    path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, _NEW, _PRIVATE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        path.hardlink_to(beside)  # unlike a renaming, it takes nobody's place
    finally:
        beside.unlink()
    _sync(path.parent)


def _sync(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, FOLDER)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
