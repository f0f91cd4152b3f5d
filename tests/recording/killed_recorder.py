"""Kills a recording process at each kind of point, and counts what is wrong afterwards. Prints one JSON object.

Usage: ``killed_recorder.py HOME``; HOME has a charter. Each round forks a process that works on a copy of HOME: it opens
the ledger, records what an admission records, keeps answers and submits their receipts. The first is not killed, and
counts the points that it passes: the ledger's own (``ledger.log.reached``), and those between the database and the ledger
(before and after each transaction that stores a receipt or a position). The others are killed (SIGKILL), each at one of
them. (How many heads there are, and so how many points, is the machine's business; of which kinds they are is not.) Then
the folder is opened as a server opens it: each receipt that was committed must be in the ledger once, at its position.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from recorded import entries_of, in_force, office

from commun.ledger import log as ledger_log
from commun.ledger import opening
from commun.ledger.entries import EpochSecretStatement, EpochStatement, ReceiptStatement
from commun.ledger.writer import Ledger
from commun.recording import queue
from commun.store.database import Database
from commun.store.epochs import Epochs
from commun.store.ledger_entries import LedgerEntries
from commun.store.receipts import Receipts

ROUNDS, AT_ONCE = 2, 1
EVERY_POINT = "EVERY_POINT" in os.environ  # else of each kind the first, the second and the last
NEVER = ("", 0)
NUMBER = re.compile(r"/\d.*")
# Hours: another secret takes the first one's place, which is then published, at once or, on a slow machine, until then.
DAYS_END, PUBLISHED, LAST, LATER = 25, 27, 40, 42
queue.Ledger = partial(Ledger, wait_s=0.02)  # a batch a head, and no round waits for it

Point = tuple[str, int]  # of this kind, the first, the second, …


class Killer:
    """Kills this process when the point ``stop`` is reached."""

    def __init__(self, stop: Point, said: int) -> None:
        self.stop = stop
        self.said = said
        self.passed: Counter[str] = Counter()

    def reached(self, point: str) -> None:
        kind = NUMBER.sub("", point)  # one tile is put like another
        self.passed[kind] += 1
        if (kind, self.passed[kind]) == self.stop:
            os.write(self.said, f"killed {kind}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: type, name: str) -> None:
        method = getattr(owner, name)

        async def watched(*given, **named):
            self.reached(f"before {name}")
            result = await method(*given, **named)
            self.reached(f"after {name}")
            return result

        setattr(owner, name, watched)


def work_until_killed(home: Path, stop: Point, said: int) -> None:
    killer = Killer(stop, said)
    ledger_log.reached = opening.reached = killer.reached
    killer.around(Receipts, "keep")
    killer.around(LedgerEntries, "learn")
    killer.around(LedgerEntries, "begin")
    for name in ("add", "place", "publish"):
        killer.around(Epochs, name)

    async def main() -> None:
        async with office(home) as one:
            await one.admit()
            viewer = await one.founder()
            for number in range(ROUNDS):
                for at in range(AT_ONCE):
                    await one.answer(f"{number} {at}")
                    os.write(said, b"kept\n")
                await one.chat(viewer)
                os.write(said, b"kept\n")
                while await one.receipts.unlogged(1):  # noqa: ASYNC110  (the database tells nobody)
                    await asyncio.sleep(0.01)
            one.clock.offset = timedelta(hours=DAYS_END)
            await one.recorder.look()
            for hours in range(PUBLISHED, LAST):  # at once, but for a machine that is slow to place the new secret
                one.clock.offset = timedelta(hours=hours)
                await one.recorder.look()
                while await one.entries.waiting(1):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                if await one.entries.of_kind(EpochSecretStatement.type):
                    break

    asyncio.run(main())
    os.write(said, f"done {json.dumps(killer.passed)}\n".encode())


def kill_once(home: Path, stop: Point) -> list[str]:
    """What the process said before it was killed."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        try:
            work_until_killed(home, stop, said)
        finally:
            os._exit(1)
    os.close(said)
    with os.fdopen(heard, "rb") as lines:
        text = lines.read().decode()
    os.waitpid(child, 0)
    return text.splitlines()


async def recover(home: Path) -> list[tuple[str, int | None]]:
    """Opens the folder as a server does; the receipts that were committed, with their positions."""
    async with office(home) as one:
        one.clock.offset = timedelta(hours=PUBLISHED)
        await one.recorder.open()
        await one.recorder.admit(in_force(home))
        for _ in range(12_000):
            if not await one.receipts.unlogged(1):
                break
            await asyncio.sleep(0.01)
        one.clock.offset = timedelta(hours=LATER)
        for _ in range(2):
            await one.recorder.look()

        def rows(connection):
            return connection.exec_driver_sql("SELECT entry_sha256, position FROM receipts").all()

        return [tuple(row) for row in await one.database.read(rows)]


def check(home: Path, kept: int, wrong: list[str], point: str, *, twice: bool) -> None:
    rows = asyncio.run(recover(home))
    if twice:  # which must add nothing
        asyncio.run(recover(home))
    statements = entries_of(home)
    logged = Counter(one.sha256 for one in statements if isinstance(one, ReceiptStatement))
    if len(rows) < kept:
        wrong.append(f"{point}: {kept} were kept, and {len(rows)} are there")
    for digest, position in rows:
        if logged[digest] != 1:
            wrong.append(f"{point}: a receipt is {logged[digest]} times in the ledger")
        elif position is None or statements[position] != ReceiptStatement(digest):
            wrong.append(f"{point}: a receipt is not at its position {position}")
    editions = Counter(one.type for one in statements)["commun/edition/1"]
    if editions != 1:
        wrong.append(f"{point}: {editions} adoptions")
    epochs = [one.sha256 for one in statements if isinstance(one, EpochStatement)]
    secrets = [one.epoch for one in statements if isinstance(one, EpochSecretStatement)]
    if sorted(secrets) != sorted(epochs[:-1]):
        wrong.append(f"{point}: {len(epochs)} secrets, of which {len(secrets)} are published")
    keys = Counter(one.type for one in statements)["commun/receipt-key/1"]
    if keys != 1:
        wrong.append(f"{point}: {keys} statements on keys")


def work_once(home: Path, stop: Point, wrong: list[str], *, twice: bool) -> list[str]:
    """What a process said that worked on a copy of ``home``, once the copy has been checked."""
    folder = home.with_name("killed")
    shutil.copytree(home, folder)
    said = kill_once(folder, stop)
    check(folder, said.count("kept"), wrong, " ".join(map(str, stop)), twice=twice)
    shutil.rmtree(folder)
    return said


def points_of(passed: dict[str, int]) -> Iterator[Point]:
    for kind, count in passed.items():
        for at in range(1, count + 1):
            if EVERY_POINT or at in {1, 2, count}:
                yield kind, at


def main(home: Path) -> None:
    wrong: list[str] = []
    (whole,) = (line for line in work_once(home, NEVER, wrong, twice=True) if line.startswith("done "))
    killed: list[str] = []
    for kind, at in points_of(json.loads(whole.removeprefix("done "))):
        if f"killed {kind}" in work_once(home, (kind, at), wrong, twice=at == 1):
            killed.append(kind)
    print(json.dumps({"points": killed, "wrong": wrong[:10]}))


assert Database  # the store is imported before the first fork
if __name__ == "__main__":
    main(Path(sys.argv[1]))
