"""Weights that are not the adopted ones, each as a GGUF file of its own, made from the adopted file's exact values.

- ``q8_0``, ``q4_0``: quantised again, by ggml's own formulas; the embedding stays what it is in ``q4_0``, as those who
  publish such files leave it;
- ``noise``: each weight times 1 + 1 % Gaussian noise, as f16;
- ``fewer``: two of the layers left out; with the same vocabulary the nearest thing to a smaller model.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from commun.engine.blocks import TensorType
from commun.engine.gguf import Gguf, Value, padded, read_gguf, write_gguf

Floats = npt.NDArray[np.float32]
Written = tuple[TensorType, bytes]
BLOCK = 32
NOISE = 0.01
LEFT_OUT = (10, 20)  # of the default model's 30 layers
EMBEDDING = "token_embd.weight"
LAYER = re.compile(r"blk\.(\d+)\.(.+)")


def q8_0(weights: Floats) -> bytes:
    blocks = weights.reshape(-1, BLOCK)
    scale = (np.abs(blocks).max(axis=1, keepdims=True) / 127).astype(np.float32)
    codes = np.rint(blocks / np.where(scale == 0, 1, scale)).astype(np.int8)
    return np.concatenate([scale.astype(np.float16).view(np.uint8), codes.view(np.uint8)], axis=1).tobytes()


def q4_0(weights: Floats) -> bytes:
    blocks = weights.reshape(-1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    scale = (largest / -8).astype(np.float32)
    codes = np.minimum(15, np.floor(blocks / np.where(scale == 0, 1, scale) + 8.5)).astype(np.uint8)
    packed = codes[:, : BLOCK // 2] | codes[:, BLOCK // 2 :] << 4
    return np.concatenate([scale.astype(np.float16).view(np.uint8), packed], axis=1).tobytes()


def noisy(weights: Floats) -> bytes:
    drawn = np.random.default_rng(weights.size).standard_normal(weights.shape, dtype=np.float32)
    return (weights * (1 + np.float32(NOISE) * drawn)).astype(np.float16).tobytes()


CODES: Mapping[str, tuple[TensorType, Callable[[Floats], bytes]]] = {
    "q8_0": (TensorType.Q8_0, q8_0),
    "q4_0": (TensorType.Q4_0, q4_0),
    "noise": (TensorType.F16, noisy),
}


def write(kind: str, source: Path, target: Path) -> Path:
    """``target``: the file; one that is there is left as it is."""
    if target.exists():
        return target
    gguf = read_gguf(source)
    if kind == "fewer":
        _write(target, *_fewer(gguf))
        return target
    form, encode = CODES[kind]
    tensors = {}
    for name, tensor in gguf.tensors.items():
        kept = len(tensor.shape) == 1 or (kind == "q4_0" and name == EMBEDDING)
        written = (tensor.kind, gguf.raw(name).tobytes()) if kept else (form, encode(gguf.weights(name)))
        tensors[name] = (tensor.shape, written)
    _write(target, _metadata(gguf), tensors)
    return target


def _metadata(gguf: Gguf) -> dict[str, tuple[int, Value]]:
    return {key: (gguf.types[key], value) for key, value in gguf.metadata.items()}


def _fewer(gguf: Gguf) -> tuple[dict[str, tuple[int, Value]], dict[str, tuple[tuple[int, ...], Written]]]:
    metadata = _metadata(gguf)
    count = f"{gguf.text('general.architecture')}.block_count"
    metadata[count] = (gguf.types[count], int(gguf.number(count)) - len(LEFT_OUT))
    tensors = {}
    for name, tensor in gguf.tensors.items():
        found = LAYER.fullmatch(name)
        if found and int(found[1]) in LEFT_OUT:
            continue
        if found:
            name = f"blk.{int(found[1]) - sum(each < int(found[1]) for each in LEFT_OUT)}.{found[2]}"  # noqa: PLW2901
        tensors[name] = (tensor.shape, (tensor.kind, gguf.raw(tensor.name).tobytes()))
    return metadata, tensors


def _write(
    target: Path, metadata: dict[str, tuple[int, Value]], tensors: dict[str, tuple[tuple[int, ...], Written]]
) -> None:
    partial = target.with_suffix(".partial")
    with partial.open("wb") as file:
        heads = {name: (kind, shape) for name, (shape, (kind, _)) in tensors.items()}
        write_gguf(file, metadata=metadata, tensors=heads)
        for _, (_, raw) in tensors.values():
            file.write(raw + bytes(padded(len(raw)) - len(raw)))
    partial.rename(target)
