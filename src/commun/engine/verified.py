"""Are these the bytes that were adopted? Asked before each load, and again while they are in use.

- before a load every byte is hashed, however large the files are: no record of an earlier check is trusted, because
  whoever can write the files can write the record (1 GB takes about half a second with a processor's own SHA-256);
- nothing else may lie in the folder: the engine reads some files only when they are there (a chat template, defaults);
- in use, the files' sizes, times and inodes are looked at; whatever differs from the last look is hashed, and every
  HASH_AGAIN_S seconds everything is. A finding stands until the files change again.
"""

import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from commun.engine.manifest import CHECKING, FileEntry, Progress, check_files
from commun.errors import CorruptModel

__all__ = ["CHECKING", "HASH_AGAIN_S", "VerifiedFiles"]

HASH_AGAIN_S: Final = 3600.0
MAX_FILES: Final = 10_000  # in a model's folder; more are not listed

Marks = tuple[tuple[str, int, int, int, int], ...]


class VerifiedFiles:
    """The files of one model in one folder. ``beside``: names that may lie there and are never loaded.

    Made only of files that are right: raises CorruptModel otherwise. Both methods block.
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
        self._folder = folder
        self._files = tuple(files)
        self._model = model
        self._beside = beside
        self._finding: CorruptModel | None = None
        self._hash(progress)

    def check_again(self) -> None:
        """Raises CorruptModel."""
        if self._look() != self._marks or time.monotonic() - self._hashed_at > HASH_AGAIN_S:
            self._finding = None
            try:
                self._hash(lambda *_: None)
            except CorruptModel as finding:
                self._finding = finding
        if self._finding is not None:
            raise self._finding.with_traceback(None)

    def _hash(self, progress: Progress) -> None:
        """The marks are taken first: what changes while the files are read is seen at the next look."""
        self._marks = self._look()
        self._hashed_at = time.monotonic()
        wanted = {entry.path for entry in self._files}
        for name, mode, *_ in self._marks:
            if name not in wanted and name not in self._beside and not stat.S_ISDIR(mode):
                raise CorruptModel(model=self._model, reason="a file lies beside the model's own")
            if stat.S_ISLNK(mode):
                raise CorruptModel(model=self._model, reason="a link stands in the place of a file")
        check_files(self._folder, self._files, model=self._model, progress=progress)

    def _look(self) -> Marks:
        marks = []
        try:
            for number, path in enumerate(sorted(self._folder.rglob("*"))):
                if number == MAX_FILES:
                    break
                state = path.lstat()
                is_folder = stat.S_ISDIR(state.st_mode)
                marks.append(
                    (
                        path.relative_to(self._folder).as_posix(),
                        state.st_mode,
                        0 if is_folder else state.st_size,
                        0 if is_folder else max(state.st_mtime_ns, state.st_ctime_ns),
                        state.st_ino,
                    )
                )
        except OSError as error:
            raise CorruptModel(model=self._model, reason="its folder cannot be read") from error
        return tuple(marks)
