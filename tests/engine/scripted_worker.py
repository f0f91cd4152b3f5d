"""The engine's real process around a scripted pipeline: it says bytes in order, and breaks where a prompt asks it to.

Prompt [n, ...]: n tokens are said, one per step. The last id says what goes wrong (FAULTS). Vocabulary: 256 bytes and
one special token. Half a character cannot be read; after the text LOSING nothing can, after the text
GARBLING all is read otherwise. The chat template tells the day, which the text MIDNIGHT ends.
"""

import os
import time
from pathlib import Path
from typing import Any

from commun.engine.worker import main

RAISE, HANG, DIE, SLOW, SLOWEST = 1001, 1002, 1003, 1004, 1005
PAUSES = {SLOW: 0.02, SLOWEST: 0.5}
SPECIAL = 256
LOSING = "from here on it reads nothing"
GARBLING = "from here on it reads otherwise"
MIDNIGHT = "from here on it is another day"


class Request:
    def __init__(self, prompt: list[int], limit: int) -> None:
        self.prompt, self.said, self.read, self.cancelled = prompt, 0, 0, False
        self.total = min(prompt[0], limit)

    def cancel(self) -> None:
        self.cancelled = True


class Scripted:
    def __init__(self, settings: dict[str, Any]) -> None:
        if Path(settings["path"], "broken").exists():
            raise RuntimeError("a secret text that must not be told")
        self.requests: list[Request] = []
        self.is_lost = self.is_garbled = False
        self.day = ""

    def about(self) -> dict[str, Any]:
        return {
            "version": "scripted",
            "notes": {},
            "pieces": [chr(value) for value in range(256)] + ["<end>"],
            "special": [SPECIAL],
            "strip_first": False,
            "cache_tokens": 512,
        }

    def add(self, number: int, token_ids: list[int], sampling: dict[str, Any]) -> Request:
        self.requests.append(Request(token_ids, sampling["max_tokens"]))
        return self.requests[-1]

    def step(self) -> None:
        self.requests = [each for each in self.requests if each.said < each.total and not each.cancelled]
        time.sleep(0.001)
        for request in self.requests:
            request.said += 1
            fault = request.prompt[-1] if request.said > 2 else 0
            if fault == RAISE:
                raise RuntimeError("a secret text that must not be told")
            if fault == HANG:
                time.sleep(3600)
            if fault == DIE:
                os.abort()
            if fault in PAUSES:
                time.sleep(PAUSES[fault])

    def read(self, request: Request) -> list[Any] | None:
        if request.read == request.said:
            return None
        ids = [97 + at % 26 for at in range(request.read, request.said)]
        request.read = request.said
        finish = "length" if request.said == request.total else ""
        return [ids, [-0.5] * len(ids), finish]

    def encode(self, text: str) -> list[int]:
        self.is_lost |= LOSING in text
        self.is_garbled |= GARBLING in text
        if self.is_lost:
            raise RuntimeError("a secret text that must not be told")
        ids = list(text.encode())
        return ids[::-1] + ids if self.is_garbled else ids

    def render(self, messages: list[list[str]]) -> list[int]:
        text = "".join(content for _, content in messages)
        if text == MIDNIGHT:
            self.day = "tomorrow "
        return self.encode(self.day + text)

    def score(self, token_ids: list[int]) -> list[list[float]]:
        return [[token, -0.5, token, -0.5] for token in token_ids[1:]]


if __name__ == "__main__":
    main(Scripted)
