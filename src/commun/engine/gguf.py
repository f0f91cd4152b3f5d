"""GGUF files: read with suspicion, and written small.

A file comes from a stranger. The reader

- keeps the file mapped and copies only what is asked for;
- checks every length against what is left of the file before it believes it, and against a bound of its own;
- raises CorruptModel or UnsupportedModel, and nothing else.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
"""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from commun.engine.blocks import LAYOUTS, Bytes, Floats, TensorType, dequantise
from commun.errors import CorruptModel, UnsupportedModel

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 1 << 16
MAX_KEYS = 4096  # models have 20 to 60
MAX_TENSORS = 65_536  # the largest known have some thousands
MAX_NAME_BYTES = 1024
MAX_STRING_BYTES = 1 << 20  # a chat template has some ten thousand
MAX_ARRAY_ITEMS = 4_000_000  # the largest vocabularies have 260,000 tokens and 600,000 merges
MAX_METADATA_BYTES = 128 << 20
MAX_DIMENSIONS = 4

_SCALARS: dict[int, str] = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING = 8
_ARRAY = 9

Numbers = npt.NDArray[np.generic]
Value = int | float | bool | str | list[str] | Numbers


@dataclass(frozen=True, slots=True)
class Tensor:
    """``shape`` in NumPy's order (rows first); ``offset`` in the file and ``size``, in bytes."""

    name: str
    kind: TensorType
    shape: tuple[int, ...]
    offset: int
    size: int

    @property
    def rows(self) -> int:
        return math.prod(self.shape[:-1])


@dataclass(frozen=True, slots=True)
class Gguf:
    """An open file: its metadata (with the type number of each value), and its tensors by name."""

    path: Path
    metadata: Mapping[str, Value]
    types: Mapping[str, int]
    tensors: Mapping[str, Tensor]
    data: Bytes

    def raw(self, name: str, start: int = 0, stop: int | None = None) -> Bytes:
        """u8 [rows, bytes of a row]: a view into the file, rows ``start`` to ``stop``."""
        tensor = self.tensors[name]
        whole = self.data[tensor.offset : tensor.offset + tensor.size]
        return whole.reshape(tensor.rows, -1)[start:stop]

    def weights(self, name: str, start: int = 0, stop: int | None = None) -> Floats:
        """f32 [rows, columns], exact."""
        return dequantise(self.tensors[name].kind, self.raw(name, start, stop))

    def text(self, key: str, default: str | None = None) -> str:
        value = self.metadata.get(key, default)
        if not isinstance(value, str):
            raise CorruptModel(model=self.path.name, reason=f"{key} is missing or not a text")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.metadata.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CorruptModel(model=self.path.name, reason=f"{key} is missing or not a number")
        return value


class _Cursor:
    """Walks the head of a file; every step is checked against the file's end."""

    def __init__(self, data: mmap.mmap, model: str) -> None:
        self.data = data
        self.model = model
        self.at = 0

    def corrupt(self, reason: str) -> CorruptModel:
        return CorruptModel(model=self.model, reason=reason)

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data) or end > MAX_METADATA_BYTES:
            raise self.corrupt("it ends in the middle of its head")
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def scalar(self, code: str) -> int | float | bool:
        (value,) = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))
        return value  # type: ignore[no-any-return]  # struct gives Any

    def count(self, limit: int, what: str) -> int:
        value = int(self.scalar("Q"))
        if value > limit:
            raise self.corrupt(f"{value} {what}, and at most {limit} make sense")
        return value

    def string(self, limit: int) -> str:
        piece = self.take(self.count(limit, "bytes in a text"))
        try:
            return piece.decode()
        except UnicodeDecodeError:
            raise self.corrupt("a text in its head is not UTF-8") from None

    def value(self, kind: int) -> Value:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.string(MAX_STRING_BYTES)
        if kind == _ARRAY:
            return self.array()
        raise self.corrupt(f"unknown type {kind} in its head")

    def array(self) -> Value:
        kind = int(self.scalar("I"))
        items = self.count(MAX_ARRAY_ITEMS, "items in a list")
        if kind == _STRING:
            if items * 8 > len(self.data) - self.at:
                raise self.corrupt("it ends in the middle of a list")
            return [self.string(MAX_STRING_BYTES) for _ in range(items)]
        if kind not in _SCALARS:
            raise self.corrupt("a list of lists in its head")
        layout = np.dtype(f"<{_SCALARS[kind]}")
        return np.frombuffer(self.take(items * layout.itemsize), dtype=layout)


