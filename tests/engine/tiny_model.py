"""Tiny models as GGUF files: right in form, random in content. For every format and family that Commun serves."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from commun.engine.blocks import LAYOUTS, TensorType
from commun.engine.gguf import padded, write_gguf

UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9
NORMAL, CONTROL = 1, 3
SCALES_AT = {  # where the f16 scales of a block lie; everything else may be any byte
    TensorType.Q4_0: (0,),
    TensorType.Q4_1: (0, 2),
    TensorType.Q5_0: (0,),
    TensorType.Q5_1: (0, 2),
    TensorType.Q8_0: (0,),
    TensorType.Q4_K: (0, 2),
    TensorType.Q5_K: (0, 2),
    TensorType.Q6_K: (208,),
}


def byte_letters() -> list[str]:
    """GPT-2's printable letter for each byte."""
    kept = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in kept else next(others)) for byte in range(256)]


def random_bytes(kind: TensorType, shape: tuple[int, ...], rng: np.random.Generator) -> bytes:
    count = int(np.prod(shape))
    if kind in (TensorType.F32, TensorType.F16):
        dtype = np.float32 if kind is TensorType.F32 else np.float16
        return rng.normal(0, 0.05, count).astype(dtype).tobytes()
    if kind is TensorType.BF16:
        return (rng.normal(0, 0.05, count).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    layout = LAYOUTS[kind]
    blocks = rng.integers(0, 256, (count // layout.weights, layout.size), dtype=np.uint8)
    largest = 0.0002 if kind in (TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K) else 0.01
    for at in SCALES_AT[kind]:
        blocks[:, at : at + 2] = rng.uniform(0.1, 1, (len(blocks), 1)).astype(np.float16).view(np.uint8)
        scales = (rng.uniform(0.1, 1, (len(blocks), 1)) * largest).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8)
    return blocks.tobytes()


def write_tiny(
    path: Path,
    *kinds_of_layers: TensorType,
    family: str = "llama",
    width: int = 256,
    change: Mapping[str, tuple[int, Any] | None] = {},
    extra: Mapping[str, tuple[TensorType, tuple[int, ...]]] = {},
    rope_factors: tuple[float, ...] = (),
    seed: int = 0,
) -> Path:
    """``kinds_of_layers``: one format per layer (default: two of Q4_1). ``change``: metadata to replace (None: to leave out). ``extra``: more tensors."""
    kinds_of_layers = kinds_of_layers or (TensorType.Q4_1, TensorType.Q4_1)
    tokens = [*byte_letters(), "th", "the", "<|im_start|>", "<|im_end|>"]
    kinds = np.array([NORMAL] * 258 + [CONTROL] * 2, dtype=np.int32)
    heads, inner = 4, 2 * width
    metadata: dict[str, tuple[int, Any] | None] = {
        "general.architecture": (STRING, family),
        "general.name": (STRING, "Tiny"),
        "general.file_type": (UINT32, 3),
        f"{family}.block_count": (UINT32, len(kinds_of_layers)),
        f"{family}.context_length": (UINT32, 512),
        f"{family}.embedding_length": (UINT32, width),
        f"{family}.feed_forward_length": (UINT32, inner),
        f"{family}.attention.head_count": (UINT32, heads),
        f"{family}.attention.head_count_kv": (UINT32, heads // 2),
        f"{family}.attention.layer_norm_rms_epsilon": (FLOAT32, 1e-5),
        f"{family}.rope.freq_base": (FLOAT32, 10000.0),
        "tokenizer.ggml.model": (STRING, "gpt2"),
        "tokenizer.ggml.pre": (STRING, "smollm" if family == "llama" else "qwen2"),
        "tokenizer.ggml.tokens": (ARRAY, tokens),
        "tokenizer.ggml.token_type": (ARRAY, kinds),
        "tokenizer.ggml.merges": (ARRAY, ["t h", "th e"]),
        "tokenizer.ggml.bos_token_id": (UINT32, 258),
        "tokenizer.ggml.eos_token_id": (UINT32, 259),
        "tokenizer.ggml.padding_token_id": (UINT32, 259),
        "tokenizer.chat_template": (
            STRING,
            "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}",
        ),
        **change,
    }
    head, kv = width // heads, width // 2
    shapes: dict[str, tuple[TensorType, tuple[int, ...]]] = {
        "token_embd.weight": (TensorType.Q8_0, (len(tokens), width)),
        "output_norm.weight": (TensorType.F32, (width,)),
    }
    for layer, kind in enumerate(kinds_of_layers):
        block = f"blk.{layer}."
        shapes |= {
            f"{block}attn_norm.weight": (TensorType.F32, (width,)),
            f"{block}attn_q.weight": (kind, (width, width)),
            f"{block}attn_k.weight": (kind, (kv, width)),
            f"{block}attn_v.weight": (kind, (kv, width)),
            f"{block}attn_output.weight": (kind, (width, width)),
            f"{block}ffn_norm.weight": (TensorType.F32, (width,)),
            f"{block}ffn_gate.weight": (kind, (inner, width)),
            f"{block}ffn_up.weight": (kind, (inner, width)),
            f"{block}ffn_down.weight": (kind, (width, inner)),
        }
        if family == "qwen2":
            shapes |= {
                f"{block}attn_{part}.bias": (TensorType.F32, (size,))
                for part, size in (("q", width), ("k", kv), ("v", kv))
            }
        if family == "qwen3":
            shapes |= {f"{block}attn_{part}_norm.weight": (TensorType.F32, (head,)) for part in "qk"}
    if rope_factors:
        shapes["rope_freqs.weight"] = (TensorType.F32, (len(rope_factors),))
    shapes |= extra
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        kept = {key: value for key, value in metadata.items() if value is not None}
        write_gguf(file, metadata=kept, tensors=shapes)
        for name, (tensor_kind, shape) in shapes.items():
            raw = random_bytes(tensor_kind, shape, rng)
            if "norm" in name:
                raw = rng.uniform(0.5, 1.5, shape).astype(np.float32).tobytes()
            if name == "rope_freqs.weight":
                raw = struct.pack(f"<{len(rope_factors)}f", *rope_factors)
            file.write(raw + bytes(padded(len(raw)) - len(raw)))
    return path
