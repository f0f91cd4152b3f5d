"""What Commun and its engine process say to each other: one JSON array per line, over a socket pair.

To the worker::

    ["load", {path, profile, threads, cache_gb, max_running}]      once, first
    ["go", id, token_ids, {seed, temperature, top_p, max_tokens, ignore_eos, json_schema}]
    ["cancel", id]
    ["render", call, [[role, content], ...]]   ["encode", call, text]   ["score", call, token_ids]

From the worker::

    ["ready", {version, notes, pieces, special, strip_first, cache_tokens}]     pieces: each byte as one character
    ["step", [[id, token_ids, logprobs, finish], ...]]     after each step; finish: "" | "stop" | "length"
    ["reply", call, value]
    ["refused", id or call, code, {details}]               the error tree's code
    ["broken", code, reason]                               the worker ends after this

Ids and calls are numbers out of one counter. A closed socket means: the other side is gone, end.
"""

import json
from typing import Any

MAX_LINE_BYTES = 1 << 28  # a vocabulary of 256k pieces, or scores of a whole long context, fit with room to spare


def to_line(message: list[Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def from_line(line: bytes) -> list[Any]:
    message = json.loads(line)
    if not isinstance(message, list) or not message:
        raise ValueError("not a message")
    return message
