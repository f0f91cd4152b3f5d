"""Answers of other weights than the receipt names are inconsistent, each kind of them: quantised again, noisy, fewer.

The files are made as benchmarks/audit.py makes them, which measures the same with many answers.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from commun.audit.case import case_of
from commun.audit.verdict import Finding, Outcome, judge_exact
from commun.engine import default_model
from commun.engine.conversion import convert
from commun.engine.logits import LogitReader, recompute
from commun.engine.rendering import Renderer
from commun.engine.runtime import Runtime
from commun.receipts.commitments import Values, whole_logprobs
from commun.receipts.statement import OPENVINO_SAMPLER, ContextUsed, Sampler, Scheme, Seed
from commun.receipts.verification import Trust
from made_receipt import made_receipt

pytestmark = pytest.mark.engine

CLAIMED = (
    ("system", "You are a helpful assistant."),
    ("user", "Tell the story of a town and its council."),
)
TOKENS = 64
SEEDS = (11, 12)
QUIET = {"temperature": 0.8, "top_p": 0.95, "max_tokens": TOKENS, "ignore_eos": True, "json_schema": None}


def weights_of_the_benchmark() -> ModuleType:
    """By its place: benchmarks is no package."""
    path = Path(__file__).parents[2] / "benchmarks/audit_weights.py"
    spec = importlib.util.spec_from_file_location("audit_weights", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def judged(model):
    """Of an answer that a folder's model gave, what an audit by the adopted one says."""
    reader, renderer = LogitReader(model.folder, profile="exact"), Renderer(model.folder)
    prompt = renderer.render(CLAIMED)

    def judge(folder: Path) -> list:
        runtime = Runtime(folder, {"profile": "exact", "threads": 0, "cache_gb": 1, "max_running": len(SEEDS)})
        judgements = []
        for seed, (ids, logprobs) in zip(SEEDS, generated(runtime, list(prompt)), strict=True):
            text = renderer.text_of(ids, ())[0]
            values = Values(prompt, CLAIMED, tuple(ids), text, whole_logprobs(logprobs))
            receipt = made_receipt(
                "turn",
                values,
                finish="length",
                sampler=Sampler(OPENVINO_SAMPLER, "0.8", "0.95", TOKENS, ignore_eos=True),
                seed=Seed(Scheme.DRAWN, seed),
                context=ContextUsed("chat", "oldest-turns-first", 1, 0),
            )
            case, _ = case_of(receipt.bundle().data(), Trust())
            found = recompute(case, reader, renderer, context_length=8192, progress=lambda *_: None)
            judgements.append(judge_exact(case, found))
        return judgements

    return judge


def generated(runtime: Runtime, prompt: list[int]) -> list[tuple[list[int], list[float]]]:
    handles = [runtime.add(seed, prompt, {**QUIET, "seed": seed}) for seed in SEEDS]
    answers: list[tuple[list[int], list[float]]] = [([], []) for _ in handles]
    while any(len(ids) < TOKENS for ids, _ in answers):
        runtime.step()
        for (ids, logprobs), handle in zip(answers, handles, strict=True):
            new_ids, new_logprobs, _ = runtime.read(handle) or ([], [], "")
            ids.extend(new_ids)
            logprobs.extend(new_logprobs)
    return answers


def test_the_adopted_weights_are_identical(model, judged) -> None:
    assert [one.outcome for one in judged(model.folder)] == [Outcome.IDENTICAL] * len(SEEDS)


@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "noise", "fewer"])
def test_other_weights_are_inconsistent(kind: str, judged, tmp_path: Path) -> None:
    published = default_model.obtain(tmp_path, lambda *_: None)
    other = weights_of_the_benchmark().write(kind, published, tmp_path / "other.gguf")
    folder = tmp_path / "ir"
    folder.mkdir()
    convert(other, folder, lambda *_: None, thorough=False)
    for one in judged(folder):
        assert one.outcome is Outcome.INCONSISTENT
        assert {Finding.DRAWS, Finding.FIGURES} <= set(one.findings)
