"""The conversations of an export, one at a time, however large it is.

An export is a ZIP with JSON files in it, or one JSON file; a file is a list of conversations, or one conversation. It
may be hostile, and it may be hundreds of megabytes:

- a list is split by its brackets, without building what is in it; one conversation is in memory at a time. One that is
  larger than MAX_ITEM_BYTES is skipped, and counted;
- of a ZIP only the members with known names are opened, at most MAX_MEMBERS, deflated or stored. Together they may
  unpack to MAX_UNPACKED_BYTES, and beyond FREE_BYTES to MAX_RATIO times their packed size: no bomb of either kind. What
  it says of the account is at most MAX_ACCOUNT_BYTES, and passed over where it is more;
- names in a ZIP are compared, never used as paths: nothing is unpacked to a disk;
- a file that is not JSON where it should be ends with BadImport; what was read before it stays imported.
"""

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from commun.errors import N_
from commun.importing.spool import BadImport, Spool

MAX_ITEM_BYTES: Final = 32 << 20
LONG: Final = 512 << 10  # bytes: to read as much takes ten milliseconds, in which no other thread does anything
MAX_MEMBERS: Final = 100_000
MAX_ACCOUNT_BYTES: Final = 4 << 20
MAX_UNPACKED_BYTES: Final = 8 << 30
FREE_BYTES: Final = 64 << 20
MAX_RATIO: Final = 100
CHUNK: Final = 1 << 20
NOT_JSON: Final = N_("it is not JSON")
_MEMBER: Final = re.compile(r"(?:[^/]+/)?(?:conversations(?:-\d+)?\.json|conversations/[^/]+\.json)")
_ACCOUNT: Final = re.compile(r"(?:[^/]+/)?account\.json")
_SIGNATURE: Final = b"PK\x03\x04"
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_OUTSIDE: Final = re.compile(rb'["{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')
_DAMAGE: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)
_SPACE: Final = b" \t\r\n,"

Told = Callable[[int], None]  # of how many bytes were read


def _nobody(_done: int) -> None:
    pass


