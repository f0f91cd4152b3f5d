"""The published charter on disk: a folder of static files, read with distrust and written with one commit point.

The folder may have been copied from anywhere, and others may write to it while it is read. Rules for reading:

- a name is one that the layout has (``is_repository_name``): no way leads out of the folder;
- no symbolic link is followed below the folder, neither a file's nor a parent's; only regular files are read (a FIFO or
  a device would never end);
- every read has a bound; a file beyond it is refused before it is read, and one that grows while it is read as well.

Rules for writing (``publish``), one writer at a time (a lock that the system drops with the process):

1. the new files are checked in memory, seen as they would lie in the folder;
2. each is written beside its place, flushed to the disk and renamed into it. Nothing refers to them yet: readers follow
   ``metadata/timestamp.json``, which still names the edition before;
3. they are checked again as they now lie on the disk;
4. ``metadata/timestamp.json`` is replaced. THE COMMIT POINT: before it the old edition is in force, after it the new.

Where a folder, a link or a device lies in the place of a file that is to be written, of the lock, or of what is
written beside a file (``STAGED``), or a file in the place of a folder, nothing is put in force: UnsafeName. A full disk
stays OSError.

A crash leaves the old edition, or the new one, and at most files that nothing refers to. Recovery is running the same
publication again: what is there with the same bytes stays, what is there of an unfinished one is replaced.
"""

import contextlib
import errno
import os
import re
import stat as stat_module
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from commun.charter.errors import CharterError, MixedEditions, TooLarge, UnsafeName
from commun.errors import N_
from commun.plain_open import PLAIN, open_below

METADATA: Final = "metadata"
TARGETS: Final = "targets"
FREEZES: Final = "freezes"
AMENDMENTS: Final = "amendments"
TIMESTAMP: Final = "metadata/timestamp.json"
LOCK: Final = ".lock"
STAGED: Final = ".staged"  # the end of a file's name while it is being written
MAX_NAME: Final = 200  # characters; file systems allow 255 bytes in each part
MAX_DEPTH: Final = 2  # folders in each other
MAX_LISTED: Final = 20_000  # names looked at in one folder; a history of a thousand editions has some 5,000

_NUMBER: Final = r"[1-9][0-9]{0,8}"
_NAME: Final = re.compile(
    rf"metadata/(?:timestamp|{_NUMBER}\.(?:root|targets|snapshot|timestamp|assents))\.json"
    r"|targets/(?:[a-z]+/)?[0-9a-f]{64}\.[A-Za-z0-9][A-Za-z0-9._-]*"
    rf"|freezes/{_NUMBER}\.(?:freeze|unfreeze)\.json"
    r"|amendments/[0-9a-f]{12}\.amendment"
)


class RepositoryBusy(CharterError):
    """Another process is publishing. ``details``: none."""

    code = "charter_busy"
    status = 409
    problem = N_("Somebody else is writing to the published charter at this moment.")
    cure = N_("Try again in a moment.")


def root_name(version: int) -> str:
    return f"metadata/{version}.root.json"


def targets_name(edition: int) -> str:
    return f"metadata/{edition}.targets.json"


def snapshot_name(edition: int) -> str:
    return f"metadata/{edition}.snapshot.json"


def timestamp_name(edition: int) -> str:
    """The copy that stays when the next edition's replaces TIMESTAMP."""
    return f"metadata/{edition}.timestamp.json"


def assents_name(edition: int) -> str:
    return f"metadata/{edition}.assents.json"


def freeze_name(edition: int) -> str:
    return f"freezes/{edition}.freeze.json"


def unfreeze_name(edition: int) -> str:
    return f"freezes/{edition}.unfreeze.json"


def target_name(path: str, sha256: str) -> str:
    """TUF's naming by digest: ``prompts/x.md`` is ``targets/prompts/<sha256>.x.md``."""
    folder, slash, name = path.rpartition("/")
    return f"{TARGETS}/{folder}{slash}{sha256}.{name}"


