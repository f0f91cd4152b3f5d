"""The block formats of GGUF weights, taken apart exactly.

A quantised tensor is cut into groups of neighbours in a row; each weight is a small integer, its *code*, and each
group has a scale and a zero point: ``weight = (code - zero) * scale``. Scales and zero points are f32 here: the
products of the formats (an f16 by a 6-bit integer) are exact in f32, so nothing is rounded but the quotient
``zero = -minimum / scale`` of the asymmetric formats.

Sources: the reference structures of ggml (ggml-common.h), read as a specification.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

ONE, THREE, FOUR = np.uint8(1), np.uint8(3), np.uint8(4)  # typed: plain numbers would widen what they meet


class TensorType(IntEnum):
    """ggml's own numbers, of the types that Commun reads."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    BF16 = 30


@dataclass(frozen=True, slots=True)
class Groups:
    """``rows`` of a tensor. ``codes`` u8 [rows, groups, size] (two's complement i8 where ``signed``), each below
    2 ** ``bits``; ``scale`` and ``zero`` f32 [rows, groups, 1], or ``zero`` one number for all groups.
    """

    codes: Bytes
    bits: int
    scale: Floats
    zero: Floats | int
    signed: bool = False

    def weights(self) -> Floats:
        """f32 [rows, columns]: what an engine computes from the parts."""
        codes = self.codes.view(np.int8) if self.signed else self.codes
        values = (codes.astype(np.float32) - np.float32(1) * self.zero) * self.scale
        return values.reshape(len(values), -1).astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True)
