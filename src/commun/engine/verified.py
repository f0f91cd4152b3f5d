"""Are these the bytes that were adopted? Asked before each load, at its end, and again while they are in use.

- before a load every byte is hashed, however large the files are: no record of an earlier check is trusted, because
  whoever can write the files can write the record (1 GB takes about half a second with a processor's own SHA-256);
- nothing else may lie in the folder, no file and no folder: the engine reads some files only when they are there (a
  chat template, defaults). The look ends at the first name that is not wanted, however many there are;
- marks are taken before the hash: kind, size, times and inode of each file and folder, and of the folder around
  (``models/<id>``). Whatever changes one of them afterwards, also by being put back as it was, ends the truth of this
  object: nothing makes it true again but a new one, which hashes everything. So what was loaded is what was hashed,
  if ``check`` still passes after the load;
- every HASH_AGAIN_S seconds everything is hashed in use, too: a disk's own errors leave no mark.

What leaves no mark is not seen between two hashes: a process that had a file mapped for writing before the first, and
a folder further up that is moved away and back. Both take the account that Commun runs under, or root.
"""

import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from commun.engine.manifest import CHECKING, FileEntry, Manifest, Progress, check_files
from commun.errors import CorruptModel

__all__ = ["CHECKING", "HASH_AGAIN_S", "VerifiedFiles", "private_copy"]

HASH_AGAIN_S: Final = 3600.0
HASH_TRIES: Final = 3  # where the marks change while the files are hashed

Marks = tuple[tuple[str, int, int, int, int, int], ...]


class VerifiedFiles:
    """The files of one model in one folder. ``beside``: names that may lie there and are never loaded.

    Made only of files that are right: raises CorruptModel otherwise. All methods block.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[FileEntry],
        *,
        model: str,
        progress: Progress,
        beside: frozenset[str] = frozenset(),
    ) -> None:
        self._folder = folder.resolve()  # a link on the way here may point elsewhere later
        self._files = tuple(files)
        self._model = model
        self._beside = beside
        self._wanted = {entry.path for entry in files}
        self._folders = {
            parent.as_posix() for path in self._wanted for parent in PurePosixPath(path).parents if parent.name
        }
        self._finding: CorruptModel | None = None
        for _ in range(HASH_TRIES):
            self._marks = self._look()
            self._hash(progress)
            if self._look() == self._marks:
                return
        raise self._corrupt("its files change while they are checked")

    @property
    def folder(self) -> Path:
        """Where they lie, without a link on the way: load them from here."""
        return self._folder

    def marks(self) -> object:
        """Something that is equal as long as nothing was changed. Raises nothing."""
        try:
            return self._look()
        except CorruptModel as error:
            return error.details["reason"]

    def check(self) -> None:
        """Raises CorruptModel if anything was changed since they were hashed; then for ever."""
        if self._finding is None:
            try:
                if self._look() != self._marks:
                    raise self._corrupt("its files were changed")
                if time.monotonic() - self._hashed_at > HASH_AGAIN_S:
                    self._hash(lambda *_: None)
            except CorruptModel as finding:
                self._finding = finding
        if self._finding is not None:
            raise self._finding.with_traceback(None)

    def _hash(self, progress: Progress) -> None:
        self._hashed_at = time.monotonic()
        check_files(self._folder, self._files, model=self._model, progress=progress)

    def _look(self) -> Marks:
        """Raises CorruptModel for whatever is not wanted."""
        try:
            marks = [_mark("..", self._folder.parent.lstat()), _mark(".", self._folder.lstat())]
            marks += self._look_into(self._folder, "")
        except OSError as error:
            raise self._corrupt("its folder cannot be read") from error
        return tuple(sorted(marks))

    def _look_into(self, folder: Path, prefix: str) -> Iterator[tuple[str, int, int, int, int, int]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                name, state = prefix + entry.name, entry.stat(follow_symlinks=False)
                if stat.S_ISLNK(state.st_mode):
                    raise self._corrupt("a link stands in the place of a file")
                if stat.S_ISDIR(state.st_mode):
                    if name not in self._folders:
                        raise self._corrupt("a folder lies beside the model's own files")
                    yield from self._look_into(folder / entry.name, f"{name}/")
                elif name not in self._wanted and name not in self._beside:
                    raise self._corrupt("a file lies beside the model's own")
                elif not stat.S_ISREG(state.st_mode):
                    raise self._corrupt("something that is no file stands in the place of a file")
                yield _mark(name, state)

    def _corrupt(self, reason: str) -> CorruptModel:
        return CorruptModel(model=self._model, reason=reason)


def _mark(name: str, state: os.stat_result) -> tuple[str, int, int, int, int, int]:
    return name, state.st_mode, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


@contextmanager
def private_copy(original: Path, manifest: Manifest, staging: Path, progress: Progress) -> Iterator[Path]:
    """A verified copy of the manifest's one file in ``original``, while it is read; gone afterwards. A link would not
    do: whoever writes to the file under its other name would write to this one.

    Raises CorruptModel unless the copy is, and until the end stays, that file.
    """
    if len(manifest.files) != 1:
        raise CorruptModel(model=manifest.id, reason="it has several files, where one is expected")
    (file,) = manifest.files
    copy = staging / "copy"
    copy.mkdir(mode=0o700)
    try:
        state = (original / file.path).lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_size != file.size:
            raise CorruptModel(model=manifest.id, reason=f"{file.path} is missing or has another size")
        shutil.copyfile(original / file.path, copy / file.path)
    except FileNotFoundError as error:
        raise CorruptModel(model=manifest.id, reason=f"{file.path} is missing or has another size") from error
    verified = VerifiedFiles(copy, manifest.files, model=manifest.id, progress=progress)
    yield verified.folder / file.path
    verified.check()
    shutil.rmtree(copy)
