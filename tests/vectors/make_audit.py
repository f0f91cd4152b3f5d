"""Makes the bundles in ``audit/``: answers of a real Commun with the default model, on this machine.

    python tests/vectors/make_audit.py NAME [--profile exact|fast] [--of BUNDLE]

``NAME``: of the processor's class, part of each file's name. ``--of``: the engine alone, in this process, answers that
bundle's prompt with its seed, and a test's key signs. So a lesser processor's bundle is made under
``env COMMUN_LESSER=avx2 LD_PRELOAD=lesser_processor.so`` (benchmarks/lesser_processor.c): a server's engine, whose
process takes over no such variable, would not notice.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import httpx2

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from commun.audit.case import case_of  # noqa: E402
from commun.engine.rendering import Renderer  # noqa: E402
from commun.engine.runtime import Runtime  # noqa: E402
from commun.engine.weights import ModelLibrary  # noqa: E402
from commun.receipts.commitments import Values, whole_logprobs  # noqa: E402
from commun.receipts.issue import engine_used, issue  # noqa: E402
from commun.receipts.statement import Scheme, Seed  # noqa: E402
from commun.receipts.verification import Trust  # noqa: E402
from founded import found_for_tests  # noqa: E402
from made_receipt import SIGNER  # noqa: E402
from running import RunningCommun  # noqa: E402

SCHEMA = {"type": "object", "properties": {"tree": {"type": "string"}}, "required": ["tree"]}
QUORUM = [{"role": "user", "content": "What does a quorum protect a town council from?"}]
TREE = [{"role": "user", "content": "Name a tree of Brittany."}]
FORM = {"type": "json_schema", "json_schema": {"name": "tree", "schema": SCHEMA}}
ASKED = {
    "drawn": {"messages": QUORUM, "max_tokens": 64, "temperature": 0.8},
    "structured": {"messages": TREE, "max_tokens": 40, "response_format": FORM},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--profile", choices=("exact", "fast"), default="exact")
    parser.add_argument("--of", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        ModelLibrary(home).add("default", progress=lambda *_: None)
        if given.of:
            again(home, given.of, HERE / "audit" / f"{given.profile}-{given.name}-drawn.bundle.json", given.profile)
            return
        found_for_tests(home, {'profile = "exact"': f'profile = "{given.profile}"'})
        with RunningCommun(home) as server:
            server.wait_ready()
            head = {"Authorization": f"Bearer {server.api_key()}"}
            for kind, wishes in ASKED.items():
                body = {"model": "default", "receipt": "bundle", **wishes}
                got = httpx2.post(f"{server.url}/v1/chat/completions", json=body, headers=head, timeout=300)
                got.raise_for_status()
                file = HERE / "audit" / f"{given.profile}-{given.name}-{kind}.bundle.json"
                file.write_text(json.dumps(got.json()["commun"]["receipt"]["bundle"], indent=1) + "\n")


def again(home: Path, of: Path, out: Path, profile: str) -> None:
    (folder,) = (home / "models" / "default").glob("ir-*")
    case, _ = case_of(of.read_bytes(), Trust())
    sampler, statement = case.statement.sampler, case.statement
    runtime = Runtime(folder, {"profile": profile, "threads": 0, "cache_gb": 1, "max_running": 1})
    wish = {"seed": case.seed, "max_tokens": sampler.max_tokens, "temperature": case.temperature, "top_p": case.top_p}
    handle = runtime.add(1, [*case.prompt], wish | {"ignore_eos": False, "json_schema": None})
    ids: list[int] = []
    logprobs: list[float] = []
    finish = ""
    while not finish:
        runtime.step()
        new_ids, new_logprobs, finish = runtime.read(handle) or ([], [], "")
        ids += new_ids
        logprobs += new_logprobs
    about = runtime.about()
    values = Values(
        case.prompt, case.messages, tuple(ids), Renderer(folder).text_of(ids, ())[0], whole_logprobs(logprobs)
    )
    used = engine_used("openvino-genai", about["version"], profile, {**about["notes"], "threads": "0"})
    made = replace(statement, engine=used, finish=finish, seed=Seed(Scheme.DRAWN, statement.seed.value))
    out.write_bytes(issue(made, values, SIGNER).bundle().data())


if __name__ == "__main__":
    main()
