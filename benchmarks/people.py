"""Two hundred people at once: each signed in, each with an answer's event stream open, all the while loading pages.

    python benchmarks/people.py                       three rounds on the default model, the table and the bars
    python benchmarks/people.py --people 50 --rounds 1 --json

- ``commun serve`` as its user starts it, its real engine and database; each person has accepted an invitation, with a
  password, and has twenty conversations of before (house.py);
- in each round pages are loaded while nobody asks anything, then while everybody does: each has one question waiting or
  being answered and its stream open, and asks the next one when it is answered. Pages come at ``--pages`` a second, at
  random moments, whether the one before has come or not; which, by SHARES;
- a stream is dropped if it ends without its last event, and loses something if its events are out of order, or its text
  and its blocks are not those of the answer as it is stored, to the letter;
- a house of this size sets ``max_waiting`` (default 64) to its people; before the rounds the same people ask at once
  under the default settings, and what is told to those who find no place is counted;
- memory: of the server's process with all streams open, over what it had idle, by person; the engine's apart.

Exit status: 1 where a stream was dropped or lost something, where a page failed, and where the p99 beside the engine is
above BAR_MS.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import peers
import rules
from house import PASSWORD, RANDOM, SHARES, Loads, Person, apart, inhabit, lists, load_pages, start
from load import percentile
from peers import Child, Missing, say
from serve import WORDS
from visitors import Page, Visitor

BAR_MS = 250.0
PEOPLE, ROUNDS, PAGES = 200, 3, 10.0
IDLE_S, BUSY_S, OPEN_S = 20.0, 40.0, 5.0
DRAIN_S, DRAIN_MOST_S = 15.0, 120.0  # until what still waits or runs is stopped, and until its end must have been told
SIGN_INS = 5  # over HTTP, to say what one costs
QUESTIONS = (
    "What is the difference between weather and {}?",
    "Give me a definition of {} in one sentence.",
    "Name one thing that everybody should know about {}.",
    "Is {} a good subject for a school lesson?",
)


@dataclass
class Figures:
    idle: list[Loads] = field(default_factory=list)
    busy: list[Loads] = field(default_factory=list)
    streams_open: list[int] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)
    sign_in_s: list[float] = field(default_factory=list)
    made_s: float = 0.0
    first: list[float] = field(default_factory=list)
    answers: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


# --- asking ---


def question() -> str:
    return RANDOM.choice(QUESTIONS).format(" ".join(RANDOM.choices(WORDS, k=2)))


@dataclass
class Crowd:
    """Everybody with an open stream, until ``over``."""

    people: Sequence[Person]
    over: bool = False
    open_streams: int = 0
    all_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def one(self, person: Person, after: float) -> None:
        await asyncio.sleep(after)
        while not self.over:
            conversation, answer = await person.visitor.ask(question())
            if not answer:
                raise Missing("somebody found no place: raise --waiting")
            opened = asyncio.Event()
            counting = asyncio.create_task(self._count(opened))
            person.running = answer
            followed = await person.visitor.follow(answer, opened)
            person.running = ""
            counting.cancel()
            self.open_streams -= opened.is_set()
            person.asked.append((conversation, answer, followed))

    async def _count(self, opened: asyncio.Event) -> None:
        await opened.wait()
        self.open_streams += 1
        if self.open_streams >= len(self.people) - 2:  # one or two are between two answers at any time
            self.all_open.set()


@asynccontextmanager
async def asking(people: Sequence[Person]) -> AsyncIterator[Crowd]:
    """Within it everybody's stream is open; at its end the answers are waited for, and stopped where they last."""
    crowd = Crowd(people)
    tasks = [asyncio.create_task(crowd.one(each, OPEN_S * RANDOM.random())) for each in people]
    waiting = asyncio.create_task(crowd.all_open.wait())
    try:
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED, timeout=DRAIN_MOST_S)
        yield crowd
    finally:
        waiting.cancel()
        crowd.over = True
        await asyncio.wait(tasks, timeout=DRAIN_S)
        for person in people:
            if person.running:
                await person.visitor.post(f"/answers/{person.running}/stop")
        async with asyncio.timeout(DRAIN_MOST_S):
            await asyncio.gather(*tasks)


