"""What a receipt costs each answer: processor time, time to the first token, and where it goes.

The real assistant, store and ledger in one process, on an engine that answers at once, in two arms that take turns:

- with: as Commun runs. Seed, statement, commitments, signature; the row, sealed, in the answer's transaction; the
  ledger's entry, until the database has its position;
- without: the same, but nothing is issued, kept or logged.

"Kept" answers go into a conversation, sealed, in both arms. "Nobody's" (a temporary chat, the API without ``store``)
are written nowhere in the arm without, so that their whole transaction counts as the receipt's. Processor time is the
whole process's, all threads; figures are medians over the rounds of the mean of one answer, and of the rounds'
differences. The engine gives way before each token, as one that computes it does.

    python benchmarks/receipts.py [--json] [--rounds 5] [--answers 100]

Checked (exit status 1): at most 2 ms of processor time more for each answer, at most 0.1 ms more to the first token.
"""

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rules
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines, Terms
from commun.assistant.in_force import CharterInForce
from commun.assistant.issuing import Beginning, Ending, Issuer, statement_of, values_of
from commun.assistant.question import Question
from commun.assistant.turn import Assistant, Done
from commun.charter.edition import InForce
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.engine.base import Delta, Finish, FinishReason, Message, Prompt, Sampling
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, TRUST_FOLDER
from commun.receipts.bundle import PENDING, Logged
from commun.receipts.commitments import commit, make_salts
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt
from commun.receipts.statement import Scheme, Seed, Statement
from commun.recording.receipt_key import RECEIPT_KEY_FILE, open_receipt_key
from commun.recording.recorder import Recorder
from commun.store.accounts import Accounts
from commun.store.conversations import Conversations, MessageState, OpenTurn
from commun.store.database import DATABASE_FILE, Database
from commun.store.ledger_entries import LedgerEntries
from commun.store.people import Viewer
from commun.store.receipts import Place, Receipts, add
from commun.store.vault import ConversationKey
from stub_engine import StubEngine

ANSWERS = (32, 128, 512)  # tokens
PROMPTS = (100, 1000, 4000)
NOBODYS = ("100+32", "1000+128", "4000+512")
MOST_CPU_MS = 2.0
MOST_FIRST_MS = 0.1
LOOK_S = 0.2  # asking the database costs, too
FIRSTS = 200  # pairs of answers whose first token is waited for
PAUSE_S = 0.01  # before an answer whose first token is waited for: nothing of the last one goes on
SPLITS = 50  # repetitions of each step
WORD = "word"  # four characters, as a token has in the mean
Figures = dict[str, float]


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


async def compare(house: House, *, kept: bool, rounds: int, answers: int) -> Figures:
    """Both arms, in turns, each first in every other round."""
    assistant = house.assistant(Issuer(lambda: house.signer, house.recorder, house.receipts))
    _, old = await house.ask(assistant, kept=False, bare=False)
    arms = {"with": assistant, "without": house.assistant(WithoutReceipts(old))}
    cpu: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(-1, rounds):  # the first one warms up
        for name in sorted(arms, reverse=number % 2 == 0):
            start = time.process_time()
            for _ in range(answers):
                await house.ask(arms[name], kept=kept, bare=name == "without")
            await house.settle()  # of the arm without nothing waits
            if number >= 0:
                cpu[name].append((time.process_time() - start) * 1000 / answers)
    first = await first_tokens(house, arms, kept=kept, answers=FIRSTS)
    await house.settle()
    for each in arms.values():
        await each.close()
    return {
        "with_ms": statistics.median(cpu["with"]),
        "without_ms": statistics.median(cpu["without"]),
        "added_ms": statistics.median(a - b for a, b in zip(cpu["with"], cpu["without"], strict=True)),
        "ratio": statistics.median(a / b for a, b in zip(cpu["with"], cpu["without"], strict=True)),
        "first_with_ms": statistics.median(first["with"]),
        "first_without_ms": statistics.median(first["without"]),
        "added_first_ms": statistics.median(a - b for a, b in zip(first["with"], first["without"], strict=True)),
    }


async def first_tokens(house: House, arms: dict[str, Assistant], *, kept: bool, answers: int) -> dict[str, list[float]]:
    """Milliseconds from the question to the first token, answer by answer, the arms in turns."""
    first: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(answers):
        for name in sorted(arms, reverse=number % 2 == 0):
            await asyncio.sleep(PAUSE_S)
            seconds, _ = await house.ask(arms[name], kept=kept, bare=name == "without")
            first[name].append(seconds * 1000)
    return first


