"""A server that answers as vLLM documents it (models, version, tokenize, detokenize, prompt_logprobs), over a toy model.

The model has a token for each byte and one that ends answers; its logits depend on all tokens before. It is asked like
the real one, and draws like one: with chances of its own that nobody else can recompute.
"""

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

END = 256
WORDS = 257
LISTED = 20
VERSION = "0.32.0"

Reply = tuple[int, bytes]


def rendered(messages: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    return tuple("".join(f"<{role}>{content}" for role, content in (*messages, ("assistant", ""))).encode())


def logits_after(tokens: Sequence[int]) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(np.array(tokens, dtype="<u4").tobytes()).digest()[:8], "little")
    logits = np.random.default_rng(seed).normal(0, 2.5, WORDS)
    logits[END] -= 4
    return logits


def logprobs_after(tokens: Sequence[int], noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """``noise``: of the logits, as bfloat16 and other batches make it."""
    logits = logits_after(tokens)
    logits = logits + np.random.default_rng(seed + 7 * len(tokens)).normal(0, noise, WORDS) if noise else logits
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


def drawn(
    prompt: Sequence[int], count: int, *, temperature: float, top_p: float, seed: int, noise: float = 0.05
) -> tuple[list[int], list[float]]:
    """An honest answer: token ids, and the log-probabilities that were recorded with them."""
    chance = np.random.default_rng(seed)
    ids: list[int] = []
    recorded: list[float] = []
    while len(ids) < count and END not in ids:
        logprobs = logprobs_after((*prompt, *ids), noise, seed)
        order = np.argsort(-logprobs)
        weights = np.exp((logprobs[order] - logprobs.max()) / max(temperature, 1e-6))
        sums = np.cumsum(weights) / weights.sum()
        kept = int(np.searchsorted(sums, top_p)) + 1
        token = int(chance.choice(order[:kept], p=weights[:kept] / weights[:kept].sum()))
        ids.append(token)
        recorded.append(float(logprobs[token]))
    return ids, recorded


def text_of(ids: Sequence[int]) -> str:
    return "".join(chr(token) if token < END else "</s>" for token in ids)


class ToyServer:
    """``broken``: what is answered instead, by path. ``lies``: changes the reply to a question for log-probabilities."""

    def __init__(self) -> None:
        self.broken: dict[str, Reply] = {}
        self.lies: Callable[[list[Any]], None] = lambda _: None
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        self.url = ""

    def reply(self, path: str, body: dict[str, Any]) -> Reply:
        ways = {
            "/v1/models": lambda _: {"data": [{"id": "toy", "owned_by": "vllm", "max_model_len": 1024}]},
            "/version": lambda _: {"version": VERSION},
            "/tokenize": _tokenized,
            "/detokenize": lambda body: {"prompt": text_of(body["tokens"])},
            "/v1/completions": self._completion,
        }
        told = self.broken.get(path) or (ways[path](body) if path in ways else None)
        if isinstance(told, tuple):
            return told
        return (404, b"{}") if told is None else (200, json.dumps(told).encode())

    def _completion(self, body: dict[str, Any]) -> dict[str, Any] | Reply:
        tokens = body["prompt"]
        if len(tokens) + body["max_tokens"] > 1024 or body["prompt_logprobs"] > LISTED:
            return 400, b'{"error": {"message": "too long", "code": 400}}'
        places: list[Any] = [None]
        for place in range(1, len(tokens)):
            logprobs = logprobs_after(tokens[:place])
            order = np.argsort(-logprobs)
            entries = {}
            for rank, word in [*enumerate(order[: body["prompt_logprobs"]], 1)]:
                entries[str(word)] = {"logprob": logprobs[word], "rank": rank, "decoded_token": text_of([word])}
            own = tokens[place]
            rank = int(np.flatnonzero(order == own)[0]) + 1
            entries[str(own)] = {"logprob": logprobs[own], "rank": rank, "decoded_token": text_of([own])}
            places.append(entries)
        self.lies(places)
        choice = {"index": 0, "text": "!", "finish_reason": "length", "logprobs": None, "prompt_logprobs": places}
        return {"id": "cmpl-1", "object": "text_completion", "model": "toy", "choices": [choice]}


def _tokenized(body: dict[str, Any]) -> dict[str, Any]:
    said = [(each["role"], each["content"]) for each in body.get("messages", ())]
    tokens = rendered(said) if said else tuple(body["prompt"].encode())
    return {"count": len(tokens), "max_model_len": 1024, "tokens": tokens, "token_strs": None}


@contextlib.contextmanager
def toy_server() -> Iterator[ToyServer]:
    toy = ToyServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            toy.asked.append((self.path, body, self.headers.get("authorization", "")))
            status, data = toy.reply(self.path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    toy.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield toy
    finally:
        server.shutdown()
        server.server_close()
