"""What receipts.py measures in: assistant, store and ledger as a server has them, and the arm without receipts."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rules
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines, Terms
from commun.assistant.in_force import CharterInForce
from commun.assistant.issuing import Beginning, Ending, Issuer
from commun.assistant.question import Question
from commun.assistant.turn import Assistant, Done
from commun.charter.edition import InForce
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.engine.base import Delta, Finish, FinishReason, Message, Prompt, Sampling
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, TRUST_FOLDER
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt
from commun.receipts.statement import Scheme, Seed
from commun.recording.receipt_key import RECEIPT_KEY_FILE, open_receipt_key
from commun.recording.recorder import Recorder
from commun.store.accounts import Accounts
from commun.store.conversations import Conversations, MessageState, OpenTurn
from commun.store.database import DATABASE_FILE, Database
from commun.store.ledger_entries import LedgerEntries
from commun.store.people import Viewer
from commun.store.receipts import Receipts
from stub_engine import StubEngine

LOOK_S = 0.2  # asking the database costs, too
WORD = "word"  # four characters, as a token has in the mean


class LongEngine(StubEngine):
    """Canned tokens with log-probabilities as models have them. ``info``: what the charter names."""

    def __init__(self, in_force: InForce) -> None:
        adopted = in_force.charter.models.get(in_force.charter.models.default)
        notes = {"build": "2026.4.1-22000", "inference_precision": "f32", "kv_cache_precision": "f32", "threads": "2"}
        self.info = replace(self.info, model=adopted.id, model_digest=adopted.digest, notes=notes)
        self.shape = (0, 0)
        self._deltas: list[Delta] = []
        self._prompt: tuple[int, ...] = ()

    def say(self, answer: int, prompt: int) -> None:
        self.shape = (answer, prompt)
        drawn = random.Random(1)
        self._deltas = [Delta((drawn.randrange(49_152),), WORD, (-drawn.expovariate(1),)) for _ in range(answer)]
        self._prompt = tuple(drawn.randrange(49_152) for _ in range(prompt))

    async def render(self, messages: Sequence[Message]) -> Prompt:
        return Prompt(self._prompt, tuple(messages))

    async def generate(self, _prompt: Prompt, _sampling: Sampling) -> AsyncGenerator[Delta | Finish, None]:
        for delta in self._deltas:
            await asyncio.sleep(0)
            yield delta
        yield Finish(FinishReason.STOP, self.shape[1], self.shape[0], 0.0, 0.0)


class Held:
    """A source (``in_force.Source``) of one edition."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force

    def load(self, _now: object) -> InForce:
        return self._in_force

    def stamp(self) -> tuple[object, ...]:
        return ()


class WithoutReceipts(Issuer):
    """The arm without: one old receipt for all."""

    def __init__(self, old: Receipt) -> None:
        self._old = old

    def begin(self, turn_id: str, question: Question, terms: Terms) -> Beginning:
        return Beginning(turn_id, question, terms, Seed(Scheme.DRAWN, random.getrandbits(32)), datetime.now(UTC))

    def issue(self, _beginning: Beginning, _ending: Ending) -> Receipt:
        return self._old

    async def check_nonce(self, _nonce: bytes | None) -> None: ...

    def withdraw(self, _beginning: Beginning) -> None: ...

    async def keep(self, _receipt: Receipt) -> None: ...

    def submit(self, _receipt: Receipt) -> None: ...


class KeptWithout:
    """A record (``turn.Record``) that keeps the answer alone."""

    def __init__(self, opened: OpenTurn) -> None:
        self._opened = opened

    async def checkpoint(self, content: dict[str, Any]) -> None: ...

    async def keep(self, content: dict[str, Any], state: MessageState, _receipt: Receipt | None) -> None:
        await self._opened.keep(content, state, None)


@dataclass
class House:
    """Everything that a server has, but for pages and the API."""

    in_force: InForce
    charter: CharterInForce
    engine: LongEngine
    engines: Engines
    viewer: Viewer
    conversations: Conversations
    receipts: Receipts
    recorder: Recorder
    signer: ReceiptSigner
    database: Database

    def assistant(self, issuer: Issuer) -> Assistant:
        return Assistant(
            charter=self.charter,
            engines=self.engines,
            admission=Admission(running=1, waiting=1),
            meter=EnergyMeter(watt=1),
            issuer=issuer,
        )

    def question(self) -> Question:
        return Question(messages=(Message("user", WORD * self.engine.shape[1]),))

    async def ask(self, assistant: Assistant, *, kept: bool, bare: bool) -> tuple[float, Receipt]:
        """Seconds to the first token, and the receipt."""
        question, opened = self.question(), None
        if kept:
            opened = await self.conversations.start_turn(
                self.viewer, conversation_id=None, parent_id=None, question=question.messages[0].content, title="A chat"
            )
        record = KeptWithout(opened) if opened is not None and bare else opened
        start, first = time.perf_counter(), 0.0
        turn = assistant.begin(question, record, opened.answer_id if opened else None)
        async for _number, event in turn.follow():
            if isinstance(event, Delta) and not first:
                first = time.perf_counter() - start
        assert isinstance(event, Done), event
        return first, event.receipt

    async def settle(self) -> None:
        """Until the ledger has every receipt, and the database every position."""
        while await self.receipts.unlogged(1):  # noqa: ASYNC110  (the database has no bell)
            await asyncio.sleep(LOOK_S)


async def open_house(home: Path) -> House:
    rules.found(home)
    in_force = load(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, now=datetime.now(UTC))
    charter = CharterInForce(Held(in_force))
    database = Database(home / DATABASE_FILE)
    database.open(exclusive=True)
    accounts = Accounts(database, session_days=1)
    receipts = Receipts(database)
    recorder = Recorder(
        home=home, public_url="", entries=LedgerEntries(database), receipts=receipts, now=lambda: datetime.now(UTC)
    )
    await charter.refresh()
    await recorder.admit(in_force)
    engine = LongEngine(in_force)
    engines = Engines(lambda _wish: engine)
    await engines.load(in_force.charter)
    return House(
        in_force,
        charter,
        engine,
        engines,
        (await accounts.redeem_link(await accounts.make_link())).viewer,
        Conversations(database),
        receipts,
        recorder,
        open_receipt_key(home / KEYS_FOLDER / RECEIPT_KEY_FILE),
        database,
    )
