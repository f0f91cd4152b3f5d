"""The default model answers like its publisher's file, by another implementation's figures."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commun.engine import default_model
from commun.engine.conversion import GRAPH
from commun.engine.fidelity import PROMPTS, check_bounds, log_probabilities, weights_error
from commun.engine.weights import ReadyModel
from commun.errors import UnfaithfulModel

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    return json.loads((DATA / "reference.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def served(model: ReadyModel) -> Path:
    return model.folder


@pytest.mark.engine
def test_log_probabilities_are_those_of_transformers(served: Path, reference: dict[str, Any]) -> None:
    found = log_probabilities(served / GRAPH, [prompt["ids"] for prompt in reference["prompts"]])
    meant = [prompt["log_probabilities"] for prompt in reference["prompts"]]
    difference = np.abs(np.concatenate(found) - np.concatenate(meant))
    assert difference.mean() <= 0.02  # the bar
    assert difference.mean() <= 1e-4  # what was reached: 7.5e-6, and it must not slip back unseen


@pytest.mark.engine
def test_perplexity_is_that_of_the_exact_weights(served: Path, reference: dict[str, Any]) -> None:
    ids, window = reference["text_ids"], reference["window"]
    windows = [ids[start : start + window] for start in range(0, len(ids), window)]
    found = log_probabilities(served / GRAPH, windows)
    tokens = sum(map(len, found))
    ratio = np.exp((reference["text_log_probability"] - sum(scores.sum() for scores in found)) / tokens)
    assert abs(ratio - 1) <= 0.01  # the bar
    assert abs(ratio - 1) <= 1e-4  # what was reached


@pytest.mark.engine
def test_text_is_cut_into_the_models_own_tokens(served: Path, reference: dict[str, Any]) -> None:
    tokenizer = importlib.import_module("openvino_genai").Tokenizer(served)
    for case in [*reference["split"], *reference["prompts"]]:
        assert tokenizer.encode(case["text"]).input_ids.data[0].tolist() == case["ids"], case["text"]
    text = (DATA / "perplexity.txt").read_text(encoding="utf-8")
    assert tokenizer.encode(text).input_ids.data[0].tolist() == reference["text_ids"]


def test_the_reference_is_of_the_default_model_and_of_the_prompts(reference: dict[str, Any]) -> None:
    assert reference["made_with"]["model_sha256"] == default_model.FILE_SHA256
    assert [prompt["text"] for prompt in reference["prompts"]] == list(PROMPTS)
    assert len(reference["text_ids"]) >= 3000


def test_a_figure_out_of_bounds_is_refused_and_a_nan_too() -> None:
    check_bounds("m", {"weights": 1e-7, "log_probabilities": 0.01})
    check_bounds("m", {"weights": 1e-7, "log_probabilities": "not compared"})
    for figures in ({"weights": 1e-3}, {"weights": 0.0, "log_probabilities": 0.03}, {"weights": float("nan")}):
        with pytest.raises(UnfaithfulModel):
            check_bounds("m", figures)


def test_the_weights_figure_sees_one_wrong_weight() -> None:
    meant = np.full((4, 32), 0.5, dtype=np.float32)
    found = meant.copy()
    assert weights_error(found, meant) == 0
    found[3, 7] += 0.01
    assert weights_error(found, meant) == pytest.approx(0.02, rel=1e-3)
    found[0, 0] = np.nan
    assert np.isnan(weights_error(found, meant))
