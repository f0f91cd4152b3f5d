"""A long conversation copied, and given another key, and what the others feel of it.

    python benchmarks/sharing.py                       the largest conversation that can be brought in
    python benchmarks/sharing.py --messages 5000 --json

- one person has a conversation of so many messages (by default as many, and as long, as one import can bring), and lets
  another read it; that one copies it, through ``POST /reading/{id}/copy``; then its owner ends the reading, which seals
  all of it again. ROUNDS times, before ``commun serve`` as its user starts it and its real database;
- a third person loads pages all the while, and renames a conversation of their own: what waits for the one writer;
- before each round, and after it, the same for CONTROL_S with nothing going on: the machine may be others' as well.

Exit status: 1 where something failed, or the third person's slowest writing took more than BAR_MS longer than the
slowest with nothing going on.
"""

import argparse
import asyncio
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import peers
import rules
from commun.config import load_settings
from commun.importing.outline import MAX_NODES, ImportedConversation, ImportedMessage
from commun.logs import configure_logs
from commun.store.accounts import Accounts
from commun.store.conversations import Conversations
from commun.store.database import DATABASE_FILE, Database
from commun.store.imports import Imports
from house import Loads, Person, apart, inhabit, lists, load_pages, start
from load import percentile
from peers import Missing, say
from serve import WORDS
from visitors import Page, Visitor

BAR_MS = 1000.0
MESSAGES, MESSAGE_CHARACTERS = MAX_NODES, 600  # 30 MB: an import takes 32 of one conversation
ROUNDS, PAGES, WRITES, CONTROL_S = 3, 5.0, 5.0, 10.0
RANDOM = random.Random(7)
TITLE = "A long one"
CONTROL, COPIED, ENDED = PHASES = "nothing went on", "it was copied", "it was sealed again"
T = TypeVar("T")


@dataclass
class Felt:
    """What the third person felt, in seconds, while something went on for ``took_s`` (added up over the rounds)."""

    took_s: list[float] = field(default_factory=list)
    loads: Loads = field(default_factory=Loads)
    writes: list[float] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        pages = self.loads.of()
        return {
            "took_s": self.took_s,
            "pages_ms": [len(pages), *(1000 * percentile(pages, share) for share in (0.5, 0.99))],
            "writes_ms": [len(self.writes), *(1000 * percentile(self.writes, share) for share in (0.5, 0.99, 1.0))],
            "failed": sum(self.loads.failed.values()),
        }


def long_one(messages: int) -> ImportedConversation:
    words = " ".join(RANDOM.choices(WORDS, k=MESSAGE_CHARACTERS))[:MESSAGE_CHARACTERS]
    told = tuple(
        ImportedMessage(
            place - 1 if place else None, "assistant" if place % 2 else "user", words, 1e9 + place, str(place)
        )
        for place in range(messages)
    )
    return ImportedConversation("chatgpt", "long", TITLE, 1e9, 1e9 + messages, told, messages - 1, {})


async def own(home: Path, cookie: str, messages: int) -> str:
    """Gives somebody the long conversation; its id."""
    configure_logs(load_settings(home=home, log_level="warning"))
    database = Database(home / DATABASE_FILE)
    database.open()
    try:
        owner = await Accounts(database, session_days=1).viewer(cookie)
        await Imports(database).add(owner, long_one(messages))
        return next(one.id for one in await Conversations(database).list(owner) if one.title == TITLE)
    finally:
        database.close()


async def asked(asking: Coroutine[Any, Any, Page], *, status: int = 303) -> Page:
    page = await asking
    if page.status != status:
        raise Missing(f"{page.status}: {page.body[:300]!r}")
    return page


async def read_by(owner: Visitor, reader: Visitor, conversation: str) -> str:
    """The reading's id."""
    page = await asked(owner.post(f"/c/{conversation}/readers", accept="text/html"), status=200)
    link = re.search(rb"/with/[\w-]+", page.body)
    if link is None:
        raise Missing("no link was made")
    accepted = await asked(reader.post(link[0].decode(), accept="text/html"))
    return accepted.headers["location"].rpartition("/")[2]


