"""A log's files on disk: read with distrust, put in place whole, written by one process at a time.

The layout is C2SP tlog-tiles' (``checkpoint``, ``tile/…``), so that any web server can publish the folder as it is.
Two names more are the writer's own and nobody else's business: ``.lock`` and ``.staged`` (``staging.py``).

Reading (``LogFolder``):

- a name is a tile's path or one of ours: no way leads out of the folder;
- no symbolic link is followed below the folder, neither a file's nor a parent's; only regular files are read;
- every read has a bound, that of what the file can be at most.

Writing: ``put`` makes a file appear whole or not at all, for those who read meanwhile. To make it last is ``settle``'s,
for many files at once; until then ``staging.py`` has a durable copy of what the log put.

Raises UnsafeLedgerFile, LedgerBusy; ``put`` and ``settle`` also OSError, which the writer knows what to do about.
"""

import contextlib
import os
import stat as stat_module
import sys
from pathlib import Path
from typing import Final, Protocol

from commun.errors import N_
from commun.ledger.errors import LedgerError
from commun.ledger.merkle import HASH_SIZE
from commun.ledger.note import MAX_NOTE_BYTES
from commun.ledger.tiles import MAX_ENTRIES_BYTES, TILE_WIDTH, Tile
from commun.plain_open import FOLDER, PLAIN, open_below

CHECKPOINT: Final = "checkpoint"
TILES: Final = "tile"
LOCK: Final = ".lock"
BESIDE: Final = ".beside"  # the one file that is being written
PARTIAL: Final = ".p"  # the end of the name of a folder of partial tiles

_WRITE: Final[int] = os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN
_CHANGE: Final[int] = os.O_RDWR | os.O_CREAT | PLAIN


class UnsafeLedgerFile(LedgerError):
    """A link, a device, a file beyond its bound, or one that the disk does not give. ``details``: ``file``, ``reason``
    (``file``: one of the layout's own names).
    """

    code = "ledger_unsafe_file"
    problem = N_("A file of the ledger cannot be read, %(file)s: %(reason)s.")


class LedgerBusy(LedgerError):
    """Another process has this ledger open for writing."""

    code = "ledger_busy"
    status = 409
    problem = N_("Another process is writing to this ledger.")
    cure = N_("Stop the other one first: a ledger has one writer.")


class LogReader(Protocol):
    """A log's files, wherever they are. Nothing that it gives has been verified."""

    def find_checkpoint(self) -> bytes | None:
        """At most MAX_NOTE_BYTES."""

    def find(self, tile: Tile) -> bytes | None:
        """At most ``most_bytes(tile)``."""


def most_bytes(tile: Tile) -> int:
    """What such a file can hold at most."""
    return MAX_ENTRIES_BYTES if tile.level is None else TILE_WIDTH * HASH_SIZE


class LogFolder:
    """``folder`` may have come from anywhere; it need not exist to be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fresh: set[Path] = set()  # put in place since the last ``settle``

    def find_checkpoint(self) -> bytes | None:
        return read_regular(self.folder, CHECKPOINT, limit=MAX_NOTE_BYTES)

    def find(self, tile: Tile) -> bytes | None:
        return read_regular(self.folder, tile.path(), limit=most_bytes(tile))

    def is_empty(self) -> bool:
        """Whether no log has ever been here."""
        return not any(os.path.lexists(self.folder / name) for name in (CHECKPOINT, TILES))

    def put(self, name: str, data: bytes, *, lasting: bool = False) -> None:
        """Whoever reads sees the old file or the new one. ``name``: CHECKPOINT or a tile's path. ``lasting``: so does
        who reads after a power failure; for what nothing else has a durable copy of.
        """
        path, beside = self.folder / name, self.folder / BESIDE
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        handle = os.open(beside, _WRITE, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if lasting:
                file.flush()
                os.fsync(handle)
        beside.replace(path)
        if lasting:
            sync_folder(path.parent)
        self._fresh.add(path)

    def settle(self) -> None:
        """All that was put is on the disk when this returns, and so are the folders above it."""
        if sys.platform == "linux":
            os.sync()  # in one go; then each file is asked for its own errors, which costs little
        folders: set[Path] = set()
        for path in self._fresh:
            with contextlib.suppress(FileNotFoundError):  # pruned since
                sync(path)
            folders.update(parent for parent in path.parents if parent.is_relative_to(self.folder))
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):
                sync_folder(folder)
        self._fresh.clear()

    def prune(self, full: Tile) -> None:
        """The partial tiles that a full one has taken the place of."""
        folder = self.folder / (full.path() + PARTIAL)
        if folder.is_symlink() or not folder.is_dir():
            return
        for width in range(1, TILE_WIDTH):
            (folder / str(width)).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something lies there that is not ours
            folder.rmdir()


class Lock:
    """Held by one process at a time; the system drops it with the process. Raises LedgerBusy.

    Without POSIX there is no lock: whoever lets two processes write there must take care alone.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._handle: int | None = None
        try:
            import fcntl
        except ImportError:
            return
        handle = os.open(folder / LOCK, _CHANGE, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise LedgerBusy from error
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def open_to_change(path: Path) -> int:
    """A file of the writer's own, made where it is not; no link is followed."""
    return os.open(path, _CHANGE, 0o644)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | PLAIN)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, FOLDER)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_regular(folder: Path, name: str, *, limit: int) -> bytes | None:
    """``folder / name``, whose parts are safe names; None where it is missing. Raises UnsafeLedgerFile."""
    try:
        handle = open_below(folder, name.split("/"))
    except FileNotFoundError:
        return None
    except OSError as error:  # ELOOP for a link, ENOTDIR for a link or file among the parents, EACCES, ENXIO
        raise UnsafeLedgerFile(file=name, reason="it cannot be opened as a plain file") from error
    try:
        return _read(handle, name, limit)
    except OSError as error:
        raise UnsafeLedgerFile(file=name, reason="the disk does not give it") from error
    finally:
        os.close(handle)


def _read(handle: int, name: str, limit: int) -> bytes:
    status = os.fstat(handle)
    if not stat_module.S_ISREG(status.st_mode):
        raise UnsafeLedgerFile(file=name, reason="it is not a plain file")
    if status.st_size > limit:
        raise UnsafeLedgerFile(file=name, reason="it is longer than its bound")
    with os.fdopen(handle, "rb", closefd=False) as file:
        data = file.read(limit + 1)  # it may have grown since
    if len(data) > limit:
        raise UnsafeLedgerFile(file=name, reason="it is longer than its bound")
    return data
