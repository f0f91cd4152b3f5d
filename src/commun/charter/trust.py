"""What this machine has verified before, kept where nobody publishes: so that nothing older is ever believed again.

The folder holds the pinned first root, the newest root, the newest timestamp (which names its edition by number and
digest), and every freeze and release that was ever seen. Rules:

- the first root is pinned by the first charter that holds; another one afterwards is another charter, and refused;
- the newest edition may be the trusted one or follow it, never be older, never another one of the same number;
- a freeze that was seen cannot disappear, nor a release, of whichever edition: taking the file away lifts nothing and
  restores nothing. One that was taken away before this machine ever saw it is not missed here;
- it advances only after everything has held (``loader.load``); the timestamp is replaced last. Each file is valid
  beside older ones of the others, so that a crash in between loses nothing and grants nothing. One process writes at a
  time, and one that was slower than another does not set it back;
- a damaged file here is refused, not taken for an empty one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuf.api.metadata import Metadata, Root, Timestamp

from commun.charter.canonical import EXTENSION, MAX_METADATA_BYTES, is_digest, read_metadata
from commun.charter.errors import BrokenMetadata, InvalidCharter, RolledBack
from commun.charter.freezes import MAX_FREEZE_BYTES, FreezeState
from commun.charter.repository import (
    LOCK,
    file_lock,
    freeze_name,
    make_folder,
    read_regular,
    root_name,
    unfreeze_name,
    write_durably,
)
from commun.errors import N_

FIRST_ROOT: Final = "1.root.json"
ROOT: Final = "root.json"
TIMESTAMP: Final = "timestamp.json"


class OtherCharter(InvalidCharter):
    """A whole different charter stands where the trusted one was."""

    code = "charter_other"
    problem = N_("This is not the charter that this machine trusts, but another one: %(file)s: %(reason)s.")
    cure = N_("Put the published files back. To follow another charter, start with a new data folder.")


@dataclass(frozen=True, slots=True)
class Trust:
    """``number`` 0 and ``digest`` "": nothing is trusted yet. ``folder``: of the freezes and releases seen, or None."""

    first_root: Metadata[Root] | None
    root: Metadata[Root] | None
    number: int
    digest: str
    folder: Path | None

    def check_roots(self, roots: tuple[Metadata[Root], ...]) -> None:
        """Whether the roots go on from those trusted. Raises OtherCharter, RolledBack."""
        if self.first_root is not None and self.first_root.signed_bytes != roots[0].signed_bytes:
            raise OtherCharter(file=root_name(1), reason="another first root")
        if self.root is None:
            return
        version = self.root.signed.version
        if version > len(roots):
            raise RolledBack(file=root_name(version), reason="a newer root was trusted before")
        if self.root.signed_bytes != roots[version - 1].signed_bytes:
            raise RolledBack(file=root_name(version), reason="another root of this number was trusted before")

    def check_number(self, number: int, *, file: str) -> None:
        if number < self.number:
            raise RolledBack(file=file, reason="a newer edition was trusted before")

    def check_digest(self, number: int, digest: str, *, file: str) -> None:
        if number == self.number and digest != self.digest:
            raise RolledBack(file=file, reason="another edition of this number was trusted before")

    def check_freeze(self, number: int, state: FreezeState | None) -> None:
        """``state``: what was verified of edition ``number``. Raises RolledBack where more had been seen."""
        frozen = self.find_freeze(number)
        if frozen is not None and (state is None or state.data != frozen):
            raise RolledBack(file=freeze_name(number), reason="a freeze that was seen before is gone")
        if (state is None or not state.released) and self._find(_release_file(number)) is not None:
            raise RolledBack(file=unfreeze_name(number), reason="a release that was seen before is gone")

    def find_freeze(self, number: int) -> bytes | None:
        """The freeze of edition ``number`` that was seen."""
        return self._find(_freeze_file(number))

    def _find(self, name: str) -> bytes | None:
        return None if self.folder is None else _read(self.folder, name, MAX_FREEZE_BYTES)


NOTHING: Final = Trust(None, None, 0, "", None)


def read_trust(folder: Path) -> Trust:
    """What the folder holds; it need not exist. Raises InvalidCharter where it is damaged."""
    first_root = _read_root(folder, FIRST_ROOT)
    root = _read_root(folder, ROOT)
    data = _read(folder, TIMESTAMP, MAX_METADATA_BYTES)
    if data is None:
        return Trust(first_root, root, 0, "", folder)
    timestamp = read_metadata(data, Timestamp, file=_shown(TIMESTAMP))
    extension = timestamp.signed.unrecognized_fields[EXTENSION]
    if first_root is None or not isinstance(extension, dict) or not is_digest(extension.get("targets")):
        raise BrokenMetadata(file=_shown(TIMESTAMP), reason="it names no edition, or no first root lies beside it")
    return Trust(first_root, root, timestamp.signed.version, extension["targets"], folder)


def advance(
    folder: Path,
    *,
    first_root: Metadata[Root],
    root: Metadata[Root],
    timestamp: Metadata[Timestamp],
    freezes: Mapping[int, FreezeState],
) -> None:
    """Trusts what has been verified as a whole; the first root only where none is pinned. Writes what changed."""
    number = timestamp.signed.version
    files = {FIRST_ROOT: first_root.to_bytes(), ROOT: root.to_bytes()}
    for edition, freeze in freezes.items():
        files[_freeze_file(edition)] = freeze.data
        if freeze.release_data is not None:
            files[_release_file(edition)] = freeze.release_data
    files[TIMESTAMP] = timestamp.to_bytes()  # last: it says which edition all of this is about
    if not _changed(folder, files):
        return
    make_folder(folder)
    with file_lock(folder / LOCK, wait=True):
        if read_trust(folder).number > number:
            return  # another process has meanwhile verified a newer one
        for name in _changed(folder, files):
            write_durably(folder, name, files[name])


def _changed(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """The first root, once pinned, stays as it is."""
    lying = {name: _read(folder, name, MAX_METADATA_BYTES) for name in files}
    return [name for name in files if lying[name] != files[name] and (name != FIRST_ROOT or lying[name] is None)]


def _read_root(folder: Path, name: str) -> Metadata[Root] | None:
    data = _read(folder, name, MAX_METADATA_BYTES)
    return None if data is None else read_metadata(data, Root, file=_shown(name))


def _read(folder: Path, name: str, limit: int) -> bytes | None:
    return read_regular(folder, name, limit=limit)


def _freeze_file(number: int) -> str:
    return f"{number}.freeze.json"


def _release_file(number: int) -> str:
    return f"{number}.unfreeze.json"


def _shown(name: str) -> str:
    """As an error names it: the folder's own name, whatever lies above it."""
    return f"charter-trust/{name}"
