"""Tries a JSON Schema before the pipeline does: there, one that cannot be compiled breaks everybody's answers.

The pipeline compiles a request's schema in the middle of a step; when that fails the step raises and every running
answer is lost (OpenVINO GenAI 2026.4.1). So each new schema is first compiled in a pipeline of its own around a model
of a few nodes, which has the real tokenizer and says nothing: 70 ms and 3 MB once, then about a millisecond.
"""

import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

from commun.errors import InvalidParameter

REMEMBERED = 256  # schemas found good


class SchemaTrial:
    """``check`` raises InvalidParameter for a schema that cannot be compiled."""

    def __init__(self, tokenizer: Any, words: int, device: str) -> None:
        import openvino_genai as genai

        self._genai = genai
        self._good: OrderedDict[str, None] = OrderedDict()
        self._prompt = tokenizer.encode("a")
        with tempfile.TemporaryDirectory() as folder:
            write_silent_model(Path(folder) / "openvino_model.xml", words)
            self._pipeline = genai.LLMPipeline(folder, tokenizer, device, ATTENTION_BACKEND="SDPA")

    def check(self, schema: str) -> None:
        if schema in self._good:
            self._good.move_to_end(schema)
            return
        structure = self._genai.StructuredOutputConfig(json_schema=schema)
        config = self._genai.GenerationConfig(max_new_tokens=1, structured_output_config=structure)
        try:
            self._pipeline.generate(self._prompt, config)
        except RuntimeError as error:
            raise InvalidParameter(parameter="response_format", reason="its JSON Schema cannot be compiled") from error
        self._good[schema] = None
        if len(self._good) > REMEMBERED:
            self._good.popitem(last=False)


def write_silent_model(path: Path, words: int) -> None:
    """A language model that finds each of its ``words`` equally likely, whatever it reads."""
    import numpy as np
    import openvino
    from openvino import opset13 as op

    token_ids = named(op.parameter([-1, -1], np.int64), "input_ids")
    mask = named(op.parameter([-1, -1], np.int64), "attention_mask")
    positions = named(op.parameter([-1, -1], np.int64), "position_ids")
    beams = named(op.parameter([-1], np.int32), "beam_idx")
    shape = op.concat([op.shape_of(token_ids), op.constant(np.array([words], np.int64))], 0)
    column = op.unsqueeze(op.convert(token_ids, "f32"), op.constant(-1))
    logits = named(op.result(op.broadcast(op.multiply(column, op.constant(np.float32(0))), shape)), "logits")
    openvino.save_model(openvino.Model([logits], [token_ids, mask, positions, beams], "silent"), path)


def named(node: Any, name: str) -> Any:
    node.output(0).set_names({name})
    return node
