"""Bringing in what somebody has had elsewhere for years, and what the others feel of it.

    python benchmarks/importing.py                     300 MB of a ChatGPT export, twice, the table and the bars
    python benchmarks/importing.py --megabytes 1000 --json

- an export as ChatGPT makes it: one ``conversations.json`` of so many megabytes in a ZIP, conversations of about 40 kB,
  every third with two answers to one question, made while it is written;
- ``commun serve`` as its user starts it, before stub.py instead of a model, and its real database; the upload goes
  through ``POST /settings/import`` as a browser sends it. Another person loads pages all the while, PAGES a second;
- memory: the server's process, sampled, over what it had before; the database's growth beside it;
- then the same file again: everything must be there already, and nothing new.

Exit status: 1 where something was lost or came twice, where the memory grew by more than MOST_MB, and where the other
person's p99 is above BAR_MS.
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
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
import rules
from commun.store.database import DATABASE_FILE
from house import Loads, Person, apart, inhabit, lists, load_pages, start
from load import percentile
from peers import Child, Missing, say
from serve import WORDS
from visitors import Visitor

BAR_MS, MOST_MB = 250.0, 150.0
MEGABYTES, PAGES, IDLE_S = 300, 5.0, 20.0
EXCHANGES, QUESTION, ANSWER = 10, 40, 500  # of a conversation; words
SAMPLE_S = 0.1
RANDOM = random.Random(5)
ADDRESS, TOLD = "/settings/import", "/settings/data"


@dataclass
class Arrival:
    """One import. ``said``: what the page tells of it, the first number of each line by its words."""

    upload_s: float = 0.0
    whole_s: float = 0.0
    peak_mb: float = 0.0
    cpu_s: float = 0.0
    said: dict[str, int] = field(default_factory=dict)
    loads: Loads = field(default_factory=Loads)


# --- the export


def words(number: int) -> str:
    return " ".join(RANDOM.choices(WORDS, k=number))


def node(name: str, parent: str | None, role: str, text: str, at: float) -> dict[str, Any]:
    """As ChatGPT writes one, metadata included."""
    message = {
        "id": name,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": at,
        "update_time": None,
        "content": {"content_type": "text", "parts": [text]},
        "status": "finished_successfully",
        "end_turn": True,
        "weight": 1.0,
        "metadata": {"model_slug": "gpt-4o", "request_id": f"{RANDOM.getrandbits(128):x}", "timestamp_": "absolute"},
        "recipient": "all",
        "channel": None,
    }
    return {"id": name, "message": message, "parent": parent, "children": []}


def conversation(number: int) -> dict[str, Any]:
    created = 1_650_000_000.0 + 9_000 * number
    nodes = [{"id": "root", "message": None, "parent": None, "children": []}]
    for exchange in range(EXCHANGES):
        asked = node(f"q{exchange}", nodes[-1]["id"], "user", words(QUESTION), created + exchange)
        nodes += [asked, node(f"a{exchange}", asked["id"], "assistant", words(ANSWER), created + exchange)]
    if not number % 3:
        nodes.insert(-1, node("again", nodes[-2]["id"], "assistant", words(ANSWER), created + EXCHANGES))
    mapping = {each["id"]: each for each in nodes}
    for each in nodes[1:]:
        mapping[each["parent"]]["children"].append(each["id"])
    name = f"{number:08x}-0000-4000-8000-000000000000"
    return {
        "title": words(5),
        "create_time": created,
        "update_time": created + EXCHANGES,
        "mapping": mapping,
        "current_node": nodes[-1]["id"],
        "conversation_id": name,
        "id": name,
    }


def made(file: Path, megabytes: int) -> int:
    """Writes the export; returns how many conversations are in it."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("user.json", "{}")
        with archive.open("conversations.json", "w", force_zip64=True) as member:
            count, size = 0, member.write(b"[")
            for data in (json.dumps(conversation(number)).encode() for number in _counting()):
                size += member.write(b", " + data if count else data)
                count += 1
                if size >= megabytes * 1_000_000:
                    break
            member.write(b"]")
    return count


def _counting() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


# --- bringing it in


async def bring_in(child: Child, importer: Visitor, other: Person, file: Path) -> Arrival:
    arrival, began, cpu = Arrival(), time.perf_counter(), sum(child.cpu_s().values())
    over = asyncio.Event()
    watching = asyncio.create_task(peak(child, arrival, over))
    loading = asyncio.create_task(pages_until(over, other, arrival.loads))
    try:
        page = await importer.send(ADDRESS, file)
        if page.status != 303:
            raise Missing(f"the upload: {page.status} {page.body[:300]!r}")
        arrival.upload_s = page.seconds
        page = await importer.get(TOLD)
        while "refresh" in page.headers:
            await asyncio.sleep(float(page.headers["refresh"].split(";")[0]))  # as a browser does
            page = await importer.get(TOLD)
        arrival.whole_s = time.perf_counter() - began
    finally:
        over.set()
        await asyncio.gather(watching, loading)
    arrival.cpu_s = sum(child.cpu_s().values()) - cpu
    status = re.search(rb'role="status">(.*?)</div>', page.body, re.DOTALL)
    for line in re.findall(r"<li>(.*?)</li>", status[1].decode() if status else ""):
        number = re.sub(r"[^\d]", "", line.split(" ")[0])
        arrival.said[line.partition(" ")[2]] = int(number)
    return arrival


