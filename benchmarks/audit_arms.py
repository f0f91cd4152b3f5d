"""The arms of audit.py: answers that are what their receipts say, and answers that are not, of the real server.

- honest: asked over the API as any program asks; the bundle that came with the answer is audited;
- dishonest: the server is asked for another thing (a changed prompt as token ids, other settings, other weights in the
  place of the adopted ones), with the very seed of an honest answer, whose receipt then claims it (audit_claims.py).

Everything made is a file, and what is there is not made again.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import peers
import rules
from audit_claims import Claim, Made, changed_messages, first, forged, signer_of
from commun.audit.draws import draws, share_of
from commun.charter.clauses import Model
from commun.charter.repository import Repository
from commun.engine.rendering import Renderer
from commun.engine.runtime import DEVICE, PROFILES
from commun.engine.sampling import candidates
from commun.engine.scoring import Scorer
from commun.places import CHARTER_FOLDER
from peers import Missing, say

SETTINGS = {"temperature": 0.8, "top_p": 0.95}
SURE = {"temperature": 0.3, "top_p": 0.95}  # the founding charter's own
LONG = 512  # tokens
EARLY = 64
MOST_SURE = 128
RUNNING = 32  # at once on the server
PLACES = 40  # of the server: no account alone gets them all
EVERY = 100  # tokens: one second best among them
OTHER_WORDS = (" never", " seven", " green", " Paris", " maybe", " jamais", " rouge", " neuf")

DISHONEST = {
    "space": "one space at the end of the system prompt",
    "hidden": "a hidden sentence in the system prompt",
    "shortened": "its last sentence left out",
    "dropped": "an earlier turn left out",
    "passage": "a hidden retrieved passage",
    "warmer-1": "temperature +1 %",
    "colder-1": "temperature −1 %",
    "warmer-10": "temperature +10 %",
    "colder-10": "temperature −10 %",
    "top-p-94": "top_p 0.94",
    "top-p-90": "top_p 0.90",
    "seed": "another seed",
    "second-best": "one second-best token in 100",
    "edited": "one word changed afterwards",
    "q8_0": "weights quantised again, Q8_0",
    "q4_0": "weights quantised again, Q4_0",
    "noise": "weights with 1 % noise",
    "fewer": "another model: two of 30 layers left out",
    "fewer-true": "its text, with the right model’s log-probabilities",
    "qwen": "another model: Qwen2.5-Coder-1.5B’s text, with the right log-probabilities",
}
WEIGHTS = ("q8_0", "q4_0", "noise", "fewer")
PROMPTS = ("space", "hidden", "shortened", "dropped", "passage")
LATE = ("warmer-1", "colder-1", "top-p-94", "second-best", "edited")
CHANGED_SETTINGS: dict[str, dict[str, float]] = {
    "warmer-1": {"temperature": 1.01},
    "colder-1": {"temperature": 0.99},
    "warmer-10": {"temperature": 1.1},
    "colder-10": {"temperature": 0.9},
}


@dataclass(frozen=True)
class Sizes:
    """Answers of each arm. ``tokens`` of each, but LONG of the first ``long_honest`` and ``long_dishonest``.
    ``is_soon``: kinds that are caught early have EARLY tokens only.
    """

    honest: int
    others: int
    dishonest: int
    tokens: int
    long_honest: int = 0
    long_dishonest: int = 0
    is_soon: bool = False

    def of_honest(self, number: int) -> int:
        return LONG if number < self.long_honest else self.tokens

    def of_dishonest(self, number: int, kind: str) -> int:
        if self.is_soon and kind not in LATE:
            return EARLY
        return LONG if number < self.long_dishonest else self.tokens


class Client:
    """Of one server. Answers are bundles."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def chat(self, prompt: dict[str, Any], tokens: int, **wishes: Any) -> bytes:
        body = {"messages": prompt["messages"], "language": prompt["language"], "max_tokens": tokens, **wishes}
        answer = await self._post("/v1/chat/completions", body)
        return json.dumps(answer["commun"]["receipt"]["bundle"]).encode()

    async def text(self, prompt: str | Sequence[int], tokens: int, **wishes: Any) -> bytes:
        body = {"prompt": prompt if isinstance(prompt, str) else list(prompt), "max_tokens": tokens, **wishes}
        answer = await self._post("/v1/completions", body)
        return json.dumps(answer["commun"]["receipts"][0]["bundle"]).encode()

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._http.post(path, json={"model": "default", "receipt": "bundle", **body})
        if answer.status_code != 200:
            raise Missing(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()


@asynccontextmanager
async def served(
    home: Path,
    profile: str,
    *,
    model: Model | None = None,
    threads: int = 0,
    seen: Callable[[peers.Child], None] = lambda _: None,
) -> AsyncIterator[Client]:
    """A server of its own, ready. ``seen`` is given its process."""
    if model is None:
        rules.set_profile(home, profile)
    elif not Repository(home / CHARTER_FOLDER).has_charter():  # another one would not be the ledger's
        rules.found(home, profile=profile, model=model)
    key = home / "benchmark.key"
    if not key.exists():
        key.write_text(peers.commun_key(home))
    port = peers.free_port()
    settings = {"engine_threads": threads, "engine_timeout_s": 600, "max_running": PLACES}
    child = peers.commun(home, port, home.parent / f"{home.name}.log", **settings)
    try:
        headers = {"authorization": f"Bearer {key.read_text()}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=None) as http:
            client = Client(http)
            await _wait(client, child)
            seen(child)
            yield client
    finally:
        child.stop()


async def _wait(client: Client, child: peers.Child) -> None:
    for _ in range(1200):
        child.check()
        try:
            await client.text("Hello", 1, temperature=0)
        except (httpx.TransportError, Missing):
            await asyncio.sleep(0.5)
        else:
            return
    raise Missing(f"no answer: {child.last_words()}")


async def fill(
    folder: Path, numbers: Iterable[int], make: Callable[[int], Awaitable[bytes]], *, at_once: int = RUNNING
) -> None:
    """One bundle for each number, those only that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  (nothing else runs)
    missing = [number for number in numbers if not bundle_of(folder, number).exists()]
    places = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with places:
            data = await make(number)
        write(bundle_of(folder, number), data)

    if missing:
        say(f"{folder.parent.name}/{folder.name}: {len(missing)} answers")
        await asyncio.gather(*map(one, missing))


def bundle_of(folder: Path, number: int) -> Path:
    return folder / f"{number:03}.bundle.json"


def write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    path.with_suffix(".partial").write_bytes(data)
    path.with_suffix(".partial").rename(path)


def claims_in(folder: Path) -> list[Claim]:
    return [Claim.of(path.read_bytes()) for path in sorted(folder.glob("*.bundle.json"))]


async def honest(client: Client, work: Path, prompts: Sequence[dict[str, Any]], sizes: Sizes) -> None:
    """All but those of another number of threads."""
    mixed = [prompt for prompt in prompts if prompt["kind"] != "sure"]
    sure = [prompt for prompt in prompts if prompt["kind"] == "sure"]
    on = {**SETTINGS, "ignore_eos": True}
    few = sizes.tokens

    def chat(asked: Sequence[dict[str, Any]], tokens: int, **wishes: Any) -> Callable[[int], Awaitable[bytes]]:
        return lambda number: client.chat(asked[number % len(asked)], tokens, **wishes)

    def main(number: int) -> Awaitable[bytes]:
        return client.chat(mixed[number % len(mixed)], sizes.of_honest(number), **on)

    def text(number: int) -> Awaitable[bytes]:
        question = mixed[number % len(mixed)]["messages"][-1]["content"]
        return client.text(f"{number}. {question}\n", few, **on)

    await fill(work / "honest", range(sizes.honest), main)
    await fill(work / "at-once-8", range(sizes.others), chat(mixed, few, **on), at_once=8)
    await fill(work / "again", range(sizes.others), chat(mixed, few, **on))
    await fill(work / "texts", range(sizes.others), text)
    await fill(work / "ended", range(sizes.others // 2), chat(mixed, LONG, **SETTINGS))
    await fill(work / "sure", range(min(sizes.dishonest, len(sure))), chat(sure, MOST_SURE, **SURE))
    await fill(work / "alone", range(sizes.others // 2), chat(mixed, few, **on), at_once=1)


async def otherwise_threaded(client: Client, work: Path, prompts: Sequence[dict[str, Any]], sizes: Sizes) -> None:
    on = {**SETTINGS, "ignore_eos": True}
    await fill(
        work / "threads",
        range(sizes.others),
        lambda number: client.chat(prompts[number], sizes.tokens, **on),
    )


class Stepper(Scorer):
    """Token by token, the engine's draws by their specification. ``folder``: a model's."""

    def __init__(self, folder: Path, profile: str) -> None:
        super().__init__(folder, DEVICE, PROFILES[profile])

    def draw(self, claim: Claim, count: int, swapped: Callable[[int], bool]) -> tuple[int, ...]:
        settings = claim.settings
        self._request.reset_state()
        chunk, ids = list(claim.prompt), []
        shares = map(share_of, draws(settings["seed"], count))
        start = 0
        for place, share in enumerate(shares):
            row = np.array(self._infer(chunk, start)[-1])
            start += len(chunk)
            token = candidates(row, settings["temperature"], settings["top_p"]).pick(share)
            if swapped(place):
                token = next(int(each) for each in np.argsort(-row) if each != token)
            ids.append(token)
            chunk = [token]
        self._request.reset_state()
        return tuple(ids)


class Forger:
    """An operator with its key, its server and claims to cheat on."""

    def __init__(self, work: Path, home: Path, claims: Sequence[Claim], renderer: Renderer, sizes: Sizes) -> None:
        self._work, self._claims, self._renderer, self._sizes = work, claims, renderer, sizes
        self._signer = signer_of(home)

    async def by_request(self, client: Client, kind: str) -> None:
        """Prompts and settings."""

        async def make(number: int) -> bytes:
            claim = self._claims[number]
            ids, wishes = self._asked(kind, claim)
            made = await client.text(ids, self._sizes.of_dishonest(number, kind), **wishes)
            return forged(claim, Made.of(made), self._signer)

        await fill(self._work / kind, first(self._claims, self._sizes.dishonest, kind=kind), make)

    def _asked(self, kind: str, claim: Claim) -> tuple[Sequence[int], dict[str, Any]]:
        wishes = claim.settings
        if kind in PROMPTS:
            messages = changed_messages(kind, claim.messages)
            assert messages is not None
            return self._renderer.render(messages), wishes
        if kind == "seed":
            wishes["seed"] = (wishes["seed"] + 1) % 2**32
        elif kind.startswith("top-p-"):
            wishes["top_p"] = int(kind[-2:]) / 100
        for name, factor in CHANGED_SETTINGS.get(kind, {}).items():
            wishes[name] = round(wishes[name] * factor, 6)
        return claim.prompt, wishes

    async def by_weights(self, client: Client, kind: str) -> None:
        async def make(number: int) -> bytes:
            claim = self._claims[number]
            made = await client.text(claim.prompt, self._sizes.of_dishonest(number, kind), **claim.settings)
            return forged(claim, Made.of(made), self._signer)

        await fill(self._work / kind, range(self._sizes.dishonest), make)

    def by_hand(self, reader: Stepper, kind: str, texts: Sequence[str]) -> None:
        """What is written after, or beside, the engine; with the right model's log-probabilities. ``texts``: another
        model's answers.
        """
        folder = self._work / kind
        folder.mkdir(parents=True, exist_ok=True)
        count = len(texts) if kind == "qwen" else self._sizes.dishonest
        say(f"{folder.parent.name}/{folder.name}: {count} answers")
        for number in range(count):
            path, claim = bundle_of(folder, number), self._claims[number]
            if path.exists():
                continue
            drawn = random.Random(number)
            if kind == "second-best":
                tokens = self._sizes.tokens
                places = {start + drawn.randrange(EVERY) for start in range(0, tokens, EVERY)}
                ids = reader.draw(claim, tokens, places.__contains__)
            elif kind == "edited":
                ids = self._edited(claim.answer, drawn)[: self._sizes.of_dishonest(number, kind)]
            elif kind == "fewer-true":
                ids = Claim.of(bundle_of(self._work / "fewer", number).read_bytes()).answer
            else:
                ids = self._renderer.encode(texts[number])[: self._sizes.tokens]
            every = [*claim.prompt, *ids]
            true = [row[1] for row in reader.score(every)][len(claim.prompt) - 1 :]
            made = Made(tuple(ids), self._renderer.text_of(ids, ())[0], tuple(true))
            write(path, forged(claim, made, self._signer))

    def _edited(self, ids: Sequence[int], drawn: random.Random) -> tuple[int, ...]:
        """One whole word of the first hundred tokens is another one."""
        starts = [place for place, token in enumerate(ids[:EVERY]) if self._text((token,)).startswith(" ")]
        begin = drawn.choice(starts[1:] or [len(ids) // 2])
        end = next((place for place in range(begin + 1, len(ids)) if not self._text((ids[place],)).isalpha()), len(ids))
        word = self._text(ids[begin:end])
        other = drawn.choice([each for each in OTHER_WORDS if each != word])
        return (*ids[:begin], *self._renderer.encode(other), *ids[end:])

    def _text(self, ids: Sequence[int]) -> str:
        return self._renderer.text_of(ids, ())[0]
