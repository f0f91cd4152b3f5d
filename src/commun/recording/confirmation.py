"""Who outside confirms this ledger's heads, and the newest head that enough of them have confirmed.

Rules:

- whom to ask, and how many are enough, is the policy of the charter in force, and changes with it;
- each new head is shown to them (``witnesses.py``), and nobody waits for their answers;
- what enough of them have signed is stored, so that neither a restart nor witnesses that cannot be reached take a proof
  away that there was.

Owned by the event loop; the askers' threads report to it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine

from commun.ledger.log import Head, Log
from commun.ledger.policy import Policy, Standing
from commun.recording.cosignatures import WitnessState
from commun.recording.witnessed import WitnessedHead
from commun.recording.witnesses import Witnesses

Keep = Callable[[bytes], Coroutine[object, object, None]]


class Confirmation:
    """``stored``: the head that was kept last, or None. ``keep``: stores one. ``asks``: whether witnesses are asked by
    this process.
    """

    def __init__(self, ledger: Log, *, stored: bytes | None, keep: Keep, asks: bool) -> None:
        self._log = ledger
        self._stored = stored
        self._keep = keep
        self._head = WitnessedHead(ledger.key.verifier)
        self._loop = asyncio.get_running_loop()
        self._keeping: set[asyncio.Task[None]] = set()
        self._witnesses = Witnesses(ledger, self._policy, on_witnessed=self._confirmed) if asks else None
        self.use("")

    def use(self, policy: str) -> None:
        """A charter's text, "" for none. Raises BadPolicy, which no verified charter does."""
        self._head.use(policy)
        for note in (self._stored, self._log.head.data):
            if note is not None:
                self._head.offer(note)
        self.notice(self._log.head)

    def notice(self, head: Head) -> None:
        """A new head, or another policy."""
        if self._witnesses is not None:
            self._witnesses.notice(head)

    def find(self, head: Head) -> Head | None:
        """What proofs are made against, where ``head`` is the newest; None: nothing fulfils the policy yet."""
        return self._head.find(head)

    def standing(self, head: Head) -> Standing | None:
        return self._head.standing(head)

    def states(self) -> tuple[WitnessState, ...]:
        return () if self._witnesses is None else self._witnesses.states()

    async def close(self) -> None:
        if self._witnesses is not None:
            await asyncio.to_thread(self._witnesses.close)
        await asyncio.gather(*self._keeping, return_exceptions=True)

    def _policy(self) -> Policy | None:
        """In any thread."""
        return self._head.policy

    def _confirmed(self, note: bytes) -> None:
        """In an asker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._offer, note)

    def _offer(self, note: bytes) -> None:
        if self._head.offer(note):
            self._stored = note
            task = self._loop.create_task(self._keep(note))
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)