class Parts:
    """Before the zero point is formed: ``weight = code * scale + minimum`` (``minimum`` None: ``zero`` holds)."""

    codes: Bytes
    bits: int
    scale: Floats
    minimum: Floats | None
    zero: int = 0
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One format: ``weights`` per block of ``size`` bytes; ``take_apart``: u8 [rows, blocks, size] -> Parts."""

    weights: int
    size: int
    take_apart: Callable[[Bytes], Parts] | None = None


def _half(raw: Bytes) -> Floats:
    """u8 [..., 2] -> f32 [..., 1]."""
    return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)


def _nibbles(raw: Bytes) -> Bytes:
    """u8 [..., n] -> u8 [..., 2n]: all low halves, then all high halves."""
    return np.concatenate([raw & 15, raw >> 4], axis=-1)


def _bits_of(raw: Bytes) -> Bytes:
    """u8 [..., 4] -> u8 [..., 32]: the bits of a little-endian 32-bit word, lowest first."""
    return np.unpackbits(raw, axis=-1, bitorder="little")


def _q4_0(raw: Bytes) -> Parts:
    return Parts(_nibbles(raw[..., 2:]), 4, _half(raw[..., :2]), None, zero=8)


def _q4_1(raw: Bytes) -> Parts:
    return Parts(_nibbles(raw[..., 4:]), 4, _half(raw[..., :2]), _half(raw[..., 2:4]))


def _q5_0(raw: Bytes) -> Parts:
    codes = _nibbles(raw[..., 6:]) | _bits_of(raw[..., 2:6]) << FOUR
    return Parts(codes, 5, _half(raw[..., :2]), None, zero=16)


def _q5_1(raw: Bytes) -> Parts:
    codes = _nibbles(raw[..., 8:]) | _bits_of(raw[..., 4:8]) << FOUR
    return Parts(codes, 5, _half(raw[..., :2]), _half(raw[..., 2:4]))


def _q8_0(raw: Bytes) -> Parts:
    return Parts(np.ascontiguousarray(raw[..., 2:]), 8, _half(raw[..., :2]), None, signed=True)


def _k_scales(raw: Bytes) -> tuple[Floats, Floats]:
    """The head of a Q4_K or Q5_K block, u8 [rows, blocks, >= 16] -> scales and minima, f32 [rows, 8 * blocks, 1]."""
    packed = raw[..., 4:16]
    first, second, last = packed[..., :4], packed[..., 4:8], packed[..., 8:]
    scales = np.concatenate([first & 63, last & 15 | first >> 6 << 4], axis=-1).astype(np.float32)
    minima = np.concatenate([second & 63, last >> 4 | second >> 6 << 4], axis=-1).astype(np.float32)
    rows = len(raw)
    scales = (_half(raw[..., :2]) * scales).reshape(rows, -1, 1)
    minima = (_half(raw[..., 2:4]) * minima).reshape(rows, -1, 1)
    return scales, -minima


def _k_nibbles(raw: Bytes) -> Bytes:
    """u8 [rows, blocks, 128] -> codes u8 [rows, 8 * blocks, 32]."""
    chunks = raw.reshape(*raw.shape[:-1], 4, 32)
    return _nibbles(chunks).reshape(len(raw), -1, 32)


def _q4_k(raw: Bytes) -> Parts:
    scale, minimum = _k_scales(raw)
    return Parts(_k_nibbles(raw[..., 16:]), 4, scale, minimum)


def _q5_k(raw: Bytes) -> Parts:
    scale, minimum = _k_scales(raw)
    fifth = raw[..., None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & ONE
    codes = _k_nibbles(raw[..., 48:]) | fifth.reshape(len(raw), -1, 32) << FOUR
    return Parts(codes, 5, scale, minimum)


def _q6_k(raw: Bytes) -> Parts:
    rows = len(raw)
    low = raw[..., :128].reshape(*raw.shape[:-1], 2, 2, 32)  # half, low/high 32 of the half's bytes
    low = np.stack([low & 15, low >> 4], axis=-3)  # half, nibble, part, 32
    high = raw[..., 128:192].reshape(*raw.shape[:-1], 2, 1, 32)
    high = (high >> np.arange(0, 8, 2, dtype=np.uint8)[:, None] & THREE).reshape(low.shape)
    codes = (low | high << FOUR).reshape(rows, -1, 16)
    scales = np.ascontiguousarray(raw[..., 192:208]).view(np.int8).astype(np.float32)
    return Parts(codes, 6, (_half(raw[..., 208:]) * scales).reshape(rows, -1, 1), None, zero=32)


LAYOUTS: dict[TensorType, Layout] = {
    TensorType.F32: Layout(1, 4),
    TensorType.F16: Layout(1, 2),
    TensorType.BF16: Layout(1, 2),
    TensorType.Q4_0: Layout(32, 18, _q4_0),
    TensorType.Q4_1: Layout(32, 20, _q4_1),
    TensorType.Q5_0: Layout(32, 22, _q5_0),
    TensorType.Q5_1: Layout(32, 24, _q5_1),
    TensorType.Q8_0: Layout(32, 34, _q8_0),
    TensorType.Q4_K: Layout(256, 144, _q4_k),
    TensorType.Q5_K: Layout(256, 176, _q5_k),
    TensorType.Q6_K: Layout(256, 210, _q6_k),
}


def _parts(kind: TensorType, raw: Bytes) -> Parts:
    layout = LAYOUTS[kind]
    assert layout.take_apart is not None, "a format of plain numbers has no parts"  # noqa: S101
    return layout.take_apart(raw.reshape(len(raw), -1, layout.size))


def is_quantised(kind: TensorType) -> bool:
    return LAYOUTS[kind].take_apart is not None


def take_apart(kind: TensorType, raw: Bytes) -> Groups:
    """``raw``: u8 [rows, bytes of a row], of a quantised type."""
    parts = _parts(kind, raw)
    if parts.minimum is None:
        return Groups(parts.codes, parts.bits, parts.scale, parts.zero, parts.signed)
    # A group whose weights are all alike has scale 0 and no zero point: (0 - -1) * minimum says the same.
    flat = parts.scale == 0
    scale = np.where(flat, parts.minimum, parts.scale)
    zero = np.where(flat, np.float32(-1), -parts.minimum / np.where(flat, np.float32(1), parts.scale))
    codes = np.where(flat, np.uint8(0), parts.codes)
    return Groups(codes, parts.bits, scale, zero)


def dequantise(kind: TensorType, raw: Bytes) -> Floats:
    """``raw`` u8 [rows, bytes of a row] -> f32 [rows, columns], by the format's own formula: the reference."""
    if kind is TensorType.F32:
        return np.ascontiguousarray(raw).view(np.float32)
    if kind is TensorType.F16:
        return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)
    if kind is TensorType.BF16:
        return (np.ascontiguousarray(raw).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    parts = _parts(kind, raw)
    codes: npt.NDArray[Any] = parts.codes.view(np.int8) if parts.signed else parts.codes
    if parts.minimum is None:
        values = (codes.astype(np.float32) - np.float32(parts.zero)) * parts.scale
    else:
        values = codes.astype(np.float32) * parts.scale + parts.minimum
    return values.reshape(len(raw), -1).astype(np.float32, copy=False)
