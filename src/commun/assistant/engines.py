"""Which engine answers: the one that the charter in force asks for, and no other.

- a new edition that wishes another engine gets one of its own; answers that are being written end on the old one, which
  is closed after the last of them;
- until the new one has loaded, new questions are told that the model is being loaded: they are never answered by an
  engine that the edition in force does not name;
- where there is no memory for two, the old one is closed first;
- an engine that cannot be loaded is tried again, later and later; meanwhile the reason is told;
- each load is told to whoever watches (the ledger has an entry for it).

Owned by the event loop.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from commun.charter.clauses import Charter, Model, Profile
from commun.charter.edition import InForce
from commun.charter.errors import CharterError
from commun.engine.base import Engine, EngineInfo, EngineState, Prompt
from commun.errors import CommunError, EngineFailed, EngineLoading

RETRY_S = (5.0, 15.0, 60.0, 300.0)  # before a failed load is tried again, the first time, the second, …
FAILED_RETRY_S = 5  # what a person is told
LOADING_RETRY_S = 3

log = structlog.get_logger()
Watcher = Callable[[Model, EngineInfo], None]


@dataclass(frozen=True, slots=True)
class EngineWish:
    """What a charter says of the engine. ``context``: tokens that it must hold for one conversation."""

    model: Model
    profile: Profile
    context: int


def wish_of(charter: Charter) -> EngineWish:
    model = charter.models.get(charter.models.default)
    return EngineWish(model, charter.sampling.profile, min(model.context_length, charter.context.most_tokens))


@dataclass(frozen=True, slots=True)
class Terms:
    """What one request is answered under, from its beginning to its end: an edition, and the engine that it names."""

    in_force: InForce
    engine: Engine

    @property
    def charter(self) -> Charter:
        return self.in_force.charter

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    async def encode(self, text: str) -> Prompt:
        """A plain text as prompt."""
        return await self.engine.encode(text)

    def token_bytes(self, token_id: int) -> bytes:
        return self.engine.token_bytes(token_id)


@dataclass(slots=True, eq=False)
class _Place:
    """An engine while it is needed. ``answers``: how many are being written on it; ``idle`` is set at none.
    ``tried``: set once the first load has ended, well or not.
    """

    wish: EngineWish
    engine: Engine
    answers: int = 0
    failure: CommunError | None = None
    loading: asyncio.Task[None] | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()


class Engines:
    """``build``: an engine for a wish, not yet started. ``has_room_beside``: whether a second one's memory is there."""

    def __init__(
        self,
        build: Callable[[EngineWish], Engine],
        *,
        has_room_beside: Callable[[EngineWish], bool] = lambda _wish: True,
    ) -> None:
        self._build = build
        self._has_room_beside = has_room_beside
        self._place: _Place | None = None
        self._old: set[_Place] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watchers: list[Watcher] = []

    @property
    def state(self) -> EngineState:
        place = self._place
        if place is None:
            return EngineState.LOADING
        if place.failure is not None or place.engine.refusal is not None:
            return EngineState.FAILED
        return place.engine.state

    @property
    def info(self) -> EngineInfo:
        """Raises EngineLoading before an engine has told what it is."""
        if self._place is None:
            raise EngineLoading(retry_after=LOADING_RETRY_S)
        return self._place.engine.info

    @property
    def refusal(self) -> CommunError | None:
        """Why the charter's engine cannot be had, where that is known."""
        place = self._place
        return None if place is None else place.engine.refusal or place.failure

    def use(self, charter: Charter) -> None:
        """From now on this charter's engine answers. Returns at once."""
        wish = wish_of(charter)
        old = self._place
        if old is not None and old.wish == wish:
            return
        new = _Place(wish, self._build(wish))
        if old is not None and old.engine is new.engine:  # one that was handed in: the same for every wish
            old.wish = wish
            return
        self._place = new
        self._spawn(self._change(old, new))

    def on_loaded(self, watcher: Watcher) -> None:
        """``watcher`` is called in the event loop with each model that an engine has loaded."""
        self._watchers.append(watcher)

    async def load(self, charter: Charter) -> None:
        """Uses it and waits until its engine has loaded. Raises what keeps it from loading."""
        self.use(charter)
        place = self._place
        if place is not None:
            await place.tried.wait()
            if place.failure is not None:
                raise place.failure

    def get(self, charter: Charter) -> Engine:
        """The charter's engine, ready. Raises EngineLoading, EngineFailed, ModelNotAdopted."""
        self.use(charter)
        place = self._place
        reason = self.refusal
        if isinstance(reason, CharterError):
            raise reason.with_traceback(None)
        if reason is not None or place is None or place.engine.state is EngineState.FAILED:
            raise EngineFailed(retry_after=FAILED_RETRY_S)
        if place.engine.state is not EngineState.READY:
            raise EngineLoading(retry_after=LOADING_RETRY_S)
        return place.engine

    def hold(self, engine: Engine) -> None:
        """An answer begins on it: it stays open until ``release``."""
        for place in self._places(engine):
            place.answers += 1
            place.idle.clear()

    def release(self, engine: Engine) -> None:
        for place in self._places(engine):
            place.answers -= 1
            if not place.answers:
                place.idle.set()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for place in (self._place, *self._old):
            if place is not None:
                await place.engine.close()
        self._old.clear()

    def _places(self, engine: Engine) -> list[_Place]:
        return [place for place in (self._place, *self._old) if place is not None and place.engine is engine]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _change(self, old: _Place | None, new: _Place) -> None:
        if old is not None:
            self._old.add(old)
            if self._has_room_beside(new.wish):
                self._spawn(self._retire(old))
            else:
                log.info("no memory for two engines: the old one ends its answers first", model=old.wish.model.id)
                await self._retire(old)
        if new is self._place:  # another edition may have come meanwhile
            new.loading = self._spawn(self._load(new))

    async def _load(self, place: _Place) -> None:
        """Loads the model while the pages are already served; they say so meanwhile."""
        attempt = 0
        while True:
            try:
                await place.engine.start()
            except CommunError as error:
                if place.failure is None or place.failure.text() != error.text():
                    log.error("the model could not be loaded", code=error.code, problem=error.text())  # noqa: TRY400  (no traceback)
                place.failure = error
            except Exception as error:
                log.exception("the model could not be loaded")
                place.failure = EngineFailed(retry_after=FAILED_RETRY_S)
                place.failure.__cause__ = error
            else:
                place.failure = None
                for watcher in self._watchers:
                    watcher(place.wish.model, place.engine.info)
                return
            finally:
                place.tried.set()
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1

    async def _retire(self, place: _Place) -> None:
        """Closes it after its last answer."""
        await place.idle.wait()
        if place.loading is not None:
            place.loading.cancel()
            await asyncio.gather(place.loading, return_exceptions=True)
        await place.engine.close()
        self._old.discard(place)
        log.info("an engine was closed that no edition in force asks for", model=place.wish.model.id)
