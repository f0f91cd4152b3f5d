"""From a GGUF file to an OpenVINO model that computes with the same weights.

1. a skeleton of the file is written (see skeleton.py), and OpenVINO GenAI builds the graph and the tokenizer from it;
2. each tagged constant of the graph is replaced by the codes, scales and zero points of the file itself, at the
   file's own size where the CPU's compressed kernels allow it (4 bits stay 4, 5 and 6 take 8);
3. the context length and the ids that end an answer are written beside them.

It runs in a process of its own: what it takes from memory is given back, and a foreign reader that crashes takes
nothing with it. Nothing here is trusted because it was converted: fidelity.py checks the result.
"""

import argparse
import importlib
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from commun.engine.blocks import Groups, dequantise, is_quantised, take_apart
from commun.engine.child import command_of, environment_of_child
from commun.engine.families import check_family, rope_divisors
from commun.engine.fidelity import (
    SPARE_BYTES,
    TWIN_BYTES_PER_WEIGHT,
    check_bounds,
    compare_with_twin,
    values_of,
    weights_error,
)
from commun.engine.gguf import Gguf, Tensor, read_gguf
from commun.engine.manifest import BUILDING, COMPARING, CONVERTING, SAVING, Progress
from commun.engine.room import free_memory_bytes
from commun.engine.skeleton import BLOCK, matrices, rows_of, write_skeleton, write_vocabulary
from commun.errors import CorruptModel, UnsupportedModel

GRAPH = "openvino_model.xml"
GRAPH_FILES = (GRAPH, "openvino_model.bin")
TOKENIZER_FILES = (
    "openvino_tokenizer.xml",
    "openvino_tokenizer.bin",
    "openvino_detokenizer.xml",
    "openvino_detokenizer.bin",
)
TAG_BYTES = 16  # one block's codes
MAX_CONVERSION_S = 3600
LAST_LINES = 3
TOKENIZER_LIMIT = 8192
RESULT = "result "
AUTOMATIC_NAME = re.compile(r"([A-Za-z]+)_\d+")
EXACT_ENOUGH = 1e-6  # of the largest weight: bfloat16 far below it is lost in f16


def convert(source: Path, target: Path, progress: Progress, *, thorough: bool) -> dict[str, float | str]:
    """Writes the model's folder ``target`` (it exists and is empty) and returns the figures of the check (of the
    weights; ``thorough``: of log-probabilities, too).

    Raises UnsupportedModel, CorruptModel, UnfaithfulModel.
    """
    check_family(read_gguf(source))  # here, not in the child: its errors are worth their words
    command = [*command_of("commun.engine.conversion"), str(source), str(target)]
    command += ["--thorough"] * thorough
    figures: dict[str, float | str] = {}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment_of_child()
        ) as child,
    ):
        assert child.stdout is not None  # noqa: S101  (it was asked for)
        try:
            for line in child.stdout:
                if line.startswith(RESULT):
                    figures = json.loads(line.removeprefix(RESULT))
                else:
                    _report(line, progress)
        except BaseException:
            child.kill()
            raise
        if child.wait(MAX_CONVERSION_S) or not figures:
            complaints.seek(0)
            words = " ".join(complaints.read().split("\n")[-LAST_LINES - 1 :]).strip()
            raise UnsupportedModel(model=source.name, reason=f"OpenVINO could not read it ({words[-300:]})")
    check_bounds(source.name, figures)
    return figures


def _report(line: str, progress: Progress) -> None:
    stage, _, numbers = line.strip().rpartition(":")
    done, _, total = numbers.partition("/")
    if stage and done.isdigit() and total.isdigit():  # OpenVINO may print, too
        progress(stage, int(done), int(total))


def _tell(stage: str, done: int, total: int) -> None:
    print(f"{stage}:{done}/{total}", flush=True)  # noqa: T201  (to the parent process)


def convert_here(source: Path, target: Path, *, thorough: bool) -> dict[str, float | str]:
    """The work of the child process."""
    gguf = read_gguf(source)
    with tempfile.TemporaryDirectory(dir=target, prefix="skeleton-") as name:
        folder = Path(name)
        _tell(BUILDING, 0, 1)
        _build_graph(gguf, folder)
        _lift_length_limit(gguf, folder)
        for file in TOKENIZER_FILES:
            (folder / file).rename(target / file)
        write_configuration(gguf, target)
        places = _install_weights(gguf, folder / GRAPH, target / GRAPH)
        figures: dict[str, float | str] = {"weights": _compare_weights(gguf, places, target / GRAPH)}
        if thorough:
            figures["log_probabilities"] = _compare_answers(gguf, places, folder / GRAPH, target)
        return figures


def _compare_answers(gguf: Gguf, places: Sequence["Place"], skeleton: Path, target: Path) -> float | str:
    import openvino as ov

    count = sum(math.prod(place.tensor.shape) for place in places)
    free = free_memory_bytes()
    if free is not None and count * TWIN_BYTES_PER_WEIGHT + SPARE_BYTES > free:
        return "not compared: too little memory for plain weights"

    def twin() -> Any:
        return _filled(gguf, ov.Core().read_model(skeleton), _plain_node)[0]

    _tell(COMPARING, 0, 1)
    return compare_with_twin(target, target / GRAPH, twin)


