"""THE MAIN PATH: one question and its answer, from the request to what is stored.

Steps, numbered as in docs/structure.md, in the order of the code below:

4. ``begin`` takes the edition in force (``in_force.py``) and the engine that it names (``engines.py``): these are the
   turn's terms until its end, whatever is adopted meanwhile; wishes beyond the charter are refused (``bounds.py``);
5. it takes a place, running or waiting, or refuses at once (``admission.py``);
6. the turn's own task renders the prompt within the context, what is dropped is told (``prompt.py``); the place in the
   queue is told until the turn comes;
7. the engine streams tokens, drawn with a seed that was fixed at the beginning, each with its log-probability, into
   the ``Draft`` of the answer (``draft.py``);
8. readers follow the turn's numbered events meanwhile, or stop it (``following.py``);
9. on the last token, stop or failure the receipt is issued (``issuing.py``), and the answer and it are kept in ONE
   transaction;
10. it is handed to the ledger, and only then the answer is told as finished.

A turn runs in its own task: it goes on when the reader leaves. It is remembered while it runs and for a minute after,
so that a reload or a second tab resumes where it was; then the stored message speaks.

It refuses to answer without terms, without a place, and for whoever was shut out; and to tell an answer as done that
is not kept, or has no receipt.
"""

import asyncio
import contextlib
import secrets
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from commun.assistant.admission import NOBODY, Admission, Share, Ticket
from commun.assistant.answer import Answer, Began, Done, Failed, Queued, TurnEvent
from commun.assistant.bounds import check_plain_completions, check_wishes
from commun.assistant.draft import Draft
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines, Terms
from commun.assistant.following import Turn
from commun.assistant.in_force import CharterInForce
from commun.assistant.issuing import Beginning, Issuer
from commun.assistant.prompt import prepare, sampling_for
from commun.assistant.question import Question
from commun.assistant.quotas import Quotas
from commun.engine.base import EngineInfo, EngineState, Finish, FinishReason, Score
from commun.errors import CommunError, EngineFailed, InternalError, Refused
from commun.receipts.errors import ReceiptError
from commun.receipts.issue import Receipt
from commun.receipts.statement import State
from commun.store.conversations import MessageState

__all__ = ["Answer", "Assistant", "Began", "Done", "Failed", "Queued", "Record", "Turn", "TurnEvent"]

CHECKPOINT_S = 2.0  # a crash loses at most this much of an unfinished answer
REMEMBER_S = 60.0  # how long a finished turn's events can still be followed
CUT_RETRY_S = 5  # after an engine ended an answer without saying why

log = structlog.get_logger()
Watcher = Callable[[Answer, CommunError | None], None]


class Record(Protocol):
    """Where an answer is kept (``store.conversations.OpenTurn``)."""

    async def checkpoint(self, content: dict[str, Any]) -> None: ...

    async def keep(self, content: dict[str, Any], state: MessageState, receipt: Receipt | None) -> None:
        """One transaction. ``receipt`` None: it could not be issued."""
        ...


