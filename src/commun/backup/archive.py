"""The backup's file: a plain tar (ustar) whose first member is a manifest of all others.

- ``manifest.json`` names every file with its size and SHA-256, in the order in which they follow; nothing else is in
  the archive, so that any ``tar`` can look into it;
- it is written beside its place and put there once it is whole and on the disk; what lies there already stays, and
  refuses. It is readable by its owner only;
- it is not compressed and not encrypted. Conversations in it are sealed as they are in the database.

Reading distrusts every byte, before anything is used:

- a file is where the manifest says and as large as it says, or the archive is refused. No link, device, folder, sparse
  or compressed member is read, and no header that continues in another one;
- a name is one that a data folder has (``is_name``): no way leads out of the folder it is unpacked into;
- nothing expands: the sizes add up to the archive's own.
"""

import hashlib
import io
import json
import os
import re
import secrets
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from commun.charter.strict_json import NotStrict, check_fields, read_object
from commun.errors import N_, CommunError
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, LEDGER_FOLDER, TRUST_FOLDER, WITNESS_FOLDER
from commun.plain_open import PLAIN

FORMAT: Final = "commun-backup/1"
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 64 << 20
MAX_NAME: Final = 250  # characters, which ustar holds
BLOCK: Final = tarfile.BLOCKSIZE
MODELS_FOLDER: Final = "models"
FILES: Final = frozenset({"commun.db", "commun.toml"})
FOLDERS: Final = frozenset(
    {CHARTER_FOLDER, TRUST_FOLDER, KEYS_FOLDER, LEDGER_FOLDER, WITNESS_FOLDER, MODELS_FOLDER},
)
PUBLISHED: Final = frozenset({CHARTER_FOLDER, LEDGER_FOLDER})  # others may read these: a web server may hand them out
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@=-]*")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final[dict[str, type | tuple[type, ...]]] = {
    "format": str,
    "made": int,
    "version": str,
    "keys": bool,
    "ledger": (dict, type(None)),
    "parts": list,
}
_CHUNK: Final = 1 << 20
_USTAR_MOST: Final = 8**11 - 1  # bytes: what its octal field holds; above, GNU's binary one
_NEW: Final[int] = os.O_RDWR | os.O_CREAT | os.O_EXCL | PLAIN


class BackupExists(CommunError):
    """``details``: ``file``."""

    code = "backup_exists"
    problem = N_("There is something at “%(file)s” already.")
    cure = N_("Give another name, or move it away first: nothing is written over.")


class BackupChanged(CommunError):
    """``details``: ``file``."""

    code = "backup_changed"
    problem = N_("The file “%(file)s” was changed while the backup was made.")
    cure = N_("Make the backup again.")


