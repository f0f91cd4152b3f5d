"""What a processor's class does to exactness: answered as one, audited as another.

This machine stands for lesser ones: CPUID is answered with less than there is (``lesser_processor.c``), so that the
whole runtime takes the kernels of such a processor: oneDNN's matrices, OpenVINO's own attention, the precision that the
fast profile chooses. ``--onednn`` uses ONEDNN_MAX_CPU_ISA instead, which reaches the matrices alone (and under which
the fast profile does not load below AVX512_CORE_BF16). Rounding that belongs to a maker or a clock is not seen so.

Each class answers 24 questions of 128 tokens (8 at once, T 0.8, top_p 0.95), in a process of its own. Classes whose
tokens and log-probabilities are the same to the last digit are told as one; then the first of each such group audits
what each group answered.

    python benchmarks/processors.py --model FOLDER [--profile exact|fast] [--answers 24] [--onednn] [--json]

``FOLDER``: of a converted model (``models/default/ir-…`` of a data folder). Needs gcc and a processor whose CPUID can
fault (Intel). Checked (exit status 1): in the exact profile every token and figure of every pair is within the bounds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from commun.audit.draws import draws, share_of
from commun.audit.verdict import FIGURE_BOUND, SHIFT_BOUND

LESSER = ("avx2", "avx2_vnni", "avx512", "avx512_vnni", "avx512_bf16", "all")
LIMITS = ("AVX2", "AVX512_CORE", "AVX512_CORE_VNNI", "AVX512_CORE_BF16", "AVX512_CORE_AMX")
ANSWERS, TOKENS, TOGETHER = 24, 128, 8
TEMPERATURE, TOP_P = 0.8, 0.95
SYSTEM = "You are a helpful assistant. Answer in a few sentences."
TOPICS = (
    "a quorum",
    "the tides",
    "sourdough",
    "a bicycle chain",
    "cooperatives",
    "a fox in a garden",
    "old maps",
    "rain",
)
WISHES = ("Explain %s.", "Write a short story about %s.", "What should a child know about %s?")


def prompts(count: int) -> Iterator[list[list[str]]]:
    for number in range(count):
        ask = WISHES[number // len(TOPICS) % len(WISHES)] % TOPICS[number % len(TOPICS)]
        yield [["system", SYSTEM], ["user", ask]]


def answer(folder: Path, profile: str, count: int) -> list[dict[str, Any]]:
    from commun.engine.runtime import Runtime

    runtime = Runtime(folder, {"profile": profile, "threads": 0, "cache_gb": 1, "max_running": TOGETHER})
    wish = {"max_tokens": TOKENS, "temperature": TEMPERATURE, "top_p": TOP_P, "ignore_eos": True, "json_schema": None}
    made = [
        {"prompt": runtime.render(messages), "seed": seed, "ids": [], "logprobs": []}
        for seed, messages in enumerate(prompts(count), 1)
    ]
    for start in range(0, count, TOGETHER):
        batch = made[start : start + TOGETHER]
        handles = [
            runtime.add(number, one["prompt"], {**wish, "seed": one["seed"]}) for number, one in enumerate(batch)
        ]
        while any(len(one["ids"]) < TOKENS for one in batch):
            runtime.step()
            for one, handle in zip(batch, handles, strict=True):
                ids, logprobs, _ = runtime.read(handle) or ([], [], "")
                one["ids"] += ids
                one["logprobs"] += logprobs
    return made


def audit(folder: Path, profile: str, answered: Mapping[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    from commun.engine.logits import LogitReader
    from commun.engine.sampling import fact_of

    reader = LogitReader(folder, profile=profile)
    found = {}
    for name, answers in answered.items():
        shifts, distances = [], []
        for one in answers:
            shares = map(share_of, draws(one["seed"], len(one["ids"])))
            rows = reader.rows(tuple(one["prompt"]), tuple(one["ids"]))
            for row, token, share, said in zip(rows, one["ids"], shares, one["logprobs"], strict=True):
                fact = fact_of(row, token, temperature=TEMPERATURE, top_p=TOP_P, share=share)
                shifts.append(0.0 if fact.is_drawn else fact.shift or SHIFT_BOUND / 1e3)
                distances.append(abs(fact.logprob - said))
        found[name] = {
            "tokens": len(shifts),
            "unlike": sum(shift > 0 for shift in shifts),
            "shift": max(shifts),
            "figure": max(distances),
            "mean_figure": sum(distances) / len(distances),
        }
    return found


def as_class(name: str, library: Path | None) -> dict[str, str]:
    """The environment of a process that is of this class."""
    if library is None:
        return os.environ | {"ONEDNN_MAX_CPU_ISA": name}
    if name == "all":
        return dict(os.environ)
    return os.environ | {"COMMUN_LESSER": name, "LD_PRELOAD": str(library)}


def compare(folder: Path, profile: str, count: int, *, onednn: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        library = None if onednn else _compiled(work)
        classes = LIMITS if onednn else LESSER
        run = _Run(folder, profile, count, work, library)
        for name in classes:
            run.child("answer", name)
        answers = {name: (work / f"answer-{name}.json").read_bytes() for name in classes}
        alike = {name: next(other for other in classes if answers[other] == answers[name]) for name in classes}
        for name in set(classes) - set(alike.values()):
            (work / f"answer-{name}.json").unlink()
        for name in dict.fromkeys(alike.values()):
            run.child("audit", name)
        return {
            "profile": profile,
            "alike": alike,
            "audited": {
                name: json.loads((work / f"audit-{name}.json").read_text()) for name in dict.fromkeys(alike.values())
            },
        }


class _Run(NamedTuple):
    folder: Path
    profile: str
    count: int
    work: Path
    library: Path | None

    def child(self, step: str, name: str) -> None:
        """A process of this class."""
        words = [step, name, self.folder, self.profile, self.count, self.work]
        command = [sys.executable, __file__, "--child", *map(str, words)]
        subprocess.run(command, env=as_class(name, self.library), check=True)


def _compiled(work: Path) -> Path:
    library = work / "lesser_processor.so"
    source = Path(__file__).with_name("lesser_processor.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return library


def child(step: str, name: str, run: _Run) -> None:
    folder, profile, work = run.folder, run.profile, run.work
    if step == "answer":
        made: Any = answer(folder, profile, run.count)
    else:
        files = sorted(work.glob("answer-*.json"))
        made = audit(folder, profile, {file.stem.partition("-")[2]: json.loads(file.read_text()) for file in files})
    (work / f"{step}-{name}.json").write_text(json.dumps(made))


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        step, name, folder, profile, count, work = sys.argv[2:]
        child(step, name, _Run(Path(folder), profile, int(count), Path(work), None))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--profile", choices=("exact", "fast"), default="exact")
    parser.add_argument("--answers", type=int, default=ANSWERS)
    parser.add_argument("--onednn", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = compare(given.model, given.profile, given.answers, onednn=given.onednn)
    every = [one for row in found["audited"].values() for one in row.values()]
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        for name, other in found["alike"].items():
            print(f"{name:16} answers as {other} does" if name != other else name)
        for here, row in found["audited"].items():
            for there, one in row.items():
                print(
                    f"answered {there:12} audited {here:12} {one['tokens']:5} tokens, {one['unlike']:3} not drawn, "
                    f"shift {one['shift']:.1e}, figure {one['figure']:.1e} (mean {one['mean_figure']:.1e})"
                )
    beyond = any(one["shift"] > SHIFT_BOUND or one["figure"] > FIGURE_BOUND for one in every)
    return int(given.profile == "exact" and beyond)


if __name__ == "__main__":
    sys.exit(main())
