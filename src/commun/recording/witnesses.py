"""Asking the charter's witnesses to cosign the ledger's head, so that nobody can be shown another one.

Witnesses are those of the policy (C2SP tlog-policy) that have a URL: the submission prefix of C2SP tlog-witness. Rules:

- the ledger waits for nobody: ``notice`` only remembers the newest head. Each witness has a thread of its own, so a
  slow or a dead one holds up neither the ledger nor the others;
- there is no queue. Heads are asked for in ROUNDS: all witnesses are asked for the same head, or a quorum would never
  meet where heads come faster than answers. A round ends when the quorum is fulfilled, when everybody who could be
  asked has answered, and after ROUND_S; the next one is for the newest head then. Who is late goes on to the next;
- a witness is told the size that it has cosigned last, as far as is known here; 409 tells the right one, and it is
  asked again with the proof from there. One that tells less than it has cosigned has lost what it knew, and may be led
  to sign a fork: that is logged as an error;
- a line is verified before it is used (``cosignatures.py``). It goes below the published head (``Log.add_signatures``)
  where that is still the same, and in every case to ``on_witnessed``, with the whole note, once the policy's quorum is
  fulfilled: proofs are made against that head. ``on_witnessed`` is called in a witness's thread or in that of
  ``notice``, with heads that do not shrink, and again for a head that gets more lines;
- after a failure a witness rests for PAUSE_S, twice as long each time, up to MAX_PAUSE_S; then it is asked for the
  newest head, also where nothing new has come;
- a witness that has cosigned more than this ledger has, or refuses the growth since then, has seen ANOTHER HISTORY:
  this ledger was restored from an old copy, or rewritten, or somebody else signs with its key. That is logged as an
  error, shown (``states``), and asked again at the longest pause: only people can mend it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from commun.errors import N_, CommunError
from commun.fetching import Answer, WitnessSite
from commun.ledger.checkpoint import read_number
from commun.ledger.cosignature import time_of
from commun.ledger.errors import LedgerError
from commun.ledger.keys import VerifierKey
from commun.ledger.log import Head, Log
from commun.ledger.merkle import prove_consistency
from commun.ledger.note import Note, Signature
from commun.ledger.policy import Policy, Standing
from commun.ledger.policy import Witness as PolicyWitness
from commun.ledger.tiles import TileReader
from commun.ledger.witness import Submission
from commun.recording.cosignatures import (
    AnotherHistory,
    WitnessSilent,
    WitnessState,
    line_of,
    lines_below,
    state_of,
)

ROUND_S: Final = 10.0
PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 300.0
CLOSE_S: Final = 2.0  # how long ``close`` waits for threads that are asking; they end with the process
MAX_ASKED: Final = 3  # times for one head: again with the size that 409 told, and once more where that has changed
SIZE_TYPE: Final = "text/x.tlog.size"
_COSIGNED, _OTHER_SIZE, _NO_GROWTH = 200, 409, 422
_MEANING: Final = {
    403: N_("it knows this ledger under another key"),
    404: N_("it does not know this ledger"),
}

log = structlog.get_logger()


class Submitter(Protocol):
    def add_checkpoint(self, request: bytes) -> Answer: ...

    def close(self) -> None: ...


class _Round:
    """One head and its lines so far. Changed under the lock of ``Witnesses``."""

    def __init__(self, head: Head, policy: Policy) -> None:
        self.head = head
        self.policy = policy
        self.began = time.monotonic()
        self.lines: dict[VerifierKey, Signature] = {}
        self.expected: set[VerifierKey] = set()

    @property
    def standing(self) -> Standing:
        return self.policy.standing(self.lines.keys())

    @property
    def is_over(self) -> bool:
        late = time.monotonic() - self.began > ROUND_S
        return late or not self.expected or (self.policy.quorum is not None and self.standing.fulfilled)


class Witnesses:
    """``policy``: the one in force now, answered from memory; None: there are no witnesses. ``log``: whose heads.
    ``connect``: the other side, by its URL.
    """

    def __init__(
        self,
        ledger: Log,
        policy: Callable[[], Policy | None],
        *,
        on_witnessed: Callable[[bytes], None] = lambda _note: None,
        connect: Callable[[str], Submitter] = WitnessSite,
    ) -> None:
        self.ledger = ledger
        self.connect = connect
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self._policy = policy
        self._on_witnessed = on_witnessed
        self._newest: Head | None = None
        self._round: _Round | None = None
        self._asking: dict[PolicyWitness, _Asking] = {}
        self._witnessed = -1  # the size of the last head that was handed on
        self._fulfilled: _Round | None = None  # from its beginning on, and not handed on yet
        self._handing = threading.Lock()

    def notice(self, head: Head) -> None:
        """A new head, or that there may be a new policy. Blocks nobody."""
        with self.changed:
            self._newest = head
            self._go_on()
        self._hand_on_fulfilled()

    def states(self) -> tuple[WitnessState, ...]:
        """Every witness of the policy in force, in its order."""
        policy = self._policy()
        with self.changed:
            found = {witness: asking.state for witness, asking in self._asking.items()}
        return tuple(found.get(item) or state_of(item) for item in (() if policy is None else policy.witnesses))

    def close(self) -> None:
        """Asks nobody any more. Threads that wait for an answer are left to end by themselves."""
        with self.changed:
            self.closing.set()
            asking = list(self._asking.values())
            self.changed.notify_all()
        deadline = time.monotonic() + CLOSE_S
        for item in asking:
            item.thread.join(max(0.0, deadline - time.monotonic()))

    def wanted(self, asking: "_Asking") -> _Round | None:
        """What this witness is to be asked for now; None: nothing. Under the lock."""
        self._go_on()
        now = self._round
        if now is None or asking.witness not in now.policy.witnesses or asking.witness.key in now.lines:
            return None
        return now

    def take(self, asking: "_Asking", now: _Round, line: Signature | None) -> None:
        """The answer; ``line`` None: a failure."""
        if line is not None:
            try:
                self.ledger.add_signatures(now.head.checkpoint, [line])
            except LedgerError as error:
                log.warning("a cosignature could not be put below the published head", error=error.code)
        with self.changed:
            now.expected.discard(asking.witness.key)
            if line is not None:
                now.lines[asking.witness.key] = line
            self._go_on()
        if line is not None:
            self._hand_on(now)
        self._hand_on_fulfilled()

    def _go_on(self) -> None:
        """The next round, where it is time for one. Under the lock."""
        if self._newest is None or self.closing.is_set():
            return
        policy = self._policy()
        old = self._round
        if policy is None:
            self._round = None
            return
        if (
            old is not None
            and old.policy == policy
            and not (old.is_over and old.head.checkpoint != self._newest.checkpoint)
        ):
            return
        self._round = now = _Round(self._newest, policy)
        self._know(policy)
        now.lines = lines_below(self._newest, policy, self.ledger.key.verifier)
        now.expected = {item.witness.key for item in self._asking.values() if not item.is_busy} - now.lines.keys()
        if now.standing.fulfilled:
            self._fulfilled = now
        self.changed.notify_all()

    def _know(self, policy: Policy) -> None:
        """A thread for each witness that can be asked, and none for one that is gone from the policy."""
        askable = [item for item in policy.witnesses if item.url]
        for witness in [item for item in self._asking if item not in askable]:
            self._asking.pop(witness).is_gone = True
        for witness in askable:
            if witness not in self._asking:
                self._asking[witness] = _Asking(self, witness)

    def _hand_on_fulfilled(self) -> None:
        with self.changed:
            now, self._fulfilled = self._fulfilled, None
        if now is not None:
            self._hand_on(now)

    def _hand_on(self, now: _Round) -> None:
        """One thread at a time, so that heads do not go back; outside the lock."""
        with self._handing:
            with self.changed:
                is_worth = now.standing.fulfilled and now.head.size >= self._witnessed
                note = Note.from_bytes(now.head.data).with_signatures(now.lines.values())
            if not is_worth:
                return
            self._witnessed = now.head.size
            try:
                self._on_witnessed(note.data())
            except Exception:  # a mistake of ours: the witnesses are asked on
                log.exception("a witnessed head could not be handed on")


class _Asking:
    """One witness and its thread."""

    def __init__(self, all_: Witnesses, witness: PolicyWitness) -> None:
        self.witness = witness
        self.state = state_of(witness)
        self.is_busy = False  # asking, or resting after a failure
        self.is_gone = False
        self._all = all_
        self._size = 0  # what it has cosigned last, as far as is known here
        self._pause = PAUSE_S
        self._site: Submitter | None = None
        self.thread = threading.Thread(target=self._run, name=f"witness {self.state.name}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (now := self._next()) is not None:
            line, trouble = None, None
            try:
                line = self._ask(now)
            except (CommunError, OSError) as error:
                trouble = error if isinstance(error, CommunError) else self._silent(N_("it does not answer"))
            except Exception:  # a mistake of ours: this witness is asked again, and the others go on
                log.exception("asking a witness failed")
                trouble = self._silent(N_("Commun made a mistake; its log says more"))
            self._remember(now, line, trouble)
            self._all.take(self, now, line)
            if trouble is not None:
                self._all.closing.wait(self._pause)
                self._pause = min(self._pause * 2, MAX_PAUSE_S)
            with self._all.changed:
                self.is_busy = False
        if self._site is not None:
            self._site.close()

    def _next(self) -> _Round | None:
        """Waits for it. None: nothing is to be asked any more."""
        with self._all.changed:
            while not self._all.closing.is_set() and not self.is_gone:
                now = self._all.wanted(self)
                if now is not None:
                    self.is_busy = True
                    return now
                self._all.changed.wait(ROUND_S)
        return None

    def _ask(self, now: _Round) -> Signature:
        head = now.head.checkpoint
        if self._site is None:
            self._site = self._all.connect((self.witness.url or b"").decode("utf-8", "replace"))
        for _ in range(MAX_ASKED):
            self._size = min(self._size, head.size)
            answer = self._site.add_checkpoint(self._request(now.head))
            if answer.status == _COSIGNED:
                line = line_of(answer.data, self.witness.key, head)
                if line is None:
                    raise self._silent(N_("its answer has no valid cosignature of the policy’s key"))
                self._size = head.size
                return line
            if answer.status == _NO_GROWTH:
                raise self._another(N_("it refuses the growth from the head that it has cosigned"))
            if answer.status != _OTHER_SIZE:
                raise self._silent(_MEANING.get(answer.status) or f"it answers with status {answer.status}")
            self._size = self._told(answer)
        raise self._silent(N_("it tells another size each time"))

    def _told(self, answer: Answer) -> int:
        """The size in a 409. Larger than what is published here: somebody has shown it more."""
        is_size = answer.media_type.partition(";")[0].strip() == SIZE_TYPE
        size = read_number(answer.data.decode("latin-1").removesuffix("\n")) if is_size else None
        if size is None:
            raise self._silent(N_("it tells no size"))
        if size > self._all.ledger.head.size:
            raise self._another(N_("it has cosigned more entries than there are"))
        if size < (self.state.size or 0):
            log.error("a witness has forgotten what it cosigned", witness=self.state.name, told=size)
        return size

    def _request(self, head: Head) -> bytes:
        """With the ledger's own line only: others' are nothing to this witness."""
        own = self._all.ledger.key.verifier
        note = Note.from_bytes(head.data)
        lines = tuple(item for item in note.signatures if (item.name, item.key_id) == (own.name, own.key_id))
        proof: tuple[bytes, ...] = ()
        if 0 < self._size < head.size:
            reader = TileReader(head.size, self._all.ledger.files.find)
            proof = prove_consistency(self._size, head.size, reader)
        return Submission.make(self._size, proof, Note(note.text, lines)).data()

    def _remember(self, now: _Round, line: Signature | None, trouble: CommunError | None) -> None:
        if line is not None:
            self._pause = PAUSE_S
            at = datetime.fromtimestamp(time_of(line.value), UTC)
            self.state = replace(self.state, size=now.head.size, at=at, trouble=None)
            return
        if isinstance(trouble, AnotherHistory):
            self._pause = MAX_PAUSE_S
            log.error(
                "a witness says that it has seen another history of this ledger", **_told_in_logs(self.state, trouble)
            )
        elif trouble is not None and (self.state.trouble is None or self.state.trouble.details != trouble.details):
            log.warning("a witness has not cosigned", **_told_in_logs(self.state, trouble))
        self.state = replace(self.state, trouble=trouble)

    def _silent(self, reason: str) -> WitnessSilent:
        return WitnessSilent(host=self.state.host, reason=reason)

    def _another(self, reason: str) -> AnotherHistory:
        return AnotherHistory(host=self.state.host, reason=reason)


def _told_in_logs(state: WitnessState, trouble: CommunError) -> dict[str, str]:
    return {"witness": state.name, "host": state.host, "reason": str(trouble.details.get("reason", trouble.code))}