def read_gguf(path: Path) -> Gguf:
    """Reads the head and checks that all tensors lie inside the file. Raises CorruptModel, UnsupportedModel."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise CorruptModel(model=path.name, reason="it is empty or cannot be read") from error
    cursor = _Cursor(data, path.name)
    if cursor.take(4) != MAGIC:
        raise UnsupportedModel(model=path.name, reason="it is not a GGUF file")
    version = cursor.scalar("I")
    if version not in VERSIONS:
        raise UnsupportedModel(model=path.name, reason=f"GGUF version {version} (of its byte order)")
    tensor_count = cursor.count(MAX_TENSORS, "tensors")
    key_count = cursor.count(MAX_KEYS, "keys")
    metadata: dict[str, Value] = {}
    types: dict[str, int] = {}
    for _ in range(key_count):
        key = cursor.string(MAX_NAME_BYTES)
        types[key] = int(cursor.scalar("I"))
        metadata[key] = cursor.value(types[key])
    tensors = _read_tensors(cursor, tensor_count, _alignment(cursor, metadata))
    return Gguf(path, metadata, types, tensors, np.frombuffer(data, dtype=np.uint8))


def _alignment(cursor: _Cursor, metadata: Mapping[str, Value]) -> int:
    value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(value, int) or not 1 <= value <= MAX_ALIGNMENT or value & (value - 1):
        raise cursor.corrupt("its alignment is not a power of two")
    return value


def _read_tensors(cursor: _Cursor, count: int, alignment: int) -> dict[str, Tensor]:
    heads = []
    for _ in range(count):
        name = cursor.string(MAX_NAME_BYTES)
        dimensions = int(cursor.scalar("I"))
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise cursor.corrupt(f"a tensor of {dimensions} dimensions")
        shape = tuple(int(cursor.scalar("Q")) for _ in range(dimensions))[::-1]
        heads.append((name, shape, int(cursor.scalar("I")), int(cursor.scalar("Q"))))
    start = -(-cursor.at // alignment) * alignment
    tensors: dict[str, Tensor] = {}
    for name, shape, kind, offset in heads:
        if name in tensors:
            raise cursor.corrupt("two tensors of one name")
        size = _size_in_bytes(cursor, shape, kind)
        if offset % alignment or start + offset + size > len(cursor.data):
            raise cursor.corrupt("it is shorter than its head says (an unfinished download?)")
        tensors[name] = Tensor(name, TensorType(kind), shape, start + offset, size)
    return tensors


def _size_in_bytes(cursor: _Cursor, shape: tuple[int, ...], kind: int) -> int:
    if kind not in LAYOUTS:
        raise UnsupportedModel(model=cursor.model, reason=f"its weights are in a format with the number {kind}")
    layout = LAYOUTS[TensorType(kind)]
    if min(shape) < 1 or shape[-1] % layout.weights:
        raise cursor.corrupt("a tensor whose rows are not whole blocks")
    return math.prod(shape) // layout.weights * layout.size  # Python's integers do not overflow


def write_gguf(
    file: BinaryIO,
    *,
    metadata: Mapping[str, tuple[int, Value]],
    tensors: Mapping[str, tuple[TensorType, tuple[int, ...]]],
) -> int:
    """Writes the head for ``metadata`` (type number and value) and ``tensors`` (type and shape); the caller writes
    their bytes after it, in this order, each padded to DEFAULT_ALIGNMENT. Returns the head's length in bytes.
    """
    head = bytearray(MAGIC + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    for key, (kind, value) in metadata.items():
        head += _packed_text(key) + struct.pack("<I", kind) + _packed(kind, value)
    offset = 0
    for name, (tensor_type, shape) in tensors.items():
        head += _packed_text(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", tensor_type, offset)
        layout = LAYOUTS[tensor_type]
        offset += padded(math.prod(shape) // layout.weights * layout.size)
    head += bytes(padded(len(head)) - len(head))
    file.write(head)
    return len(head)


def padded(size: int) -> int:
    return -(-size // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT


def _packed_text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _packed(kind: int, value: Value) -> bytes:
    if isinstance(value, str):
        return _packed_text(value)
    if isinstance(value, list):
        return struct.pack("<IQ", _STRING, len(value)) + b"".join(map(_packed_text, value))
    if isinstance(value, np.ndarray):
        code = next(number for number, letter in _SCALARS.items() if np.dtype(f"<{letter}") == value.dtype)
        return struct.pack("<IQ", code, len(value)) + value.tobytes()
    return struct.pack(f"<{_SCALARS[kind]}", value)
