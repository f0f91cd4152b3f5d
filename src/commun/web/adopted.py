"""All that the public pages show of the charter's past and of what is in flight, verified once and kept.

- the whole history is verified from the first root on when the published folder has changed, and not for each reader;
- a failure is kept, too, for RETRY_S: whoever asks again and again for a damaged charter makes no work;
- all of it runs in a thread, one at a time; what is handed out is never changed.

Owned by the event loop.
"""

import asyncio
import hashlib
import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from starlette.requests import Request

from commun.charter.edition import Edition
from commun.charter.errors import CharterError
from commun.charter.history import PastFreeze, freezes
from commun.charter.joining import charter_digest
from commun.charter.loader import verify
from commun.charter.repository import AMENDMENTS, Repository, is_repository_name
from commun.drafting.desk import Desk, Lying
from commun.errors import NotFound
from commun.places import CHARTER_FOLDER
from commun.web.visit import services_of

RETRY_S: Final = 5.0
MAX_FILE_BYTES: Final = 8_000_000  # of one published file; an amendment may have 4 MB
MAX_ARCHIVE_BYTES: Final = 64_000_000
ARCHIVE_DATE: Final = (2026, 1, 1, 0, 0, 0)  # the same bytes for the same files

Stamp = tuple[object, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class History:
    """``editions``: oldest first. ``founded``: the digest of the first root, which names this charter for ever."""

    editions: tuple[Edition, ...]
    freezes: tuple[PastFreeze, ...]
    founded: str

    def get(self, number: int) -> Edition:
        """Raises NotFound."""
        if not 1 <= number <= len(self.editions):
            raise NotFound
        return self.editions[number - 1]

    def find_before(self, edition: Edition) -> Edition | None:
        return self.editions[edition.number - 2] if edition.number > 1 else None

    def find_freeze(self, number: int) -> PastFreeze | None:
        return next((freeze for freeze in self.freezes if freeze.edition == number), None)


class _Kept:
    """One result of a costly reading, for as long as the stamp stays."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self._stamp: Stamp | None = None
        self._held: Any = None
        self._at = 0.0
        self._lock = asyncio.Lock()

    async def get(self, stamp: Stamp) -> Any:
        """Raises CharterError."""
        async with self._lock:
            failed = isinstance(self._held, CharterError) and time.monotonic() - self._at > RETRY_S
            if stamp != self._stamp or failed:
                self._held = await asyncio.to_thread(self._try)
                self._stamp, self._at = stamp, time.monotonic()
        if isinstance(self._held, CharterError):
            raise self._held.with_traceback(None)
        return self._held

    def _try(self) -> Any:
        try:
            return self._read()
        except CharterError as error:
            return error


class Adopted:
    """``home``: the data folder."""

    def __init__(self, home: Path) -> None:
        self.repository = Repository(home / CHARTER_FOLDER)
        self._desk = Desk(home)
        self._history = _Kept(self._read_history)
        self._lying = _Kept(self._desk.documents)
        self._archive = _Kept(self._read_archive)

    def stamp(self) -> Stamp:
        """Changes with every edition, freeze and release, and with every signature that an amendment gets."""
        folder = self.repository.folder / AMENDMENTS
        try:
            lying = [(path.name, path.lstat()) for path in sorted(folder.iterdir())]
        except OSError:
            lying = []
        states = ((name, state.st_ino, state.st_size, state.st_mtime_ns) for name, state in lying)
        return (*self.repository.stamp(), *states)

    def tag(self, *more: object) -> str:
        """An entity tag of what is published and of ``more``."""
        return 'W/"' + hashlib.sha256(repr((self.stamp(), more)).encode()).hexdigest()[:32] + '"'

    async def history(self) -> History:
        """Raises CharterError."""
        return cast("History", await self._history.get(self.repository.stamp()))

    async def lying(self) -> tuple[Lying, ...]:
        """The documents that collect signatures and can still be adopted. Raises CharterError."""
        found = cast("tuple[Lying, ...]", await self._lying.get(self.stamp()))
        return tuple(each for each in found if not each.outdated)

    async def archive(self) -> bytes:
        """The published folder in one file. Raises CharterError."""
        return cast("bytes", await self._archive.get(self.stamp()))

    async def file(self, name: str) -> bytes:
        """One published file. Raises NotFound, CharterError."""
        if not is_repository_name(name):
            raise NotFound
        data = await asyncio.to_thread(self.repository.find, name, limit=MAX_FILE_BYTES)
        if data is None:
            raise NotFound
        return data

    def _read_history(self) -> History:
        verified = verify(self.repository, None, now=datetime.now(UTC))
        editions = tuple(link.edition for link in verified.links)
        return History(editions, freezes(self.repository), charter_digest(verified.roots[0]))

    def _read_archive(self) -> bytes:
        out, size = io.BytesIO(), 0
        with zipfile.ZipFile(out, "w") as archive:
            for name in self.repository.names(""):
                if not is_repository_name(name):
                    continue
                data = self._find_to_archive(name)
                if data is None:
                    continue
                size += len(data)
                if size > MAX_ARCHIVE_BYTES:
                    raise CharterError(reason="its history is too large for one file")
                archive.writestr(zipfile.ZipInfo(f"charter/{name}", ARCHIVE_DATE), data, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    def _find_to_archive(self, name: str) -> bytes | None:
        """None for what lies on the desk and cannot be read, or was taken away meanwhile. Raises CharterError."""
        if not name.startswith(f"{AMENDMENTS}/"):
            return self.repository.get(name, limit=MAX_FILE_BYTES)
        try:
            return self.repository.find(name, limit=MAX_FILE_BYTES)
        except CharterError:
            return None


def adopted_of(request: Request) -> Adopted:
    """The server's one Adopted, made at its first use."""
    made = getattr(request.app.state, "adopted", None)
    if made is None:
        made = request.app.state.adopted = Adopted(services_of(request).settings.home)
    return cast("Adopted", made)
