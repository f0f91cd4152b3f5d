"""Models that are not quite the adopted one: its converted graph with other weights, for dishonest answers.

- ``q8_0``, ``q4_0``: one matrix of each layer quantised again, by these formulas, from the adopted weights' values;
- ``noise``: each group's scale times 1 + 1 % Gaussian noise;
- ``smaller``: two layers add nothing, as if they were left out.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

GRAPH = "openvino_model.xml"
AGAIN = "ffn_down.weight"
NOISE = 0.01
LEFT_OUT = ("blk.10.", "blk.20.")
RESIDUAL = ("attn_output.weight", "ffn_down.weight")  # what a layer adds comes out of these


def changed(folder: Path, target: Path, kind: str) -> Path:
    """``folder``: a converted model's. ``target``: a folder that is not there yet."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("openvino_model.*"))
    model = ov.Core().read_model(folder / GRAPH)
    for name, product in list(_weights(model)):
        CHANGES[kind](name, product)
    ov.save_model(model, target / GRAPH, compress_to_fp16=False)
    return target


def _weights(model: Any) -> Iterator[tuple[str, Any]]:
    """Each matrix's name, and the product of what is left of its codes with its scales."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Reshape" and node.get_friendly_name().startswith("blk."):
            product = node.input_value(0).get_node()
            if product.get_type_name() == "Multiply":
                yield node.get_friendly_name(), product


def _eight_bits(name: str, product: Any) -> None:
    if not name.endswith(AGAIN):
        return
    weights = _values(product)
    scale = (np.abs(weights).max(axis=2, keepdims=True) / 127).astype(np.float16).astype(np.float32)
    codes = np.clip(np.rint(weights / np.where(scale == 0, 1, scale)), -127, 127).astype(np.int8)
    _replace(product, op.multiply(op.convert(op.constant(codes), "f32"), op.constant(scale)))


def _four_bits(name: str, product: Any) -> None:
    if not name.endswith(AGAIN):
        return
    weights = _values(product)
    largest = np.take_along_axis(weights, np.abs(weights).argmax(axis=2, keepdims=True), axis=2)
    scale = (largest / -8).astype(np.float16).astype(np.float32)
    codes = np.clip(np.floor(weights / np.where(scale == 0, 1, scale) + 8.5), 0, 15).astype(np.uint8)
    value = op.subtract(op.convert(op.constant(codes), "f32"), op.constant(np.full_like(scale, 8)))
    _replace(product, op.multiply(value, op.constant(scale)))


def _values(product: Any) -> Any:
    """What the codes and scales of a matrix say, as they are: a row of groups for each row."""
    difference = product.input_value(0).get_node()
    codes = difference.input_value(0).get_node().input_value(0).get_node()
    packed = codes.data
    shape = tuple(codes.get_output_shape(0))
    whole = np.stack([packed & 15, packed >> 4], axis=-1).reshape(shape).astype(np.float32)
    return (whole - difference.input_value(1).get_node().data) * product.input_value(1).get_node().data


def _noise(name: str, product: Any) -> None:
    scale = product.input_value(1).get_node().data
    drawn = np.random.default_rng(len(name)).standard_normal(scale.shape, dtype=np.float32)
    _replace(product, op.multiply(product.input_value(0), op.constant(scale * (1 + np.float32(NOISE) * drawn))))


def _smaller(name: str, product: Any) -> None:
    if name.startswith(LEFT_OUT) and name.endswith(RESIDUAL):
        nothing = np.zeros_like(product.input_value(1).get_node().data)
        _replace(product, op.multiply(product.input_value(0), op.constant(nothing)))


def _replace(product: Any, other: Any) -> None:
    for reader in product.output(0).get_target_inputs():
        reader.replace_source_output(other.output(0))


CHANGES: dict[str, Callable[[str, Any], None]] = {
    "q8_0": _eight_bits,
    "q4_0": _four_bits,
    "noise": _noise,
    "smaller": _smaller,
}
