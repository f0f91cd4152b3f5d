"""The data folder: private to its owner, used by one server at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from commun.errors import DataFolderBusy

LOCK_FILE: Final = "commun.lock"


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
