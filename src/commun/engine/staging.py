"""How a model's folder comes to be there whole or not at all: built beside, then renamed into its place."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".new-"


@contextmanager
def staging_in(root: Path) -> Iterator[Path]:
    """A folder beside the models, for this process; gone at the end. What a killed process left is removed."""
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"{PREFIX}*"):
        if not _is_alive(left.name.removeprefix(PREFIX).partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = root / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def take(path: Path, target: Path) -> None:
    """A hard link where the file system allows, else a copy: the publisher's file is never written to."""
    try:
        target.hardlink_to(path.resolve())
    except OSError:
        shutil.copyfile(path, target)


def put(folder: Path, place: Path) -> None:
    """The commit point: ``folder`` becomes ``place`` in one step."""
    if place.exists():  # another process was faster, or what was there is damaged
        shutil.rmtree(place)
    folder.rename(place)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        return True  # it is there, and somebody else's
    return True
