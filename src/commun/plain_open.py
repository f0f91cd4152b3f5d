"""Opening a file below a folder that others may write to: no link is followed, not even among the parents.

Part of the trust ring: the standard library alone. Whether what was opened is a plain file, and how much of it is read,
is for who asks: ``charter/repository.py`` and ``ledger/files.py``.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)
PLAIN: Final[int] = NO_LINK | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
FOLDER: Final[int] = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_READ: Final[int] = os.O_RDONLY | PLAIN | getattr(os, "O_NONBLOCK", 0)  # a FIFO must not hold the reader


def open_below(folder: Path, parts: list[str]) -> int:
    """Part by part from the folder's own handle, so that no parent can be swapped for a link in between. Raises
    OSError.
    """
    if os.open not in os.supports_dir_fd:
        return _open_by_path(folder, parts)
    at = os.open(folder, FOLDER)
    try:
        for part in parts[:-1]:
            below = os.open(part, FOLDER | NO_LINK, dir_fd=at)
            os.close(at)
            at = below
        return os.open(parts[-1], _READ, dir_fd=at)
    finally:
        os.close(at)


def _open_by_path(folder: Path, parts: Iterable[str]) -> int:
    """Where the system opens nothing relative to a handle (Windows): links are looked for, not excluded."""
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise OSError("a link")
    return os.open(path, _READ)
