"""A GGUF file is read with suspicion, and its blocks are taken apart exactly."""

import resource
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commun.engine import gguf as reader
from commun.engine.blocks import LAYOUTS, TensorType, dequantise, is_quantised, take_apart
from commun.engine.families import check_family
from commun.engine.gguf import read_gguf
from commun.errors import CorruptModel, ModelError, UnsupportedModel
from engine.tiny_model import STRING, UINT32, random_bytes, write_tiny

QUANTISED = [kind for kind in TensorType if is_quantised(kind)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    gguf = read_gguf(write_tiny(tmp_path / "tiny.gguf"))
    assert gguf.text("general.architecture") == "llama"
    assert gguf.number("llama.block_count") == 2
    assert len(gguf.metadata["tokenizer.ggml.tokens"]) == 260
    assert gguf.tensors["blk.1.ffn_down.weight"].shape == (256, 512)
    assert gguf.weights("blk.1.ffn_down.weight").shape == (256, 512)
    check_family(gguf)


def half(value: float) -> bytes:
    return np.float16(value).tobytes()


def test_q4_1_by_hand() -> None:
    codes = np.arange(32) % 16
    packed = bytes(int(codes[j] | codes[j + 16] << 4) for j in range(16))
    raw = np.frombuffer(half(0.5) + half(-3) + packed, dtype=np.uint8)[None]
    np.testing.assert_array_equal(dequantise(TensorType.Q4_1, raw)[0], codes * 0.5 - 3)


def test_q4_0_and_q8_0_by_hand() -> None:
    raw = np.frombuffer(half(2) + bytes([0xF0]) * 16, dtype=np.uint8)[None]
    assert set(dequantise(TensorType.Q4_0, raw)[0, :16]) == {-16.0}
    assert set(dequantise(TensorType.Q4_0, raw)[0, 16:]) == {14.0}
    raw = np.frombuffer(half(0.25) + np.arange(-16, 16, dtype=np.int8).tobytes(), dtype=np.uint8)[None]
    np.testing.assert_array_equal(dequantise(TensorType.Q8_0, raw)[0], np.arange(-16, 16) * 0.25)


def k_scales(scales: list[int], minima: list[int]) -> bytes:
    """ggml's packing of eight 6-bit scales and minima into 12 bytes."""
    first = [scales[j] | scales[j + 4] >> 4 << 6 for j in range(4)]
    second = [minima[j] | minima[j + 4] >> 4 << 6 for j in range(4)]
    last = [scales[j + 4] & 15 | (minima[j + 4] & 15) << 4 for j in range(4)]
    return bytes(first + second + last)


def test_q4_k_by_hand() -> None:
    scales, minima = [1, 20, 40, 63, 2, 33, 17, 50], [0, 63, 5, 6, 31, 32, 48, 15]
    codes = np.random.default_rng(1).integers(0, 16, (8, 32))
    packed = b"".join(
        bytes(int(a | b << 4) for a, b in zip(codes[2 * i], codes[2 * i + 1], strict=True)) for i in range(4)
    )
    raw = np.frombuffer(half(0.5) + half(0.25) + k_scales(scales, minima) + packed, dtype=np.uint8)[None]
    meant = codes * 0.5 * np.array(scales)[:, None] - 0.25 * np.array(minima)[:, None]
    np.testing.assert_array_equal(dequantise(TensorType.Q4_K, raw)[0], meant.reshape(-1))


def test_q6_k_by_hand() -> None:
    codes = np.random.default_rng(2).integers(0, 64, 256)
    low, high = bytearray(128), bytearray(64)
    for half_of, start in ((0, 0), (1, 128)):
        for j in range(32):
            one, two, three, four = (int(codes[start + 32 * k + j]) for k in range(4))
            low[64 * half_of + j] = one & 15 | (three & 15) << 4
            low[64 * half_of + 32 + j] = two & 15 | (four & 15) << 4
            high[32 * half_of + j] = one >> 4 | two >> 4 << 2 | three >> 4 << 4 | four >> 4 << 6
    scales = np.arange(-8, 8, dtype=np.int8)
    raw = np.frombuffer(bytes(low) + bytes(high) + scales.tobytes() + half(0.5), dtype=np.uint8)[None]
    meant = (codes.reshape(16, 16) - 32) * 0.5 * scales[:, None]
    np.testing.assert_array_equal(dequantise(TensorType.Q6_K, raw)[0], meant.reshape(-1))


@pytest.mark.parametrize("kind", QUANTISED, ids=lambda kind: kind.name)
def test_codes_scales_and_zero_points_give_the_formats_own_weights(kind: TensorType) -> None:
    rng = np.random.default_rng(3)
    raw = np.frombuffer(random_bytes(kind, (8, 512), rng), dtype=np.uint8).reshape(8, -1)
    meant = dequantise(kind, raw)
    assert np.abs(take_apart(kind, raw).weights() - meant).max() <= 1e-6 * np.abs(meant).max()


def test_a_block_of_equal_weights_has_no_scale_and_still_its_weights() -> None:
    raw = np.frombuffer(half(0) + half(-1.5) + bytes(range(16)) + half(0) + half(0) + bytes(16), dtype=np.uint8)[None]
    weights = take_apart(TensorType.Q4_1, raw).weights()
    assert set(weights[0, :32]) == {-1.5}
    assert set(weights[0, 32:]) == {0.0}


@pytest.mark.parametrize("length", [0, 3, 4, 20, 23, 100, 3000, -1])
def test_a_truncated_file_is_corrupt(tmp_path: Path, whole: bytes, length: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[:length])
    with pytest.raises(CorruptModel):
        read_gguf(path)


def test_what_is_not_gguf_is_unsupported(tmp_path: Path) -> None:
    path = tmp_path / "photo.gguf"
    path.write_bytes(b"\x89PNG" + bytes(100))
    with pytest.raises(UnsupportedModel, match="not a GGUF"):
        read_gguf(path)


def test_an_unknown_format_of_weights_is_named(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "iq.gguf"
    name = b"blk.0.ffn_up.weight"
    at = whole.index(name) + len(name) + 4 + 16
    assert struct.unpack_from("<I", whole, at)[0] == TensorType.Q4_1
    path.write_bytes(whole[:at] + struct.pack("<I", 22) + whole[at + 4 :])
    with pytest.raises(UnsupportedModel, match="22"):
        read_gguf(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"general.architecture": (STRING, "mamba")}, "mamba"),
        ({"tokenizer.ggml.pre": (STRING, "deepseek-coder")}, "deepseek-coder"),
        ({"tokenizer.ggml.model": (STRING, "llama")}, "BPE"),
        ({"split.count": (2, 3)}, "several parts"),
        ({"llama.expert_count": (UINT32, 8)}, "expert_count"),
        ({"llama.rope.scaling.type": (STRING, "yarn"), "llama.rope.scaling.factor": (6, 4.0)}, "yarn"),
        ({"llama.rope.dimension_count": (UINT32, 32)}, "part of each head"),
    ],
)
def test_what_would_run_and_answer_wrongly_is_refused(tmp_path: Path, change: dict, reason: str) -> None:
    gguf = read_gguf(write_tiny(tmp_path / "odd.gguf", change=change))
    with pytest.raises(UnsupportedModel, match=reason):
        check_family(gguf)