class Export:
    """``skipped``: conversations that were too large, so far. ``told``: hears how much of ``size`` was read."""

    def __init__(self, file: Spool, *, told: Told = _nobody) -> None:
        self._file = file
        self._told = told
        self._read = 0
        self._packed = 0
        self.skipped = 0

    def items(self) -> Iterator[dict[str, Any] | bytes]:
        """Bytes: one that is LONG or longer, as it stands there, for a process of its own. Raises BadImport."""
        try:
            for member in self._members():
                yield from self._of_one(member)
        except _DAMAGE as error:
            raise BadImport(reason=N_("it is damaged")) from error

    def account(self) -> dict[str, Any]:
        """What Commun's own export says of the account; empty where there is none, or none that is believed."""
        try:
            self._file.seek(0)
            with zipfile.ZipFile(self._file) as archive:
                named = (one for one in archive.infolist() if _ACCOUNT.fullmatch(one.filename))
                info = min(named, key=lambda one: len(one.filename), default=None)
                if info is None or info.compress_type not in _METHODS or info.file_size > MAX_ACCOUNT_BYTES:
                    return {}
                with archive.open(info) as member:
                    value = json.loads(member.read(MAX_ACCOUNT_BYTES))
        except (*_DAMAGE, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def _members(self) -> Iterator[Iterator[bytes]]:
        self._file.seek(0)
        if self._file.read(len(_SIGNATURE)) != _SIGNATURE:
            self._file.seek(0)
            yield self._counted(iter(lambda: self._file.read(CHUNK), b""), packed=self._file.size)
            return
        with zipfile.ZipFile(self._file) as archive:
            for info in _chosen(archive.infolist()):
                with archive.open(info) as member:
                    yield self._counted(iter(lambda: member.read(CHUNK), b""), packed=info.compress_size)

    def _counted(self, chunks: Iterator[bytes], *, packed: int) -> Iterator[bytes]:
        """Raises BadImport where they are more than an honest export has."""
        self._packed += packed
        for chunk in chunks:
            self._read += len(chunk)
            if self._read > min(MAX_UNPACKED_BYTES, max(FREE_BYTES, self._packed * MAX_RATIO)):
                raise BadImport(reason=N_("it unpacks to more than is believed"))
            self._told(self._read)
            yield chunk

    def _of_one(self, chunks: Iterator[bytes]) -> Iterator[dict[str, Any] | bytes]:
        for data in split(chunks):
            if data is None:
                self.skipped += 1
                continue
            if len(data) >= LONG:
                yield data
                continue
            value = _parsed(data)
            if isinstance(value, dict):
                yield value
            else:
                self.skipped += 1


def _chosen(infos: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Raises BadImport."""
    if len(infos) > MAX_MEMBERS:
        raise BadImport(reason=N_("it has more files than an export has"))
    found = sorted((info for info in infos if _MEMBER.fullmatch(info.filename)), key=lambda info: info.filename)
    if not found:
        raise BadImport(reason=N_("there are no conversations in it"))
    if any(info.compress_type not in _METHODS or info.flag_bits & 1 for info in found):
        raise BadImport(reason=N_("it is packed in a way that is not read here"))
    return found


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        return None
    except ValueError as error:
        raise BadImport(reason=N_("a conversation in it is not JSON")) from error


def split(chunks: Iterable[bytes], most: int = MAX_ITEM_BYTES) -> Iterator[bytes | None]:
    """The values in a list, each as its bytes; the value itself where it is no list. None: longer than ``most``.

    Only objects and lists are values here: an export of conversations has nothing else. Raises BadImport.
    """
    splitter = _Splitter(most)
    for chunk in chunks:
        yield from splitter.feed(chunk)
    splitter.check_end()


class _Splitter:
    """Counts brackets outside of strings. ``_floor``: the depth at which values begin; 1 within a list."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._floor: int | None = None
        self._depth = 0
        self._inside = False  # a string
        self._escaped = False  # the next byte belongs to the backslash before it
        self._item: list[bytes] | None = None
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        chunk = self._begun(chunk)
        at, begun = int(self._escaped and bool(chunk)), 0
        self._escaped = self._escaped and not chunk
        while (found := (_INSIDE if self._inside else _OUTSIDE).search(chunk, at)) is not None:
            sign, at = found[0], found.end()
            if sign == b'"':
                self._inside = not self._inside
            elif sign == b"\\":
                self._escaped = at == len(chunk)
                at += 1
            elif sign in b"{[":
                if self._depth == self._floor:
                    self._begin()
                    begun = found.start()
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == self._floor and self._item is not None:
                    yield self._end(chunk[begun:at])
                    begun = at
                if self._depth < 0:
                    raise BadImport(reason=NOT_JSON)
        self._keep(chunk[begun:])

    def _begun(self, chunk: bytes) -> bytes:
        """Without what stands before the first bracket, which tells whether it is a list. Raises BadImport."""
        if self._floor is None:
            chunk = chunk.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)
            if chunk and chunk[:1] not in (b"[", b"{"):
                raise BadImport(reason=NOT_JSON)
            if chunk:
                self._floor = 1 if chunk[:1] == b"[" else 0
        return chunk

    def _begin(self) -> None:
        self._item, self._size = [], 0

    def _keep(self, data: bytes) -> None:
        """Of a value that is too long nothing is kept but that it is."""
        if self._item is None:
            return
        self._size += len(data)
        if self._size > self._most:
            self._item.clear()
        else:
            self._item.append(data)

    def _end(self, data: bytes) -> bytes | None:
        self._keep(data)
        item, self._item = self._item or [], None
        return None if self._size > self._most else b"".join(item)

    def check_end(self) -> None:
        """Raises BadImport where it ends in the middle, or never began."""
        if self._floor is None or self._depth or self._inside:
            raise BadImport(reason=N_("it is not JSON, or it was cut"))
