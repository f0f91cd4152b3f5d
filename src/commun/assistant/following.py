"""One turn as whoever asked has it: its events, to be read from anywhere, and the button that ends it.

Rules:

- events are numbered from 1 and all kept while the turn is remembered, so that the page that asked, a second tab and a
  reload read the same ones and go on where they were;
- readers only follow: a turn goes on when all of them have left. It knows nobody's rights: who may read or stop it is
  asked before (``web/live.py``, ``api/``);
- a stop ends the writing and nothing else: what has been written is kept, and what keeps it cannot be cut off.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from commun.assistant.admission import NOBODY, Share
from commun.assistant.answer import Done, Failed, TurnEvent, joined
from commun.assistant.engines import Terms
from commun.engine.base import Delta


@dataclass(slots=True)
class Turn:
    """One running or just finished turn. Owned by its task; readers only follow and may stop it. ``terms``: the edition
    and the engine that it began with. ``receipt_id`` is known from the beginning. ``share``: whose it is.
    """

    id: str
    terms: Terms
    share: Share = NOBODY
    receipt_id: str = ""
    events: list[TurnEvent] = field(default_factory=list)
    ended: bool = False
    stopped: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _writing: asyncio.Task[None] | None = None  # set while a stop may still cut the answer

    def tell(self, event: TurnEvent) -> None:
        self.events.append(event)
        self.ended = isinstance(event, Done | Failed)
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self, after: int = 0) -> AsyncIterator[tuple[int, TurnEvent]]:
        """Events with numbers above ``after``, as they come; ends after Done or Failed. Deltas that piled up while
        the reader was busy come as one, under the last one's number.
        """
        number = after
        while True:
            news = self._news
            while number < len(self.events):
                event = self.events[number]
                number += 1
                if isinstance(event, Delta):
                    piled = [event]
                    while number < len(self.events) and isinstance(more := self.events[number], Delta):
                        piled.append(more)
                        number += 1
                    event = joined(piled)
                yield number, event
            if self.ended:
                return
            await news.wait()

    def stop(self) -> None:
        """Ends the answer where it is; what has been written is kept. Too late a stop does nothing."""
        if self._writing is not None and not self.stopped:
            self.stopped = True
            self._writing.cancel()

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Within it a stop ends the block; outside, what finishes the turn cannot be cut off."""
        task = self._writing = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if not self.stopped or task is None or task.uncancel() > 0:
                raise
        finally:
            self._writing = None
