"""The check before each load: are these still the bytes that were added?

At most FULL_CHECK_BYTES are hashed every time. Above, a full check is remembered (``.verified`` beside the files: for
each its size, time of change and inode), and repeated when any of these differs. That finds accidents and careless
changes at once; whoever can write these files can also write the record, so it is no defence against the machine's
owner, and no claim is built on it: the charter's check hashes everything.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from commun.engine.manifest import FileEntry, Progress, check_files

FULL_CHECK_BYTES = 1 << 30
RECORD = ".verified"


def check_before_load(folder: Path, files: Sequence[FileEntry], *, model: str, progress: Progress) -> None:
    """Raises CorruptModel."""
    if sum(entry.size for entry in files) <= FULL_CHECK_BYTES:
        check_files(folder, files, model=model, progress=progress)
        return
    try:
        remembered = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        remembered = None
    if remembered != _marks(folder, files):
        check_files(folder, files, model=model, progress=progress)
        (folder / RECORD).write_text(json.dumps(_marks(folder, files)), encoding="utf-8")


def _marks(folder: Path, files: Sequence[FileEntry]) -> list[list[int | str]]:
    marks: list[list[int | str]] = []
    for entry in files:
        path = folder / entry.path
        if path.is_file():
            state = path.stat()
            marks.append([entry.path, entry.sha256, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino])
    return marks
