"""Log-probabilities of given tokens, and the most likely token in each place: one prefill, nothing drawn.

GenAI's pipeline tells only the log-probability of the token that is there (``echo``), so this runs the same IR on the
plain OpenVINO runtime, with the same precisions. It is a second executor of the same weights: in the exact profile it
agrees with what was recorded while generating within 1e-4. Loaded when first asked for; it costs the model's memory
once more.
"""

from pathlib import Path
from typing import Any

CHUNK = 128  # tokens per inference: bounds the logits in memory, 25 MB for 49,152 words


class Scorer:
    """Not thread-safe. ``properties``: the profile's, as the pipeline has them."""

    def __init__(self, path: Path, device: str, properties: dict[str, str]) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(path / "openvino_model.xml")
        self._inputs = {name for each in model.inputs for name in each.get_names()}
        self._request = core.compile_model(model, device, properties).create_infer_request()

    def score(self, token_ids: list[int]) -> list[list[float]]:
        """Per token after the first: [token id, log-probability, top id, its log-probability]."""
        self._request.reset_state()
        rows: list[list[float]] = []
        for start in range(0, len(token_ids) - 1, CHUNK):
            chunk = token_ids[start : min(start + CHUNK, len(token_ids) - 1)]
            logits = self._infer(chunk, start)
            rows += scores_of(logits, token_ids[start + 1 : start + 1 + len(chunk)])
        self._request.reset_state()
        return rows

    def _infer(self, chunk: list[int], start: int) -> Any:
        import numpy as np

        end = start + len(chunk)
        every = {
            "input_ids": np.array([chunk], dtype=np.int64),
            "attention_mask": np.ones((1, end), dtype=np.int64),
            "position_ids": np.arange(start, end, dtype=np.int64)[None, :],
            "beam_idx": np.zeros(1, dtype=np.int32),
        }
        self._request.infer({name: value for name, value in every.items() if name in self._inputs})
        return self._request.get_tensor("logits").data[0]


def scores_of(logits: Any, token_ids: list[int]) -> list[list[float]]:
    """``logits``: float32, one row of the vocabulary's size per token of ``token_ids``."""
    import numpy as np

    peak = logits.max(axis=1)
    # One after the other in 32 bits, as GenAI adds them: the exact sum would differ from what it records by 1e-4.
    total = np.add.accumulate(np.exp(logits - peak[:, None]), axis=1, dtype=np.float32)[:, -1]
    floor = peak + np.log(total)
    top = logits.argmax(axis=1)
    return [
        [token, float(row[token] - low), int(best), float(row[best] - low)]
        for row, token, best, low in zip(logits, token_ids, top, floor, strict=True)
    ]