async def check_streams(people: Sequence[Person]) -> list[str]:
    """What was dropped or lost; each answer as it is stored is asked for."""
    faults = []
    for person in people:
        for conversation, answer, followed in person.asked:
            if not followed.ended:
                faults.append(f"{answer}: dropped")
                continue
            stored = await person.visitor.get(f"/c/{conversation}/export.json")
            shown = await person.visitor.get(f"/c/{conversation}")
            messages = {each["id"]: each for each in json.loads(stored.body)["messages"]}
            if not followed.is_in_order or messages[answer]["content"]["text"].strip() != followed.text.strip():
                faults.append(f"{answer}: its events are not the stored answer")
            elif followed.html not in shown.body.decode():
                faults.append(f"{answer}: the blocks that came are not those of the page")
    return faults


# --- measuring ---


async def defaults(home: Path, work: Path, key: str, cookies: Sequence[str], figures: Figures) -> None:
    """Everybody asks at once under the default settings: how many are answered, and what the others are told."""
    child, address = await asyncio.to_thread(start, home, work, key)
    try:
        people = [Person(Visitor(address, cookie)) for cookie in cookies]

        async def one(person: Person) -> None:
            page = await person.visitor.post("/ask", question=question())
            told = json.loads(page.body)
            if page.status == 200 and "data-running" in told["main"]:
                figures.refused["answered or waiting"] += 1
            elif page.status == 200:
                figures.refused[" ".join(re.sub(r"<[^>]+>", " ", aftermath(told["main"])).split())] += 1
            else:
                figures.refused[f"{page.status} {told}"] += 1

        await asyncio.gather(*(one(person) for person in people))
        for person in people:
            await person.visitor.close()
    finally:
        await asyncio.to_thread(child.stop)


def aftermath(main: str) -> str:
    """What stands under an answer that was not given."""
    found = re.search(r'<div class="aftermath">(.*?)</div>', main, re.DOTALL)
    return found[1] if found else main[:200]


async def sign_in(address: str, number: int) -> float:
    """Seconds of one, over HTTP."""
    browser = Visitor(address, "")
    page: Page = await browser.post(
        "/sign-in", accept="text/html", name=f"Person {number}", password=PASSWORD.format(number)
    )
    await browser.close()
    if page.status != 303:
        raise Missing(f"signing in: {page.status} {page.body[:300]!r}")
    return page.seconds


async def measure(
    child: Child, address: str, cookies: Sequence[str], options: argparse.Namespace, figures: Figures
) -> None:
    people = [Person(Visitor(address, cookie)) for cookie in cookies]
    figures.sign_in_s = [await sign_in(address, one) for one in range(min(SIGN_INS, len(people)))]
    await lists(people)
    for number in range(options.rounds):
        figures.idle.append(await load_pages(people, options.idle, options.pages))
        idle_mb = apart(child.memory_mb(), child)
        async with asking(people) as crowd:
            busy_mb = apart(child.memory_mb(), child)
            cpu, began, own = apart(child.cpu_s(), child), time.perf_counter(), time.process_time()
            figures.streams_open.append(crowd.open_streams)
            figures.busy.append(await load_pages(people, options.busy, options.pages))
            figures.streams_open.append(crowd.open_streams)
            wall = time.perf_counter() - began
            used = [now - before for now, before in zip(apart(child.cpu_s(), child), cpu, strict=True)]
            for name, seconds in zip(("server", "engine", "client"), (*used, time.process_time() - own), strict=True):
                figures.cpu.setdefault(name, []).append(seconds / wall)
            figures.load.append(os.getloadavg()[0])
        if not number:
            figures.memory = {
                "server_idle_mb": idle_mb[0],
                "server_open_mb": busy_mb[0],
                "engine_mb": busy_mb[1],
                "kb_per_stream": 1024 * (busy_mb[0] - idle_mb[0]) / len(people),
            }
        idle, busy = figures.idle[-1].of(), figures.busy[-1].of()
        middle, worst = ([1000 * percentile(each, share) for each in (idle, busy)] for share in (0.5, 0.99))
        say(
            f"round {number + 1}: p50 {middle[0]:.0f} ms idle, {middle[1]:.0f} busy; p99 {worst[0]:.0f}, {worst[1]:.0f}"
        )
    figures.memory["server_end_mb"] = apart(child.memory_mb(), child)[0]
    figures.memory["server_peak_mb"] = apart(child.memory_mb("VmHWM"), child)[0]
    figures.lost = await check_streams(people)
    figures.first = [followed.first_s for person in people for _, _, followed in person.asked]
    figures.answers = len(figures.first)
    for person in people:
        await person.visitor.close()


