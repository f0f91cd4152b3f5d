"""What an audit costs beside the answer: seconds, and processor seconds of all processes, in turns.

An answer of 512 tokens alone, and eight at once; the model is loaded in both, and what was loaded for the audit serves
all of its answers, as in ``commun audit ANSWERS…``.
"""

import json
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import peers
from audit_arms import SETTINGS, fill, served
from commun.charter.clauses import Model
from peers import Missing

TOKENS = 512
ROUNDS = 3
HERE = Path(__file__).resolve().parent


async def costs(home: Path, work: Path, profile: str, model: Model | None, prompts: list[dict[str, Any]]) -> str:
    """A Markdown table."""
    lines = [
        f"| {profile}, {TOKENS} tokens | generating, s | processor | auditing, s | processor | ratio | of processor |",
        "|---|---|---|---|---|---|---|",
    ]
    for together in (1, 8):
        rounds = []
        for number in range(ROUNDS):
            folder = work / f"cost-{together}-{number}"
            made = await _generated(home, folder, profile, model, prompts[number * 8 :], together)
            rounds.append((*made, *_audited(home, folder)))
        wall, used, again, used_again = (statistics.median(column) for column in zip(*rounds, strict=True))
        lines.append(
            f"| {together} at once | {wall:.2f} | {used:.2f} | {again:.2f} | {used_again:.2f} | "
            f"{statistics.median(row[2] / row[0] for row in rounds):.2f} | "
            f"{statistics.median(row[3] / row[1] for row in rounds):.2f} |"
        )
    return "\n".join(lines)


async def _generated(  # noqa: PLR0917
    home: Path, folder: Path, profile: str, model: Model | None, prompts: list[dict[str, Any]], together: int
) -> tuple[float, float]:
    """Seconds and processor seconds for all of them, the server's and the engine's. Always made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    children: list[peers.Child] = []
    async with served(home, profile, model=model, seen=children.append) as client:
        await client.chat(prompts[-1], 32, ignore_eos=True, **SETTINGS)

        async def make(number: int) -> bytes:
            return await client.chat(prompts[number], TOKENS, ignore_eos=True, **SETTINGS)

        before, began = sum(children[0].cpu_s().values()), time.perf_counter()
        await fill(folder, range(together), make)
        return time.perf_counter() - began, sum(children[0].cpu_s().values()) - before


def _audited(home: Path, folder: Path) -> tuple[float, float]:
    listed = folder / "list"
    listed.write_text("\n".join(map(str, sorted(folder.glob("*.bundle.json")))))
    command = [peers.PYTHON, HERE / "audit_again.py", home, listed, "--timed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(done.stderr[-1000:])
    taken = json.loads(done.stdout)
    return sum(row[0] for row in taken), sum(row[1] for row in taken)
