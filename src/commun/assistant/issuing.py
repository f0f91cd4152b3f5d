"""The receipt of a turn: how what the assistant knows of it becomes a signed statement, and where that goes.

Rules:

- every turn that began gets one at its end, whatever ended it: complete, stopped, failed (also before an engine had
  it), interrupted; kept or temporary; a chat or a plain text; on an engine of our own or on another server. Not one
  whose end this process did not see (``kill -9``, a power cut): what it had written is kept without a receipt, and the
  page says so. Nor one whose receipt could not be made or kept: it is told as failed, and logged;
- it says what happened, not what was wished: the sampling that was used, the messages that the model was given, the
  engine as it told itself. Of a turn that no engine had it names model and profile as the charter has them, no engine;
- times are the wall clock's, UTC, in whole seconds; a clock that was set back ends a turn when it began;
- the seed is known before the first token: the caller's, one that the server drew for several questions, else derived
  from a secret that the ledger has the digest of and the caller's nonce (``Logbook.seed``), which then give the
  receipt's id, too. Another server that samples is asked for one;
- what another server says of itself or of an answer is made to fit a statement, so that it cannot keep a receipt from
  being issued.

A receipt is kept with its answer, in one transaction; where nobody keeps the answer, alone (``NobodysReceipts``), and
only then handed to the ledger (``Logbook.submit``).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from commun import __version__
from commun.assistant.answer import Answer
from commun.assistant.engines import Terms
from commun.assistant.question import Question
from commun.charter.clauses import Charter
from commun.engine.base import Prompt, Sampling
from commun.errors import CommunError
from commun.receipts.commitments import TEXT_ROLE, Message, Values, whole_logprobs
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.fields import MAX_COUNT
from commun.receipts.issue import Receipt, engine_used, issue
from commun.receipts.seeds import derived_receipt_id
from commun.receipts.statement import (
    OPENVINO_SAMPLER,
    REMOTE_SAMPLER,
    CharterUsed,
    ContextUsed,
    EngineUsed,
    Sampler,
    Scheme,
    Seed,
    State,
    Statement,
    decimal_text,
    receipt_id,
)

REMOTE = "remote"  # profile of an engine that is another server


class Logbook(Protocol):
    """The ledger (``recording.recorder.Recorder``). ``origin``: "" for none."""

    @property
    def origin(self) -> str: ...

    def submit(self, receipt: Receipt) -> None:
        """After its commit; never blocks."""
        ...

    async def check_nonce(self, nonce: bytes | None) -> None:
        """Before each question; None: its caller sent none. Raises NonceUsed."""
        ...

    def seed(self, nonce: bytes | None) -> Seed:
        """A nonce serves once. Raises NonceUsed."""
        ...

    def withdraw(self, seed: Seed) -> None:
        """Its turn did not begin."""
        ...


class NobodysReceipts(Protocol):
    """Where receipts of answers are kept that nobody keeps (``store.receipts.Receipts``)."""

    async def keep(self, receipt: Receipt) -> None: ...


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known of a turn before its first token. ``began`` UTC."""

    turn_id: str
    question: Question
    terms: Terms
    seed: Seed
    began: datetime

    @property
    def receipt_id(self) -> str:
        if self.seed.scheme is Scheme.DERIVED:
            return derived_receipt_id(self.seed.epoch, bytes.fromhex(self.seed.nonce))
        return receipt_id(self.turn_id)


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of it. ``prompt``: what the model was given, None if the turn ended before there was one.
    ``reached``: whether an engine had it. ``error``: a code, "" for none.
    """

    answer: Answer
    prompt: Prompt | None
    state: State
    error: str = ""
    reached: bool = True


def utc_now() -> datetime:
    return datetime.now(UTC)


class Issuer:
    """``signer``: gives the receipt key, which is there once an edition is in force. ``now``: the wall clock (UTC)."""

    def __init__(
        self,
        signer: Callable[[], ReceiptSigner],
        logbook: Logbook,
        nobodys: NobodysReceipts,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._signer = signer
        self._logbook = logbook
        self._nobodys = nobodys
        self._now = now

    async def check_nonce(self, nonce: bytes | None) -> None:
        """Raises NonceUsed."""
        await self._logbook.check_nonce(nonce)

    def begin(self, turn_id: str, question: Question, terms: Terms) -> Beginning:
        """Raises NonceUsed."""
        return Beginning(turn_id, question, terms, self._seed(question, terms), self._second())

    def withdraw(self, beginning: Beginning) -> None:
        """The turn was refused after all, so its nonce has not served."""
        self._logbook.withdraw(beginning.seed)

    def issue(self, beginning: Beginning, ending: Ending) -> Receipt:
        """Raises ReceiptError for a statement that no reader would accept: a fault of ours."""
        ended = max(beginning.began, self._second())
        statement = statement_of(beginning, ending, ended, origin=self._logbook.origin)
        receipt = issue(statement, values_of(ending), self._signer())
        return replace(receipt, sample_rate=beginning.terms.charter.audit.sample_rate)

    async def keep(self, receipt: Receipt) -> None:
        """The receipt of an answer that nobody keeps; when this returns it survives a crash."""
        await self._nobodys.keep(receipt)

    def submit(self, receipt: Receipt) -> None:
        """To the ledger, once it is kept."""
        self._logbook.submit(receipt)

    def _second(self) -> datetime:
        return self._now().replace(microsecond=0)

    def _seed(self, question: Question, terms: Terms) -> Seed:
        chosen = question.drawn_seed if question.seed is None else question.seed
        if profile_of(terms) == REMOTE:
            return Seed(Scheme.REMOTE, secrets.randbits(32) if chosen is None else chosen)
        if chosen is not None:
            return Seed(Scheme.DRAWN if question.seed is None else Scheme.CALLER, chosen)
        return self._logbook.seed(question.nonce)


def profile_of(terms: Terms) -> str:
    """As the engine tells it, else as the charter names it."""
    try:
        return terms.info.profile
    except CommunError:
        return charter_profile(terms.charter)


def charter_profile(charter: Charter) -> str:
    model = charter.models.get(charter.models.default)
    return REMOTE if model.format == REMOTE else charter.sampling.profile.value


def statement_of(beginning: Beginning, ending: Ending, ended: datetime, *, origin: str) -> Statement:
    """Without commitments: ``receipts.issue`` makes them."""
    answer, question, in_force = ending.answer, beginning.question, beginning.terms.in_force
    charter, told = in_force.charter, answer.engine
    adopted = charter.models.get(charter.models.default)
    engine = engine_of(ending, charter)
    return Statement(
        receipt=beginning.receipt_id,
        state=ending.state,
        error=ending.error,
        finish=answer.finish_reason,
        began=beginning.began,
        ended=ended,
        charter=CharterUsed(answer.edition, answer.charter, in_force.first_root, stale=answer.stale),
        model_id=told.model if told else adopted.id,
        model_digest=told.model_digest if told else adopted.digest,
        engine=engine,
        software=__version__,
        sampler=sampler_of(answer.sampling, remote=engine.profile == REMOTE),
        seed=beginning.seed,
        context=ContextUsed(
            "chat" if question.prompt is None else "text",
            charter.context.policy,
            kept_messages(ending.prompt),
            answer.dropped_messages,
        ),
        persona=answer.persona,
        language=answer.language,
        sources=(),
        tools=(),
        prompt_tokens=min(answer.prompt_tokens, MAX_COUNT),
        answer_tokens=min(answer.completion_tokens, MAX_COUNT),
        commitments={},
        ledger=origin,
    )


def engine_of(ending: Ending, charter: Charter) -> EngineUsed:
    """Without a name where no engine had the turn."""
    info = ending.answer.engine
    if info is None or not ending.reached:
        return EngineUsed("", "", info.profile if info else charter_profile(charter))
    return engine_used(info.name, info.version, info.profile, info.notes)


def sampler_of(sampling: Sampling, *, remote: bool) -> Sampler:
    return Sampler(
        REMOTE_SAMPLER if remote else OPENVINO_SAMPLER,
        decimal_text(sampling.temperature),
        decimal_text(sampling.top_p),
        sampling.max_tokens,
        ignore_eos=sampling.ignore_eos,
    )


def kept_messages(prompt: Prompt | None) -> int:
    return sum(message.role != "system" for message in prompt.messages) if prompt else 0


def values_of(ending: Ending) -> Values:
    """What is committed to. Figures without a token each (another server's) are none."""
    answer, prompt = ending.answer, ending.prompt
    figures = bool(answer.token_ids) and len(answer.logprobs) == len(answer.token_ids)
    return Values(
        prompt_token_ids=prompt.token_ids if prompt else None,
        prompt_messages=messages_of(prompt) if prompt else None,
        answer_token_ids=answer.token_ids or None,
        answer_text=answer.text,
        logprobs=whole_logprobs(answer.logprobs) if figures else None,
        stop=answer.sampling.stop or None,
        schema=answer.sampling.json_schema,
    )


def messages_of(prompt: Prompt) -> tuple[Message, ...] | None:
    """As the model got them. A plain text is one; token ids alone are none."""
    if prompt.text is not None:
        return ((TEXT_ROLE, prompt.text),)
    return tuple((message.role, message.content) for message in prompt.messages) or None
