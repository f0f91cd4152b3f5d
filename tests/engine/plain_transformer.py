"""A transformer of the Llama kind in fifty lines of NumPy: what a GGUF file means, without any engine."""

import numpy as np

from commun.engine.gguf import Gguf


def log_probabilities(gguf: Gguf, ids: list[int]) -> np.ndarray:
    """Of each id after the first, given those before it. f64, from the exactly dequantised weights."""
    family = gguf.text("general.architecture")
    heads = int(gguf.number(f"{family}.attention.head_count"))
    shared = heads // int(gguf.number(f"{family}.attention.head_count_kv"))
    epsilon = gguf.number(f"{family}.attention.layer_norm_rms_epsilon")
    head = int(gguf.number(f"{family}.embedding_length")) // heads

    def matrix(name: str) -> np.ndarray:
        return gguf.weights(f"{name}.weight").astype(np.float64)

    def vector(name: str) -> np.ndarray:
        return gguf.weights(name)[0].astype(np.float64)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * vector(f"{name}.weight")

    def rotate(x: np.ndarray) -> np.ndarray:
        frequencies = gguf.number(f"{family}.rope.freq_base") ** (-np.arange(0, head, 2) / head)
        if "rope_freqs.weight" in gguf.tensors:
            frequencies = frequencies / vector("rope_freqs.weight")
        angles = np.arange(len(ids))[:, None, None] * frequencies
        cos, sin = np.cos(angles), np.sin(angles)
        if family == "llama":  # neighbours are rotated together
            even, odd = x[..., 0::2], x[..., 1::2]
            return np.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)
        first, second = np.split(x, 2, -1)
        return np.concatenate([first * cos - second * sin, first * sin + second * cos], -1)

    def project(x: np.ndarray, name: str) -> np.ndarray:
        bias = vector(f"{name}.bias") if f"{name}.bias" in gguf.tensors else 0
        return (x @ matrix(name).T + bias).reshape(len(ids), -1, head)

    x = matrix("token_embd")[ids]
    for layer in range(int(gguf.number(f"{family}.block_count"))):
        block = f"blk.{layer}."
        y = norm(x, f"{block}attn_norm")
        q, k, v = (project(y, f"{block}attn_{part}") for part in "qkv")
        if family == "qwen3":
            q, k = norm(q, f"{block}attn_q_norm"), norm(k, f"{block}attn_k_norm")
        q, k, v = rotate(q), np.repeat(rotate(k), shared, 1), np.repeat(v, shared, 1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(head)
        scores = np.where(np.tri(len(ids), dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        x = x + np.einsum("hqk,khd->qhd", weights, v).reshape(len(ids), -1) @ matrix(f"{block}attn_output").T
        y = norm(x, f"{block}ffn_norm")
        gate = y @ matrix(f"{block}ffn_gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ matrix(f"{block}ffn_up").T)) @ matrix(f"{block}ffn_down").T
    logits = norm(x, "output_norm") @ matrix("token_embd").T
    logits = logits[:-1] - logits[:-1].max(-1, keepdims=True)
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))[np.arange(len(ids) - 1), ids[1:]]
