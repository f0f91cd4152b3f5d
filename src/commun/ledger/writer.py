"""The queue before the log: many threads submit, one writes, nobody waits for the disk.

Rules:

- ``submit`` never blocks: it queues the entry and returns a Future of its index;
- entries are integrated together: as soon as BATCH wait, and WAIT_S after the first of them at the latest. Where more
  wait (the disk was slow), one head takes them all, up to what ``Log.append`` takes. One that is ``urgent`` waits for
  nobody, and those before it go with it;
- an index is given once it is certain, which is before anybody asks witnesses. A Future cannot be cancelled: what is
  queued becomes part of the ledger;
- the disk refuses: it is tried again every RETRY_S, and ``on_trouble`` is told each time. Entries keep their order;
- the log has stopped (another head, another writer): every waiting Future gets the error, and so does every caller
  after it. The entries are not lost: whoever submits keeps them until their index is known;
- ``close`` integrates what is queued, then closes the log.

``on_head`` and ``on_trouble`` are called in the writer's thread and must not take long: a new head delays the next.

``submit`` raises BadEntry, LedgerFull, LedgerStopped.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, TypeVar

from commun.errors import N_
from commun.ledger.errors import LedgerError
from commun.ledger.log import (
    MAX_BATCH,
    MAX_BATCH_BYTES,
    Head,
    LedgerStopped,
    LedgerUnwritable,
    Log,
    check_entries,
)

BATCH: Final = 256
WAIT_S: Final = 0.7  # with what a batch takes on a slow disk, an entry is integrated within a second
RETRY_S: Final = 1.0
MAX_QUEUED: Final = 65_536  # at 100 answers a second, ten minutes of a disk that refuses


T = TypeVar("T")


class LedgerFull(LedgerError):
    """The disk has refused for long. Submit the entry again later: it is not queued."""

    code = "ledger_full"
    status = 503
    problem = N_("Too many entries wait for the ledger.")
    cure = N_("Look whether its disk is full or damaged; Commun goes on trying.")


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: bytes
    index: Future[int] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


def _nothing(_event: object) -> None:
    pass


class Ledger:
    """Owns ``log`` from now on: it appends to it alone, and closes it."""

    def __init__(
        self,
        log: Log,
        *,
        on_head: Callable[[Head], None] = _nothing,
        on_trouble: Callable[[LedgerError], None] = _nothing,
        wait_s: float = WAIT_S,
    ) -> None:
        self.log = log
        self._on_head = on_head
        self._on_trouble = on_trouble
        self._wait_s = wait_s
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._stopped = False
        self._urgent = False
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def submit(self, entry: bytes, *, urgent: bool = False) -> Future[int]:
        check_entries([entry])
        waiting = _Waiting(entry)
        waiting.index.set_running_or_notify_cancel()  # it cannot be taken back
        with self._changed:
            if self._stopped or self._closing.is_set():
                raise LedgerStopped
            if len(self._queue) >= MAX_QUEUED:
                raise LedgerFull
            self._queue.append(waiting)
            self._urgent = self._urgent or urgent
            if urgent or len(self._queue) in {1, BATCH}:
                self._changed.notify()
        return waiting.index

    def close(self) -> None:
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join()
        self.log.close()

    def _run(self) -> None:
        while batch := self._take():
            try:
                self._integrate(batch)
            except LedgerError as error:
                self._stop(batch, error)
                return
            except BaseException:  # a mistake of ours: those who wait must hear of it
                self._stop(batch, LedgerStopped())
                raise

    def _take(self) -> list[_Waiting]:
        """What goes under the next head; empty when there is nothing more to come."""
        with self._changed:
            while not self._queue and not self._closing.is_set():
                self._changed.wait()
            while len(self._queue) < BATCH and not (self._urgent or self._closing.is_set()):
                left = self._queue[0].since + self._wait_s - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            batch: list[_Waiting] = []
            size = 0
            while self._queue and len(batch) < MAX_BATCH:
                size += len(self._queue[0].entry)
                if size > MAX_BATCH_BYTES:
                    break
                batch.append(self._queue.popleft())
            self._urgent = self._urgent and bool(self._queue)
            return batch

    def _integrate(self, batch: Sequence[_Waiting]) -> None:
        indexes = self._insist(lambda: self.log.append([waiting.entry for waiting in batch]))
        for waiting, index in zip(batch, indexes, strict=True):
            waiting.index.set_result(index)
        if self.log.is_behind:
            self._insist(self.log.catch_up)
        self._on_head(self.log.head)

    def _insist(self, action: Callable[[], T]) -> T:
        while True:
            try:
                return action()
            except LedgerUnwritable as error:
                self._on_trouble(error)
                if self._closing.wait(RETRY_S):
                    raise

    def _stop(self, batch: Sequence[_Waiting], error: LedgerError) -> None:
        with self._changed:
            self._stopped = True
            waiting = [*batch, *self._queue]
            self._queue.clear()
        for item in waiting:
            if not item.index.done():
                item.index.set_exception(error)
        self._on_trouble(error)
