"""What asking again costs, next to the answers: one of 512 tokens, and eight that ran at once.

The engine's own pipeline generates; then the auditor's reader goes over prompt and answer, and each place is reduced to
its fact, one answer after the other, as ``commun audit`` does it. Both in this process, in turns. Processor time (all
threads) and wall time; medians of the rounds' ratios. The model's load is in neither. (``audit_cost.py`` measures the
same through a served Commun.)

    python benchmarks/asking_cost.py --model FOLDER [--profile exact|fast] [--tokens 512] [--rounds 5] [--json]

``FOLDER``: of a converted model (``models/default/ir-…`` of a data folder). Checked (exit status 1): exact profile, one
answer alone: a tenth of the processor time.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from commun.audit.draws import draws, share_of
from commun.engine.logits import LogitReader
from commun.engine.runtime import Runtime

TOKENS = 512
ROUNDS = 5
SEVERAL = 8
MOST_OF_ONE = 0.1
TEMPERATURE, TOP_P = 0.8, 0.95
ASK = [["system", "You are a helpful assistant."], ["user", "Tell the story of a town and its council."]]


def cost(folder: Path, profile: str, *, tokens: int = TOKENS, rounds: int = ROUNDS) -> dict[str, float]:
    """Medians: seconds an answer, and the audit's part of the time that generating took."""
    settings = {"profile": profile, "threads": 0, "cache_gb": 1, "max_running": SEVERAL}
    runtime, reader = Runtime(folder, settings), LogitReader(folder, profile=profile)
    prompt = runtime.render(ASK)
    found: dict[str, list[float]] = {}
    audit(reader, prompt, 1, generate(runtime, prompt, [1], 64)[0])  # kernels are compiled
    for number in range(rounds):
        for together in (1, SEVERAL):
            seeds = range(number * 100, number * 100 + together)
            answers: list[list[int]] = []
            made = timed(lambda seeds=seeds, into=answers: into.extend(generate(runtime, prompt, seeds, tokens)))
            read = timed(
                lambda seeds=seeds, of=answers: [
                    audit(reader, prompt, seed, one) for seed, one in zip(seeds, of, strict=True)
                ]
            )
            for unit in ("cpu", "wall"):
                found.setdefault(f"generate_{together}_{unit}_s", []).append(made[unit] / together)
                found.setdefault(f"audit_{together}_{unit}_s", []).append(read[unit] / together)
                found.setdefault(f"ratio_{together}_{unit}", []).append(read[unit] / made[unit])
    return {name: statistics.median(values) for name, values in found.items()}


def generate(runtime: Runtime, prompt: list[int], seeds: Sequence[int], tokens: int) -> list[list[int]]:
    """All at once."""
    wish = {"max_tokens": tokens, "temperature": TEMPERATURE, "top_p": TOP_P, "ignore_eos": True, "json_schema": None}
    handles = [runtime.add(number, prompt, {**wish, "seed": seed}) for number, seed in enumerate(seeds)]
    answers: list[list[int]] = [[] for _ in handles]
    while any(len(answer) < tokens for answer in answers):
        runtime.step()
        for answer, handle in zip(answers, handles, strict=True):
            answer.extend((runtime.read(handle) or [[]])[0])
    return answers


def audit(reader: LogitReader, prompt: list[int], seed: int, answer: list[int]) -> None:
    """Also looks that it is the answer which the seed gives: a wrong one would cost more."""
    shares = [share_of(draw) for draw in draws(seed, len(answer))]
    facts = reader.facts_of(tuple(prompt), tuple(answer), shares, temperature=TEMPERATURE, top_p=TOP_P)
    unlike = sum(not fact.is_drawn for fact in facts)
    if unlike > len(answer) // 2:
        raise AssertionError(unlike)


def timed(work: Callable[[], object]) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--profile", choices=("exact", "fast"), default="exact")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    given: Any = parser.parse_args()
    found = cost(given.model, given.profile, tokens=given.tokens, rounds=given.rounds)
    print(json.dumps(found, indent=1) if given.json else "\n".join(f"{name:22} {found[name]:.3f}" for name in found))
    return int(given.profile == "exact" and found["ratio_1_cpu"] > MOST_OF_ONE)


if __name__ == "__main__":
    sys.exit(main())