def median_ms(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(SPLITS):
        start = time.thread_time()
        work()
        taken.append((time.thread_time() - start) * 1000)
    return statistics.median(taken)


class NoRows:
    """A connection that writes nothing: what is left is the sealing."""

    def execute(self, *_given: object) -> None: ...


async def split(house: House) -> Figures:
    """Where it goes, step by step, for one answer of the engine's shape."""
    made: list[tuple[Beginning, Ending, Receipt]] = []

    class Watching(Issuer):
        def issue(self, beginning: Beginning, ending: Ending) -> Receipt:
            made.append((beginning, ending, super().issue(beginning, ending)))
            return made[-1][2]

    assistant = house.assistant(Watching(lambda: house.signer, house.recorder, house.receipts))
    opened = await house.conversations.start_turn(
        house.viewer, conversation_id=None, parent_id=None, question=WORD, title="A chat"
    )
    async for _number, _event in assistant.begin(house.question(), opened, opened.answer_id).follow():
        pass
    beginning, ending, receipt = made[0]
    statement: Statement = receipt.statement
    content = ending.answer.as_content()
    key = ConversationKey.generate()
    place = Place(house.viewer.account_id, opened.conversation_id, opened.answer_id)
    rows = await rows_ms(house, key, receipt, content, place)
    salts, payload = make_salts(), statement.payload()
    pending = Logged(receipt=PENDING)
    figures = {
        "seed": median_ms(lambda: house.recorder.seed("a turn")),
        "values": median_ms(lambda: values_of(ending)),
        "commitments": median_ms(lambda: commit(receipt.values, make_salts() and salts)),
        "statement": median_ms(
            lambda: statement_of(beginning, ending, statement.ended, origin="x") and statement.payload()
        ),
        "signature": median_ms(lambda: house.signer.sign(payload)),
        "sealing": median_ms(lambda: add(NoRows(), key, receipt, place=place, content=content, now=0.0)),  # type: ignore[arg-type]
        "row": rows,
        "bundle": median_ms(lambda: receipt.bundle(ledger=pending).data()),
        "bundle_bytes": float(len(receipt.bundle(ledger=pending).data())),
    }
    figures["row"] -= figures["sealing"]
    await house.settle()
    await assistant.close()
    return figures


async def rows_ms(house: House, key: ConversationKey, receipt: Receipt, content: dict[str, Any], place: Place) -> float:
    """Of sealing and writing the row, in a transaction that is taken back; the flush is the answer's own."""

    class Back(Exception):
        pass

    taken = []

    def work(connection: Any) -> None:
        other = replace(receipt, statement=replace(receipt.statement, receipt=f"{random.getrandbits(256):064x}"))
        other = replace(other, envelope=other.envelope + random.randbytes(8).hex().encode())
        start = time.thread_time()
        add(connection, key, other, place=place, content=content, now=0.0)
        taken.append((time.thread_time() - start) * 1000)
        raise Back

    for _ in range(SPLITS):
        with contextlib.suppress(Back):
            await house.database.write(work)
    return statistics.median(taken)


async def measure(home: Path, *, rounds: int, answers: int) -> dict[str, Any]:
    house = await open_house(home)
    found: dict[str, Any] = {"kept": {}, "nobodys": {}, "steps": {}}
    try:
        for prompt in PROMPTS:
            for answer in ANSWERS:
                house.engine.say(answer, prompt)
                shape = f"{prompt}+{answer}"
                for kept in (True, False) if shape in NOBODYS else (True,):
                    figures = await compare(house, kept=kept, rounds=rounds, answers=answers)
                    found["kept" if kept else "nobodys"][shape] = figures
                    print(shape, "kept" if kept else "nobody's", figures, file=sys.stderr, flush=True)
                found["steps"][shape] = await split(house)
    finally:
        await house.engines.close()
        await house.recorder.close()
        house.database.close()
    return found


def tell(found: dict[str, Any]) -> None:
    print("Processor time for one answer, in ms (prompt + answer tokens)\n")
    print(f"{'':10}{'shape':>10}{'without':>9}{'with':>9}{'added':>8}{'ratio':>7}{'first token':>13}{'added':>8}")
    for kind in ("kept", "nobodys"):
        for shape, one in found[kind].items():
            print(
                f"{kind:10}{shape:>10}{one['without_ms']:9.2f}{one['with_ms']:9.2f}{one['added_ms']:8.2f}"
                f"{one['ratio']:7.2f}{one['first_with_ms']:13.3f}{one['added_first_ms']:8.3f}"
            )
    print("\nStep by step, in ms; the bundle without the charter's files\n")
    names = list(next(iter(found["steps"].values())))
    print(f"{'shape':>10}" + "".join(f"{name:>13}" for name in names))
    for shape, steps in found["steps"].items():
        print(f"{shape:>10}" + "".join(f"{steps[name]:13.3f}" for name in names))


def too_slow(found: dict[str, Any]) -> list[str]:
    return [
        f"{kind} {shape}: {name} {figures[name]:.3f} ms"
        for kind in ("kept", "nobodys")
        for shape, figures in found[kind].items()
        for name, most in (("added_ms", MOST_CPU_MS), ("added_first_ms", MOST_FIRST_MS))
        if figures[name] > most
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--answers", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = asyncio.run(measure(Path(home), rounds=given.rounds, answers=given.answers))
    if given.json:
        print(json.dumps(found))
    else:
        tell(found)
    slow = too_slow(found)
    for line in slow:
        print(f"too slow: {line}", file=sys.stderr)
    sys.exit(bool(slow))


if __name__ == "__main__":
    main()