async def peak(child: Child, arrival: Arrival, over: asyncio.Event) -> None:
    while not over.is_set():
        arrival.peak_mb = max(arrival.peak_mb, apart(child.memory_mb(), child)[0])
        await asyncio.sleep(SAMPLE_S)


async def pages_until(over: asyncio.Event, other: Person, loads: Loads) -> None:
    while not over.is_set():
        some = await load_pages([other], 1.0, PAGES)
        loads.seconds += some.seconds
        loads.failed += some.failed


async def measure(child: Child, address: str, cookies: Sequence[str], file: Path) -> dict[str, Any]:
    other, importer = Person(Visitor(address, cookies[0])), Visitor(address, cookies[1])
    await lists([other])
    idle = await load_pages([other], IDLE_S, PAGES)
    before = apart(child.memory_mb(), child)[0]
    arrivals = []
    for number in range(2):
        arrivals.append(await bring_in(child, importer, other, file))
        say(f"import {number + 1}: {arrivals[-1].whole_s:.1f} s, {arrivals[-1].said}")
    own = [await importer.get(path) for path in ("/", TOLD, "/search?q=water")]
    return {
        "memory_before_mb": before,
        "memory_peak_mb": [each.peak_mb for each in arrivals],
        "upload_s": [each.upload_s for each in arrivals],
        "whole_s": [each.whole_s for each in arrivals],
        "cpu_s": [each.cpu_s for each in arrivals],
        "said": [each.said for each in arrivals],
        "others_pages_ms": {
            name: [len(one.of()), *(1000 * percentile(one.of(), share) for share in (0.5, 0.95, 0.99))]
            for name, one in (("idle", idle), ("first", arrivals[0].loads), ("again", arrivals[1].loads))
        },
        "others_failed": sum(sum(each.loads.failed.values()) for each in arrivals),
        "own_pages_after_ms": {
            name: 1000 * page.seconds for name, page in zip(("/", TOLD, "search"), own, strict=True)
        },
        "own_first_page_kb": len(own[0].body) / 1024,
    }


def run(megabytes: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="commun-importing-") as folder:
        work = Path(folder)
        home, file = work / "home", work / "export.zip"
        home.mkdir()
        count = made(file, megabytes)
        say(f"{count} conversations, {file.stat().st_size / 1e6:.0f} MB packed")
        cookies, key, _ = asyncio.run(inhabit(home, 2))
        stub, port = peers.stub(work / "stub.log")
        rules.found(home, model=rules.stub_model(f"http://127.0.0.1:{port}/v1"))
        size = (home / DATABASE_FILE).stat().st_size
        child, address = start(home, work, key)
        try:
            found = asyncio.run(measure(child, address, cookies, file))
        finally:
            child.stop()
            stub.stop()
        grown = ((home / DATABASE_FILE).stat().st_size - size) / 1e6
    return {"conversations": count, "database_grown_mb": grown, "load_average": os.getloadavg()[0], **found}


def faults(found: dict[str, Any]) -> list[str]:
    (first, second), count = found["said"], found["conversations"]
    wrong = []
    if next(iter(first.values()), None) != count or len(first) != 1:
        wrong.append(f"of {count} conversations came {first}")
    if list(second.values()) != [0, count]:
        wrong.append(f"a second time came {second}")
    if found["others_failed"]:
        wrong.append(f"{found['others_failed']} pages of the other person failed")
    if max(found["memory_peak_mb"]) - found["memory_before_mb"] > MOST_MB:
        wrong.append(f"the memory grew by more than {MOST_MB:.0f} MB")
    if max(each[-1] for each in found["others_pages_ms"].values()) > BAR_MS:
        wrong.append(f"the other person's p99 is above {BAR_MS:.0f} ms")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A large export of another assistant, brought in.")
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="of conversations.json, unpacked")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = run(options.megabytes)
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print("| | of the first import | of the same again |\n|---|---|---|")
        for name in ("upload_s", "whole_s", "cpu_s", "memory_peak_mb"):
            print(f"| {name} | {found[name][0]:.1f} | {found[name][1]:.1f} |")
        print(*(f"{name}: {value}" for name, value in found.items() if name not in {"upload_s", "whole_s"}), sep="\n")
    wrong = faults(found)
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    peers.end_cleanly()
    try:
        sys.exit(main())
    except Missing as missing:
        sys.exit(f"cannot be measured: {missing}")
