"""The numbers that a model gives for the word after each place: one pass over given tokens, nothing drawn.

The exported graph is put into the form that GenAI's pipeline runs (paged attention), by OpenVINO's own transformation,
and run here on the plain runtime, without that pipeline: no scheduler, no sampler, one conversation at a time.

- its attention costs a fifth of what the exported graph's costs on a processor; a pass becomes a third cheaper, and is
  made of the kernels that answered (docs/spec/audit.md has the figures);
- only places that are asked for go through the last matrix, which is a fifth of the work: a long prompt pays it not;
- CHUNK places at a time bound the numbers in memory: 25 MB for 49,152 words. The cache grows with the longest
  conversation: 46 KB a token for the default model in 32 bits.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from commun.engine.cache_size import BLOCK
from commun.engine.grammar import named

CHUNK: Final = 128  # tokens per inference
LOGITS: Final = "logits"
PICKED: Final = "picked_places"
CACHES: Final = ("key_cache.", "value_cache.")
LAST_STEPS: Final = 8  # between the last matrix and the result: a scale, a cap


class PagedModel:
    """``path``: a model's folder. ``properties``: the profile's, as the pipeline has them. Not thread-safe."""

    def __init__(self, path: Path, device: str, properties: dict[str, str]) -> None:
        import openvino
        from openvino._offline_transformations import paged_attention_transformation

        core = openvino.Core()
        model = core.read_model(path / "openvino_model.xml")
        paged_attention_transformation(model)
        _pick_places(model)
        compiled = core.compile_model(model, device, properties)
        self._caches = [port for port in compiled.inputs if port.any_name.startswith(CACHES)]
        self._request = compiled.create_infer_request()
        self._blocks = 0

    def parts(self, token_ids: Sequence[int], first: int) -> Iterator[Any]:
        """The logits (float32, a row for each place, one for each word) after the tokens from place ``first`` on, in
        order, at most CHUNK rows at a time. A part is valid until the next one is asked for.
        """
        self._make_room(len(token_ids))
        for start in range(0, len(token_ids), CHUNK):
            chunk = token_ids[start : start + CHUNK]
            picked = range(max(first, start) - start, len(chunk))
            logits = self._infer(chunk, start, picked)
            if picked:
                yield logits.reshape(-1, logits.shape[-1])[: len(picked)]

    def _make_room(self, tokens: int) -> None:
        import openvino

        needed = -(-tokens // BLOCK)
        if needed <= self._blocks:
            return
        self._blocks = needed
        for port in self._caches:
            _, *rest = port.get_partial_shape()
            shape = openvino.Shape([needed, *(each.get_length() for each in rest)])
            self._request.set_tensor(port, openvino.Tensor(port.get_element_type(), shape))

    def _infer(self, chunk: Sequence[int], start: int, picked: Sequence[int]) -> Any:
        import openvino

        end = start + len(chunk)
        blocks = -(-end // BLOCK)
        every = {
            "input_ids": np.array(chunk, dtype=np.int64),
            "position_ids": np.arange(start, end, dtype=np.int64),
            "past_lens": np.array([start], dtype=np.int32),
            "subsequence_begins": np.array([0, len(chunk)], dtype=np.int32),
            "block_indices": np.arange(blocks, dtype=np.int32),
            "block_indices_begins": np.array([0, blocks], dtype=np.int32),
            "max_context_len": np.array(end, dtype=np.int32),
            PICKED: np.array(picked or [0], dtype=np.int64),  # one at least: no kernel is sure to bear none
        }
        for name, value in every.items():
            self._request.set_tensor(name, openvino.Tensor(value))
        self._request.infer()
        return self._request.get_tensor(LOGITS).data


def _pick_places(model: Any) -> None:
    """Before the last matrix, or where there is none to be found, before the result."""
    from openvino import opset13 as op

    places = named(op.parameter([-1], np.int64), PICKED)
    result = model.output(LOGITS).node
    entry = _last_matrix(result) or result
    source = entry.input_value(0)
    entry.input(0).replace_source_output(op.gather(source, places, op.constant(np.int64(0))).output(0))
    model.add_parameters([places])
    model.validate_nodes_and_infer_types()


def _last_matrix(result: Any) -> Any | None:
    node = result
    for _ in range(LAST_STEPS):
        if not node.inputs():
            return None
        node = node.input_value(0).get_node()
        if node.get_type_name() == "MatMul":
            return node
    return None
