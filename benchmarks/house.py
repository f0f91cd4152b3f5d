"""A house with many people in it, for the benchmarks: who lives there, what they have, and the pages that they load."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import peers
from commun.config import load_settings
from commun.importing.outline import ImportedConversation, ImportedMessage
from commun.logs import configure_logs
from commun.store.accounts import Accounts
from commun.store.database import DATABASE_FILE, Database
from commun.store.imports import Imports
from commun.store.invitations import Invitations
from commun.store.passwords import Hasher
from commun.store.people import Role, Viewer
from load import Target
from peers import Child, Missing
from serve import WORDS, first_token
from visitors import Followed, Strange, Visitor

CONVERSATIONS, EXCHANGES = 20, 3
SHARES = (("/", 40), ("/c/", 35), ("/search?q=water", 15), ("/settings", 10))
PASSWORD = "unrelated garden chairs, number {}"
RANDOM = random.Random(11)


@dataclass
class Person:
    """``asked``: (conversation, answer, what was followed of it). ``running``: the answer that is followed now."""

    visitor: Visitor
    running: str = ""
    conversations: list[str] = field(default_factory=list)
    asked: list[tuple[str, str, Followed]] = field(default_factory=list)


@dataclass
class Loads:
    """Page loads of one phase, in seconds, by kind of page; ``lag``: how late the client itself was."""

    seconds: list[tuple[str, float]] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    def of(self, kind: str = "") -> list[float]:
        return [each for name, each in self.seconds if not kind or name == kind]


# --- who lives there ---


async def inhabit(home: Path, number: int) -> tuple[list[str], str, float]:
    """Their cookies, the founder's API key, and the seconds that one account took."""
    configure_logs(load_settings(home=home, log_level="warning"))
    database = Database(home / DATABASE_FILE)
    database.open()
    try:
        accounts = Accounts(database, session_days=1)
        invitations, imports = Invitations(accounts, Hasher()), Imports(database)
        began = time.perf_counter()
        signed_in = []
        for one in range(number):
            token = await invitations.make(Role.MEMBER)
            signed_in.append(await invitations.accept(token, f"Person {one}", PASSWORD.format(one)))
        each_s = (time.perf_counter() - began) / number
        for one in signed_in:
            await asyncio.gather(*(imports.add(one.viewer, found) for found in past(one.viewer)))
        key = await accounts.make_api_key(await accounts.ensure_founder(), "benchmark")
        return [one.token for one in signed_in], key, each_s
    finally:
        database.close()


def past(viewer: Viewer) -> list[ImportedConversation]:
    """What somebody has asked before, over the last year."""
    now = time.time()
    found = []
    for number in range(CONVERSATIONS):
        created = now - RANDOM.random() * 365 * 86_400
        messages = tuple(
            ImportedMessage(
                parent=place - 1 if place else None,
                role="assistant" if place % 2 else "user",
                text=" ".join(RANDOM.choices(WORDS, k=90 if place % 2 else 12)),
                created=created,
                id=str(place),
            )
            for place in range(2 * EXCHANGES)
        )
        title = " ".join(RANDOM.choices(WORDS, k=5))
        name = f"{viewer.account_id} {number}"
        found.append(ImportedConversation("chatgpt", name, title, created, created, messages, len(messages) - 1, {}))
    return found


async def lists(people: Sequence[Person]) -> None:
    """What their first page shows, and the warming up of everything."""
    for person in people:
        page = await person.visitor.get("/")
        if page.status != 200:
            raise Missing(f"the first page: {page.status} {page.body[:200]!r}")
        person.conversations = re.findall(r'href="/c/([\w-]+)"', page.body.decode())


# --- loading pages ---


async def load_pages(people: Sequence[Person], seconds: float, rate: float) -> Loads:
    """At random moments, ``rate`` a second, each by somebody drawn; a late one delays no other."""
    loads, end = Loads(), time.perf_counter() + seconds
    due = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        while (due := due + RANDOM.expovariate(rate)) < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            loads.lag.append(time.perf_counter() - due)
            kind = RANDOM.choices(*zip(*SHARES, strict=True))[0]
            group.create_task(load_one(RANDOM.choice(people), kind, loads))
    return loads


async def load_one(person: Person, kind: str, loads: Loads) -> None:
    path = kind + RANDOM.choice(person.conversations) if kind == "/c/" else kind
    try:
        page = await person.visitor.get(path)
    except Strange as error:
        loads.failed[str(error)] += 1
        return
    if page.status != 200 or b"</html>" not in page.body:
        loads.failed[f"{kind} {page.status}"] += 1
        return
    loads.seconds.append((kind, page.seconds))


# --- the server's side ---


def start(home: Path, work: Path, key: str, **settings: object) -> tuple[Child, str]:
    port = peers.free_port()
    child = peers.commun(home, port, work / "commun.log", **settings)
    address = f"http://127.0.0.1:{port}"
    first_token(child, Target(address, key))
    return child, address


def apart(by_process: dict[str, float], child: Child) -> tuple[float, float]:
    """The server's own figure, and that of its engine."""
    own = sum(value for name, value in by_process.items() if name.split()[-1] == str(child.process.pid))
    return own, sum(by_process.values()) - own
