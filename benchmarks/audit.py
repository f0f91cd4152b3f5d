"""The table that carries the claim: what an audit catches, and that it accuses no honest answer.

    python benchmarks/audit.py --profile exact            every arm (hours on two cores), resumed where it was left
    python benchmarks/audit.py --profile fast --quick     minutes: does it work at all

1. a real ``commun serve`` answers over its API, with receipts; servers of other weights, and this one asked for other
   things, answer what is then claimed to be honest (audit_arms.py, audit_claims.py, audit_weights.py);
2. ``commun audit``'s code asks the model again, in a process of its own, on the plain OpenVINO runtime
   (audit_again.py); transformers and torch do, as an outsider (audit_outsider.py);
3. tables, as Markdown (audit_table.py).

``--other``: a GGUF file of another model with another vocabulary; that arm is left out without it. What was made lies
under ``--work`` and serves again. ``--steps``: some of honest, cheat, weights, audit, outsider, cost,
command, table; the first three may run at the same time once there are honest answers.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import audit_weights
import peers
from audit_again import beside
from audit_arms import (
    CHANGED_SETTINGS,
    DISHONEST,
    EARLY,
    LONG,
    PROMPTS,
    SETTINGS,
    WEIGHTS,
    Client,
    Forger,
    Sizes,
    Stepper,
    bundle_of,
    claims_in,
    fill,
    honest,
    otherwise_threaded,
    served,
)
from audit_claims import Claim
from audit_cost import costs
from audit_table import EXPORTED, HONEST, SURE_ARMS, Tables
from commun.charter.clauses import Model
from commun.drafting.models import adopted_model, default_model_clause
from commun.engine import default_model
from commun.engine.rendering import Renderer
from commun.engine.weights import ModelLibrary
from peers import Missing, say

HERE = Path(__file__).resolve().parent
FULL = Sizes(honest=208, others=64, dishonest=48, tokens=128)
QUICK = Sizes(honest=8, others=4, dishonest=4, tokens=64)
BY_REQUEST = (*PROMPTS, *CHANGED_SETTINGS, "top-p-94", "top-p-90", "seed")
BY_HAND = ("second-best", "edited", "fewer-true", "qwen")
OUTSIDERS = ("honest", "space", "hidden", "seed")
OUTSIDER_TOKENS = 128
STEPS = ("honest", "cheat", "weights", "audit", "outsider", "cost", "command", "table")


class Bench:
    """One profile of one model."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.profile: str = args.profile
        long = 0 if args.quick else args.long
        # Where the comparison is exact, an answer that was caught stays so as it goes on: of most kinds few tokens tell
        # it all. Kinds that few tokens may not show have as many as they can.
        is_soon = args.profile == "exact" and not args.quick
        sizes = QUICK if args.quick else replace(FULL, others=args.others)
        self.sizes = replace(sizes, long_honest=long, long_dishonest=min(long, FULL.dishonest), is_soon=is_soon)
        root: Path = args.work / ("quick" if args.quick else "full")
        self.work, self.variants = root / args.profile, root / "weights"
        self.home = self.work / "home"
        # Of what cheats. Where it changes nothing one is enough: on a busy machine two wait for each other.
        self.threads = 1 if args.profile == "exact" else 0
        self.other: Path | None = args.other
        self.peers: Path = args.peers
        self.prompts = [json.loads(line) for line in args.prompts.read_text().splitlines()]
        self.gguf: Path = args.model or default_model.find_installed()
        if self.gguf is None:
            raise Missing("the default model's wheel is not installed (make serve installs it)")
        self.work.mkdir(parents=True, exist_ok=True)
        self.variants.mkdir(exist_ok=True)

    def adopted(self, home: Path) -> Model | None:
        """None: the default model, which a server adopts by itself."""
        if self.gguf.name == default_model.FILE:
            return None
        return added(home, self.gguf, "adopted")

    @property
    def folder(self) -> Path:
        """The adopted model's, as the server loads it."""
        clause = self.adopted(self.home) or default_model_clause()
        return ModelLibrary(self.home).prepare(clause, progress=lambda *_: None).folder

    # --- making ---

    async def honest(self) -> None:
        async with self._served(self.home, 0) as client:
            await honest(client, self.work, self.prompts, self.sizes)
        async with self._served(self.home, 1) as client:
            await otherwise_threaded(client, self.work, self.prompts, self.sizes)

    async def cheat(self) -> None:
        """With the honest server's key, on a server beside it."""
        forger = self._forger(self.work, "honest")
        async with self._served(self.work / "cheat-home", self.threads) as client:
            for kind in BY_REQUEST:
                await forger.by_request(client, kind)
            sure = self._forger(self.work / "sure-arms", "sure")
            for kind in SURE_ARMS:
                await sure.by_request(client, kind)

    async def weights(self) -> None:
        forger = self._forger(self.work, "honest")
        for kind in WEIGHTS:
            await self._otherwise_weighted(forger, kind)
        texts = await self._other_texts()
        reader = Stepper(self.folder, self.profile)
        for kind in BY_HAND:
            forger.by_hand(reader, kind, texts)

    def _served(self, home: Path, threads: int) -> AbstractAsyncContextManager[Client]:
        return served(home, self.profile, model=self.adopted(home), threads=threads)

    def _forger(self, work: Path, honest_arm: str) -> Forger:
        return Forger(work, self.home, claims_in(self.work / honest_arm), Renderer(self.folder), self.sizes)

    async def _otherwise_weighted(self, forger: Forger, kind: str) -> None:
        if bundle_of(self.work / kind, self.sizes.dishonest - 1).exists():
            return
        file = audit_weights.write(kind, self.gguf, self.variants / f"{kind}.gguf")
        home = self._home_of(f"{kind}-{self.profile}-home")
        async with served(home, self.profile, model=added(home, file, kind), threads=self.threads) as client:
            await forger.by_weights(client, kind)

    def _home_of(self, name: str) -> Path:
        """With the converted models of all others."""
        home, models = self.variants / name, self.variants / "models"
        home.mkdir(exist_ok=True)
        models.mkdir(exist_ok=True)
        if not (home / "models").exists():
            (home / "models").symlink_to(models)
        return home

    async def _other_texts(self) -> list[str]:
        """Made once for both profiles: nothing but their words is used."""
        if self.other is None:
            return []
        folder, home = self.variants / "other-texts", self._home_of("other-home")
        mixed = [prompt for prompt in self.prompts if prompt["kind"] != "sure"]
        count = self.sizes.dishonest // 2  # such a model takes long
        if not bundle_of(folder, count - 1).exists():
            async with served(home, "fast", model=added(home, self.other, "other")) as client:
                await fill(
                    folder,
                    range(count),
                    lambda number: client.chat(mixed[number], self.sizes.tokens, ignore_eos=True, **SETTINGS),
                )
        return [claim.value("answer_text") for claim in claims_in(folder)]

    # --- asking again ---

    def folders(self) -> list[Path]:
        names = [*HONEST, *DISHONEST, *(f"sure-arms/{name}" for name in SURE_ARMS)]
        return [self.work / name for name in names]

    def audit(self) -> None:
        every = [path for folder in self.folders() for path in bundles(folder)]
        self._again(every, "audit", *([] if self.profile == "exact" else ["--measured"]))
        self._again(bundles(self.work / EXPORTED), "exported", "--exported")

    def _again(self, every: Sequence[Path], kind: str, *how: str) -> None:
        missing = [path for path in every if not beside(path, kind).exists()]
        if missing:
            listed = self.work / f"{kind}.list"
            listed.write_text("\n".join(map(str, missing)))
            subprocess.run([peers.PYTHON, HERE / "audit_again.py", self.home, listed, *how], check=True)

    def outsider(self) -> None:
        """The first tokens of each answer. Raises Missing."""
        missing = [
            path for name in OUTSIDERS for path in bundles(self.work / name) if not beside(path, "outsider").exists()
        ]
        if not missing:
            return
        python = peers.environment("transformers", self.peers) / "python"
        source = Path(audit_weights.read_gguf.__code__.co_filename).parents[2]
        command = [python, HERE / "audit_outsider.py", self.gguf]
        env = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}  # two would wait for each other
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for done, path in enumerate(missing):
                child.stdin.write(json.dumps(case_for_outsider(path)) + "\n")
                child.stdin.flush()
                line = child.stdout.readline()
                if not line:
                    raise Missing("transformers ended")
                write_outsider(path, json.loads(line))
                if done % 50 == 0:
                    say(f"outsider: {done} of {len(missing)}")

    def command(self) -> list[str]:
        """``commun audit`` itself, on an honest answer of each and on a dishonest one: what it says and its status."""
        if self.profile != "exact":
            return []
        lines = []
        for name, expected in (("honest", 0), ("hidden", 1), ("seed", 1)):
            paths = bundles(self.work / name)[:4]
            program = Path(peers.PYTHON).with_name("commun")
            done = subprocess.run(
                [program, "audit", *paths, "--home", self.home], capture_output=True, text=True, check=False
            )
            lines.append(f"`commun audit` on {len(paths)} answers of “{name}”: exit status {done.returncode}.")
            if done.returncode != expected:
                raise Missing(f"{lines[-1]}\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
        return lines

    # --- telling ---

    def tables(self) -> Iterator[str]:
        found = Tables(self.work, is_exact=self.profile == "exact")
        yield f"### {self.profile} profile\n"
        for part in (found.honest(), found.dishonest(), found.sure()):
            yield from (*part, "")
        yield found.evidence()
        if any(beside(path, "outsider").exists() for path in bundles(self.work / "honest")):
            yield "\n### transformers as the auditor\n"
            outside = Tables(self.work, is_exact=False, kind="outsider", lengths=(32, EARLY, OUTSIDER_TOKENS))
            yield from (*outside.honest()[:3], "", *outside.dishonest())


def bundles(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.bundle.json"))


def added(home: Path, file: Path, name: str) -> Model:
    """The clause of a GGUF file that the home has, or is given."""
    library = ModelLibrary(home)
    known = next((one for one in library.list() if one.id == name), None)
    manifest = known or library.add(str(file), name=name, progress=lambda *_: None)
    return adopted_model(manifest, library.converted(manifest.id))


def case_for_outsider(path: Path) -> dict[str, Any]:
    claim = Claim.of(path.read_bytes())
    return {"prompt": claim.prompt, "answer": claim.answer[:OUTSIDER_TOKENS], **claim.settings}


def write_outsider(path: Path, facts: Sequence[Sequence[Any]]) -> None:
    recorded = Claim.of(path.read_bytes()).value("logprobs")
    distances = [abs(units / 1e7 - row[5]) for units, row in zip(recorded, facts, strict=False)]
    found = {"outcome": "", "findings": [], "facts": facts, "distances": distances}
    beside(path, "outsider").write_text(json.dumps(found))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=Path, default=HERE / "audit_prompts.jsonl")
    parser.add_argument("--model", type=Path, help="a GGUF file; the default model without it")
    parser.add_argument("--other", type=Path, help="a GGUF file of another model, for the arm that needs one")
    parser.add_argument("--profile", choices=["exact", "fast"], default="exact")
    parser.add_argument("--long", type=int, default=FULL.honest, help=f"how many of the answers have {LONG} tokens")
    parser.add_argument("--others", type=int, default=FULL.others, help="answers of the further honest arms")
    parser.add_argument("--quick", action="store_true", help="few short answers of each arm: does it work at all")
    parser.add_argument("--work", type=Path, default=peers.PEERS / "audit")
    parser.add_argument("--peers", type=Path, default=peers.PEERS, help="where the peers' environments are or go")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    args = parser.parse_args()
    peers.end_cleanly()
    try:
        bench = Bench(args)
        if "honest" in args.steps:
            asyncio.run(bench.honest())
        if "cheat" in args.steps:
            asyncio.run(bench.cheat())
        if "weights" in args.steps:
            asyncio.run(bench.weights())
        if "audit" in args.steps:
            bench.audit()
        if "outsider" in args.steps:
            try:
                bench.outsider()
            except Missing as missing:
                say(f"the outsider is skipped: {missing}")
        if "cost" in args.steps:
            print(asyncio.run(costs(bench.home, bench.work, bench.profile, bench.adopted(bench.home), bench.prompts)))
        if "command" in args.steps:
            print("\n".join(bench.command()))
        if "table" in args.steps:
            print("\n".join(bench.tables()), flush=True)
    except Missing as missing:
        say(f"cannot be measured: {missing}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