def _compare_weights(gguf: Gguf, places: Sequence["Place"], graph: Path) -> float:
    """The worst tensor's error, of the graph as it lies on the disk."""
    import openvino as ov

    nodes = {node.get_friendly_name(): node for node in ov.Core().read_model(graph).get_ordered_ops()}
    errors = []
    for index, place in enumerate(places):
        _tell(COMPARING, index, len(places))
        meant = dequantise(place.tensor.kind, gguf.raw(place.tensor.name)[place.rows])
        errors.append(weights_error(values_of(nodes[place.tensor.name]), meant))
    return max(errors, key=lambda error: math.inf if math.isnan(error) else error)


def _build_graph(gguf: Gguf, folder: Path) -> None:
    import openvino_genai

    vocabulary = folder / "vocabulary.gguf"
    write_vocabulary(gguf, vocabulary)
    openvino_genai.Tokenizer(vocabulary, enable_save_ov_model=True)
    skeleton = folder / "skeleton.gguf"
    write_skeleton(gguf, skeleton)
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = 1  # it is built to be saved, never run
    openvino_genai.ContinuousBatchingPipeline(skeleton, scheduler, "CPU", {"enable_save_ov_model": True})
    skeleton.unlink()


def _lift_length_limit(gguf: Gguf, folder: Path) -> None:
    """The tokenizer that OpenVINO GenAI makes keeps the last 8,192 tokens of a text and drops the others without a
    word; how much fits is decided where it can be said (assistant/prompt.py), so the limit goes.
    """
    import openvino as ov

    importlib.import_module("openvino_tokenizers")  # teaches the reader these graphs' operations
    path = folder / TOKENIZER_FILES[0]
    model = ov.Core().read_model(path)
    limits = [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Constant" and node.data.size == 1 and node.data.reshape(-1)[0] == TOKENIZER_LIMIT
    ]
    if len(limits) != 1:
        raise UnsupportedModel(model=gguf.path.name, reason="the length limit of its tokenizer was not found")
    lifted = ov.opset13.constant(np.array(np.iinfo(np.int32).max, dtype=np.int32))
    for reader in limits[0].output(0).get_target_inputs():
        reader.replace_source_output(lifted.output(0))
    whole = folder / "whole_tokenizer.xml"
    _number_names(model)
    ov.save_model(model, whole, compress_to_fp16=False)
    for suffix in (".xml", ".bin"):
        whole.with_suffix(suffix).replace(path.with_suffix(suffix))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor belongs in the graph: ``end`` is the node whose output was its weights, f32 [rows, columns];
    ``rows[i]`` is the tensor's row that comes i-th.
    """

    tensor: Tensor
    end: Any
    rows: npt.NDArray[np.int64]


def find_places(gguf: Gguf, model: Any) -> list[Place]:
    """Reads the tags of the skeleton's graph. Raises UnsupportedModel unless each matrix is used, and used once."""
    import openvino as ov

    tensors = matrices(gguf)
    places: dict[str, Place] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != ov.Type.u4:
            continue
        shape = list(node.get_output_shape(0))
        if shape[-1] != BLOCK:
            continue  # zero points
        packed = node.data.reshape(shape[0], -1)[:, :TAG_BYTES]
        try:
            number, rows = rows_of(np.stack([packed & 15, packed >> 4], axis=-1).reshape(shape[0], -1))
            tensor = tensors[number]
        except (ValueError, IndexError):
            raise UnsupportedModel(model=gguf.path.name, reason="OpenVINO mixes its weights") from None
        places[tensor.name] = Place(tensor, _end_of_weights(node), rows)
    missing = [tensor.name for tensor in tensors if tensor.name not in places]
    if missing:
        raise UnsupportedModel(model=gguf.path.name, reason=f"OpenVINO leaves out {missing[0]}")
    return list(places.values())


def _end_of_weights(node: Any) -> Any:
    """Follows codes -> Convert -> Subtract -> Multiply -> Reshape -> Convert to the last, which gives f32."""
    for kind in ("Convert", "Subtract", "Multiply", "Reshape", "Convert"):
        (following,) = node.output(0).get_target_inputs()
        node = following.get_node()
        if node.get_type_name() != kind:
            raise UnsupportedModel(model="", reason=f"its graph has {node.get_type_name()} where {kind} was expected")
    return node


def _install_weights(gguf: Gguf, skeleton: Path, target: Path) -> Sequence[Place]:
    import openvino as ov

    model, places = _filled(gguf, ov.Core().read_model(skeleton), _weights_node)
    _tell(SAVING, 0, 1)
    _number_names(model)
    ov.save_model(model, target, compress_to_fp16=False)
    return [replace(place, end=None) for place in places]  # the graph's nodes are let go