class Assistant:
    """Answers questions. The one way from a question to an engine, for page, API and command line alike."""

    def __init__(
        self,
        *,
        charter: CharterInForce,
        engines: Engines,
        admission: Admission,
        meter: EnergyMeter,
        issuer: Issuer,
        quotas: Quotas | None = None,
    ) -> None:
        """``quotas`` None: nobody is counted or bounded."""
        self._charter = charter
        self._engines = engines
        self._admission = admission
        self._meter = meter
        self._issuer = issuer
        self._quotas = quotas
        self._watchers: list[Watcher] = []
        self._turns: dict[str, Turn] = {}
        self._shut_out: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # What is asked before

    def check_ready(self) -> None:
        """Raises why no question can be taken now."""
        self.terms()

    def terms(self) -> Terms:
        """What is answered under now. Raises CharterError, EngineLoading or EngineFailed when nothing is."""
        in_force = self._charter.get()
        return Terms(in_force, self._engines.get(in_force.charter))

    async def check_nonce(self, nonce: bytes | None) -> None:
        """Before ``begin``, for each question. ``nonce`` None: the caller sent none. Raises NonceUsed."""
        await self._issuer.check_nonce(nonce)

    async def check_schema(self, question: Question, terms: Terms, share: Share) -> None:
        """Before ``begin``: a JSON Schema is refused before it takes a place. One that the charter does not grant is
        not even looked at: ``begin`` refuses it. Raises what ``Engine.check_schema`` does.
        """
        if question.json_schema is not None and terms.charter.callers.structured_output:
            await terms.engine.check_schema(question.json_schema, share.owner)

    async def share_of(self, account: str, key: str = "") -> Share:
        """Whose question is to begin; before each. ``key``: the API key's id, or "". Raises DailyTokensUsed."""
        return await self._quotas.share_of(account, key) if self._quotas else Share(account, key=key)

    async def share_of_guest(self, guest: str, class_id: str) -> Share:
        """As ``share_of``, for whoever is in a class. Raises ClassTokensUsed."""
        return await self._quotas.share_of_guest(guest, class_id) if self._quotas else Share(guest, class_id=class_id)

    async def check_again(self, share: Share) -> None:
        """Others of the same person were answered since ``share_of``. Raises what that does."""
        if self._quotas:
            await self._quotas.check_again(share)

    # One turn: steps 4 to 10

    def begin(
        self,
        question: Question,
        record: Record | None = None,
        turn_id: str | None = None,
        *,
        terms: Terms | None = None,
        share: Share = NOBODY,
    ) -> Turn:
        """Starts a turn and returns it at once. ``turn_id``: the id of the stored answer, if there is one. ``terms``:
        those of a request that has begun before. ``share``: who asks (``share_of``).

        Raises Refused, CharterError, OutsideCharter, EngineLoading, EngineFailed, QueueFull and TooManyWaiting before
        anything has started; every later failure is the turn's last event.
        """
        terms = terms or self.terms()  # step 4
        check_wishes(question, terms.charter, stored=record is not None)
        if self._is_shut_out(share):
            raise Refused
        turn = Turn(turn_id or secrets.token_urlsafe(12), terms, share)
        beginning = self._issuer.begin(turn.id, question, terms)
        turn.receipt_id = beginning.receipt_id
        try:  # step 5
            ticket = self._admission.join(lambda place: turn.tell(Queued(place)), share)
        except CommunError:
            self._issuer.withdraw(beginning)
            raise
        self._turns[turn.id] = turn
        self._engines.hold(terms.engine)
        task = asyncio.create_task(self._run(turn, beginning, record, ticket))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _task: self._engines.release(terms.engine))
        return turn

    async def _run(self, turn: Turn, beginning: Beginning, record: Record | None, ticket: Ticket) -> None:
        """The turn's task. Whatever ends the writing, what there is of the answer is finished."""
        sampling = sampling_for(turn.terms.charter, beginning.question, room=1, seed=beginning.seed.value)
        draft = Draft(beginning, sampling, self._meter.method)
        error: CommunError | None = None
        state = MessageState.COMPLETE
        try:
            with turn.stoppable():
                await self._write(turn, record, ticket, draft)
        except CommunError as failure:
            error = failure
        except asyncio.CancelledError:
            state = MessageState.INTERRUPTED  # the server is closing: keep what there is, then go
        except Exception as failure:
            log.exception("turn failed", turn=turn.id)
            error = InternalError()
            error.__cause__ = failure
        finally:
            try:
                self._count(turn, draft)  # before the place is another's: whose turn comes next is refused by it
            finally:
                ticket.leave()
        if turn.stopped:
            state = MessageState.STOPPED
        if error is not None:
            state = MessageState.FAILED
        await self._finish(turn, record, draft, state, error)

    async def _write(self, turn: Turn, record: Record | None, ticket: Ticket, draft: Draft) -> None:
        """Steps 6 to 8. Leaves what was written in ``draft``, whatever ends it."""
        if self._is_shut_out(turn.share):  # since it began
            raise Refused
        engine, charter, question = turn.terms.engine, turn.terms.charter, draft.beginning.question
        prepared = draft.prepared = await prepare(engine, charter, question)  # step 6
        draft.sampling = sampling_for(charter, question, prepared.room, draft.sampling.seed)
        await ticket.wait()
        if ticket.waited:
            await self.check_again(ticket.share)
        draft.queued_s = time.monotonic() - draft.asked
        turn.tell(Began(prepared.tokens, prepared.dropped_messages))
        draft.reached = True  # step 7
        reading = self._meter.begin()
        saved = time.monotonic()
        try:
            async with contextlib.aclosing(engine.generate(prepared.prompt, draft.sampling)) as stream:
                async for event in stream:
                    if isinstance(event, Finish):
                        draft.finish = event
                        break
                    draft.deltas.append(event)
                    turn.tell(event)  # step 8
                    if record is not None and time.monotonic() - saved > CHECKPOINT_S:
                        await record.checkpoint(draft.answer().as_content())
                        saved = time.monotonic()
        finally:
            draft.energy_wh = self._meter.end(reading)
        if draft.finish is None or draft.finish.reason is FinishReason.CANCELLED:
            raise EngineFailed(retry_after=CUT_RETRY_S)  # nobody had asked

    async def _finish(
        self, turn: Turn, record: Record | None, draft: Draft, state: MessageState, error: CommunError | None
    ) -> None:
        """Steps 9 and 10. The commit point: once answer and receipt are kept, no crash loses them; only then they are
        told.
        """
        answer = draft.answer()
        receipt = self._receipt(draft, answer, state, error)
        if receipt is None:
            error, state = error or InternalError(), MessageState.FAILED
        try:
            await self._keep(record, answer, state, receipt, error)
        except Exception as failure:
            log.exception("answer or receipt could not be kept", turn=turn.id)
            error, receipt = InternalError(), None
            error.__cause__ = failure
        turn.tell(Done(answer, receipt) if receipt and not error else Failed(error or InternalError(), answer, receipt))
        for watcher in self._watchers:
            watcher(answer, error)
        asyncio.get_running_loop().call_later(REMEMBER_S, self._turns.pop, turn.id, None)

    def _count(self, turn: Turn, draft: Draft) -> None:
        if self._quotas:
            answer = draft.answer()
            read = answer.prompt_tokens if draft.reached else 0
            self._quotas.count(turn.share, read=read, written=answer.completion_tokens)

    def _receipt(self, draft: Draft, answer: Answer, state: MessageState, error: CommunError | None) -> Receipt | None:
        """None: it could not be issued, which is a fault of ours; the answer is kept all the same."""
        try:
            return self._issuer.issue(draft.beginning, draft.ending(answer, State(state.value), error))
        except Exception as failure:  # noqa: BLE001  (no answer is lost for its receipt)
            # Our own words only: an encoder's message may quote what somebody wrote.
            reason = failure.text() if isinstance(failure, ReceiptError) else type(failure).__name__
            last = traceback.extract_tb(failure.__traceback__)[-1]
            where = f"{last.filename}:{last.lineno}"
            turn = draft.beginning.turn_id
            log.error("receipt could not be issued", turn=turn, reason=reason, where=where)  # noqa: TRY400
            return None

    async def _keep(
        self,
        record: Record | None,
        answer: Answer,
        state: MessageState,
        receipt: Receipt | None,
        error: CommunError | None,
    ) -> None:
        """Together, or not at all; then to the ledger."""
        if record is not None:
            content = answer.as_content()
            content |= {"receipt": receipt.statement.receipt} if receipt else {}
            content |= {"error": error.code} if error else {}
            await record.keep(content, state, receipt)
        elif receipt is not None:
            await self._issuer.keep(receipt)
        if receipt is not None:
            self._issuer.submit(receipt)

    # Who follows, and who is shut out

    def find(self, turn_id: str) -> Turn | None:
        """A turn that runs, or ended less than REMEMBER_S ago."""
        return self._turns.get(turn_id)

    def watch(self, watcher: Watcher) -> None:
        """``watcher`` is called once for each ended turn (for metrics; it must not keep what was written)."""
        self._watchers.append(watcher)

    def shut_out(self, account: str) -> None:
        """Stops every turn of an account, or of a class that has ended, and begins none for requests of its that are
        still on their way.
        """
        self._shut_out.add(account)
        for turn in self._turns.values():
            if turn.share.belongs_to(account):
                turn.stop()

    def let_in(self, account: str) -> None:
        self._shut_out.discard(account)

    def _is_shut_out(self, share: Share) -> bool:
        return not self._shut_out.isdisjoint({share.owner, share.class_id})

    # Without an answer

    async def score(self, token_ids: Sequence[int], terms: Terms, share: Share = NOBODY) -> list[Score]:
        """Scores of ``token_ids[1:]``: see ``Engine.score``. Takes a place like an answer. Raises OutsideCharter."""
        check_plain_completions(terms.charter)
        ticket = self._admission.join(lambda _place: None, share)
        self._engines.hold(terms.engine)
        try:
            await ticket.wait()
            if ticket.waited:
                await self.check_again(ticket.share)
            if self._quotas:
                self._quotas.count(share, read=len(token_ids), written=0)
            return await terms.engine.score(token_ids)
        finally:
            self._engines.release(terms.engine)
            ticket.leave()

    # How busy it is

    @property
    def info(self) -> EngineInfo:
        """Of the engine that the charter in force names. Raises EngineLoading before it has told."""
        return self._engines.info

    @property
    def state(self) -> EngineState:
        return self._engines.state

    @property
    def running(self) -> int:
        return self._admission.running

    @property
    def waiting(self) -> int:
        return self._admission.waiting

    async def close(self) -> None:
        """Stops every turn; what they have written is kept."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
