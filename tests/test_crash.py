"""kill -9 at random moments, under load: no finished answer is lost, no conversation is broken.

In the suite 12 kills. More::

    KILLS=50 python -m pytest tests/test_crash.py
"""

import os
import random
import re
import threading
import time
from pathlib import Path

import httpx2
import pytest

from founded import SHORT_ANSWERS, found_for_tests
from running import BROWSER, RunningCommun, with_models

pytestmark = pytest.mark.engine

KILLS = int(os.environ.get("KILLS", "12"))
WRITERS = 4
FINISHED_S = 120  # within which an answer must be finished on the slowest machine
ENDED = re.compile(r"event: end\n")


class Writer(threading.Thread):
    """A person who asks, reads to the end, asks on. ``finished``: answers that the page showed as whole."""

    def __init__(self, commun: RunningCommun, cookies: httpx2.Cookies) -> None:
        super().__init__(daemon=True)
        self._client = httpx2.Client(base_url=commun.url, headers=BROWSER, cookies=cookies, timeout=120)
        self.finished: dict[str, str] = {}  # answer → conversation
        self.asked: set[str] = set()  # conversations

    def run(self) -> None:
        conversation = ""
        parent = ""
        try:
            while True:
                path = f"/c/{conversation}/ask" if conversation else "/ask"
                data = {"question": "Count to three.", "parent": parent}
                reply = self._client.post(path, data=data).raise_for_status().text
                found = re.search(r"/c/([\w-]+)/", reply)
                answer = re.findall(r"/answers/([\w-]+)/", reply)[-1]
                conversation = conversation or (found[1] if found else "")
                self.asked.add(conversation)
                with self._client.stream("GET", f"/answers/{answer}/events") as events:
                    if ENDED.search("".join(events.iter_text())):
                        self.finished[answer] = conversation
                        parent = answer
        except (httpx2.HTTPError, IndexError):
            return  # killed under us


def wait_finished(writers: list[Writer], count: int) -> None:
    deadline = time.monotonic() + FINISHED_S
    while sum(len(writer.finished) for writer in writers) < count:
        assert time.monotonic() < deadline, "hardly anything is finished: the test does not test"
        time.sleep(0.005)


def test_kills_lose_no_finished_answer_and_break_no_conversation(tmp_path: Path, models: Path) -> None:
    dice = random.Random(7)
    home = with_models(tmp_path / "home", models)
    found_for_tests(home, SHORT_ANSWERS)
    commun = RunningCommun(home)
    cookies = commun.sign_in().cookies
    finished: dict[str, str] = {}
    asked: set[str] = set()
    for _kill in range(KILLS):
        commun.wait_ready()
        writers = [Writer(commun, cookies) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        wait_finished(writers, dice.randint(0, 5))
        time.sleep(dice.uniform(0.02, 0.5))
        commun.kill()
        for writer in writers:
            writer.join(timeout=120)
            finished |= writer.finished
            asked |= writer.asked
        commun = RunningCommun(home)
    with commun:
        client = httpx2.Client(base_url=commun.url, headers=BROWSER, cookies=cookies, timeout=120)
        exported = {id_: client.get(f"/c/{id_}/export.json").raise_for_status().json() for id_ in asked}
    messages = {message["id"]: message for each in exported.values() for message in each["messages"]}
    assert len(finished) > KILLS
    lost = [answer for answer in finished if messages.get(answer, {}).get("state") != "complete"]
    assert lost == []
    assert all(messages[answer]["content"]["text"] for answer in finished)
    states = {message["state"] for message in messages.values()}
    assert "running" not in states
    assert all(message["parent"] is None or message["parent"] in messages for message in messages.values())