class BadBackup(CommunError):
    """``details``: ``reason``, and ``file`` (a name out of the archive, or the archive's)."""

    code = "bad_backup"
    problem = N_("This is no backup that can be restored, %(file)s: %(reason)s.")
    cure = N_("Nothing was restored. Use another backup.")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the data folder. ``name``: its path there, with “/”."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LedgerPart:
    """How far the ledger had come. ``key``: its verifier key's text. ``root``: hex."""

    key: str
    size: int
    root: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """``made``: seconds since 1970. ``keys``: whether the machine's keys are in it. ``ledger`` None: there was none."""

    made: int
    version: str
    keys: bool
    ledger: LedgerPart | None
    parts: tuple[Part, ...]

    def data(self) -> bytes:
        fields = {"format": FORMAT, **asdict(self)}
        return json.dumps(fields, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Raises BadBackup."""
        try:
            found = read_object(data, limit=MAX_MANIFEST_BYTES)
            if found.get("format") != FORMAT:
                raise BadBackup(file=MANIFEST, reason=N_("it has another format than this Commun reads"))
            fields = check_fields(found, _FIELDS)
            parts = [Part(**check_fields(one, {"name": str, "size": int, "sha256": str})) for one in fields["parts"]]
            ledger = fields["ledger"]
            if ledger is not None:
                ledger = LedgerPart(**check_fields(ledger, {"key": str, "size": int, "root": str}))
        except NotStrict as error:
            raise BadBackup(file=MANIFEST, reason=str(error)) from error
        _check_parts(parts)
        return cls(fields["made"], fields["version"], fields["keys"], ledger, tuple(parts))

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)


def is_name(name: str) -> bool:
    """Whether a backup may hold a file of this name."""
    first, *below = name.split("/")
    if len(name) > MAX_NAME or not all(_PART.fullmatch(part) for part in (first, *below)):
        return False
    return first in FOLDERS if below else first in FILES


def _check_parts(parts: Sequence[Part]) -> None:
    """Raises BadBackup."""
    seen: set[str] = set()
    for part in parts:
        if not is_name(part.name):
            raise BadBackup(file=MANIFEST, reason=N_("it names a file that no data folder has"))
        if part.name.lower() in seen:
            raise BadBackup(file=MANIFEST, reason=N_("it names a file twice"))
        if part.size < 0 or not _DIGEST.fullmatch(part.sha256):
            raise BadBackup(file=MANIFEST, reason=N_("a size or a digest in it is none"))
        seen.add(part.name.lower())


def part_of(name: str, path: Path) -> Part:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Part(name, size, digest.hexdigest())


def write_archive(target: Path, manifest: Manifest, paths: Sequence[Path]) -> int:
    """``paths``: of the manifest's parts, in their order. The archive's size. Raises BackupExists, BackupChanged."""
    if os.path.lexists(target):
        raise BackupExists(file=target.name)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, _NEW, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            data = manifest.data()
            _write(out, MANIFEST, len(data), io.BytesIO(data), made=manifest.made)
            for part, path in zip(manifest.parts, paths, strict=True):
                with path.open("rb") as file:
                    if _write(out, part.name, part.size, file, made=manifest.made) != part.sha256:
                        raise BackupChanged(file=part.name)
            out.write(bytes(2 * BLOCK))
            out.flush()
            os.fsync(handle)
            size = out.tell()
        try:
            target.hardlink_to(beside)  # unlike a renaming, it takes nobody's place
        except FileExistsError:
            raise BackupExists(file=target.name) from None
    finally:
        beside.unlink()
    return size


def _write(out: IO[bytes], name: str, size: int, file: IO[bytes], *, made: int) -> str:
    """One member; the SHA-256 of what was written. Raises BackupChanged."""
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, made, 0o600
    out.write(header.tobuf(tarfile.USTAR_FORMAT if size <= _USTAR_MOST else tarfile.GNU_FORMAT))
    digest, left = hashlib.sha256(), size
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise BackupChanged(file=name)
        digest.update(chunk)
        out.write(chunk)
        left -= len(chunk)
    out.write(bytes(-size % BLOCK))
    return digest.hexdigest()


class Archive:
    """A backup that is open for reading. ``manifest`` has been read; what follows has not."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        """Raises BadBackup."""
        self._file = file
        data = b"".join(self._member(Part(MANIFEST, -1, ""), most=MAX_MANIFEST_BYTES))
        self.manifest = Manifest.from_bytes(data)
        sizes = [len(data), *(part.size for part in self.manifest.parts)]
        held = sum(BLOCK + one + -one % BLOCK for one in sizes)
        if not held <= size <= held + tarfile.RECORDSIZE + 2 * BLOCK:
            raise BadBackup(file=MANIFEST, reason=N_("the files that it names are not what follows it"))

    def unpack(self, folder: Path) -> None:
        """Into ``folder``, which is empty, every file compared with the manifest. Raises BadBackup, OSError."""
        for part in self.manifest.parts:
            path = folder / part.name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            rights = 0o644 if part.name.partition("/")[0] in PUBLISHED else 0o600
            handle = os.open(path, _NEW, rights)
            digest = hashlib.sha256()
            with os.fdopen(handle, "wb") as out:
                for chunk in self._member(part, most=part.size):
                    digest.update(chunk)
                    out.write(chunk)
                out.flush()
                os.fsync(handle)
            if digest.hexdigest() != part.sha256:
                raise BadBackup(file=part.name, reason=N_("it is damaged: its digest is another one"))
        while chunk := self._file.read(_CHUNK):
            if chunk.strip(b"\0"):
                raise BadBackup(file=MANIFEST, reason=N_("something follows that it does not name"))

    def _member(self, part: Part, *, most: int) -> Iterator[bytes]:
        """``part.size`` below 0: any, up to ``most``."""
        header = self._header(part.name)
        if header.name != part.name or header.type != tarfile.REGTYPE or header.linkname:
            raise BadBackup(file=part.name, reason=N_("another file, or none that is plain, stands in its place"))
        if header.size > most or (part.size >= 0 and header.size != part.size):
            raise BadBackup(file=part.name, reason=N_("it has another size than the manifest says"))
        left = header.size
        while left:
            chunk = self._file.read(min(left, _CHUNK))
            if not chunk:
                raise BadBackup(file=part.name, reason=N_("the archive ends in the middle of it"))
            yield chunk
            left -= len(chunk)
        self._file.read(-header.size % BLOCK)

    def _header(self, name: str) -> tarfile.TarInfo:
        try:
            return tarfile.TarInfo.frombuf(self._file.read(BLOCK), "ascii", "strict")
        except (tarfile.TarError, ValueError) as error:
            raise BadBackup(file=name, reason=N_("the archive is damaged where it should begin")) from error


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Raises BadBackup, OSError."""
    with path.open("rb") as file:
        yield Archive(file, os.fstat(file.fileno()).st_size)
