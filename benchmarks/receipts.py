"""What a receipt costs each answer: processor time, time to the first token, and where it goes.

The real assistant, store and ledger in one process, on an engine that answers at once, in two arms that take turns:

- with: as Commun runs. Seed, statement, commitments, signature; the row, sealed, in the answer's transaction; the
  ledger's entry, until the database has its position;
- without: the same, but nothing is issued, kept or logged.

"Kept" answers go into a conversation, sealed, in both arms. "Nobody's" (a temporary chat, the API without ``store``)
are written nowhere in the arm without, so that their whole transaction counts as the receipt's. Processor time is the
whole process's, all threads; the arms take turns answer by answer, and figures are medians of the answers and of the
pairs' differences and ratios. What the ledger's thread does once a second for all receipts of that second is measured
apart and added. The engine gives way before each token, as one that computes it does.

    python benchmarks/receipts.py [--json] [--answers 300]

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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from answering import WORD, House, WithoutReceipts, open_house
from commun.assistant.issuing import Beginning, Ending, Issuer, statement_of, values_of
from commun.receipts.bundle import PENDING, Logged
from commun.receipts.commitments import commit, make_salts
from commun.receipts.issue import Receipt
from commun.receipts.statement import Statement
from commun.store.receipts import Place, add
from commun.store.vault import ConversationKey

ANSWERS = (32, 128, 512)  # tokens
PROMPTS = (100, 1000, 4000)
MOST_CPU_MS = 2.0
MOST_FIRST_MS = 0.1
ROUNDS = 5
HEAD_S = 1.6  # within it the ledger has what was submitted
PAUSE_S = 0.005  # before each answer: nothing of the last one goes on
WARM = 10
AT_ONCE = (1, 100)  # receipts under one head: of a server that answers one a second, and a hundred
SPLITS = 50  # repetitions of each step
Figures = dict[str, float]


async def compare(house: House, *, kept: bool, answers: int) -> Figures:
    """Answer by answer, the arms in turns, each first in every other pair."""
    assistant = house.assistant(Issuer(lambda: house.signer, house.recorder, house.receipts))
    _, old = await house.ask(assistant, kept=False, bare=False)
    arms = {"with": assistant, "without": house.assistant(WithoutReceipts(old))}
    cpu: dict[str, list[float]] = {name: [] for name in arms}
    first: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(-WARM, answers):
        for name in sorted(arms, reverse=number % 2 == 0):
            await asyncio.sleep(PAUSE_S)
            start = time.process_time()
            seconds, _ = await house.ask(arms[name], kept=kept, bare=name == "without")
            if number >= 0:
                cpu[name].append((time.process_time() - start) * 1000)
                first[name].append(seconds * 1000)
    await house.settle()
    for each in arms.values():
        await each.close()
    found = {}
    for what, figures in (("cpu", cpu), ("first", first)):
        pairs = list(zip(figures["with"], figures["without"], strict=True))
        found |= {f"{what}_{name}_ms": statistics.median(one) for name, one in figures.items()}
        found |= {
            f"{what}_added_ms": statistics.median(a - b for a, b in pairs),
            f"{what}_ratio": statistics.median(a / b for a, b in pairs),
        }
    return found


async def ledger_ms(house: House, several: int) -> float:
    """Processor time of one of ``several`` receipts that come at once: entry, signed head, position in the database."""
    waiting: list[Receipt] = []

    class Later(Issuer):
        def submit(self, receipt: Receipt) -> None:
            waiting.append(receipt)

    assistant = house.assistant(Later(lambda: house.signer, house.recorder, house.receipts))
    for _ in range(several):
        await house.ask(assistant, kept=False, bare=False)
    await assistant.close()
    start = time.process_time()
    await asyncio.sleep(HEAD_S)
    idle = time.process_time() - start
    for receipt in waiting:
        house.recorder.submit(receipt)
    await asyncio.sleep(HEAD_S)
    taken = time.process_time() - start - 2 * idle
    await house.settle()
    return taken * 1000 / several


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
        "seed": median_ms(lambda: house.recorder.seed(None)),
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


async def measure(home: Path, *, answers: int) -> dict[str, Any]:
    house = await open_house(home)
    found: dict[str, Any] = {"kept": {}, "nobodys": {}, "steps": {}, "ledger": {}}
    try:
        for prompt in PROMPTS:
            for answer in ANSWERS:
                house.engine.say(answer, prompt)
                shape = f"{prompt}+{answer}"
                print(shape, file=sys.stderr, flush=True)
                found["kept"][shape] = await compare(house, kept=True, answers=answers)
                found["nobodys"][shape] = await compare(house, kept=False, answers=answers)
                found["steps"][shape] = await split(house)
        for several in AT_ONCE:
            rounds = [await ledger_ms(house, several) for _ in range(ROUNDS)]
            found["ledger"][str(several)] = statistics.median(rounds)
    finally:
        await house.engines.close()
        await house.recorder.close()
        house.database.close()
    return found


def tell(found: dict[str, Any]) -> None:
    print("Processor time of one answer without the ledger's thread, and time to its first token, in ms\n")
    print(f"{'':8}{'shape':>10}{'without':>9}{'with':>9}{'added':>8}{'ratio':>7}{'first token':>13}{'added':>8}")
    for kind in ("kept", "nobodys"):
        for shape, one in found[kind].items():
            print(
                f"{kind:8}{shape:>10}{one['cpu_without_ms']:9.2f}{one['cpu_with_ms']:9.2f}{one['cpu_added_ms']:8.2f}"
                f"{one['cpu_ratio']:7.2f}{one['first_with_ms']:13.3f}{one['first_added_ms']:8.3f}"
            )
    print("\nThe ledger's part of each receipt, in ms: " + told_of_ledger(found["ledger"]))
    print("\nStep by step, in ms; the bundle without the charter's files\n")
    names = list(next(iter(found["steps"].values())))
    print(f"{'shape':>10}" + "".join(f"{name:>13}" for name in names))
    for shape, steps in found["steps"].items():
        print(f"{shape:>10}" + "".join(f"{steps[name]:13.3f}" for name in names))


def told_of_ledger(ledger: Figures) -> str:
    return ", ".join(f"{each:.2f} where {several} come at once" for several, each in ledger.items())


def too_slow(found: dict[str, Any]) -> list[str]:
    """The ledger's part is that of a busy server: one that answers once a second has time."""
    ledger = found["ledger"][str(AT_ONCE[-1])]
    slow = []
    for kind in ("kept", "nobodys"):
        for shape, one in found[kind].items():
            for name, value, most in (
                ("processor time", one["cpu_added_ms"] + ledger, MOST_CPU_MS),
                ("to the first token", one["first_added_ms"], MOST_FIRST_MS),
            ):
                if value > most:
                    slow.append(f"{kind} {shape}, {name}: {value:.3f} ms added")
    return slow


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--answers", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = asyncio.run(measure(Path(home), answers=given.answers))
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
