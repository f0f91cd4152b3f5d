"""A converted model computes what its GGUF file means: every format, every family, against plain NumPy."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from commun.engine import conversion, skeleton
from commun.engine.blocks import TensorType
from commun.engine.conversion import GRAPH, TOKENIZER_FILES, convert
from commun.engine.fidelity import log_probabilities
from commun.engine.gguf import read_gguf
from commun.errors import ModelError, UnfaithfulModel, UnsupportedModel
from engine.plain_transformer import log_probabilities as plain_log_probabilities
from engine.tiny_model import UINT32, write_tiny

pytestmark = pytest.mark.engine
IDS = [258, 10, 65, 256, 200, 7, 7, 101, 33, 259, 90, 14]


def quiet(stage: str, done: int, total: int) -> None:
    pass


def converted(tmp_path: Path, source: Path, *, thorough: bool = False) -> tuple[Path, dict]:
    target = tmp_path / "ir"
    target.mkdir()
    return target, convert(source, target, quiet, thorough=thorough)


def distance(source: Path, target: Path) -> float:
    (found,) = log_probabilities(target / GRAPH, [IDS])
    return float(np.abs(found - plain_log_probabilities(read_gguf(source), IDS)).max())


def test_every_format_of_weights_is_served_as_it_is_meant(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "all.gguf", *TensorType)
    target, figures = converted(tmp_path, source, thorough=True)
    assert figures["weights"] < 1e-6
    assert figures["log_probabilities"] < 1e-4
    assert distance(source, target) < 1e-3
    assert sorted(path.name for path in target.iterdir()) == sorted(
        [GRAPH, "openvino_model.bin", *TOKENIZER_FILES, "config.json", "generation_config.json"]
    )
    assert json.loads((target / "config.json").read_text())["max_position_embeddings"] == 512
    assert json.loads((target / "generation_config.json").read_text())["eos_token_id"] == 259


@pytest.mark.parametrize(
    ("family", "kind", "rope_factors"),
    [
        ("qwen2", TensorType.Q4_K, ()),
        ("qwen3", TensorType.Q4_1, ()),
        ("llama", TensorType.Q6_K, (1.0,) * 10 + (2.0,) * 10 + (8.0,) * 12),
    ],
)
def test_every_family_computes_what_its_file_means(
    tmp_path: Path, family: str, kind: TensorType, rope_factors: tuple[float, ...]
) -> None:
    source = write_tiny(tmp_path / "tiny.gguf", kind, kind, family=family, rope_factors=rope_factors)
    target, _ = converted(tmp_path, source)
    assert distance(source, target) < 1e-3


def test_a_long_text_is_not_cut_and_the_template_survives(tmp_path: Path) -> None:
    genai = importlib.import_module("openvino_genai")
    target, _ = converted(tmp_path, write_tiny(tmp_path / "tiny.gguf"))
    tokenizer = genai.Tokenizer(target)
    assert tokenizer.encode("x" * 20_000).input_ids.get_shape()[1] == 20_000
    assert tokenizer.encode("the<|im_end|>").input_ids.data[0].tolist() == [257, 259]
    assert tokenizer.get_eos_token_id() == 259
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], False) == "<|im_start|>hi<|im_end|>"


def test_a_conversion_that_loses_the_offsets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stock reader does, and worse: the check must see it."""
    figures = json.dumps({"weights": 0.08})
    monkeypatch.setattr(conversion.sys, "executable", write_program(tmp_path, f"print('result {figures}')"))
    with pytest.raises(UnfaithfulModel, match="weights"):
        converted(tmp_path, write_tiny(tmp_path / "tiny.gguf"))


def test_a_reader_that_crashes_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion.sys, "executable", write_program(tmp_path, "import os; os.abort()"))
    with pytest.raises(UnsupportedModel):
        converted(tmp_path, write_tiny(tmp_path / "tiny.gguf"))


def write_program(tmp_path: Path, body: str) -> str:
    path = tmp_path / "program"
    path.write_text(f"#!/usr/bin/env python3\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_file_without_a_part_of_its_model_is_refused(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "tiny.gguf", change={"llama.block_count": (UINT32, 3)})
    with pytest.raises(ModelError):
        converted(tmp_path, source)


def test_tags_are_read_back_in_any_order() -> None:
    rows = np.random.default_rng(0).permutation(500)
    numbers = rows | 7 << 24
    codes = (numbers[:, None] >> 4 * np.arange(10) & 15).astype(np.uint8)
    number, found = skeleton.rows_of(codes)
    assert number == 7
    np.testing.assert_array_equal(found, rows)
    with pytest.raises(ValueError):
        skeleton.rows_of(np.zeros((4, 10), dtype=np.uint8))
