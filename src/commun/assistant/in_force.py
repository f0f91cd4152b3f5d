"""The charter that answers now, or why none does. Everything that shapes an answer is read from here.

Rules:

- what is handed out was verified whole, from its signatures to each file's bytes, and allows this version of Commun;
- whoever publishes (``commun charter adopt``, ``freeze``) does so in another process: its folder is looked at
  every CHECK_S seconds (``stamp``: stat calls, nothing is read) and verified again, in a thread, when anything in it
  has changed, and every VERIFY_S seconds anyway;
- an edition, and a freeze, is in the ledger before it is in force (``admit``): one that cannot be recorded is not;
- no valid charter, no answer: a charter that is damaged while Commun runs is no longer in force as soon as that is
  seen; when the files are mended it is again, without a restart. Running answers end under the edition they began with;
- an edition in force is only replaced, never changed: who holds one keeps it.

Owned by the event loop; only the verification itself runs in a thread, one at a time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Protocol

import structlog

from commun import __version__
from commun.charter.edition import InForce
from commun.charter.errors import CharterError, NoCharter, WrongSoftware
from commun.charter.hold import Hold, hold_of
from commun.places import CHARTER_FOLDER, TRUST_FOLDER

CHECK_S = 1.0
VERIFY_S = 60.0
MAX_STAMPED = 5000  # files that are looked at; a charter has about ten for each edition

log = structlog.get_logger()
Watcher = Callable[[InForce | None], None]
Admit = Callable[[InForce], Awaitable[None]]
Stamp = tuple[object, ...]


class Source(Protocol):
    """Where editions come from."""

    def load(self, now: datetime) -> InForce:
        """Verifies everything. Raises CharterError. Called in a thread."""
        ...

    def stamp(self) -> Stamp:
        """Something that differs when what is published has changed."""
        ...


class Published:
    """The data folder's published charter."""

    def __init__(self, home: Path) -> None:
        self._folder = home / CHARTER_FOLDER
        self._trust = home / TRUST_FOLDER

    def load(self, now: datetime) -> InForce:
        from commun.charter.loader import load
        from commun.charter.repository import Repository

        return load(Repository(self._folder), self._trust, now=now)

    def stamp(self) -> Stamp:
        """Of every file, because one may be edited where nothing was published."""
        from commun.charter.loader import stamp
        from commun.charter.repository import Repository

        states = (path.lstat() for path in islice(self._folder.rglob("*"), MAX_STAMPED))
        return (*stamp(Repository(self._folder)), *((one.st_ino, one.st_size, one.st_ctime_ns) for one in states))


def utc_now() -> datetime:
    return datetime.now(UTC)


async def unrecorded(_in_force: InForce) -> None:
    """Where there is no ledger: drafting, and tests of other things."""


class CharterInForce:
    """``admit``: records what has been verified, before it is in force; raises CharterError where it may not be.
    ``version``: of this software. ``now``: the clock (UTC). Holds nothing before the first ``refresh``.
    """

    def __init__(
        self,
        source: Source,
        *,
        admit: Admit = unrecorded,
        version: str = __version__,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._source = source
        self._admit = admit
        self._version = version
        self._now = now
        self._held: InForce | CharterError = NoCharter()
        self._stamp: Stamp | None = None
        self._verified_at = 0.0
        self._watchers: list[Watcher] = []
        self._lock = asyncio.Lock()

    def get(self) -> InForce:
        """Raises CharterError: nothing may be answered."""
        if isinstance(self._held, CharterError):
            raise self._held.with_traceback(None)
        return self._held

    def find(self) -> InForce | None:
        return self._held if isinstance(self._held, InForce) else None

    def hold(self) -> Hold | None:
        """The legal hold that counts now. Raises CharterError: without a charter nobody can tell."""
        return hold_of(self.get(), self._now())

    @property
    def error(self) -> CharterError | None:
        """Why there is none."""
        return self._held if isinstance(self._held, CharterError) else None

    def on_change(self, watcher: Watcher) -> None:
        """``watcher`` is called in the event loop with each new state: edition, freeze, age; None: no charter."""
        self._watchers.append(watcher)

    async def refresh(self) -> None:
        """Verifies again where something may have changed."""
        async with self._lock:
            stamp, held = await asyncio.to_thread(self._look)
            if held is not None:
                try:
                    if isinstance(held, InForce):
                        await self._admit(held)
                except CharterError as error:
                    stamp, held = None, error  # what stands in the way may pass: it is tried again
                self._stamp, self._verified_at = stamp, time.monotonic()
                self._take(held)
            self._take(self._with_its_age())

    async def watch(self) -> None:
        """Refreshes until it is cancelled."""
        while True:
            await asyncio.sleep(CHECK_S)
            await self.refresh()

    def _look(self) -> tuple[Stamp | None, InForce | CharterError | None]:
        """In a thread: the stamp and, where it is due, what a verification gives; None: nothing to verify. The stamp
        is taken first: what changes meanwhile is seen the next time.
        """
        stamp: Stamp | None = None
        try:
            stamp = self._source.stamp()
            if stamp == self._stamp and time.monotonic() - self._verified_at < VERIFY_S:
                return stamp, None
            in_force = self._source.load(self._now())
            check_software(in_force, self._version)
        except CharterError as error:
            return stamp, error
        except Exception as error:  # whatever it is: nothing of it may be used
            log.exception("the charter could not be verified")
            failure = CharterError(reason="it could not be read")
            failure.__cause__ = error
            return stamp, failure
        return stamp, in_force

    def _with_its_age(self) -> InForce | CharterError:
        """A mandate may end while Commun runs."""
        held = self._held
        if isinstance(held, InForce) and held.stale_since is None and self._now() >= held.edition.expires:
            return replace(held, stale_since=held.edition.expires)
        return held

    def _take(self, held: InForce | CharterError) -> None:
        before, self._held = self._held, held
        if isinstance(held, CharterError):
            is_news = not isinstance(before, CharterError) or before.text() != held.text()
            if is_news:  # nothing at all at a first start is none
                log.error("no charter is in force: nothing is answered", code=held.code, problem=held.text())
        elif state_of(held) != state_of(before):
            freeze = held.freeze
            log.info(
                "the charter in force",
                edition=held.edition.number,
                digest=held.edition.digest,
                frozen=freeze.edition if freeze else None,
                stale_since=held.stale_since.isoformat() if held.stale_since else None,
            )
        if state_of(held) != state_of(before):
            for watcher in self._watchers:
                watcher(self.find())


def state_of(held: InForce | CharterError) -> tuple[object, ...]:
    """What a watcher is told of when it changes."""
    if isinstance(held, CharterError):
        return ()
    return (held.edition.digest, held.newest.digest, held.freeze, held.stale_since)


def check_software(in_force: InForce, version: str) -> None:
    """Raises WrongSoftware."""
    software = in_force.charter.software
    if not numbers(software.least) <= numbers(version) < numbers(software.below):
        raise WrongSoftware(version=version, least=software.least, below=software.below)


def numbers(version: str) -> tuple[int, ...]:
    """The release's numbers without trailing zeros; what follows them (``.dev1``, ``rc1``) counts for nothing."""
    found: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)
