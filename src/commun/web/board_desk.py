"""The page's side of the board's desk: what lies there, read once for everybody, and what is drafted on a page.

Rules:

- reading is for everybody: what lies there is looked at again when a published file has changed and every READ_AGAIN_S
  seconds, once for all who ask meanwhile; of that, only a document whose bytes are new is read (``Desk``);
- a draft is never stored: the page brings back what it was made of, with the first signature, and it is made again;
- the desk's work runs in a thread; another process that writes at the same moment is waited for a little.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

from starlette.requests import Request

from commun.assistant.in_force import Published
from commun.charter.amendment import propose
from commun.charter.clauses import Member
from commun.charter.errors import CharterError
from commun.charter.joining import JoinRequest
from commun.charter.loader import Verified
from commun.charter.release import NotFrozen, propose_release
from commun.charter.repository import RepositoryBusy
from commun.drafting.desk import Desk, Document, Lying
from commun.drafting.editing import with_default_model, with_member, with_model, with_quorum
from commun.drafting.models import adopted_model, is_published
from commun.engine.weights import ModelLibrary
from commun.errors import N_, BadRequest, ModelNotFound, NotFound
from commun.web.limits import RateLimits
from commun.web.visit import services_of

CLOCK_S: Final = 600  # how far the clock of who signs may be from the server's
DRAFT_S: Final = 7200  # how long a drafted page may be read before it is signed
QUORUM_DIGITS: Final = 4
READ_AGAIN_S: Final = 60.0
RETRY_S: Final = 5.0
TRIES: Final = 20
TRY_AGAIN_S: Final = 0.1

T = TypeVar("T")


class OtherClock(CharterError):
    """``details``: ``minutes``."""

    code = "other_clock"
    status = 422
    problem = N_("This device's clock and the server's are more than %(minutes)s minutes apart.")
    cure = N_("Set the clock, reload the page and try again.")


@dataclass(frozen=True, slots=True)
class Reading:
    """The desk at one moment."""

    verified: Verified
    documents: tuple[Lying, ...]

    def get(self, document_id: str) -> Lying:
        """Raises NotFound."""
        for lying in self.documents:
            if lying.document.id == document_id:
                return lying
        raise NotFound


class BoardDesk:
    """One for each server. Owned by the event loop."""

    def __init__(self, home: Path, posts: RateLimits) -> None:
        self.home = home
        self.posts = posts
        self._source = Published(home)
        self._lock = asyncio.Lock()
        self._stamp: Any = None
        self._read_at = 0.0
        self._held: Reading | CharterError | None = None

    async def read(self) -> Reading:
        """Raises CharterError; a failure is kept for a while, too, so that asking again makes no work."""
        async with self._lock:
            stamp = await asyncio.to_thread(self._stamp_now)
            good = READ_AGAIN_S if isinstance(self._held, Reading) else RETRY_S
            if self._held is None or stamp != self._stamp or time.monotonic() - self._read_at > good:
                self._held = await asyncio.to_thread(self._try)
                self._stamp, self._read_at = stamp, time.monotonic()
        if isinstance(self._held, CharterError):
            raise self._held.with_traceback(None)
        return self._held

    async def work(self, do: Callable[[Desk], T]) -> T:
        """``do`` in a thread, tried again while somebody else writes. Raises CharterError."""
        for _ in range(TRIES):
            try:
                return await asyncio.to_thread(do, Desk(self.home))
            except RepositoryBusy:
                await asyncio.sleep(TRY_AGAIN_S)
        return await asyncio.to_thread(do, Desk(self.home))

    def _stamp_now(self) -> object:
        try:
            return self._source.stamp()
        except OSError:  # a file went away meanwhile: somebody is writing
            return object()

    def _try(self) -> Reading | CharterError:
        desk = Desk(self.home)
        try:
            return Reading(desk.verified(), desk.documents())
        except CharterError as error:
            return error


def board_desk(request: Request) -> BoardDesk:
    state = request.app.state
    if not hasattr(state, "board_desk"):
        settings = services_of(request).settings
        posts = RateLimits(settings.sign_in_rate_limit, setting="sign_in_rate_limit")
        state.board_desk = BoardDesk(settings.home, posts)
    return cast("BoardDesk", state.board_desk)


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that is proposed on a page. ``request``: of the member who joins; the id of the model on this machine
    that is to answer (whoever guesses its name is told of it, so only what was published at Hugging Face); or "".
    ``quorum``: from then on; None: as now. ``proposed``: when.
    """

    kind: Literal["member", "model", "release"]
    request: str
    quorum: int | None
    reason: str
    proposed: datetime

    def make(self, verified: Verified, library: ModelLibrary) -> Document:
        """The same each time, as long as the newest edition and the model are the same. Raises CharterError,
        CommunError.
        """
        if self.kind == "release":
            if verified.freeze is None:
                raise NotFrozen
            return propose_release(verified.in_force, verified.freeze.data, now=self.proposed)
        files = self._with_model(verified, library) if self.kind == "model" else self._with_member(verified)
        return propose(files, verified.in_force, verified.root, reason=self.reason, now=self.proposed)

    def _with_member(self, verified: Verified) -> dict[str, bytes]:
        request = JoinRequest.from_text(self.request)
        request.check_charter(verified.roots[0])
        files = with_member(verified.in_force.newest.files, Member(request.name, request.key))
        return files if self.quorum is None else with_quorum(files, self.quorum)

    def _with_model(self, verified: Verified, library: ModelLibrary) -> dict[str, bytes]:
        manifest = library.get(self.request)
        if not is_published(manifest):
            raise ModelNotFound(model=self.request)
        model = adopted_model(manifest, library.converted(self.request))
        return with_default_model(with_model(verified.in_force.newest.files, model), model.id)


def draft_of(kind: str, request: str, quorum: str, reason: str, proposed: datetime) -> Draft:
    """Raises BadRequest, and OtherClock where the draft is too old, or of tomorrow."""
    if not (quorum == "" or (quorum.isascii() and quorum.isdigit() and len(quorum) <= QUORUM_DIGITS)):
        raise BadRequest
    if kind == "member":
        draft = Draft("member", request, int(quorum) if quorum else None, reason, proposed)
    elif kind == "model":
        draft = Draft("model", request, None, reason, proposed)
    elif kind == "release":
        draft = Draft("release", "", None, "", proposed)
    else:
        raise BadRequest
    age = (now() - proposed).total_seconds()
    if not -CLOCK_S <= age <= DRAFT_S:
        raise OtherClock(minutes=DRAFT_S // 60)
    return draft


def check_clock(moment: datetime) -> None:
    """Raises OtherClock: whoever signs now says so."""
    if abs((now() - moment).total_seconds()) > CLOCK_S:
        raise OtherClock(minutes=CLOCK_S // 60)


def now() -> datetime:
    return datetime.now(UTC)
