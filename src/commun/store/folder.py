"""The data folder: private to its owner, used by one server at a time."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from sqlalchemy.exc import DBAPIError

from commun.errors import N_, DataFolderBusy, DataFolderUnusable

LOCK_FILE: Final = "commun.lock"

_NOT_WRITABLE: Final = N_("who runs Commun may not write there")
_FULL: Final = N_("there is no space left")
_OF_SYSTEM: Final = {
    errno.EACCES: _NOT_WRITABLE,
    errno.EPERM: _NOT_WRITABLE,
    errno.EROFS: _NOT_WRITABLE,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EEXIST: N_("it is a file and no folder"),
    errno.ENOTDIR: N_("it lies in a file and not in a folder"),
}
_OF_SQLITE: Final = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
}


def find_reason(error: BaseException, home: Path) -> str | None:
    """Why the system or SQLite refuses to work in the folder; None where ``error`` does not say that of this folder."""
    if isinstance(error, OSError):
        return _OF_SYSTEM.get(error.errno or 0) if _is_about(error, home) else None
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.Error):
        return None
    return _OF_SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)  # the lower byte: without the further code


def _is_about(error: OSError, home: Path) -> bool:
    """A file of the folder, or a folder that it lies in. What fills the disk names no file."""
    if error.filename is None:
        return _OF_SYSTEM.get(error.errno or 0) == _FULL
    place = Path(os.fsdecode(error.filename))
    return place.is_relative_to(home) or home.is_relative_to(place)


@contextmanager
def usable(home: Path) -> Iterator[None]:
    """What the system or SQLite refuses inside is raised as DataFolderUnusable, all else as it is."""
    try:
        yield
    except Exception as error:
        reason = find_reason(error, home)
        if reason is None:
            raise
        raise DataFolderUnusable(home=str(home), reason=reason) from error


def private_folder(path: Path) -> None:
    """Makes the folder, 0700. One that exists keeps its rights: they are its owner's decision."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def private_file(path: Path) -> None:
    """Makes the file, 0600, before anything is written to it; SQLite gives its -wal and -shm the same rights."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


class FolderLock:
    """``flock`` on a file of the folder: the kernel lets it go when the process dies, however it dies."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file: int | None = None

    def take(self) -> None:
        """Raises DataFolderBusy at once when another process holds it."""
        file = os.open(self._home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise DataFolderBusy(home=str(self._home)) from error
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> None:
        self.take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
