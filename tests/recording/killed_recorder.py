"""Kills a recording process at each point in turn, and counts what is wrong afterwards. Prints one JSON object.

Usage: ``killed_recorder.py HOME``; HOME has a charter. Each round forks a process that works on a copy of HOME: it opens
the ledger, records what an admission records, keeps answers and submits their receipts. It is killed (SIGKILL) at the
first point, in the next round at the second, and so on: the ledger's own points (``ledger.log.reached``), and those
between the database and the ledger (before and after each transaction that stores a receipt or a position). Then the
folder is opened as a server opens it: each receipt that was committed must be in the ledger once, at its position.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections import Counter
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
MAX_POINTS = 400
DAYS_END, PUBLISHED, LATER = 25, 27, 29  # hours: another secret takes the first one's place, which is then published
queue.Ledger = partial(Ledger, wait_s=0.02)  # a batch a head, and no round waits for it


class Killer:
    """Kills this process when the point ``stop`` is reached."""

    def __init__(self, stop: int, said: int) -> None:
        self.stop = stop
        self.said = said
        self.passed = 0

    def reached(self, point: str) -> None:
        self.passed += 1
        if self.passed == self.stop:
            os.write(self.said, f"killed {point}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: type, name: str) -> None:
        method = getattr(owner, name)

        async def watched(*given, **named):
            self.reached(f"before {name}")
            result = await method(*given, **named)
            self.reached(f"after {name}")
            return result

        setattr(owner, name, watched)


def work_until_killed(home: Path, stop: int, said: int) -> None:
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
            for hours in DAYS_END, PUBLISHED:
                one.clock.offset = timedelta(hours=hours)
                await one.recorder.look()
                while await one.entries.waiting(1):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    asyncio.run(main())
    os.write(said, b"done\n")


def kill_once(home: Path, stop: int) -> list[str]:
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
        for _ in range(500):
            if not await one.receipts.unlogged(1):
                break
            await asyncio.sleep(0.01)
        one.clock.offset = timedelta(hours=LATER)
        for _ in range(2):
            await one.recorder.look()

        def rows(connection):
            return connection.exec_driver_sql("SELECT entry_sha256, position FROM receipts").all()

        return [tuple(row) for row in await one.database.read(rows)]


def check(home: Path, kept: int, wrong: list[str], point: str) -> None:
    rows = asyncio.run(recover(home))
    asyncio.run(recover(home))  # and a second time, which must add nothing
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


def main(home: Path) -> None:
    wrong: list[str] = []
    points: list[str] = []
    for stop in range(1, MAX_POINTS):
        folder = home.parent / f"killed {stop}"
        shutil.copytree(home, folder)
        said = kill_once(folder, stop)
        point = next((line.removeprefix("killed ") for line in said if line.startswith("killed ")), "")
        check(folder, said.count("kept"), wrong, point or "the end")
        shutil.rmtree(folder)
        if said and said[-1] == "done":
            break
        points.append(point)
    print(json.dumps({"points": points, "wrong": wrong[:10], "done": said[-1:] == ["done"]}))


assert Database  # the store is imported before the first fork
if __name__ == "__main__":
    main(Path(sys.argv[1]))