def is_repository_name(name: str) -> bool:
    """Whether a file of this name may lie in a published charter."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


class Repository:
    """``folder`` need not exist. ``staged``: files that are seen as if they lay in it, by name."""

    def __init__(self, folder: Path, *, staged: Mapping[str, bytes] | None = None) -> None:
        self.folder = folder
        self._staged = dict(staged or {})
        self._holder: int | None = None  # the thread that holds the lock

    def has_charter(self) -> bool:
        return TIMESTAMP in self._staged or os.path.lexists(self.folder / TIMESTAMP)

    def find(self, name: str, *, limit: int) -> bytes | None:
        """A file's bytes, or None where there is none. Raises UnsafeName, TooLarge."""
        if not is_repository_name(name):
            raise UnsafeName(file="charter", reason="a file name that no charter has")
        if name in self._staged:
            return self._staged[name]
        return read_regular(self.folder, name, limit=limit)

    def get(self, name: str, *, limit: int) -> bytes:
        """As ``find``; raises MixedEditions where the file is missing."""
        data = self.find(name, limit=limit)
        if data is None:
            raise MixedEditions(file=name, reason="the file is missing")
        return data

    def names(self, folder: str) -> tuple[str, ...]:
        """What lies under ``folder`` ("" for all), sorted, whatever it is; links are named and not followed, nor are
        folders deeper than any that the layout has.
        """
        return tuple(sorted(_list(self.folder, folder)))

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever an edition, a freeze or a release is published. Two calls of os.stat, nothing read."""
        return (*_stamp_of(self.folder / TIMESTAMP), *_stamp_of(self.folder / FREEZES))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes while this is held, no other thread either; within itself it does nothing.

        Raises RepositoryBusy.
        """
        if self._holder == threading.get_ident():
            yield
            return
        make_folder(self.folder)
        with file_lock(self.folder / LOCK, wait=False):
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None

    def put(self, name: str, data: bytes) -> None:
        """One document, at once or not at all: amendments and freezes."""
        if not is_repository_name(name) or not name.startswith((f"{AMENDMENTS}/", f"{FREEZES}/")):
            raise UnsafeName(file="charter", reason="a file name that is not written alone")
        with self.locked():
            write_durably(self.folder, name, data)

    def remove(self, name: str) -> None:
        """An amendment that is done with. Nothing that was adopted can be removed."""
        if not is_repository_name(name) or not name.startswith(f"{AMENDMENTS}/"):
            raise UnsafeName(file="charter", reason="a file that is not removed")
        with self.locked(), _plain_only(name):
            (self.folder / name).unlink(missing_ok=True)

    def publish(self, files: Mapping[str, bytes], *, check: Callable[["Repository"], object]) -> None:
        """A new edition, TIMESTAMP among its files. ``check`` raises where the folder would not hold with them.

        Nothing is in force before the last line. Raises what ``check`` raises, UnsafeName, RepositoryBusy.
        """
        if TIMESTAMP not in files or not all(map(is_repository_name, files)):
            raise UnsafeName(file="charter", reason="a file name that no edition has")
        with self.locked():
            check(Repository(self.folder, staged=files))
            commit = {TIMESTAMP: files[TIMESTAMP]}
            for name in sorted(files.keys() - commit.keys()):
                write_durably(self.folder, name, files[name])
                _reached(name)
            check(Repository(self.folder, staged=commit))  # now as the disk has them
            _reached("before commit")
            write_durably(self.folder, TIMESTAMP, files[TIMESTAMP])  # THE COMMIT POINT
            _reached("after commit")


def _reached(_point: str) -> None:
    """A point where the process may die; the crash test kills it here."""


