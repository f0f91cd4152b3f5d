"""Which models are served faithfully: the families that OpenVINO GenAI's graph builder knows, and their limits.

A file that asks for more than the graph would do (experts, another scaling of positions, soft-capped logits, an
unknown way to cut text into words) is refused here, by name: it would run, and answer wrongly.
"""

import re

import numpy as np
import numpy.typing as npt

from commun.engine.gguf import Gguf
from commun.errors import UnsupportedModel

FAMILIES = ("llama", "qwen2", "qwen3")
WORD_SPLITTERS = ("smollm", "qwen2", "llama-bpe")  # tokenizer.ggml.pre
KNOWN_TENSORS = re.compile(
    r"(token_embd|output|output_norm|rope_freqs)\.weight"
    r"|blk\.\d+\.(attn_norm|ffn_norm|attn_(q|k|v|output|q_norm|k_norm)|ffn_(gate|up|down))\.weight"
    r"|blk\.\d+\.attn_(q|k|v)\.bias"
)
UNKNOWN_KEYS = (  # any of these, not zero, changes the arithmetic
    "expert_count",
    "attention.sliding_window",
    "attention.scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "logit_scale",
    "embedding_scale",
    "residual_scale",
)
ROPE_SCALINGS = ("none", "linear")


def check_family(gguf: Gguf) -> None:
    """Raises UnsupportedModel naming the first thing that would not be done."""
    name = gguf.path.name
    if gguf.number("split.count", 1) > 1:
        raise UnsupportedModel(model=name, reason="it is one of several parts: join them first")
    family = gguf.text("general.architecture", "")
    if family not in FAMILIES:
        raise UnsupportedModel(model=name, reason=f"its family is “{family}”")
    if gguf.text("tokenizer.ggml.model", "") != "gpt2":
        raise UnsupportedModel(model=name, reason="its vocabulary is not byte-level BPE")
    splitter = gguf.text("tokenizer.ggml.pre", "")
    if splitter not in WORD_SPLITTERS:
        raise UnsupportedModel(model=name, reason=f"its text is split by unknown rules, “{splitter}”")
    for key in UNKNOWN_KEYS:
        if gguf.metadata.get(f"{family}.{key}"):
            raise UnsupportedModel(model=name, reason=f"it needs {key}")
    for tensor in gguf.tensors:
        if not KNOWN_TENSORS.fullmatch(tensor):
            raise UnsupportedModel(model=name, reason=f"it has weights of an unknown kind, {tensor}")
    rope_divisors(gguf)


def rope_divisors(gguf: Gguf) -> npt.NDArray[np.float32] | None:
    """By what each inverse frequency of the rotary embedding is divided, f32 [head size / 2]; None: by nothing."""
    family = gguf.text("general.architecture")
    heads = int(gguf.number(f"{family}.attention.head_count"))
    if heads < 1:
        raise UnsupportedModel(model=gguf.path.name, reason="it has no attention heads")
    head_size = int(gguf.number(f"{family}.attention.key_length", gguf.number(f"{family}.embedding_length") / heads))
    if gguf.number(f"{family}.rope.dimension_count", head_size) != head_size:
        raise UnsupportedModel(model=gguf.path.name, reason="it rotates only a part of each head")
    scaling = gguf.text(f"{family}.rope.scaling.type", "none")
    factor = gguf.number(f"{family}.rope.scaling.factor", 1)
    if scaling not in ROPE_SCALINGS and factor != 1:
        raise UnsupportedModel(model=gguf.path.name, reason=f"its positions are scaled by “{scaling}”")
    if "rope_freqs.weight" in gguf.tensors:
        factors: npt.NDArray[np.float32] = gguf.weights("rope_freqs.weight")[0]
        return factors
    if scaling == "linear" and factor != 1:
        return np.full(head_size // 2, factor, dtype=np.float32)
    return None