def _number_names(model: Any) -> None:
    """Names the nodes that OpenVINO named by a counter after their place: the counter moves differently from one
    processor to another, and what a charter adopts by its digest must be the same on all.
    """
    for index, node in enumerate(model.get_ordered_ops()):
        if found := AUTOMATIC_NAME.fullmatch(node.get_friendly_name()):
            node.set_friendly_name(f"{found[1]}_{index}")


def _filled(gguf: Gguf, model: Any, make: Callable[[Gguf, Place], Any]) -> tuple[Any, Sequence[Place]]:
    """The skeleton's graph, with each tensor as ``make`` writes it, under the tensor's name."""
    places = find_places(gguf, model)
    for index, place in enumerate(places):
        _tell(CONVERTING, index, len(places))
        weights = make(gguf, place)
        weights.set_friendly_name(place.tensor.name)
        for reader in place.end.output(0).get_target_inputs():
            reader.replace_source_output(weights.output(0))
    _scale_positions(gguf, model)
    model.validate_nodes_and_infer_types()
    return model, places


def _plain_node(gguf: Gguf, place: Place) -> Any:
    from openvino import opset13 as op

    return op.constant(dequantise(place.tensor.kind, gguf.raw(place.tensor.name)[place.rows]))


def _weights_node(gguf: Gguf, place: Place) -> Any:
    from openvino import opset13 as op

    raw = gguf.raw(place.tensor.name)[place.rows]
    if not is_quantised(place.tensor.kind):
        return _float_node(dequantise(place.tensor.kind, raw))
    groups = take_apart(place.tensor.kind, raw)
    value = op.convert(_codes(groups), "f32")
    if not isinstance(groups.zero, int):
        value = op.subtract(value, op.constant(groups.zero))
    elif groups.zero:
        value = op.subtract(value, op.convert(op.constant(np.full((1, 1, 1), groups.zero, np.uint8)), "f32"))
    value = op.multiply(value, op.constant(groups.scale))
    return op.reshape(value, op.constant(np.array(place.tensor.shape, dtype=np.int64)), special_zero=False)


def _float_node(values: npt.NDArray[np.float32]) -> Any:
    """f16 where that says the same, else f32 (of F32 files, which hardly anybody publishes)."""
    from openvino import opset13 as op

    with np.errstate(over="ignore"):
        short = values.astype(np.float16)
    if weights_error(short.astype(np.float32), values) > EXACT_ENOUGH:
        return op.constant(values)
    return op.convert(op.constant(short), "f32")


def _codes(groups: Groups) -> Any:
    import openvino as ov
    from openvino import opset13 as op

    if groups.bits > 4:  # noqa: PLR2004  (the kernels know 4 and 8)
        return op.constant(groups.codes.view(np.int8) if groups.signed else groups.codes)
    packed = np.ascontiguousarray(groups.codes[..., 0::2] | groups.codes[..., 1::2] << 4)
    tensor = ov.Tensor(ov.Type.u4, ov.Shape(groups.codes.shape))  # its own memory: a node does not keep NumPy's alive
    tensor.data.reshape(-1)[:] = packed.reshape(-1)
    return op.constant(tensor)


def _scale_positions(gguf: Gguf, model: Any) -> None:
    """Long-context scaling of the rotary embedding, which the graph builder does not know."""
    from openvino import opset13 as op

    divisors = rope_divisors(gguf)
    if divisors is None:
        return
    found = list(_frequency_constants(model, len(divisors)))
    if len(found) != 1:
        raise UnsupportedModel(model=gguf.path.name, reason="its rotary embedding was not found in the graph")
    (old,) = found
    new = op.constant((old.data / divisors.reshape(old.data.shape)).astype(np.float32))
    for reader in old.output(0).get_target_inputs():
        reader.replace_source_output(new.output(0))


def _frequency_constants(model: Any, count: int) -> Iterator[Any]:
    """f32 constants of ``count`` numbers that fall from 1: the rotary embedding's inverse frequencies."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant" and str(node.get_element_type().get_type_name()) == "f32":
            values = node.data.reshape(-1)
            if values.size == count and values[0] == 1 and (np.diff(values) < 0).all():
                yield node


def write_configuration(gguf: Gguf, target: Path) -> None:
    """``config.json`` and ``generation_config.json``, as OpenVINO GenAI reads them from a folder."""
    family = gguf.text("general.architecture")
    ids = {
        f"{name}_token_id": int(gguf.number(f"tokenizer.ggml.{key}_token_id"))
        for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
        if f"tokenizer.ggml.{key}_token_id" in gguf.metadata
    }
    config = {"model_type": family, "max_position_embeddings": int(gguf.number(f"{family}.context_length", 2048))}
    (target / "config.json").write_text(json.dumps(config | ids, indent=2) + "\n", encoding="utf-8")
    (target / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Converts one GGUF file (run by Commun itself).")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--thorough", action="store_true")
    options = parser.parse_args()
    try:
        figures = convert_here(options.source, options.target, thorough=options.thorough)
        print(RESULT + json.dumps(figures), flush=True)  # noqa: T201  (to the parent process)
    except (UnsupportedModel, CorruptModel) as error:
        sys.exit(str(error.details.get("reason", error)))


if __name__ == "__main__":
    main()