def read_regular(folder: Path, name: str, *, limit: int) -> bytes | None:
    """``folder / name``, whose parts are safe names, following no link below ``folder``; None where it is missing.

    Raises UnsafeName (a link, a device, a FIFO), TooLarge.
    """
    try:
        handle = open_below(folder, name.split("/"))
    except FileNotFoundError:
        return None
    except OSError as error:  # ELOOP for a link, ENOTDIR for a link or file among the parents, EACCES, ENXIO
        raise UnsafeName(file=name, reason="it cannot be opened as a plain file") from error
    try:
        return _read_handle(handle, name, limit)
    except OSError as error:
        raise UnsafeName(file=name, reason="the disk does not give it") from error
    finally:
        os.close(handle)


def _read_handle(handle: int, name: str, limit: int) -> bytes:
    status = os.fstat(handle)
    if not stat_module.S_ISREG(status.st_mode):
        raise UnsafeName(file=name, reason="it is not a plain file")
    if status.st_size > limit:
        raise TooLarge(file=name, reason="longer than its bound")
    with os.fdopen(handle, "rb", closefd=False) as file:
        data = file.read(limit + 1)  # it may have grown since
    if len(data) > limit:
        raise TooLarge(file=name, reason="longer than its bound")
    return data


_WRITE: Final[int] = os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN


def _list(root: Path, folder: str) -> Iterator[str]:
    looked_at, waiting = 0, [folder]
    while waiting:
        prefix = waiting.pop()
        try:
            entries = os.scandir(root / prefix)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnsafeName(file=folder or "charter", reason="it cannot be read as a folder") from error
        with entries:
            for entry in entries:
                looked_at += 1
                if looked_at > MAX_LISTED:
                    raise TooLarge(file=folder or "charter", reason="more files than can be looked through")
                name = f"{prefix}/{entry.name}" if prefix else entry.name
                if entry.is_dir(follow_symlinks=False) and name.count("/") < MAX_DEPTH:
                    waiting.append(name)
                else:
                    yield name


def _stamp_of(path: Path) -> tuple[int, ...]:
    try:
        status = path.lstat()
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def write_durably(folder: Path, name: str, data: bytes) -> None:
    """Written beside its place, on the disk before it is renamed, and the renaming on the disk before this returns."""
    path = folder / name
    with _plain_only(name):
        _make_parents(folder, path)
        if not _is_there(path, data):
            staged = path.with_name(path.name + STAGED)
            staged.unlink(missing_ok=True)
            handle = os.open(staged, _WRITE, 0o644)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            _reached(f"{name} beside its place")
            staged.replace(path)
        _sync_folder(path.parent)


# What the system says where something else lies in the place of a plain file or of a folder.
_NOT_PLAIN: Final = frozenset(
    {errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENOTEMPTY, errno.ENXIO, errno.EPERM, errno.EACCES}
)


@contextlib.contextmanager
def _plain_only(name: str) -> Iterator[None]:
    """Raises UnsafeName for the system's refusals that come of what lies there; others stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_PLAIN:
            raise
        raise UnsafeName(file=name, reason="it cannot be written as a plain file") from error


def make_folder(folder: Path) -> None:
    """With its parents. Raises UnsafeName where a file or a dangling link lies there."""
    with _plain_only(folder.name):
        folder.mkdir(parents=True, exist_ok=True)


def _make_parents(folder: Path, path: Path) -> None:
    parents = list(path.relative_to(folder).parents)[-2::-1]  # from the folder inwards, without the folder itself
    for parent in (folder / relative for relative in parents):
        if parent.is_symlink():
            raise UnsafeName(file=parent.name, reason="it is a link and not a folder")
        if not parent.is_dir():
            parent.mkdir()
            _sync_folder(parent.parent)


def _is_there(path: Path, data: bytes) -> bool:
    """Whether an unfinished publication has already written these very bytes."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != len(data):
        return False
    return path.read_bytes() == data


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool) -> Iterator[None]:
    """Held by one at a time. Without POSIX there is no lock: whoever lets two write at once there must take care alone.

    Raises RepositoryBusy where it is not to ``wait``, UnsafeName.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with _plain_only(path.name):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | PLAIN, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        raise RepositoryBusy from error
    else:
        yield
    finally:
        os.close(handle)  # the system drops the lock with it, also where the process dies
