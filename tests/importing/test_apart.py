"""A long conversation is read in a process of its own: what comes back is the same, and what it may take is bounded."""

import contextlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from commun.errors import Busy
from commun.importing.apart import question, understood
from commun.importing.formats import conversation_of
from commun.importing.items import LONG
from commun.importing.outline import NotAConversation
from commun.importing.reading import IMAGE, WORDS
from commun.importing.spool import BadImport
from commun.web import reading_apart
from commun.web.reading_apart import ReadingApart, TakesTooLong
from exports import conversation, node, open_webui_chat, two_branches

NOW = 1_800_000_000.0
OURS = {
    "format": "commun-conversation/1",
    "id": "c1",
    "title": "Ours",
    "folder": "School",
    "messages": [
        {"id": "q", "parent": None, "role": "user", "content": {"text": "Why? \ud800"}},
        {
            "id": "a",
            "parent": "q",
            "role": "assistant",
            "state": "failed",
            "feedback": {"thumb": "up", "reasons": [], "remark": "ok"},
            "content": {"text": "So.", "error": "engine_failed", "imported": {"from": "chatgpt"}},
        },
    ],
}
LONG_ONE = conversation(
    *(
        node(f"n{at}", f"n{at - 1}" if at else None, "assistant" if at % 2 else "user", f"{at} " * 400)
        for at in range(300)
    ),
    gizmo_id="g-p-aa",
)


def shouted(words: str) -> str:
    return words.upper().replace("%(NAME)S", "%(name)s")


@pytest.mark.parametrize(
    "value", [two_branches(), open_webui_chat(), OURS, LONG_ONE, two_branches() | {"conversation_id": None, "id": None}]
)
def test_it_is_the_same_as_if_it_were_read_here(value: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    assert ReadingApart(shouted).conversation(data, now=NOW) == conversation_of(json.loads(data), shouted, now=NOW)


def test_what_is_named_in_the_place_of_something_is_named_in_the_readers_language() -> None:
    found = ReadingApart(shouted).conversation(json.dumps(open_webui_chat()).encode(), now=NOW)
    assert (shouted(IMAGE) % {"name": "board.png"}) in found.messages[0].text
    assert shouted(IMAGE) in {shouted(each) for each in WORDS}


@pytest.mark.parametrize(
    "data",
    [b"[1, 2]", b"3", b"{}", b'{"mapping": {}}', b'{"mapping": 3}', b'{"a":' * 100_000 + b"1" + b"}" * 100_000],
)
def test_what_is_no_conversation_is_refused(data: bytes) -> None:
    with pytest.raises(NotAConversation):
        ReadingApart(str).conversation(data, now=NOW)


@pytest.mark.parametrize("data", [b'{"a": nope}', b"", b"\xff" * LONG])
def test_what_is_not_json_ends_the_import_as_a_short_one_does(data: bytes) -> None:
    with pytest.raises(BadImport):
        ReadingApart(str).conversation(data, now=NOW)


SMALL = "from commun.importing import apart; apart.MAX_MEMORY_BYTES = 150 << 20; apart.main()"


def asked_with_little_memory(data: bytes) -> list[bytes]:
    asked = b"".join(question(data, str, now=NOW))
    done = subprocess.run([sys.executable, "-c", SMALL], input=asked, capture_output=True, check=False, timeout=120)
    return done.stdout.splitlines()


def test_what_is_made_to_grow_takes_no_more_than_it_may_and_counts_as_unreadable() -> None:
    empties = b'{"mapping": {}, "x": [' + b"{}," * 3_000_000 + b"{}]}"
    answer = asked_with_little_memory(empties)
    with pytest.raises(NotAConversation):
        understood(answer)
    assert b"no conversation" not in b"".join(answer), "it was not read to its end"
    assert len(understood(asked_with_little_memory(json.dumps(two_branches()).encode())).messages) == 5


def test_an_answer_that_breaks_off_is_none() -> None:
    whole = asked_with_little_memory(json.dumps(two_branches()).encode())
    for cut in range(len(whole)):
        with pytest.raises(NotAConversation):
            understood(whole[:cut])
    every = b"\n".join(whole)
    for cut in range(len(every)):
        with pytest.raises(NotAConversation):
            understood(every[:cut].splitlines())


SLOW = "import time\nwhile time.process_time() < 0.4: pass"
ENDLESS = "import time\nwhile True: time.sleep(60)"


def test_what_the_processes_of_one_import_take_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_apart, "MAX_PROCESSOR_S", 1.0)
    apart = ReadingApart(str)
    honest = json.dumps(two_branches()).encode()
    assert [len(apart.conversation(honest, now=NOW).messages) for _ in range(8)] == [5] * 8, "honest ones cost nothing"
    monkeypatch.setattr(reading_apart, "COMMAND", [sys.executable, "-c", SLOW])
    with pytest.raises(NotAConversation):
        apart.conversation(b"{}", now=NOW)
    with pytest.raises(TakesTooLong):  # noqa: PT012
        for _ in range(3):
            with contextlib.suppress(NotAConversation):
                apart.conversation(b"{}", now=NOW)


def test_a_process_that_never_answers_ends_with_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_apart, "COMMAND", [sys.executable, "-c", ENDLESS])
    apart = ReadingApart(str)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(apart.conversation, b"{}", now=NOW)
        apart.stop()
        with pytest.raises((NotAConversation, Busy)):
            asked.result()
    with pytest.raises(Busy):
        apart.conversation(b"{}", now=NOW)


def test_where_there_is_no_room_for_a_process_one_is_told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_apart, "COMMAND", ["/nowhere/python"])
    with pytest.raises(Busy):
        ReadingApart(str).conversation(b"{}", now=NOW)
