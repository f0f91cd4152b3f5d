"""Kills a writing process again and again, and counts what is wrong afterwards. Prints one JSON object.

Usage: ``killed_writer.py HOME KILLS SEED``. Each round forks a writer, which keeps answers as fast as it can and says the
id of each one, receipt included, *after* ``keep`` returned; it is killed (SIGKILL) at a random moment; then the folder is opened as a
server opens it. Every other round waits for the first answer that is kept, so that on a slow machine, too, something was. A
fork of a warm process instead of a new one each time makes 50 kills take seconds.
"""

import asyncio
import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from commun.errors import CommunError
from commun.receipts.statement import receipt_id
from commun.store.conversations import MessageState
from commun.store.receipts import Receipts
from made_receipt import made_receipt
from opened_store import open_store

WRITERS = 8
FIRST_S = 60
PARTIAL, WHOLE = "half of ", "the whole of "


def write_until_killed(home: Path, token: str, said: int) -> None:
    store = open_store(home)

    async def one(viewer, caller) -> None:
        conversation_id = parent_id = None
        while True:
            turn = await store.conversations.start_turn(
                viewer, conversation_id=conversation_id, parent_id=parent_id, question="Q" * 500, title="T"
            )
            await turn.checkpoint({"text": PARTIAL + turn.answer_id})
            content = {"text": WHOLE + turn.answer_id + "." * 2000}
            await turn.keep(content, MessageState.COMPLETE, made_receipt(turn.answer_id))
            os.write(said, f"{turn.conversation_id} {turn.answer_id}\n".encode())
            conversation_id, parent_id = turn.conversation_id, turn.answer_id
            recorded = await store.conversations.record_turn(
                caller, title="T", question=[{"role": "user", "text": "Q"}], answer={"text": WHOLE}
            )
            os.write(said, f"{recorded} -\n".encode())

    async def main() -> None:
        viewer = await store.accounts.viewer(token)
        caller = await store.accounts.caller(await store.accounts.make_api_key(viewer.account_id, "k"))
        await asyncio.gather(*(one(viewer, caller) for _ in range(WRITERS)))

    asyncio.run(main())


def kill_once(home: Path, token: str, after_s: float, *, writing: bool) -> list[list[str]]:
    """Returns the ids that were said by a writer that was killed ``after_s`` seconds after it was started;
    ``writing``: after it said the first.
    """
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        try:
            write_until_killed(home, token, said)
        finally:
            os._exit(1)  # only a kill may end it
    os.close(said)
    if writing:
        select.select([heard], [], [], FIRST_S)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    with os.fdopen(heard, "rb") as lines:
        text = lines.read().decode()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    return [line.split() for line in text.splitlines() if line.count(" ") == 1]


async def check(store, token: str, kept: list[list[str]], wrong: list[str]) -> int:
    """Adds what is wrong to ``wrong``; returns how many answers were cut."""
    interrupted = await store.conversations.recover()
    viewer = await store.accounts.viewer(token)
    for conversation_id, answer_id in kept:
        try:
            stored = await store.conversations.get(viewer, conversation_id)
        except CommunError as error:
            wrong.append(f"{conversation_id} does not open: {error.code}")
            continue
        answer = stored.messages[stored.leaf_id if answer_id == "-" else answer_id]
        if answer.state is not MessageState.COMPLETE or not answer.content["text"].startswith(WHOLE):
            wrong.append(f"{answer_id} is {answer.state}")
        if answer_id != "-":
            try:
                await Receipts(store.database).get(viewer, receipt_id(answer_id))
            except CommunError as error:
                wrong.append(f"the receipt of {answer_id} is lost: {error.code}")
    for summary in await store.conversations.list(viewer):
        if summary.running:
            wrong.append(f"{summary.id} is running")
        stored = await store.conversations.get(viewer, summary.id)
        if len(stored.path()) % 2 or stored.path()[0].parent_id is not None:
            wrong.append(f"{summary.id} is broken")
    if interrupted > WRITERS:
        wrong.append(f"{interrupted} were running")
    state = await store.database.read(lambda connection: connection.exec_driver_sql("PRAGMA integrity_check").scalar())
    if state != "ok":
        wrong.append(state)
    return interrupted


def main(home: Path, kills: int, seed: str) -> None:
    chance = random.Random(seed)
    wrong: list[str] = []
    tokens: dict[Path, str] = {}
    kept_all = interrupted_all = 0
    for round_ in range(kills):
        folder = home / str(round_ // 5)  # a few kills on the same folder, and not too much to check in it
        if folder not in tokens:
            store = open_store(folder)
            tokens[folder] = asyncio.run(store.sign_in()).token
            store.database.close()
        token = tokens[folder]
        kept = kill_once(folder, token, chance.uniform(0.01, 0.25), writing=bool(round_ % 2))
        store = open_store(folder)
        interrupted_all += asyncio.run(check(store, token, kept, wrong))
        kept_all += len(kept)
        store.database.close()
    print(json.dumps({"kills": kills, "kept": kept_all, "interrupted": interrupted_all, "wrong": wrong[:10]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