async def beside(work: Coroutine[Any, Any, T], third: Person, felt: Felt) -> T:
    """What ``work`` gives; meanwhile the third person's pages and writing."""
    over = asyncio.Event()
    feeling = asyncio.create_task(_pages(over, third, felt.loads)), asyncio.create_task(_writes(over, third, felt))
    began = time.perf_counter()
    try:
        return await work
    finally:
        felt.took_s.append(time.perf_counter() - began)
        over.set()
        await asyncio.gather(*feeling)


async def _pages(over: asyncio.Event, third: Person, loads: Loads) -> None:
    while not over.is_set():
        some = await load_pages([third], 0.5, PAGES)
        loads.seconds += some.seconds
        loads.failed += some.failed


async def _writes(over: asyncio.Event, third: Person, felt: Felt) -> None:
    """Over a connection of its own: a writing that waits holds up no page, as in a browser."""
    writer = Visitor(third.visitor.url, third.visitor.cookie)
    while not over.is_set():
        page = await writer.post(f"/c/{third.conversations[0]}/rename", title="Another name", accept="text/html")
        felt.writes.append(page.seconds)
        if page.status != 303:
            felt.loads.failed[f"rename {page.status}"] += 1
        await asyncio.sleep(RANDOM.expovariate(WRITES))
    await writer.close()


async def measure(address: str, cookies: Sequence[str], conversation: str) -> dict[str, Felt]:
    owner, reader = Visitor(address, cookies[0]), Visitor(address, cookies[1])
    third = Person(Visitor(address, cookies[2]))
    await lists([third])
    felt = {name: Felt() for name in (CONTROL, COPIED, ENDED)}
    for number in range(ROUNDS):
        await beside(asyncio.sleep(CONTROL_S), third, felt[CONTROL])
        reading = await read_by(owner, reader, conversation)
        await beside(asked(reader.post(f"/reading/{reading}/copy", accept="text/html")), third, felt[COPIED])
        await beside(asyncio.sleep(CONTROL_S), third, felt[CONTROL])
        await beside(asked(owner.post(f"/readers/{reading}/end", accept="text/html")), third, felt[ENDED])
        copied, ended = (felt[name].took_s[-1] for name in (COPIED, ENDED))
        say(f"round {number + 1}: copied in {copied:.1f} s, sealed again in {ended:.1f} s")
    return felt


def run(messages: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="commun-sharing-") as folder:
        work = Path(folder)
        home = work / "home"
        home.mkdir()
        cookies, key, _ = asyncio.run(inhabit(home, 3))
        conversation = asyncio.run(own(home, cookies[0], messages))
        stub, port = peers.stub(work / "stub.log")
        rules.found(home, model=rules.stub_model(f"http://127.0.0.1:{port}/v1"))
        child, address = start(home, work, key)
        try:
            before = apart(child.memory_mb(), child)[0]
            felt = asyncio.run(measure(address, cookies, conversation))
            peak = apart(child.memory_mb("VmHWM"), child)[0]
        finally:
            child.stop()
            stub.stop()
    found = {name: each.told() for name, each in felt.items()}
    return {"messages": messages, "memory_mb": [before, peak], "load_average": os.getloadavg()[0], **found}


def faults(found: dict[str, Any]) -> list[str]:
    wrong = [f"{found[name]['failed']} failed while {name}" for name in PHASES if found[name]["failed"]]
    slowest = {name: found[name]["writes_ms"][-1] for name in PHASES}
    wrong += [
        f"while {name} a writing waited {slowest[name]:.0f} ms, {slowest[CONTROL]:.0f} with nothing going on"
        for name in PHASES
        if slowest[name] > slowest[CONTROL] + BAR_MS
    ]
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A long conversation copied, and given another key.")
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = run(options.messages)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print("| | took, s | pages, p50 and p99, ms | writes, p50, p99 and slowest, ms |\n|---|---|---|---|")
        for name in PHASES:
            each = found[name]
            cells = ([max(each["took_s"])], each["pages_ms"][1:], each["writes_ms"][1:])
            print("|", " | ".join([name, *(", ".join(f"{one:.0f}" for one in cell) for cell in cells)]), "|")
        print(*(f"{name}: {value}" for name, value in found.items() if name not in PHASES), sep="\n")
    wrong = faults(found)
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    peers.end_cleanly()
    try:
        sys.exit(main())
    except Missing as missing:
        sys.exit(f"cannot be measured: {missing}")