# --- what is told


def told(figures: Figures) -> dict[str, object]:
    """Everything in milliseconds, megabytes and shares of one core."""
    idle, busy = ([one for each in phase for one in each.of()] for phase in (figures.idle, figures.busy))

    def ratio(share: float) -> float:
        pairs = zip(figures.idle, figures.busy, strict=True)
        return statistics.median(percentile(two.of(), share) / percentile(one.of(), share) for one, two in pairs)

    failed = sum((each.failed for each in (*figures.idle, *figures.busy)), Counter())
    lag = [one for each in figures.busy for one in each.lag]
    return {
        "pages": {"idle": len(idle), "busy": len(busy), "failed": dict(failed)},
        **{
            f"p{round(100 * share)}_ms": {
                "idle": 1000 * percentile(idle, share),
                "busy": 1000 * percentile(busy, share),
                "ratio": ratio(share),
            }
            for share in (0.5, 0.95, 0.99)
        },
        "by_page_p99_ms": {
            kind: [
                1000 * percentile([one for each in phase for one in each.of(kind)] or [0.0], 0.99)
                for phase in (figures.idle, figures.busy)
            ]
            for kind, _ in SHARES
        },
        "client_lag_p99_ms": 1000 * percentile(lag, 0.99),
        "first_event_ms": [1000 * percentile(figures.first, share) for share in (0.5, 0.99)],
        "streams": {"open": figures.streams_open, "answers": figures.answers, "lost": figures.lost},
        "memory": figures.memory,
        "cores": {name: statistics.median(each) for name, each in figures.cpu.items()},
        "load_average": figures.load,
        "account_made_ms": 1000 * figures.made_s,
        "sign_in_ms": 1000 * statistics.median(figures.sign_in_s),
        "default_settings": dict(figures.refused),
    }


def table(found: dict[str, object]) -> str:
    lines = ["| page loads, ms | idle | beside the engine and the open streams | ratio |", "|---|---|---|---|"]
    for name in ("p50", "p95", "p99"):
        row: dict[str, float] = found[f"{name}_ms"]  # type: ignore[assignment]
        lines.append(f"| {name} | {row['idle']:.1f} | {row['busy']:.1f} | {row['ratio']:.2f} |")
    rest = {name: value for name, value in found.items() if not re.fullmatch(r"p\d\d_ms", name)}
    return "\n".join(
        [*lines, "", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in rest.items())]
    )


def run(options: argparse.Namespace) -> Figures:
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="commun-people-") as folder:
        work = Path(folder)
        home = work / "home"
        home.mkdir()
        if options.models:
            (home / "models").symlink_to(options.models.absolute(), target_is_directory=True)
        cookies, key, figures.made_s = asyncio.run(inhabit(home, options.people))
        say(f"{options.people} people have come in, {1000 * figures.made_s:.0f} ms each")
        rules.set_profile(home, options.profile)
        asyncio.run(defaults(home, work, key, cookies, figures))
        child, address = start(home, work, key, max_waiting=options.waiting)
        try:
            asyncio.run(measure(child, address, cookies, options, figures))
        finally:
            child.stop()
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How fast pages stay while everybody follows an answer.")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--pages", type=float, default=PAGES, help="page loads a second, of all people together")
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds of each round without questions")
    parser.add_argument("--busy", type=float, default=BUSY_S, help="seconds of each round with everybody's stream open")
    parser.add_argument("--waiting", type=int, default=256, help="the setting max_waiting")
    parser.add_argument("--profile", choices=("exact", "fast"), default="exact")
    parser.add_argument("--models", type=Path, help="a models folder to share, so that nothing is converted again")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    figures = run(options)
    found = told(figures)
    print(json.dumps(found, indent=1, ensure_ascii=False) if options.json else table(found))
    p99 = 1000 * percentile([one for each in figures.busy for one in each.of()], 0.99)
    print(f"\np99 {p99:.0f} ms, bar {BAR_MS:.0f}; {len(figures.lost)} of {figures.answers} streams lost something")
    failed = any(each.failed for each in (*figures.idle, *figures.busy))
    return 1 if p99 > BAR_MS or figures.lost or failed else 0


if __name__ == "__main__":
    peers.end_cleanly()
    try:
        sys.exit(main())
    except Missing as missing:
        sys.exit(f"cannot be measured: {missing}")
