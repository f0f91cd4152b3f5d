"""A skeleton: a GGUF file with a model's shape and vocabulary, and with the names of its rows for weights.

OpenVINO GenAI builds the graph of a model from a GGUF file well, and its weights badly (docs/fidelity.md). So it is
shown a skeleton: the same metadata and the same small vectors, but each row of each matrix holds only its own tensor's
number and its own row number. In the graph that comes back, every constant says which rows of which tensor belong
there, in which order (for some families the rows of the queries and keys are permuted), and we put them there
ourselves. So the foreign reader never sees a stranger's bytes, and no rule about the order is copied.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from commun.engine.blocks import Bytes, TensorType, dequantise
from commun.engine.gguf import Gguf, Tensor, Value, padded, write_gguf
from commun.errors import CorruptModel, UnsupportedModel

BLOCK = 32  # weights in a Q4_0 block
BLOCK_BYTES = 18
ROW_DIGITS = 6  # hexadecimal digits: 16 million rows
TENSOR_DIGITS = 4
ONE = np.frombuffer(np.float16(1).tobytes(), dtype=np.uint8)
FILE_TYPE_Q4_0 = 2
UINT32 = 4
ROWS_AT_ONCE = 16_384
KEPT_PREFIXES = ("general.architecture", "tokenizer.")


def matrices(gguf: Gguf) -> list[Tensor]:
    """The tensors that become matrices of the graph, in the order of their numbers."""
    return [tensor for tensor in gguf.tensors.values() if len(tensor.shape) > 1]


def write_skeleton(gguf: Gguf, path: Path) -> None:
    """Raises UnsupportedModel where the shape of a matrix cannot be tagged."""
    tagged = matrices(gguf)
    for tensor in tagged:
        if len(tensor.shape) != 2 or tensor.shape[1] % BLOCK or tensor.rows >= 16**ROW_DIGITS:  # noqa: PLR2004
            raise UnsupportedModel(model=gguf.path.name, reason=f"the shape of {tensor.name}")
    vectors = [tensor for tensor in gguf.tensors.values() if len(tensor.shape) == 1]
    layout = {tensor.name: (TensorType.Q4_0, tensor.shape) for tensor in tagged}
    layout |= {tensor.name: (TensorType.F32, tensor.shape) for tensor in vectors}
    with path.open("wb") as file:
        write_gguf(file, metadata=_kept_metadata(gguf), tensors=layout)
        for number, tensor in enumerate(tagged):
            _write_tagged(file, number, tensor)
        for tensor in vectors:
            raw = _vector(gguf, tensor).tobytes()
            file.write(raw + bytes(padded(len(raw)) - len(raw)))


def write_vocabulary(gguf: Gguf, path: Path) -> None:
    """The metadata alone: all that the tokenizer is made of."""
    with path.open("wb") as file:
        write_gguf(file, metadata=_kept_metadata(gguf), tensors={})


def rows_of(codes: Bytes) -> tuple[int, npt.NDArray[np.int64]]:
    """Reads the tags back. ``codes``: u8 [rows, >= 10], the first codes of each row of one constant. Returns the
    tensor's number and, for each row of the constant, the row of the tensor. Raises ValueError for no tags.
    """
    digits = codes[:, : ROW_DIGITS + TENSOR_DIGITS].astype(np.int64)
    weights = 16 ** np.arange(ROW_DIGITS + TENSOR_DIGITS)
    numbers = digits @ weights
    tensor = numbers >> 4 * ROW_DIGITS
    rows = numbers & (16**ROW_DIGITS - 1)
    if (tensor != tensor[0]).any() or not np.array_equal(np.sort(rows), np.arange(len(rows))):
        raise ValueError
    return int(tensor[0]), rows


def _write_tagged(file: BinaryIO, number: int, tensor: Tensor) -> None:
    rows, columns = tensor.shape
    digits = 4 * np.arange(ROW_DIGITS + TENSOR_DIGITS)
    for start in range(0, rows, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, rows - start)
        blocks = np.zeros((count, columns // BLOCK, BLOCK_BYTES), dtype=np.uint8)
        blocks[:, :, :2] = ONE
        tags = np.arange(start, start + count) | number << 4 * ROW_DIGITS
        # Byte j of a block holds codes j (low half) and j + 16 (high half).
        blocks[:, 0, 2 : 2 + len(digits)] = tags[:, None] >> digits & 15
        file.write(blocks.tobytes())
    size = rows * columns // BLOCK * BLOCK_BYTES
    file.write(bytes(padded(size) - size))


def _vector(gguf: Gguf, tensor: Tensor) -> npt.NDArray[np.float32]:
    raw = gguf.data[tensor.offset : tensor.offset + tensor.size].reshape(1, -1)
    values: npt.NDArray[np.float32] = dequantise(tensor.kind, raw)[0]
    return values


def _kept_metadata(gguf: Gguf) -> Mapping[str, tuple[int, Value]]:
    family = gguf.text("general.architecture")
    kept = {
        key: (gguf.types[key], value)
        for key, value in gguf.metadata.items()
        if key.startswith((*KEPT_PREFIXES, f"{family}."))
    }
    kept["general.file_type"] = (UINT32, FILE_TYPE_Q4_0)
    _check_vocabulary(gguf)
    return kept


def _check_vocabulary(gguf: Gguf) -> None:
    """What the foreign reader takes for granted."""
    tokens = gguf.metadata.get("tokenizer.ggml.tokens")
    kinds = gguf.metadata.get("tokenizer.ggml.token_type")
    merges = gguf.metadata.get("tokenizer.ggml.merges")
    if not isinstance(tokens, list) or not isinstance(kinds, np.ndarray) or not isinstance(merges, list):
        raise CorruptModel(model=gguf.path.name, reason="its vocabulary is missing or incomplete")
    if len(kinds) != len(tokens) or kinds.dtype != np.int32 or not tokens:
        raise CorruptModel(model=gguf.path.name, reason="its vocabulary does not fit together")
    for name in ("bos", "eos", "unknown", "padding"):
        key = f"tokenizer.ggml.{name}_token_id"
        if key in gguf.metadata and not 0 <= gguf.number(key) < len(tokens):
            raise CorruptModel(model=gguf.path.name, reason=f"{key} is outside its vocabulary")
