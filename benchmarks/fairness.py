"""Fairness: how much longer somebody waits for the first word while somebody else floods the same Commun.

    python benchmarks/fairness.py                  five rounds on the default model, the table and the bar
    python benchmarks/fairness.py --rounds 3 --flood 64 --each 0 --json

- ``commun serve`` as its user starts it, its real engine, two accounts, each with an API key of its own;
- the victim asks one question after the other (16 tokens of answer) and notes when the first text comes;
- in each round the victim asks alone, then while the other keeps ``--flood`` questions going at once (128 tokens of
  answer each), asked again as soon as one is answered or refused; a figure is the median over all of the victim's
  questions of an arm, the ratio the median of the rounds' own ratios;
- bar: the ratio is at most BAR. ``--each`` is the setting ``max_running_each``: 0 shows what the rule is good for.

Exit status: 1 where the bar is not reached.
"""

import argparse
import asyncio
import contextlib
import json
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import peers
import rules
from commun.config import load_settings
from commun.logs import configure_logs
from commun.store.accounts import Accounts
from commun.store.database import DATABASE_FILE, Database
from commun.store.invitations import Invitations
from commun.store.passwords import Hasher
from commun.store.people import Role
from load import Refused, Target, percentile
from peers import Child, Missing, say
from serve import Prompts, first_token

BAR = 1.5
ROUNDS, QUESTIONS, FLOOD, EACH = 5, 20, 24, 2
WORDS, ANSWER, FLOOD_ANSWER = 40, 16, 128
PAUSE_S = 0.2  # between two of the victim's questions, and of the flood before it asks again after a refusal
SETTLE_S = 3.0  # until the flood is in full spate
SETTLE_MOST_S = 300.0  # until it is over


@dataclass
class Figures:
    """Seconds to the first text, by round. ``flooded``: answers that the flooder had meanwhile, and refusals."""

    alone: list[list[float]] = field(default_factory=list)
    beside: list[list[float]] = field(default_factory=list)
    answered: int = 0
    refused: int = 0

    @property
    def ratio(self) -> float:
        return statistics.median(
            statistics.median(beside) / statistics.median(alone)
            for alone, beside in zip(self.alone, self.beside, strict=True)
        )


async def two_keys(home: Path) -> tuple[str, str]:
    """Of two people, made before the server starts."""
    database = Database(home / DATABASE_FILE)
    database.open()
    try:
        accounts = Accounts(database, session_days=1)
        invitations = Invitations(accounts, Hasher())
        token = await invitations.make(Role.MEMBER)
        invited = await invitations.accept(token, "Flooder", "four unrelated garden chairs")
        victim = await accounts.make_api_key(await accounts.ensure_founder(), "victim")
        return victim, await accounts.make_api_key(invited.viewer.account_id, "flood")
    finally:
        database.close()


async def asked(target: Target, prompts: Prompts, questions: int) -> list[float]:
    """The victim's: seconds to the first text, one after the other."""
    connection = await target.connect()
    seconds = []
    for _ in range(questions):
        await asyncio.sleep(PAUSE_S)
        timing = await connection.ask(target.completion(prompts.make(WORDS), max_tokens=ANSWER))
        seconds.append(timing.first_s)
    connection.close()
    return seconds


async def flooded(target: Target, prompts: Prompts, clients: int, figures: Figures) -> None:
    """Until it is cancelled."""

    async def client() -> None:
        while True:
            with contextlib.suppress(Refused):
                connection = await target.connect()
                try:
                    while True:
                        request = target.completion(prompts.make(WORDS), max_tokens=FLOOD_ANSWER)
                        await connection.ask(request)
                        figures.answered += 1
                finally:
                    connection.close()
            figures.refused += 1
            await asyncio.sleep(PAUSE_S)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())


async def measure(victim: Target, flooder: Target, options: argparse.Namespace) -> Figures:
    figures, prompts = Figures(), Prompts()
    await asked(victim, prompts, 2)
    for number in range(options.rounds):
        figures.alone.append(await asked(victim, prompts, options.questions))
        flood = asyncio.create_task(flooded(flooder, prompts, options.flood, figures))
        await asyncio.sleep(SETTLE_S)
        figures.beside.append(await asked(victim, prompts, options.questions))
        flood.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flood
        await idle(victim.url)
        alone, beside = (statistics.median(each[-1]) for each in (figures.alone, figures.beside))
        say(f"round {number + 1}: {1000 * alone:.0f} ms alone, {1000 * beside:.0f} ms beside: {beside / alone:.2f}")
    return figures


async def idle(address: str) -> None:
    """Until nothing of the flood is left: what its clients hung up on may be written to its end."""
    busy = re.compile(r"(?m)^commun_(?:running|waiting)\S* [1-9]")
    deadline = time.monotonic() + SETTLE_MOST_S
    while busy.search(await asyncio.to_thread(metrics_of, address)):
        if time.monotonic() > deadline:
            raise Missing("the flood never ended")
        await asyncio.sleep(PAUSE_S)


def metrics_of(address: str) -> str:
    with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def start(home: Path, work: Path, key: str, each: int) -> tuple[Child, str]:
    """The server and its address, once it answers."""
    port = peers.free_port()
    child = peers.commun(home, port, work / "commun.log", max_running_each=each)
    address = f"http://127.0.0.1:{port}"
    first_token(child, Target(address, key))
    return child, address


def told(figures: Figures) -> dict[str, float]:
    alone, beside = ([one for each in every for one in each] for every in (figures.alone, figures.beside))
    return {
        "alone_ms": 1000 * statistics.median(alone),
        "beside_ms": 1000 * statistics.median(beside),
        "alone_p90_ms": 1000 * percentile(alone, 0.9),
        "beside_p90_ms": 1000 * percentile(beside, 0.9),
        "ratio": figures.ratio,
        "flood_answered": figures.answered,
        "flood_refused": figures.refused,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How much one flooding user costs another.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="of the victim, in each arm of a round")
    parser.add_argument("--flood", type=int, default=FLOOD, help="questions that the other keeps going at once")
    parser.add_argument("--each", type=int, default=EACH, help="the setting max_running_each")
    parser.add_argument("--profile", choices=("exact", "fast"), default="exact")
    parser.add_argument("--models", type=Path, help="a models folder to share, so that nothing is converted again")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    configure_logs(load_settings(log_level="warning"))  # to standard error: what is printed is the figures alone
    with tempfile.TemporaryDirectory(prefix="commun-fairness-") as folder:
        work = Path(folder)
        home = work / "home"
        home.mkdir()
        if options.models:
            (home / "models").symlink_to(options.models.absolute(), target_is_directory=True)
        victim, flooder = asyncio.run(two_keys(home))
        rules.set_profile(home, options.profile)
        child, address = start(home, work, victim, options.each)
        try:
            figures = asyncio.run(measure(Target(address, victim), Target(address, flooder), options))
        finally:
            child.stop()
    found = told(figures)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print("| | alone | beside a flood |\n|---|---|---|")
        print(f"| first text, median | {found['alone_ms']:.0f} ms | {found['beside_ms']:.0f} ms |")
        print(f"| first text, p90 | {found['alone_p90_ms']:.0f} ms | {found['beside_p90_ms']:.0f} ms |")
        print(
            f"\nratio {found['ratio']:.2f}, bar {BAR}; the flood had {figures.answered} answers, {figures.refused} no's"
        )
    return 0 if found["ratio"] <= BAR else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Missing as missing:
        sys.exit(f"cannot be measured: {missing}")