def test_weights_of_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    extra = {"blk.0.ffn_gate_inp.weight": (TensorType.F32, (8, 256))}
    with pytest.raises(UnsupportedModel, match="ffn_gate_inp"):
        check_family(read_gguf(write_tiny(tmp_path / "experts.gguf", extra=extra)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 9000), st.binary(min_size=1, max_size=9)), min_size=1, max_size=6))
def test_a_damaged_head_raises_only_model_errors(tmp_path: Path, whole: bytes, edits: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(whole)
    for at, piece in edits:
        damaged[at : at + len(piece)] = piece
    read_or_refuse(tmp_path / "damaged.gguf", bytes(damaged))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.binary(max_size=400))
def test_noise_after_the_magic_raises_only_model_errors(tmp_path: Path, head: bytes) -> None:
    read_or_refuse(tmp_path / "noise.gguf", b"GGUF\x03\0\0\0" + head)


def read_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        gguf = read_gguf(path)
        check_family(gguf)
        for name in gguf.tensors:
            gguf.raw(name)
    except ModelError:
        pass


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """A list of four billion texts in a file of some bytes is refused before anything is made for it."""
    path = tmp_path / "bomb.gguf"
    for kind, items in ((STRING, 1 << 32), (STRING, reader.MAX_ARRAY_ITEMS), (UINT32, reader.MAX_ARRAY_ITEMS)):
        key = struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, kind, items)
        path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + key + bytes(64))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(CorruptModel):
            read_gguf(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_every_format_knows_its_size() -> None:
    assert set(LAYOUTS) == set(TensorType)
